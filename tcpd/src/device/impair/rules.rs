//! One rule: a path for one direction and some packets.

use tcpd_core::impairment::{Impairment, Pipe};
use tcpd_core::time::Instant;

use super::released::held;
use super::target::{Direction, Target};
use super::{MAX_HELD, RuleSpec, RuleStatus};

/// A path and what travels on it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) target: Target,
    pub(super) direction: Direction,
    pub(super) configured: bool,
    pub(super) pipe: Pipe,
    seed: u64,
}

impl Rule {
    pub(super) fn new(spec: &RuleSpec, direction: Direction, configured: bool) -> Self {
        // Another sequence for each direction, or both would lose the packets of the same numbers.
        let seed = spec.seed.wrapping_mul(2).wrapping_add(direction as u64);
        Self {
            target: spec.target,
            direction,
            configured,
            pipe: Pipe::new(spec.impairment.clone(), seed),
            seed: spec.seed,
        }
    }

    /// Whether it is for the same packets.
    pub(super) fn is(&self, target: &Target, direction: Direction) -> bool {
        self.direction == direction && self.target.is(target)
    }

    /// Whether `spec` would make the same rule.
    pub(super) fn is_made_from(&self, spec: &RuleSpec) -> bool {
        spec.directions.contains(self.direction)
            && self.target.is(&spec.target)
            && self.impairment() == &spec.impairment
            && self.seed == spec.seed
    }

    /// A packet enters; all rules together hold `held` bytes already, but for this super-segment's.
    pub(super) fn take(&mut self, now: Instant, packet: Vec<u8>, held: usize) {
        match held > MAX_HELD {
            true => self.pipe.refuse(packet.len()),
            false => _ = self.pipe.send(now, packet, ()),
        }
    }

    /// Memory of what is on its way.
    pub(super) fn held(&self) -> usize {
        held(&self.pipe)
    }

    pub(super) fn status(&self) -> RuleStatus {
        RuleStatus {
            target: self.target,
            direction: self.direction,
            impairment: self.impairment().clone(),
            seed: self.seed,
            configured: self.configured,
            counters: *self.pipe.counters(),
            packets_held: self.pipe.in_flight() as u64,
            bytes_held: self.pipe.held() as u64,
        }
    }

    fn impairment(&self) -> &Impairment {
        self.pipe.impairment()
    }
}
