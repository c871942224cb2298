//! What a slot of the stack holds: one endpoint in one of its shapes. Its name stays the same when the shape changes.

use crate::stack::ip_input::OwnAddresses;
use crate::stack::listener::Listener;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::endpoint::{Pair, State};

/// One endpoint.
#[derive(Debug)]
pub(crate) enum Slot<R> {
    /// LISTEN.
    Listener(Box<Listener>),
    /// SYN-SENT, or the SYN-RECEIVED of a simultaneous open; CLOSED once it has failed.
    SynSent(Box<SynSent<R>>),
    /// A passive SYN-RECEIVED.
    HalfOpen(Box<HalfOpen>),
    /// The synchronised states but TIME-WAIT; CLOSED until its user lets go.
    Connection(Box<Connection<R>>),
    /// TIME-WAIT; with what is left to read for a user who has not let go.
    TimeWait(TimeWait, Option<Box<Connection<R>>>),
}

impl<R> Slot<R> {
    /// Whose it is; `own` are the stack's addresses.
    pub(crate) fn pair(&self, own: &OwnAddresses) -> Option<Pair> {
        match self {
            Self::Listener(_) => None,
            Self::SynSent(syn_sent) => Some(syn_sent.pair),
            Self::HalfOpen(half) => Some(half.pair),
            Self::Connection(conn) => Some(conn.pair),
            Self::TimeWait(old, _) => Some(own.expand(&old.pair)),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::Listener(_) => State::Listen,
            Self::SynSent(syn_sent) => syn_sent.state(),
            Self::HalfOpen(_) => State::SynReceived,
            Self::Connection(conn) => conn.state,
            Self::TimeWait(..) => State::TimeWait,
        }
    }

    /// The TCB, as long as there is one.
    pub(crate) fn connection(&self) -> Option<&Connection<R>> {
        match self {
            Self::Connection(conn) | Self::TimeWait(_, Some(conn)) => Some(conn),
            Self::Listener(_) | Self::SynSent(_) | Self::HalfOpen(_) | Self::TimeWait(_, None) => {
                None
            }
        }
    }

    /// The TCB, as long as there is one.
    pub(crate) fn connection_mut(&mut self) -> Option<&mut Connection<R>> {
        match self {
            Self::Connection(conn) | Self::TimeWait(_, Some(conn)) => Some(conn),
            Self::Listener(_) | Self::SynSent(_) | Self::HalfOpen(_) | Self::TimeWait(_, None) => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;
    use crate::tcp::buffer::HeapRing;
    use crate::tcp::endpoint::connection::Connection;
    use crate::tcp::endpoint::half_open::HalfOpen;
    use crate::tcp::endpoint::time_wait::TimeWait;

    #[test]
    fn idle_connections_and_floods_cost_what_the_design_says() {
        assert!(size_of::<TimeWait>() <= 40);
        assert!(size_of::<HalfOpen>() <= 96);
        // With a TIME-WAIT entry in it; the generation makes it 56.
        assert!(size_of::<Slot<HeapRing>>() <= 48);
        assert!(size_of::<Connection<HeapRing>>() <= 1536);
    }
}
