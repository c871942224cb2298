//! Initial sequence numbers and timestamp offsets: what an attacker off the path must not guess.
//!
//! `ISN = M + F(localip, localport, remoteip, remoteport, secretkey)` (RFC 9293 §3.4.1 MUST-8, SHLD-1; once RFC 6528): M counts
//! every 4 µs, so a new incarnation of a pair starts ahead of the old one; F is SipHash-2-4 with a
//! secret (MUST-9), so the numbers of one pair say nothing about another's. The timestamp clock gets an offset of its own for each pair,
//! lest it tell the uptime (RFC 7323 §7.1).

use crate::random::Secret;
use crate::time::Instant;
use crate::wire::{FlowTuple, SequenceNumber};

/// One tick of M (RFC 9293 §3.4.1).
pub(super) const TICK_NANOS: u64 = 4_000;
/// How far ahead of a dead incarnation's last number its successor starts, when its clock did not get there by itself: beyond any window
/// the old one had without scaling, as Linux has it.
const INCARNATION_GAP: u32 = 65_535 + 2;

/// The generator of ISNs and timestamp offsets. It has no state but its secrets.
#[derive(Clone, Debug)]
pub struct InitialSequence {
    isn: Secret,
    timestamps: Secret,
}

impl InitialSequence {
    /// A generator keyed by secrets derived from `secret`.
    pub fn new(secret: &Secret) -> InitialSequence {
        InitialSequence {
            isn: secret.derive("initial sequence"),
            timestamps: secret.derive("timestamps"),
        }
    }

    /// The ISN of a connection that `flow` names as our segments do (source = local).
    pub fn isn(&self, now: Instant, flow: &FlowTuple) -> SequenceNumber {
        let clock = (now.as_nanos() / TICK_NANOS) as u32;
        SequenceNumber(clock.wrapping_add(self.isn.hash(flow) as u32))
    }

    /// The ISN of a connection that follows one of the same pair, whose SND.NXT was `last`: after it in any case (RFC 6191; RFC 9293
    /// §3.10.7.4 TIME-WAIT).
    pub fn isn_after(
        &self,
        now: Instant,
        flow: &FlowTuple,
        last: SequenceNumber,
    ) -> SequenceNumber {
        self.isn(now, flow).later_of(last + INCARNATION_GAP)
    }

    /// What is added to the millisecond clock to give TSval in segments of `flow` (source = local). The same for every incarnation of the
    /// pair, so that PAWS and RFC 6191 hold across them.
    pub fn timestamp_offset(&self, flow: &FlowTuple) -> u32 {
        self.timestamps.hash(flow) as u32
    }
}

#[cfg(test)]
mod tests;
