//! Pacing: bytes leave at a rate, in small bursts, instead of as fast as the interface takes them.
//!
//! A bucket of credit fills at the rate and holds one burst; what is sent takes from it. The bucket is kept as the instant at which it
//! was, or will be, empty: so nothing has to be done while time passes. When there is less than a quantum in it, sending goes on when
//! there is one again ([`Timer::Pacing`](crate::tcp::timers::Timer)), which the wheel keeps to the nanosecond.

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// One wake-up sends about as much as passes in this time, so that fast connections do not wake up for every segment.
const QUANTUM: Duration = Duration::from_micros(250);
/// A super-segment holds no more.
const QUANTUM_MAX: u64 = 64 << 10;

/// How a controller wants bytes to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pacing {
    /// Bytes a second, at least 1.
    pub(crate) rate: u64,
    /// What may leave at once after a pause, bytes.
    pub(crate) burst: u32,
}

impl Pacing {
    /// `window` bytes in a round trip of `srtt`, ten segments at once after a pause, as the initial window has it (RFC 6928).
    pub(crate) fn window_in(window: u32, srtt: Duration, mss: u32) -> Self {
        let nanos = srtt.as_nanos().max(1);
        let rate = u128::from(window) * 1_000_000_000 / nanos;
        Self {
            rate: u64::try_from(rate).unwrap_or(u64::MAX).max(1),
            burst: super::initial_window(mss),
        }
    }

    /// What one wake-up sends, bytes.
    fn quantum(&self, mss: u32) -> u64 {
        let passing = u128::from(self.rate) * QUANTUM.as_nanos() / 1_000_000_000;
        let passing = u64::try_from(passing).unwrap_or(u64::MAX);
        passing.clamp(2 * u64::from(mss), QUANTUM_MAX.max(2 * u64::from(mss)))
    }

    /// The bucket is never smaller than what one wake-up sends.
    fn depth(&self, mss: u32) -> u64 {
        u64::from(self.burst).max(self.quantum(mss))
    }

    /// How long `bytes` take at the rate.
    fn time_of(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The bucket of one connection: 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// When the bucket was full for the last time, or will be if nothing is sent.
    full_at: Instant,
}

/// What the pacer says about sending now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// So many bytes may leave, at least a segment.
    Bytes(u64),
    /// None before this instant.
    NotBefore(Instant),
}

impl Pacer {
    pub(crate) const fn new() -> Self {
        Self {
            full_at: Instant::ZERO,
        }
    }

    /// What may leave at `now`.
    pub(crate) fn allowance(&self, pacing: &Pacing, mss: u32, now: Instant) -> Allowance {
        let depth = pacing.depth(mss);
        // A rate that has fallen since makes no one wait longer than for a whole bucket.
        let missing_for = self.full_at.duration_since(now).min(pacing.time_of(depth));
        let missing = (u128::from(pacing.rate) * missing_for.as_nanos()).div_ceil(1_000_000_000);
        let missing = u64::try_from(missing).unwrap_or(u64::MAX);
        let credit = depth.saturating_sub(missing);
        let quantum = pacing.quantum(mss);
        if credit >= u64::from(mss) && (credit >= quantum || missing == 0) {
            Allowance::Bytes(credit)
        } else {
            let wait = missing_for.saturating_sub(pacing.time_of(depth - quantum));
            Allowance::NotBefore(now + wait)
        }
    }

    /// `bytes` left at `now`.
    pub(crate) fn on_sent(&mut self, pacing: &Pacing, mss: u32, bytes: u64, now: Instant) {
        let most = now + pacing.time_of(pacing.depth(mss));
        let from = self.full_at.max(now).min(most);
        self.full_at = from + pacing.time_of(bytes);
    }
}
