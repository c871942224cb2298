//! What a bad network does to packets, as a pure model: packets and the time go in, packets come out at their time.
//!
//! One model serves the daemon's impairment layer, the simulator, and whoever wants to hold two stacks against each other on
//! the same bad path. An [`Impairment`] describes one direction ([`text`] reads and writes it as people do); a [`Pipe`] carries packets
//! through it and remembers what happened in [`Counters`]. Every decision comes from a seed.
//!
//! In order, a packet: (1) may be lost, by chance or in a burst; (2) waits for the wire, whose queue may be full, and may be
//! marked there (CE) when the queue is long; (3) takes its time on the wire and the delay of the path, longer when it is picked to be
//! overtaken; (4) may arrive twice; (5) may arrive with a flipped bit. Steps 1 and 2 are in `path`, as are all decisions.
//!
//! Each kind of chance has a generator of its own, drawn once for every packet that comes so far: whether the n-th packet is lost depends
//! on the seed and the loss alone, not on what else goes wrong. So two stacks can be given the same bad luck.

mod counters;
mod mark;
mod path;
mod pipe;
mod text;

use std::time::Duration;

pub use counters::Counters;
pub use path::Fate;
pub use pipe::Pipe;
pub use text::SpecError;

/// What one direction of a path does to packets. Probabilities are from 0.0 to 1.0, for each packet. The default does nothing.
///
/// As text: `loss=1% burst=0.5%:30% delay=20ms jitter=2ms rate=100mbit queue=256KiB ce=64KiB reorder=2%:10ms duplicate=0.1%
/// corrupt=0.01%`, every part optional, through [`FromStr`](std::str::FromStr) and [`Display`](std::fmt::Display).
#[derive(Debug, Clone, PartialEq)]
pub struct Impairment {
    /// Probability that a packet is lost, each by itself; with `burst`, outside of bursts.
    pub loss: f64,
    /// Losses that come together.
    pub burst: Option<Burst>,
    /// The time from one end to the other for a packet that nothing holds up.
    pub delay: Duration,
    /// Up to so much is added to the delay of each packet, uniformly; packets still arrive in order.
    pub jitter: Duration,
    /// Bytes per second of the wire; 0 for no limit.
    pub rate: u64,
    /// Bytes that may wait for the wire before packets are dropped. Only with a rate.
    pub queue: u32,
    /// A packet that finds more bytes than this waiting for the wire is marked (CE) if it is ECN-capable; 0 for never. Only with
    /// a rate.
    pub ce_threshold: u32,
    /// Probability that a packet is held back for `reorder_delay`, so that later ones overtake it.
    pub reorder: f64,
    /// How long such a packet is held back.
    pub reorder_delay: Duration,
    /// Probability that a packet arrives twice, the second time up to `reorder_delay` later.
    pub duplicate: f64,
    /// Probability that a packet arrives with one bit flipped, anywhere in it.
    pub corrupt: f64,
}

impl Impairment {
    /// Bytes of `queue` unless something else is asked for.
    pub const QUEUE: u32 = 256 * 1024;
    /// `reorder_delay` unless something else is asked for.
    pub const REORDER_DELAY: Duration = Duration::from_millis(10);

    /// Whether packets come out as and when they go in.
    pub fn is_nothing(&self) -> bool {
        let chances = [self.loss, self.reorder, self.duplicate, self.corrupt];
        chances.iter().all(|chance| *chance == 0.0)
            && self.burst.is_none()
            && self.delay.is_zero()
            && self.jitter.is_zero()
            && self.rate == 0
    }
}

impl Default for Impairment {
    fn default() -> Impairment {
        Impairment {
            loss: 0.0,
            burst: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: 0,
            queue: Impairment::QUEUE,
            ce_threshold: 0,
            reorder: 0.0,
            reorder_delay: Impairment::REORDER_DELAY,
            duplicate: 0.0,
            corrupt: 0.0,
        }
    }
}

/// Losses in bursts, after Gilbert and Elliott: a path that is good or bad, and may change with every packet.
///
/// It is bad for `enter / (enter + leave)` of all packets, and a bad time lasts `1 / leave` packets on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Probability that a good path turns bad.
    pub enter: f64,
    /// Probability that a bad path turns good; more than 0.0.
    pub leave: f64,
    /// Probability that a packet is lost while the path is bad.
    pub loss: f64,
}

#[cfg(test)]
mod tests;
