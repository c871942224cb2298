//! The decisions: what becomes of each packet, and when. No packet is kept here.

use std::time::Duration;

use super::{Counters, Impairment};
use crate::random::Generator;
use crate::time::Instant;

/// What will become of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives (perhaps twice, marked, damaged).
    Arrives {
        /// When, first.
        at: Instant,
        /// And once more.
        twice: bool,
        /// Marked as having met congestion (CE).
        marked: bool,
        /// With a bit flipped.
        damaged: bool,
    },
    /// It is lost by chance.
    Lost,
    /// The queue before the wire was full, or the pipe.
    QueueFull,
}

/// What a path decides about a packet that is not lost.
pub(super) struct Passage {
    /// When it arrives.
    pub at: Instant,
    /// When a copy of it arrives.
    pub again: Option<Instant>,
    /// The queue was longer than the path likes.
    pub mark: bool,
    /// The bit to flip, from the first of the first byte.
    pub flip: Option<u64>,
}

/// One direction of a network.
#[derive(Debug)]
pub(super) struct Path {
    impairment: Impairment,
    chance: Chance,
    /// Whether the path is in a burst of losses.
    bad: bool,
    /// When the wire has sent everything that was given to it.
    wire_free: Instant,
    /// The latest arrival so far of a packet that was not held back: jitter does not reorder.
    latest: Instant,
}

/// A generator for each kind of chance.
#[derive(Debug)]
struct Chance {
    loss: Generator,
    burst: Generator,
    jitter: Generator,
    reorder: Generator,
    duplicate: Generator,
    corrupt: Generator,
}

impl Path {
    pub(super) fn new(impairment: Impairment, seed: u64) -> Path {
        let mut seeds = Generator::from_seed(seed);
        let mut generator = || Generator::from_seed(seeds.next_u64());
        Path {
            impairment,
            chance: Chance {
                loss: generator(),
                burst: generator(),
                jitter: generator(),
                reorder: generator(),
                duplicate: generator(),
                corrupt: generator(),
            },
            bad: false,
            wire_free: Instant::ZERO,
            latest: Instant::ZERO,
        }
    }

    pub(super) fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    pub(super) fn set(&mut self, impairment: Impairment) {
        self.bad &= impairment.burst.is_some();
        self.impairment = impairment;
    }

    /// Decides about a packet of `bytes`. Counts what goes wrong, except what the caller still has to see to.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        bytes: usize,
        counters: &mut Counters,
    ) -> Result<Passage, Fate> {
        if self.loses() {
            counters.lost += 1;
            counters.lost_in_burst += u64::from(self.bad);
            return Err(Fate::Lost);
        }
        let Some(wire) = self.through_wire(now, bytes) else {
            counters.queue_full += 1;
            return Err(Fate::QueueFull);
        };
        let threshold = self.impairment.ce_threshold;
        let mark = threshold != 0 && wire.queued > u128::from(threshold);
        let at = self.arrival(wire.left, counters);
        let chance = &mut self.chance;
        let again = chance.duplicate.chance(self.impairment.duplicate);
        let later = up_to(&mut chance.duplicate, self.impairment.reorder_delay);
        let flip = chance.corrupt.chance(self.impairment.corrupt);
        let bit = chance.corrupt.below(bytes as u64 * 8);
        counters.duplicated += u64::from(again);
        counters.corrupted += u64::from(flip);
        Ok(Passage {
            at,
            again: again.then_some(at + later),
            mark,
            flip: flip.then_some(bit),
        })
    }

    fn loses(&mut self) -> bool {
        let chance = &mut self.chance;
        // Each is drawn always, so that which packets are lost by one does not depend on the other.
        let (enter, leave, dies) = match self.impairment.burst {
            Some(burst) => (burst.enter, burst.leave, burst.loss),
            None => (0.0, 0.0, 0.0),
        };
        let turns = chance.burst.chance(if self.bad { leave } else { enter });
        let dies = chance.burst.chance(dies);
        let alone = chance.loss.chance(self.impairment.loss);
        self.bad ^= turns;
        if self.bad { dies } else { alone }
    }

    /// What the packet meets at the wire; `None` when the queue is full.
    fn through_wire(&mut self, now: Instant, bytes: usize) -> Option<Wire> {
        let rate = self.impairment.rate;
        if rate == 0 {
            let (left, queued) = (now, 0);
            return Some(Wire { left, queued });
        }
        let waiting = self.wire_free.duration_since(now);
        let queued = waiting.as_nanos() * u128::from(rate) / 1_000_000_000;
        if queued + bytes as u128 > u128::from(self.impairment.queue) && queued > 0 {
            return None;
        }
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate);
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.wire_free = self.wire_free.max(now) + Duration::from_nanos(nanos);
        let left = self.wire_free;
        Some(Wire { left, queued })
    }

    fn arrival(&mut self, left: Instant, counters: &mut Counters) -> Instant {
        let jitter = up_to(&mut self.chance.jitter, self.impairment.jitter);
        let on_time = left + self.impairment.delay + jitter;
        if self.chance.reorder.chance(self.impairment.reorder) {
            counters.reordered += 1;
            return on_time + self.impairment.reorder_delay;
        }
        self.latest = self.latest.max(on_time);
        self.latest
    }
}

/// A packet's way over the wire.
struct Wire {
    /// When its last bit leaves.
    left: Instant,
    /// Bytes that waited before it.
    queued: u128,
}

fn up_to(generator: &mut Generator, longest: Duration) -> Duration {
    let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
    Duration::from_nanos(generator.below(nanos.saturating_add(1)))
}
