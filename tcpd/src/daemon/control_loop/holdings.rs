//! What a session has: told from its requests and their answers, for quotas and for the table.

use std::collections::HashSet;

use libtcpclient::protocol::{Opened, Reply, Request};

/// What the answer to a request will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Connect.
    Connects,
    /// Close or Abort of this connection: it is given back whatever the answer is.
    Ends(u64),
    /// IntoSocket or HandOff of this connection: the session has it no more unless that is refused.
    Leaves(u64),
    /// CloseListener of this listener.
    Unlistens(u64),
    /// A whole table of the stack thread.
    Table,
    /// Nothing, or what the answer itself says.
    Other,
}

impl Waiting {
    /// For this request.
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Connect(_) => Waiting::Connects,
            Request::Close { connection, .. } | Request::Abort { connection } => {
                Waiting::Ends(*connection)
            }
            Request::IntoSocket { connection } | Request::HandOff { connection, .. } => {
                Waiting::Leaves(*connection)
            }
            Request::CloseListener { listener } => Waiting::Unlistens(*listener),
            _ => Waiting::Other,
        }
    }
}

/// Connections and listeners of a session.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    connections: HashSet<u64>,
    /// Connects that wait for their answer.
    connecting: u32,
    waits_for_table: bool,
    listeners: HashSet<u64>,
}

/// How many of each; of a session, or of all sessions of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) connections: u32,
    pub(super) listeners: u32,
}

impl Count {
    /// This, after a part of it changed.
    pub(super) fn changed(self, before: Count, after: Count) -> Self {
        Self {
            connections: self.connections + after.connections - before.connections,
            listeners: self.listeners + after.listeners - before.listeners,
        }
    }
}

impl Holdings {
    /// A request goes to the stack thread.
    pub(super) fn expect(&mut self, waiting: Waiting) {
        self.connecting += u32::from(waiting == Waiting::Connects);
        self.waits_for_table |= waiting == Waiting::Table;
    }

    /// An answer goes to the client.
    pub(super) fn learn(&mut self, waiting: Waiting, reply: &Reply) {
        match waiting {
            Waiting::Ends(connection) => {
                self.connections.remove(&connection);
            }
            Waiting::Leaves(connection) => {
                if matches!(reply, Reply::Stream | Reply::HandedOff { .. }) {
                    self.connections.remove(&connection);
                }
            }
            Waiting::Unlistens(listener) => {
                self.listeners.remove(&listener);
            }
            Waiting::Connects => self.connecting -= 1,
            Waiting::Table => self.waits_for_table = false,
            Waiting::Other => {}
        }
        match reply {
            Reply::Connected(Opened { connection, .. })
            | Reply::Accepted(Opened { connection, .. })
            | Reply::Adopted(Opened { connection, .. }) => {
                self.connections.insert(*connection);
            }
            Reply::Listening { listener, .. } => _ = self.listeners.insert(*listener),
            _ => {}
        }
    }

    /// Whether a table was asked for and has not come.
    pub(super) fn waits_for_table(&self) -> bool {
        self.waits_for_table
    }

    /// How many, with those it is about to have.
    pub(super) fn count(&self) -> Count {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let connections = self
            .connecting
            .saturating_add(number(self.connections.len()));
        Count {
            connections,
            listeners: number(self.listeners.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use libtcpclient::protocol::ErrorCode;

    use super::*;

    fn opened(connection: u64) -> Opened {
        let local = "198.18.0.2:7".parse().expect("an address");
        Opened {
            connection,
            slot: 0,
            stack_thread: 0,
            local,
            remote: local,
            receive_maximum: 0,
            transmit_maximum: 0,
        }
    }

    #[test]
    fn answers_tell_what_a_session_has() {
        let mut holdings = Holdings::default();
        holdings.expect(Waiting::Connects);
        assert_eq!(
            holdings.count(),
            Count {
                connections: 1,
                listeners: 0
            }
        );
        holdings.learn(Waiting::Connects, &Reply::Connected(opened(1)));
        holdings.learn(Waiting::Other, &Reply::Accepted(opened(2)));
        holdings.learn(Waiting::Other, &Reply::Accepted(opened(4)));
        let leaves = Waiting::of(&Request::IntoSocket { connection: 4 });
        let refused = Reply::error(ErrorCode::InsufficientResources, "");
        holdings.learn(leaves, &refused);
        assert_eq!(holdings.count().connections, 3);
        holdings.learn(leaves, &Reply::Stream);
        let local = opened(1).local;
        holdings.learn(Waiting::Other, &Reply::Listening { listener: 3, local });
        assert_eq!(
            holdings.count(),
            Count {
                connections: 2,
                listeners: 1
            }
        );
        holdings.learn(Waiting::of(&Request::Abort { connection: 1 }), &Reply::Done);
        holdings.learn(
            Waiting::of(&Request::CloseListener { listener: 3 }),
            &Reply::Done,
        );
        assert_eq!(
            holdings.count(),
            Count {
                connections: 1,
                listeners: 0
            }
        );
    }
}
