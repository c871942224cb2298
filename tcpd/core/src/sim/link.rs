//! A simulated one-way network: delay, rate, queue, loss, reorder, duplicate, corrupt; every decision from one seed.
//!
//! In order, a packet: (1) may be lost; (2) waits for the wire, whose queue may be full; (3) takes its time on the wire and
//! the delay of the path, longer when it is picked to be overtaken; (4) may arrive twice; (5) may arrive with a flipped bit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::random::Generator;
use crate::time::Instant;

/// What a one-way path does to packets. Probabilities are from 0.0 to 1.0 for each packet.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// The time from one end to the other for a packet that nothing holds up.
    pub delay: Duration,
    /// Up to so much is added to the delay of each packet, uniformly; packets still arrive in order.
    pub jitter: Duration,
    /// Bytes per second of the wire; 0 for no limit.
    pub rate: u64,
    /// Bytes that may wait for the wire before packets are dropped. Only with a rate.
    pub queue: u32,
    /// Probability that a packet is lost.
    pub loss: f64,
    /// Probability that a packet is held back for `reorder_delay`, so that later ones overtake it.
    pub reorder: f64,
    /// How long such a packet is held back.
    pub reorder_delay: Duration,
    /// Probability that a packet arrives twice, the second time up to `reorder_delay` later.
    pub duplicate: f64,
    /// Probability that a packet arrives with one bit flipped, anywhere in it.
    pub corrupt: f64,
}

impl Default for LinkConfig {
    /// A perfect wire: 10 ms, no limit, no fault.
    fn default() -> LinkConfig {
        LinkConfig {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            rate: 0,
            queue: 256 * 1024,
            loss: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(10),
            duplicate: 0.0,
            corrupt: 0.0,
        }
    }
}

/// What will become of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives (perhaps twice, perhaps damaged).
    Arrives {
        /// When, first.
        at: Instant,
        /// And once more.
        twice: bool,
        /// With a bit flipped.
        damaged: bool,
    },
    /// It is lost by chance.
    Lost,
    /// The queue before the wire was full.
    QueueFull,
}

/// One direction of a network.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    generator: Generator,
    /// When the wire has sent everything that was given to it.
    wire_free: Instant,
    /// The latest arrival so far of a packet that was not held back: jitter does not reorder.
    latest: Instant,
    travelling: BinaryHeap<Reverse<Travelling>>,
    sent: u64,
}

/// Ordered by arrival, then by age.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Travelling {
    arrives: Instant,
    number: u64,
    packet: Vec<u8>,
}

impl Link {
    /// A path in which nothing travels yet; the same seed and packets give the same arrivals.
    pub fn new(config: LinkConfig, seed: u64) -> Link {
        Link {
            config,
            generator: Generator::from_seed(seed),
            wire_free: Instant::ZERO,
            latest: Instant::ZERO,
            travelling: BinaryHeap::new(),
            sent: 0,
        }
    }

    /// Changes what the path does from now on; what travels already is not touched.
    pub fn reconfigure(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// What the path does.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Takes a packet and says what becomes of it.
    pub fn send(&mut self, now: Instant, packet: &[u8]) -> Fate {
        if self.generator.chance(self.config.loss) {
            return Fate::Lost;
        }
        let Some(on_wire) = self.through_wire(now, packet.len()) else {
            return Fate::QueueFull;
        };
        let at = self.arrival(on_wire);
        let twice = self.generator.chance(self.config.duplicate);
        let damaged = self.generator.chance(self.config.corrupt);
        if twice {
            let later = at + self.up_to(self.config.reorder_delay);
            self.travel(later, packet.to_vec());
        }
        let mut packet = packet.to_vec();
        if damaged && !packet.is_empty() {
            let bit = self.generator.below(packet.len() as u64 * 8);
            packet[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        self.travel(at, packet);
        Fate::Arrives { at, twice, damaged }
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.travelling.peek().map(|Reverse(next)| next.arrives)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next_arrival()? > now {
            return None;
        }
        self.travelling.pop().map(|Reverse(next)| next.packet)
    }

    /// How many packets are on their way.
    pub fn in_flight(&self) -> usize {
        self.travelling.len()
    }

    /// When the last bit of the packet leaves; `None` when the queue is full.
    fn through_wire(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        if self.config.rate == 0 {
            return Some(now);
        }
        let waiting = self.wire_free.duration_since(now);
        let queued = waiting.as_nanos() * u128::from(self.config.rate) / 1_000_000_000;
        if queued + bytes as u128 > u128::from(self.config.queue) && queued > 0 {
            return None;
        }
        let nanos = bytes as u64 * 1_000_000_000 / self.config.rate;
        let start = self.wire_free.max(now);
        self.wire_free = start + Duration::from_nanos(nanos);
        Some(self.wire_free)
    }

    fn arrival(&mut self, on_wire: Instant) -> Instant {
        let on_time = on_wire + self.config.delay + self.up_to(self.config.jitter);
        if self.generator.chance(self.config.reorder) {
            return on_time + self.config.reorder_delay;
        }
        self.latest = self.latest.max(on_time);
        self.latest
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.generator.below(nanos.saturating_add(1)))
    }

    fn travel(&mut self, arrives: Instant, packet: Vec<u8>) {
        self.sent += 1;
        self.travelling.push(Reverse(Travelling {
            arrives,
            number: self.sent,
            packet,
        }));
    }
}

#[cfg(test)]
mod tests;
