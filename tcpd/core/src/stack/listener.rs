//! Listeners: LISTEN, its queue of established connections, and which of several a SYN is for.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::stack::{ConnectionOptions, OpenError};
use crate::tcp::id::{EndpointId, ListenerId};
use crate::time::Instant;

/// How a passive OPEN is to be (§3.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// The own address to listen on (RFC 9293 §3.9.1.1 MUST-43). `None`: every one of both families; `0.0.0.0`: every IPv4 one; `::`:
    /// every IPv6 one, and every IPv4 one too unless `v6only`.
    pub local: Option<IpAddr>,
    /// The port; 0: any free one.
    pub port: u16,
    /// Established connections that may wait to be accepted; at least 1, at most the stack's limit.
    pub backlog: u32,
    /// Whether the port may be bound while connections of an earlier listener, or TIME-WAIT pairs, still use it.
    pub reuse: bool,
    /// Whether `::` means IPv6 alone.
    pub v6only: bool,
    /// Whether it may stand beside listeners of the same `account` on the port: at one address beside a wildcard, or the other way round.
    /// What comes for that address is for its own listener. So an owner moves from all addresses to one, or back, without a gap.
    pub beside: bool,
    /// The owner's cookie, reported back.
    pub tag: u64,
    /// Whose its connections are: see [`Allowance`](crate::stack::Allowance).
    pub account: u32,
    /// What its connections start with.
    pub connection: ConnectionOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            local: None,
            port: 0,
            backlog: 128,
            reuse: false,
            v6only: false,
            beside: false,
            tag: 0,
            account: 0,
            connection: ConnectionOptions::default(),
        }
    }
}

/// A listener's state, for its owner and for tcpctl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its name.
    pub id: ListenerId,
    /// Where it listens; `::` for every address of both families, or of IPv6.
    pub local: SocketAddr,
    /// How many may wait.
    pub backlog: u32,
    /// How many wait to be accepted.
    pub queued: u32,
    /// How many handshakes are under way.
    pub half_open: u32,
    /// How many connections it has accepted, since it was opened.
    pub accepted: u64,
    /// How many SYNs and final ACKs found the queue full.
    pub refused: u64,
    /// Whether the port is shared.
    pub reuse: bool,
    /// The owner's cookie.
    pub tag: u64,
}

/// One listener.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) options: ListenOptions,
    pub(crate) backlog: u32,
    pub(crate) queue: VecDeque<EndpointId>,
    pub(crate) half_open: u32,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// When a SYN was answered with a cookie last.
    pub(crate) cookie_sent_at: Option<Instant>,
    /// An event for it stands in the queue.
    pub(crate) event_queued: bool,
}

impl Listener {
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.backlog as usize
    }

    pub(crate) fn status(&self, id: ListenerId) -> ListenerStatus {
        ListenerStatus {
            id,
            local: self.options.socket(),
            backlog: self.backlog,
            queued: self.queue.len() as u32,
            half_open: self.half_open,
            accepted: self.accepted,
            refused: self.refused,
            reuse: self.options.reuse,
            tag: self.options.tag,
        }
    }
}

impl ListenOptions {
    fn socket(&self) -> SocketAddr {
        SocketAddr::new(
            self.local.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            self.port,
        )
    }

    /// Whether a segment to `address` is for this listener; 2 when exactly, 1 when by a wildcard.
    fn matches(&self, address: IpAddr) -> u8 {
        match self.local {
            None => 1,
            Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => u8::from(address.is_ipv4()),
            Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => u8::from(address.is_ipv6() || !self.v6only),
            Some(own) if own == address => 2,
            Some(_) => 0,
        }
    }

    fn is_wildcard(&self) -> bool {
        self.local.is_none_or(|address| address.is_unspecified())
    }

    /// Whether it may be beside `other`, though they have an address in common.
    fn stands_beside(&self, other: &ListenOptions) -> bool {
        self.beside && self.account == other.account && self.is_wildcard() != other.is_wildcard()
    }

    /// Whether `self` listens on `address` at all.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        self.matches(address) > 0
    }
}

/// All listeners by port.
#[derive(Debug, Default)]
pub(crate) struct ListenerTable {
    ports: BTreeMap<u16, Vec<(ListenOptions, EndpointId)>>,
}

