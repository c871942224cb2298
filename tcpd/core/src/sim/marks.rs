//! Follows ECN (RFC 3168) as an observer on the wire sees it: who may say what of it, and when.
//!
//! 1. Nothing is said of it but by two ends that agreed: a SYN that asks (ECE and CWR), a SYN-ACK with ECE alone (§6.1.1).
//! 2. ECT(0) stands on text that is sent for the first time, and on nothing else: no SYN, no bare ACK, no text sent again (§6.1.1, §6.1.4,
//!    §6.1.5).
//! 3. CWR stands there too and nowhere else (§6.1.2).
//! 4. ECE comes from who was sent a mark (§6.1.3).

use crate::sim::pair::End;
use crate::wire::{Ecn, Flags, SequenceNumber, TcpSegment};

/// Both ends of one connection.
#[derive(Debug, Default)]
pub(super) struct Marks {
    ends: [Words; 2],
}

/// What one end has said so far.
#[derive(Debug, Default)]
struct Words {
    /// A SYN that asks.
    asked: bool,
    /// A SYN-ACK that agrees.
    agreed: bool,
    /// Behind the last text.
    end: Option<SequenceNumber>,
    /// A router has marked something of it.
    marked: bool,
}

impl Marks {
    /// Looks at a packet that `end` sends, with a `segment` if it is TCP, which will be `marked` or not on its way.
    pub(super) fn check(
        &mut self,
        end: End,
        ecn: Ecn,
        segment: Option<&TcpSegment<'_>>,
        marked: bool,
    ) -> Result<(), String> {
        let Some(segment) = segment else {
            return match ecn {
                Ecn::NotEct => Ok(()),
                ecn => Err(format!("{end:?} says {ecn:?} on what is not TCP")),
            };
        };
        self.segment(end, ecn, segment)
            .map_err(|message| format!("{end:?} {message}: {segment}"))?;
        self.ends[end as usize].marked |= marked;
        Ok(())
    }

    fn segment(&mut self, end: End, ecn: Ecn, segment: &TcpSegment<'_>) -> Result<(), String> {
        let has = |flag| segment.flags.contains(flag);
        let (own, other) = match (end, &mut self.ends) {
            (End::Left, [left, right]) => (left, right),
            (End::Right, [left, right]) => (right, left),
        };
        if has(Flags::SYN) {
            match (has(Flags::ACK), has(Flags::ECE), has(Flags::CWR)) {
                (_, false, false) => {}
                (false, true, true) => own.asked = true,
                (true, true, false) if other.asked => own.agreed = true,
                _ => return Err("says of ECN on a SYN what it may not".into()),
            }
            return match ecn {
                Ecn::NotEct => Ok(()),
                ecn => Err(format!("says {ecn:?} on a SYN")),
            };
        }
        let agreed = own.asked && other.agreed || other.asked && own.agreed;
        let (start, length) = (segment.seq, segment.payload.len() as u32);
        let new = length > 0 && own.end.is_none_or(|end| !start.before(end));
        let (ece, cwr) = (has(Flags::ECE), has(Flags::CWR));
        if (ecn != Ecn::NotEct || ece || cwr) && !agreed {
            return Err("speaks of ECN, which was not agreed on".into());
        }
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 if new => {}
            Ecn::Ect0 => return Err("says ECT(0) on what is no new text".into()),
            ecn => return Err(format!("says {ecn:?}, and not ECT(0)")),
        }
        if cwr && !new {
            return Err("says CWR on what is no new text".into());
        }
        if ece && !other.marked {
            return Err("echoes a mark, and there was none".into());
        }
        if length > 0 {
            let last = start + length;
            own.end = Some(own.end.map_or(last, |end| end.later_of(last)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
