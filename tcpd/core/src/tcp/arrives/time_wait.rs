//! TIME-WAIT (the parts of §3.10.7.4 that concern it; RFC 1337, RFC 6191), on the compact entry.

use crate::tcp::config::TcpConfig;
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
pub(crate) fn check(old: &mut TimeWait, seg: &Segment<'_>, config: &TcpConfig) -> Outcome {
    if seg.has(Flags::RST) {
        // RFC 1337 §3 fix F1: TIME-WAIT is not to be assassinated.
        return if config.time_wait_ignores_reset || seg.seq != old.rcv_nxt {
            Outcome::Drop(DropReason::TimeWaitReset)
        } else {
            Outcome::Close
        };
    }
    if seg.has(Flags::SYN) {
        let reopens = is_newer(old, seg, config) && !seg.flags.intersects(Flags::ACK | Flags::FIN);
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
    if old.timestamps {
        match seg.timestamps {
            Some(timestamps) if (timestamps.value.wrapping_sub(old.ts_recent) as i32) < 0 => {
                return Outcome::Acknowledge(DropReason::Paws);
            }
            // RFC 7323 §3.2: silently, as before TIME-WAIT.
            None if config.timestamps_required => {
                return Outcome::Drop(DropReason::TimestampMissing);
            }
            Some(_) | None => {}
        }
    }
    // The FIN is recognised by its number: the last one the peer ever used.
    if seg.has(Flags::FIN) && seg.seq + seg.len() == old.rcv_nxt {
        if let (true, Some(timestamps)) = (old.timestamps, seg.timestamps) {
            // RFC 7323 §4.3: it spans what was acknowledged last; RFC 6191 compares with the last value seen.
            old.ts_recent = timestamps.value;
        }
        return Outcome::Again;
    }
    Outcome::Acknowledge(DropReason::TimeWaitDuplicate)
}

/// RFC 6191 §2, RFC 9293 §3.6.1 SHLD-4: with timestamps in both incarnations the newer value is enough, and an equal one leaves it to
/// the number; a new incarnation with timestamps where the old one had none is told apart by them alone; otherwise the number has to
/// be beyond the last one seen, the FIN's. ("Otherwise, silently drop": RFC 9293 §3.10.7.4 has it challenged, and so do we.)
fn is_newer(old: &TimeWait, seg: &Segment<'_>, config: &TcpConfig) -> bool {
    let beyond_the_last = seg.seq.after_or_equal(old.rcv_nxt);
    // "Would be enabled": the SYN has the option, and our SYN-ACK would have it.
    match seg.timestamps.filter(|_| config.timestamps) {
        Some(timestamps) if old.timestamps => {
            match timestamps.value.wrapping_sub(old.ts_recent) as i32 {
                0 => beyond_the_last,
                difference => difference > 0,
            }
        }
        Some(_) => true,
        None => beyond_the_last,
    }
}
