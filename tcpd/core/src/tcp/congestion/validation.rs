//! Whether CWND was put to the test lately: congestion window validation (RFC 7661).
//!
//! A user who writes little leaves a large CWND that says nothing about the path any more. pipeACK, the most that was acknowledged
//! within one round trip in the last second (or three round trips), tells how much of it was used. While that is less than half,
//! CWND is not validated: it does not grow, it is let out spread over a round trip and never as one burst, and a loss brings it down
//! to what was really in use.

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// RFC 7661 §4.2: the sampling period is the longer of this and three round trips.
const PERIOD: Duration = Duration::from_secs(1);
/// RFC 7661 §4.4.3: so long CWND may stay unvalidated (the non-validated period).
const PATIENCE: Duration = Duration::from_secs(300);

/// pipeACK, as the maximum of two halves of the sampling period.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    /// Bytes acknowledged in the present round.
    round: u32,
    /// The largest round of the present half and of the one before; zero: no round has ended yet.
    halves: [u32; 2],
    /// When the present half began.
    since: Instant,
    /// When CWND was last found validated.
    validated_at: Instant,
}

impl Validation {
    pub(crate) const fn new() -> Self {
        Self {
            round: 0,
            halves: [0; 2],
            since: Instant::ZERO,
            validated_at: Instant::ZERO,
        }
    }

    /// `bytes` were acknowledged at `now`; `round_ended` as [`Round`](super::round::Round) says. `validated`: CWND was, just before.
    pub(crate) fn on_acknowledged(
        &mut self,
        bytes: u32,
        round_ended: bool,
        now: Instant,
        srtt: Option<Duration>,
        validated: bool,
    ) {
        self.round = self.round.saturating_add(bytes);
        if round_ended {
            let round = std::mem::take(&mut self.round);
            self.turn(now, srtt);
            // One without a byte is a round all the same.
            self.halves[0] = self.halves[0].max(round).max(1);
        }
        if validated {
            self.validated_at = now;
        }
    }

    /// Begins a new half of the sampling period when the present one is over.
    fn turn(&mut self, now: Instant, srtt: Option<Duration>) {
        let half = PERIOD.max(srtt.unwrap_or_default().saturating_mul(3)) / 2;
        let passed = now.duration_since(self.since);
        if passed < half {
            return;
        }
        let previous = if passed < 2 * half { self.halves[0] } else { 0 };
        self.halves = [0, previous];
        self.since = now;
    }

    /// pipeACK, bytes; `None` while no round trip was completed: then CWND counts as validated (RFC 7661 §4.2).
    pub(crate) fn pipe_ack(&self) -> Option<u32> {
        // The round under way counts as far as it has come.
        let most = self.halves[0].max(self.halves[1]);
        (most > 0).then(|| most.max(self.round))
    }

    /// RFC 7661 §4.3: pipeACK is at least half of `cwnd`.
    pub(crate) fn is_validated(&self, cwnd: u32) -> bool {
        self.pipe_ack().is_none_or(|pipe| pipe >= cwnd / 2)
    }

    /// RFC 7661 §4.4.3: whether CWND has not been validated for so long that it has to come down. It says so once in that time.
    pub(crate) fn has_expired(&mut self, now: Instant) -> bool {
        let expired = now.duration_since(self.validated_at) >= PATIENCE;
        if expired {
            self.validated_at = now;
        }
        expired
    }

    /// CWND was set anew: what was measured before is no measure of it.
    pub(crate) fn restart(&mut self) {
        self.round = 0;
        self.halves = [0; 2];
    }
}
