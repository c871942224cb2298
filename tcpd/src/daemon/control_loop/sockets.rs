//! Connections that have left their sessions for a socketpair: who asked for each, to show and to count.

use std::collections::HashMap;

use libtcpclient::protocol::status::{EndpointKind, Owner, OwnerKind};

use super::super::orders::SessionId;
use super::clients::Client;
use crate::ipc::credentials::{command_name, start_time};

/// Who asked for a socket. The process may have passed it on and ended since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) uid: u32,
    session: SessionId,
    pid: u32,
    /// [`start_time`] of `pid`: another process may have that number by now.
    started: Option<u64>,
    /// What it called itself.
    program: String,
    /// For a worker.
    service: Option<String>,
}

impl Holder {
    /// The client as it is.
    pub(super) fn of(client: &Client) -> Self {
        let identity = &client.session.identity;
        Self {
            uid: identity.uid,
            session: client.session.id,
            pid: identity.pid,
            started: start_time(identity.pid),
            program: client.session.program.clone(),
            service: client
                .grant
                .as_ref()
                .map(|grant| grant.service_name.clone()),
        }
    }

    /// For lists. The program is the one that runs now: it may have executed another.
    pub(super) fn row(&self) -> Owner {
        let alive = self.started.is_some() && start_time(self.pid) == self.started;
        let running = alive.then(|| command_name(self.pid)).flatten();
        Owner {
            kind: match self.service {
                Some(_) => OwnerKind::Service,
                None => OwnerKind::Client,
            },
            endpoint: Some(EndpointKind::Socket),
            pid: alive.then_some(self.pid),
            program: Some(running.unwrap_or_else(|| self.program.clone())),
            uid: Some(self.uid),
            service: self.service.clone(),
            session: Some(self.session),
        }
    }
}

/// By the connection's number.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    holders: HashMap<u64, Holder>,
}

impl Sockets {
    /// The connection lives in a socket from now on.
    pub(super) fn opened(&mut self, connection: u64, holder: Holder) {
        self.holders.insert(connection, holder);
    }

    /// Nobody holds it any more; who did.
    pub(super) fn closed(&mut self, connection: u64) -> Option<Holder> {
        self.holders.remove(&connection)
    }

    pub(super) fn holder(&self, connection: u64) -> Option<&Holder> {
        self.holders.get(&connection)
    }
}
