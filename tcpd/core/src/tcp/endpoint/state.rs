//! The eleven states of RFC 9293 §3.3.2 and the arrows of its figure 5.
//!
//! Every change of state in the whole stack passes [`State::may_become`]: the caller is
//! [`crate::tcp::endpoint::Context::transition`], which also counts it and tells the observer.

use std::fmt;

#[cfg(test)]
mod tests;

/// A connection's state, in the order of the RFC's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// No connection at all.
    Closed,
    /// Waiting for a connection request from any remote peer.
    Listen,
    /// Waiting for a matching connection request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of our SYN after having both received and sent one.
    SynReceived,
    /// An open connection; data flows both ways.
    Established,
    /// We sent FIN; its acknowledgment or the peer's FIN is awaited.
    FinWait1,
    /// Our FIN is acknowledged; the peer's FIN is awaited.
    FinWait2,
    /// The peer sent FIN; the local user has not closed yet.
    CloseWait,
    /// Both sent FIN at once; the acknowledgment of ours is awaited.
    Closing,
    /// The peer closed first, we sent our FIN; its acknowledgment is awaited.
    LastAck,
    /// Waiting 2MSL, so that old duplicates die out and the peer's FIN can be acknowledged again.
    TimeWait,
}

/// Why a state changed: a word for the observer, the trace and the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// A passive OPEN call.
    PassiveOpen,
    /// An active OPEN call.
    ActiveOpen,
    /// A SYN arrived.
    SynArrived,
    /// A SYN that acknowledges ours arrived.
    SynAckArrived,
    /// Our SYN was acknowledged.
    SynAcknowledged,
    /// A SYN cookie came back (RFC 4987): what its SYN said is known again.
    CookieReturned,
    /// The listener's queue was full, and the configuration says that the peer shall hear of it.
    TurnedAway,
    /// A CLOSE call, or the owner went away.
    CloseCall,
    /// The peer's FIN arrived in order.
    FinArrived,
    /// Our FIN was acknowledged.
    FinAcknowledged,
    /// An acceptable RST arrived.
    ResetArrived,
    /// An ABORT call, or a CLOSE that had to reset (RFC 2525 §2.17).
    AbortCall,
    /// Data arrived for a user who had closed (RFC 1122 §4.2.2.13).
    DataAfterClose,
    /// A timeout gave the connection up.
    TimedOut,
    /// 2MSL are over.
    TwoMslOver,
    /// A new SYN reopened the pair out of TIME-WAIT (RFC 6191).
    Reopened,
    /// ICMP said that the destination cannot be reached (RFC 5927 §4).
    Unreachable,
    /// The listener was closed.
    ListenerClosed,
    /// A limit made room for newer connections.
    Evicted,
}

impl Cause {
    /// The word of this cause, in kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PassiveOpen => "passive-open",
            Self::ActiveOpen => "active-open",
            Self::SynArrived => "syn-arrived",
            Self::SynAckArrived => "syn-ack-arrived",
            Self::SynAcknowledged => "syn-acknowledged",
            Self::CookieReturned => "cookie-returned",
            Self::TurnedAway => "turned-away",
            Self::CloseCall => "close-call",
            Self::FinArrived => "fin-arrived",
            Self::FinAcknowledged => "fin-acknowledged",
            Self::ResetArrived => "reset-arrived",
            Self::AbortCall => "abort-call",
            Self::DataAfterClose => "data-after-close",
            Self::TimedOut => "timed-out",
            Self::TwoMslOver => "two-msl-over",
            Self::Reopened => "reopened",
            Self::Unreachable => "unreachable",
            Self::ListenerClosed => "listener-closed",
            Self::Evicted => "evicted",
        }
    }
}

use State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived,
    SynSent, TimeWait,
};

/// The arrows of RFC 9293 figure 5, with those its notes and §3.10 add: an abort, a reset or a timeout leads
/// from every state to CLOSED, and a reset of a passive SYN-RECEIVED back to LISTEN (note 1).
pub const ARROWS: [(State, State); 28] = [
    (Closed, Listen),
    (Closed, SynSent),
    (Listen, SynSent),
    (Listen, SynReceived),
    (Listen, Closed),
    (SynSent, SynReceived),
    (SynSent, Established),
    (SynSent, Closed),
    (SynReceived, Established),
    (SynReceived, FinWait1),
    (SynReceived, Listen),
    (SynReceived, Closed),
    (Established, FinWait1),
    (Established, CloseWait),
    (Established, Closed),
    (FinWait1, FinWait2),
    (FinWait1, Closing),
    (FinWait1, TimeWait),
    (FinWait1, Closed),
    (FinWait2, TimeWait),
    (FinWait2, Closed),
    (CloseWait, LastAck),
    (CloseWait, Closed),
    (Closing, TimeWait),
    (Closing, Closed),
    (LastAck, Closed),
    (TimeWait, Closed),
    (TimeWait, SynReceived),
];

impl State {
    /// Every state, in the RFC's order.
    pub const ALL: [Self; 11] = [
        Closed,
        Listen,
        SynSent,
        SynReceived,
        Established,
        FinWait1,
        FinWait2,
        CloseWait,
        Closing,
        LastAck,
        TimeWait,
    ];

    /// How many states there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The RFC's spelling, as in `FIN-WAIT-1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Closed => "CLOSED",
            Listen => "LISTEN",
            SynSent => "SYN-SENT",
            SynReceived => "SYN-RECEIVED",
            Established => "ESTABLISHED",
            FinWait1 => "FIN-WAIT-1",
            FinWait2 => "FIN-WAIT-2",
            CloseWait => "CLOSE-WAIT",
            Closing => "CLOSING",
            LastAck => "LAST-ACK",
            TimeWait => "TIME-WAIT",
        }
    }

    /// This state's place in [`State::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether figure 5 has an arrow from this state to `next`.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        let row = ALLOWED[self.index()];
        row & (1 << next.index()) != 0
    }

    /// Whether both sides know each other's sequence numbers: ESTABLISHED and all states after it (§3.5.1).
    #[must_use]
    pub const fn is_synchronised(self) -> bool {
        match self {
            Closed | Listen | SynSent | SynReceived => false,
            Established | FinWait1 | FinWait2 | CloseWait | Closing | LastAck | TimeWait => true,
        }
    }

    /// Whether the user may still write: nothing was closed on our side.
    #[must_use]
    pub const fn may_send(self) -> bool {
        match self {
            Established | CloseWait => true,
            Closed | Listen | SynSent | SynReceived | FinWait1 | FinWait2 | Closing | LastAck
            | TimeWait => false,
        }
    }

    /// Whether text from the peer is still expected (§3.10.7.4, seventh step).
    #[must_use]
    pub const fn may_receive(self) -> bool {
        match self {
            Established | FinWait1 | FinWait2 => true,
            Closed | Listen | SynSent | SynReceived | CloseWait | Closing | LastAck | TimeWait => {
                false
            }
        }
    }
}

/// [`ARROWS`] as a bit set a row, so that the check is one load.
const ALLOWED: [u16; State::COUNT] = {
    let mut rows = [0; State::COUNT];
    let mut i = 0;
    while i < ARROWS.len() {
        let (from, to) = ARROWS[i];
        rows[from.index()] |= 1 << to.index();
        i += 1;
    }
    rows
};

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
