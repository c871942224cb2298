//! TIME-WAIT (the parts of §3.10.7.4 that concern it; RFC 1337, RFC 6191), on the compact entry.

use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::segment::Segment;
use crate::wire::Flags;

#[cfg(test)]
mod tests;

/// What a segment makes of TIME-WAIT; the stack carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The peer's FIN again: acknowledge it, and 2MSL start anew.
    Again,
    /// Nothing new: acknowledge, for the peer may not know where we stand, and drop.
    Acknowledge(DropReason),
    /// Drop.
    Drop(DropReason),
    /// A RST, and the configuration lets it end TIME-WAIT.
    Close,
    /// A SYN newer than the old connection: if there is a listener, it is a new connection (RFC 9293 §3.6.1 MAY-2, RFC 6191).
    Reopen,
}

/// Decides by the segment alone.
pub(crate) fn check(old: &TimeWait, seg: &Segment<'_>, ignore_reset: bool) -> Outcome {
    if seg.has(Flags::RST) {
        return if ignore_reset || seg.seq != old.rcv_nxt {
            Outcome::Drop(DropReason::TimeWaitReset)
        } else {
            Outcome::Close
        };
    }
    if seg.has(Flags::SYN) {
        let reopens = is_newer(old, seg) && !seg.flags.intersects(Flags::ACK | Flags::FIN);
        return if reopens {
            Outcome::Reopen
        } else {
            Outcome::Acknowledge(DropReason::SynChallenged)
        };
    }
    if !seg.has(Flags::ACK) {
        return Outcome::Drop(DropReason::NoAck);
    }
    if seg.len() == 0 {
        // A pure ACK tells nothing and must not be answered, whatever its timestamp, or two in TIME-WAIT would talk for ever.
        return Outcome::Drop(DropReason::TimeWaitDuplicate);
    }
    if let Some(timestamps) = seg.timestamps
        && old.timestamps
        && (timestamps.value.wrapping_sub(old.ts_recent) as i32) < 0
    {
        return Outcome::Acknowledge(DropReason::Paws);
    }
    // The FIN is recognised by its number: the last one the peer ever used.
    if seg.has(Flags::FIN) && seg.seq + seg.len() == old.rcv_nxt {
        return Outcome::Again;
    }
    Outcome::Acknowledge(DropReason::TimeWaitDuplicate)
}

/// RFC 6191 §2, RFC 9293 §3.6.1 SHLD-4: a newer timestamp is enough; with an equal one, or without, the sequence number decides.
fn is_newer(old: &TimeWait, seg: &Segment<'_>) -> bool {
    let newer_sequence = seg.seq.after(old.rcv_nxt);
    match seg.timestamps {
        Some(timestamps) if old.timestamps => {
            match timestamps.value.wrapping_sub(old.ts_recent) as i32 {
                0 => newer_sequence,
                difference => difference > 0,
            }
        }
        _ => newer_sequence,
    }
}
