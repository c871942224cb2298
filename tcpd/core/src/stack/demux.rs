//! Which endpoint a segment is for, and which ports are taken: O(1) each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashTable;
use slotmap::SlotMap;

use crate::random::Secret;
use crate::stack::ip_input::OwnAddresses;
use crate::stack::slot::Slot;
use crate::tcp::endpoint::Pair;
use crate::tcp::id::{EndpointId, SlotKey};

/// Pairs to endpoints, keyed by a secret so that nobody can fill one bucket.
#[derive(Debug)]
pub(crate) struct FlowTable {
    secret: Secret,
    table: HashTable<EndpointId>,
    /// What compact pairs leave out.
    own: OwnAddresses,
}

type Endpoints<R> = SlotMap<SlotKey, Slot<R>>;

impl FlowTable {
    pub(crate) fn new(secret: &Secret, own: OwnAddresses) -> Self {
        Self {
            secret: secret.derive("flow table"),
            table: HashTable::new(),
            own,
        }
    }

    pub(crate) fn find<R>(&self, endpoints: &Endpoints<R>, pair: &Pair) -> Option<EndpointId> {
        self.table
            .find(self.secret.table_hash(pair.flow()), |id| {
                self.is(endpoints, *id, pair)
            })
            .copied()
    }

    /// The pair must not be in the table, and its endpoint must stand in its slot.
    pub(crate) fn insert<R>(&mut self, endpoints: &Endpoints<R>, id: EndpointId) {
        let own = &self.own;
        let pair_of = |id: EndpointId| endpoints.get(id.key()).and_then(|slot| slot.pair(own));
        let Some(pair) = pair_of(id) else {
            return;
        };
        debug_assert!(self.find(endpoints, &pair).is_none());
        let secret = &self.secret;
        self.table
            .insert_unique(secret.table_hash(pair.flow()), id, |id| {
                pair_of(*id).map_or(0, |pair| secret.table_hash(pair.flow()))
            });
    }

    /// Takes `id` out, if it is there.
    pub(crate) fn remove(&mut self, id: EndpointId, pair: &Pair) {
        if let Ok(entry) = self
            .table
            .find_entry(self.secret.table_hash(pair.flow()), |known| *known == id)
        {
            entry.remove();
        }
    }

    /// How many endpoints stand in it.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    fn is<R>(&self, endpoints: &Endpoints<R>, id: EndpointId, pair: &Pair) -> bool {
        let slot = endpoints.get(id.key());
        slot.and_then(|slot| slot.pair(&self.own)) == Some(*pair)
    }
}

/// Who has bound a local address and port, besides listeners: what the kernel calls a bind bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortUse {
    /// Connections, TIME-WAIT included.
    pub(crate) all: u32,
    /// Those that do not share the port.
    pub(crate) exclusive: u32,
}

/// Local ports in use by connections.
#[derive(Debug, Default)]
pub(crate) struct BoundPorts {
    ports: BTreeMap<(IpAddr, u16), PortUse>,
}

impl BoundPorts {
    pub(crate) fn get(&self, local: IpAddr, port: u16) -> PortUse {
        self.ports.get(&(local, port)).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ((IpAddr, u16), PortUse)> + '_ {
        self.ports.iter().map(|(&key, &used)| (key, used))
    }

    pub(crate) fn bind(&mut self, pair: &Pair, reuse: bool) {
        let entry = self.ports.entry((pair.local, pair.local_port)).or_default();
        entry.all += 1;
        entry.exclusive += u32::from(!reuse);
    }

    pub(crate) fn unbind(&mut self, pair: &Pair, reuse: bool) {
        let key = (pair.local, pair.local_port);
        if let Some(entry) = self.ports.get_mut(&key) {
            entry.all -= 1;
            entry.exclusive -= u32::from(!reuse);
            if entry.all == 0 {
                self.ports.remove(&key);
            }
        }
    }
}
