//! What every controller has: CWND, SSTHRESH, and how well they are known.

use std::time::Duration;

use crate::tcp::congestion::Acknowledged;
use crate::tcp::congestion::round::Round;
use crate::tcp::congestion::validation::Validation;
use crate::time::Instant;

/// SSTHRESH before the first congestion: arbitrarily high (RFC 5681 §3.1).
pub(crate) const NO_THRESHOLD: u32 = u32::MAX;

/// All in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    pub(crate) mss: u32,
    /// What is sent before this position is sent with a full window.
    full_until: u64,
    round: Round,
    pub(crate) validation: Validation,
    /// What the latest acknowledgment found: see [`Context::may_grow`].
    used: bool,
    /// When the latest acknowledgment came.
    acknowledged_at: Instant,
}

/// What a controller needs to know of an acknowledgment beyond what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// It is the first of a new round trip.
    pub(crate) round_ended: bool,
    /// The window was in use, so it may grow.
    pub(crate) may_grow: bool,
    /// Since the acknowledgment before this one.
    pub(crate) since_last: Duration,
}

/// The initial window of RFC 6928: min(10 MSS, max(2 MSS, 14600)).
pub(crate) fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

impl Window {
    /// After a lost SYN the window starts with one segment (RFC 6928 §2).
    pub(crate) fn new(mss: u32, syn_was_lost: bool) -> Self {
        let cwnd = if syn_was_lost {
            mss
        } else {
            initial_window(mss)
        };
        Self {
            cwnd,
            ssthresh: NO_THRESHOLD,
            mss,
            full_until: 0,
            round: Round::default(),
            validation: Validation::new(),
            used: true,
            acknowledged_at: Instant::ZERO,
        }
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// CWND alone keeps more from being sent, and SND.NXT is `nxt`.
    pub(crate) fn is_full(&mut self, nxt: u64) {
        self.full_until = self.full_until.max(nxt);
    }

    /// Takes an acknowledgment in.
    ///
    /// RFC 7661 §4.3, RFC 5681 §3.1: only a window that was used may grow: one that was full when the acknowledged bytes were sent, or,
    /// in slow start, one of which at least half was in flight, so that a short pause of the user does not cost a doubling.
    pub(crate) fn observe(&mut self, ack: &Acknowledged) -> Context {
        let half_used =
            self.in_slow_start() && ack.in_flight.saturating_mul(2) >= u64::from(self.cwnd);
        let was_full = ack.una.saturating_sub(u64::from(ack.bytes)) < self.full_until;
        self.used = was_full || half_used;
        let round_ended = self.round.ends(ack.una, ack.nxt);
        let validated = self.is_validated();
        self.validation
            .on_acknowledged(ack.bytes, round_ended, ack.now, ack.srtt, validated);
        let since_last = ack.now.duration_since(self.acknowledged_at);
        self.acknowledged_at = ack.now;
        Context {
            round_ended,
            may_grow: self.used,
            since_last,
        }
    }

    /// Whether CWND was put to the test lately: used to the full, or at least by half in one round trip.
    pub(crate) fn is_validated(&self) -> bool {
        self.used || self.validation.is_validated(self.cwnd)
    }

    /// Slow start: by what was acknowledged, at most `limit` bytes (RFC 3465 §2.2), and not beyond SSTHRESH.
    pub(crate) fn grow_slowly_started(&mut self, bytes: u32, limit: u32) {
        self.cwnd = self
            .cwnd
            .saturating_add(bytes.min(limit))
            .min(self.ssthresh.max(self.cwnd));
    }

    /// SSTHRESH remembers three fourths of a CWND that is given up without congestion (RFC 7661 §4.4.3); one that is arbitrarily high
    /// stays so.
    pub(crate) fn remember_most(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
    }

    /// Something is sent at `now` with nothing in flight: for how long nothing was, since the last acknowledgment or the last such call.
    pub(crate) fn pause(&mut self, now: Instant) -> Duration {
        let pause = now.duration_since(self.acknowledged_at);
        self.acknowledged_at = now;
        pause
    }

    /// What was really in use when congestion struck: CWND if it was full, else what was in flight or acknowledged in a round trip of
    /// late (RFC 7661 §4.4.1).
    pub(crate) fn in_use(&self, flight: u64) -> u32 {
        if self.used {
            return self.cwnd;
        }
        let flight = u32::try_from(flight).unwrap_or(u32::MAX);
        let used = flight.max(self.validation.pipe_ack().unwrap_or(0));
        used.min(self.cwnd)
    }
}
