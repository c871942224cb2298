//! The retransmission timeout of RFC 6298 (RFC 9293 §3.8.1 MUST-18): SRTT, RTTVAR, Karn's rule and exponential backoff.
//!
//! Karn's rule is with the callers: they hand in no sample of a retransmitted segment, unless the timestamp
//! option says which transmission was acknowledged (RFC 7323 §4).

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// The clock granularity G of RFC 6298 §2; segments are timed in nanoseconds, timers run in milliseconds.
const GRANULARITY: Duration = Duration::from_millis(1);

/// WCDelAckT of RFC 8985 §7.2: for how long a peer may delay the acknowledgment of a single segment. By so much, as far as it may, a timeout
/// lies beyond SRTT at least: where round trips are long and steady nothing of it is in RTTVAR.
pub(crate) const DELAYED_ACK: Duration = Duration::from_millis(200);

/// For how long a least round trip counts: a path may have become longer since.
const LEAST_LASTS: Duration = Duration::from_secs(300);

/// The bounds between which the retransmission timeout moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtoBounds {
    pub(crate) initial: Duration,
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

/// What is known of the round-trip time.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    bounds: RtoBounds,
    /// SRTT and RTTVAR once there is a sample.
    smoothed: Option<(Duration, Duration)>,
    /// RTO without backoff.
    base: Duration,
    /// How often the timeout was doubled since the last sample: an acknowledgment that Karn's rule keeps
    /// from being one does not bring the timeout down (RFC 6298 §5.7).
    backoff: u8,
    latest: Duration,
    least: Duration,
    /// When `least` was measured.
    least_at: Instant,
}

impl RttEstimator {
    pub(crate) fn new(bounds: RtoBounds) -> Self {
        Self {
            bounds,
            smoothed: None,
            base: bounds.initial,
            backoff: 0,
            latest: Duration::ZERO,
            least: Duration::MAX,
            least_at: Instant::ZERO,
        }
    }

    /// RFC 6298 §5.7: a SYN had to be sent again before there was any sample, so data starts with 3 s.
    pub(crate) fn after_lost_syn(&mut self) {
        if self.smoothed.is_none() {
            self.base = self.base.max(Duration::from_secs(3));
            self.backoff = 0;
        }
    }

    /// Takes in a measured round-trip time (RFC 6298 §2.2, §2.3).
    pub(crate) fn sample(&mut self, rtt: Duration) {
        let (srtt, rttvar) = match self.smoothed {
            None => (rtt, rtt / 2),
            Some((srtt, rttvar)) => (
                srtt * 7 / 8 + rtt / 8,
                rttvar * 3 / 4 + srtt.abs_diff(rtt) / 4,
            ),
        };
        self.smoothed = Some((srtt, rttvar));
        self.latest = rtt;
        let margin = GRANULARITY
            .max(rttvar * 4)
            .max(DELAYED_ACK.min(self.bounds.min));
        self.base = (srtt + margin).clamp(self.bounds.min, self.bounds.max);
        self.backoff = 0;
    }

    /// Every round trip that is seen, also between the samples of which SRTT is made.
    pub(crate) fn note(&mut self, rtt: Duration, now: Instant) {
        self.latest = rtt;
        if rtt <= self.least || now.duration_since(self.least_at) > LEAST_LASTS {
            self.least = rtt;
            self.least_at = now;
        }
    }

    /// The timeout to arm the timer with.
    pub(crate) fn rto(&self) -> Duration {
        self.base
            .saturating_mul(1 << self.backoff.min(16))
            .min(self.bounds.max)
    }

    /// RFC 6298 §5.5, RFC 9293 §3.8.2 MUST-19: the timer went off.
    pub(crate) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    /// SRTT, if there was a sample.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.smoothed.map(|(srtt, _)| srtt)
    }

    /// RTTVAR, if there was a sample.
    pub(crate) fn rttvar(&self) -> Option<Duration> {
        self.smoothed.map(|(_, rttvar)| rttvar)
    }

    /// The least round trip of the last five minutes.
    pub(crate) fn least(&self) -> Option<Duration> {
        Some(self.least).filter(|&least| least < Duration::MAX)
    }

    /// The latest sample.
    pub(crate) fn latest(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.latest)
    }
}
