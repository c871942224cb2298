//! TIME-WAIT: what is left of a connection for 2MSL, small because busy servers have many.

use crate::tcp::endpoint::Pair;
use crate::wire::SequenceNumber;

/// Enough to acknowledge the peer's FIN again, and to tell a new SYN from an old one. Its deadline is in the wheel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    pub(crate) pair: Pair,
    /// SND.NXT at the end.
    pub(crate) snd_nxt: SequenceNumber,
    /// RCV.NXT at the end.
    pub(crate) rcv_nxt: SequenceNumber,
    /// TS.Recent, if timestamps were agreed.
    pub(crate) ts_recent: u32,
    /// The window field of an ACK.
    pub(crate) window: u16,
    /// Whether timestamps were agreed.
    pub(crate) timestamps: bool,
    /// Whether the pair's port may be bound again meanwhile.
    pub(crate) reuse: bool,
}

const _: () = assert!(size_of::<TimeWait>() <= 64, "a million of these");