impl ListenerTable {
    /// The listener for a segment to `address` and `port`: an exact address before a wildcard.
    pub(crate) fn find(&self, address: IpAddr, port: u16) -> Option<EndpointId> {
        let listeners = self.ports.get(&port)?;
        let best = listeners
            .iter()
            .max_by_key(|(options, _)| options.matches(address))?;
        best.0.covers(address).then_some(best.1)
    }

    /// Whether `options` would listen where another does already; `own` are the stack's addresses. Two listeners never share an address and
    /// port, `reuse` or not, as in the kernel without SO_REUSEPORT; but a wildcard and an address of one owner may, if it says so.
    pub(crate) fn conflicts(&self, options: &ListenOptions, own: &[IpAddr]) -> bool {
        self.ports.get(&options.port).is_some_and(|listeners| {
            listeners.iter().any(|(other, _)| {
                other.local == options.local
                    || !options.stands_beside(other)
                        && own
                            .iter()
                            .any(|&address| other.covers(address) && options.covers(address))
            })
        })
    }

    /// Whether anybody listens on the port of this address.
    pub(crate) fn is_taken(&self, address: IpAddr, port: u16) -> bool {
        self.ports
            .get(&port)
            .is_some_and(|listeners| listeners.iter().any(|(options, _)| options.covers(address)))
    }

    /// Who listens on `port`, on whatever address.
    pub(crate) fn entries_of(&self, port: u16) -> &[(ListenOptions, EndpointId)] {
        self.ports.get(&port).map_or(&[], Vec::as_slice)
    }

    /// How many listeners there are.
    pub(crate) fn len(&self) -> usize {
        self.ports.values().map(Vec::len).sum()
    }

    pub(crate) fn insert(&mut self, options: ListenOptions, id: EndpointId) {
        self.ports
            .entry(options.port)
            .or_default()
            .push((options, id));
    }

    pub(crate) fn remove(&mut self, port: u16, id: EndpointId) {
        if let Some(listeners) = self.ports.get_mut(&port) {
            listeners.retain(|(_, known)| *known != id);
            if listeners.is_empty() {
                self.ports.remove(&port);
            }
        }
    }
}

/// Checks the address of a passive OPEN against the stack's own.
pub(crate) fn check_local(options: &ListenOptions, own: &[IpAddr]) -> Result<(), OpenError> {
    match options.local {
        Some(address) if !address.is_unspecified() && !own.contains(&address) => {
            Err(OpenError::AddressNotAvailable)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use slotmap::KeyData;

    use super::*;
    use crate::tcp::id::SlotKey;

    const OWN: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

    fn own() -> Vec<IpAddr> {
        OWN.map(|address| address.parse().expect("an address"))
            .into()
    }

    fn at(local: Option<&str>, account: u32, beside: bool) -> ListenOptions {
        ListenOptions {
            local: local.map(|address| address.parse().expect("an address")),
            port: 7,
            account,
            beside,
            ..ListenOptions::default()
        }
    }

    fn id(number: u64) -> EndpointId {
        EndpointId::from(SlotKey::from(KeyData::from_ffi(1 << 32 | number)))
    }

    #[test]
    fn an_address_stands_beside_a_wildcard_of_its_owner_only() {
        let mut table = ListenerTable::default();
        table.insert(at(None, 1, false), id(1));
        let one = at(Some(OWN[0]), 1, true);
        assert!(!table.conflicts(&one, &own()));
        assert!(
            table.conflicts(&at(Some(OWN[0]), 1, false), &own()),
            "unasked"
        );
        assert!(
            table.conflicts(&at(Some(OWN[0]), 2, true), &own()),
            "another's"
        );
        assert!(
            table.conflicts(&at(None, 1, true), &own()),
            "the same place"
        );
        assert!(
            table.conflicts(&at(Some("::"), 1, true), &own()),
            "two wildcards"
        );
        table.insert(one, id(2));
        assert!(table.conflicts(&one, &own()), "twice");
        for (address, listener) in [(OWN[0], id(2)), (OWN[1], id(1))] {
            let address = address.parse().expect("an address");
            assert_eq!(table.find(address, 7), Some(listener));
        }
        table.remove(7, id(1));
        assert_eq!(table.find(OWN[1].parse().expect("one"), 7), None);
        // And back.
        assert!(!table.conflicts(&at(None, 1, true), &own()));
    }
}
