//! CUBIC (RFC 9438): CWND grows as a cubic function of the time since the last congestion, whatever the round trip, and never slower
//! than NewReno would.
//!
//! ```text
//!  CWND
//!   |            reno-friendly, if faster          . probes beyond W_max
//!   | W_max - - - - - - - - - . - - ~ - - - - - .
//!   |                   . ~                           W_cubic(t) = C (t - K)³ + W_max
//!   |               .
//!   |  cwnd_epoch .
//!   +-------------|-----------|--------------------- t
//!                 0           K
//! ```
//!
//! Slow start before the first congestion is HyStart++'s.

use std::time::Duration;

use crate::tcp::congestion::hystart::{HyStart, Pace};
use crate::tcp::congestion::pacer::Pacing;
use crate::tcp::congestion::window::{Context, NO_THRESHOLD, Window};
use crate::tcp::congestion::{Acknowledged, Controller, Signal};
use crate::time::Instant;

#[cfg(test)]
mod tests;

/// C of RFC 9438 §5.1, segments per second³.
const C: f64 = 0.4;
/// β_cubic of RFC 9438 §4.6: what is left of CWND after a loss.
const BETA: f64 = 0.7;
/// β_ecn of RFC 8511 §4 for CUBIC: a mark says less than a loss, for it came from a short queue.
const BETA_ECN: f64 = 0.85;
/// α_cubic of RFC 9438 §4.3: makes the sawtooth of 0.7 as large on average as NewReno's of 0.5.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// L of RFC 9406 §4.2 in segments, for slow start without pacing.
const LIMIT: u32 = 8;
/// On paths shorter than this nothing is paced: a whole slow start takes less time than a wake-up is late.
const PACED_FROM: Duration = Duration::from_millis(2);

/// What CUBIC remembers beyond CWND and SSTHRESH; nothing while a connection is idle from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    /// From the first congestion, or the end of the first slow start, on.
    curve: Option<Box<Curve>>,
    /// Of the first slow start, until it is over.
    hystart: Option<Box<HyStart>>,
    /// An acknowledgment of more than L segments came: growth is not limited by L but paced (RFC 9406 §4.2).
    stretched: bool,
}

/// Where the window comes from and where it goes.
#[derive(Clone, Debug, Default)]
struct Curve {
    /// W_max, bytes: CWND before the latest congestion, or less by fast convergence; 0 when congestion avoidance has to begin without
    /// one (RFC 9438 §4.8, §4.10).
    w_max: f64,
    /// cwnd_prior, bytes: CWND before the latest congestion.
    cwnd_prior: f64,
    /// The present stage of congestion avoidance, from its first acknowledgment on.
    stage: Option<Stage>,
    /// The part of a byte by which CWND would be larger.
    fraction: f64,
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// epoch_start, later by the time in which CWND was not used (RFC 9438 §5.8).
    start: Instant,
    /// K, seconds.
    k: f64,
    /// W_max of this stage, bytes.
    w_max: f64,
    /// W_est, bytes: where NewReno would be.
    w_est: f64,
}

impl Cubic {
    pub(crate) fn new() -> Self {
        Self {
            curve: None,
            hystart: None,
            stretched: false,
        }
    }

    fn curve(&mut self) -> &mut Curve {
        self.curve.get_or_insert_default()
    }

    /// HyStart++ decides how fast the first slow start goes and when it is over.
    fn slow_start(&mut self, window: &mut Window, ack: &Acknowledged, cx: &Context) {
        self.stretched |= ack.bytes > LIMIT * window.mss;
        let limit = if self.is_pacing(window, ack.srtt) {
            u32::MAX
        } else {
            LIMIT * window.mss
        };
        // RFC 9406 §4.3: only while SSTHRESH is still arbitrarily high; later ones know where to stop.
        let pace = if window.ssthresh == NO_THRESHOLD {
            self.hystart
                .get_or_insert_with(Default::default)
                .on_acknowledged(ack.latest_rtt, cx.round_ended)
        } else {
            Pace::Full
        };
        if pace == Pace::Over {
            self.end_slow_start(window);
            return;
        }
        if !cx.may_grow {
            return;
        }
        match pace {
            Pace::Full => window.grow_slowly_started(ack.bytes, limit),
            Pace::Conservative => {
                let bytes = HyStart::conservative(ack.bytes.min(limit));
                window.grow_slowly_started(bytes, limit);
            }
            Pace::Over => {}
        }
    }

    /// RFC 9438 §4.10: without a loss, congestion avoidance begins with K = 0 and W_max = CWND.
    fn end_slow_start(&mut self, window: &mut Window) {
        window.ssthresh = window.cwnd;
        self.hystart = None;
        self.curve = None;
    }

    /// Whether the slow start under way is paced.
    fn is_pacing(&self, window: &Window, srtt: Option<Duration>) -> bool {
        self.stretched && window.in_slow_start() && srtt.is_some_and(|srtt| srtt >= PACED_FROM)
    }
}

impl Curve {
    /// RFC 9438 §4.2–§4.5.
    fn advance(&mut self, window: &mut Window, ack: &Acknowledged, cx: &Context) {
        let stage = match &mut self.stage {
            Some(stage) => stage,
            None => self.stage.insert(Stage::begin(ack.now, window, self.w_max)),
        };
        if !cx.may_grow {
            // RFC 9438 §5.8: time in which the window was not used does not count.
            stage.start += cx.since_last;
            return;
        }
        let mss = f64::from(window.mss);
        let cwnd = f64::from(window.cwnd) + self.fraction;
        let bytes = f64::from(ack.bytes);
        let elapsed = ack.now.duration_since(stage.start).as_secs_f64();

        // RFC 9438 §4.3: as NewReno, and with its slope once what was lost is made good.
        let alpha = if stage.w_est >= self.cwnd_prior {
            1.0
        } else {
            ALPHA
        };
        stage.w_est += alpha * mss * bytes / cwnd;
        let grown = if stage.at(elapsed, mss) < stage.w_est {
            stage.w_est.max(cwnd)
        } else {
            // RFC 9438 §4.2: where the curve is in a round trip, at most half as much again; a share of the way for each byte.
            let rtt = ack.srtt.unwrap_or_default().as_secs_f64();
            let target = stage.at(elapsed + rtt, mss).clamp(cwnd, 1.5 * cwnd);
            cwnd + (target - cwnd) * (bytes / cwnd).min(1.0)
        };
        let grown = grown.min(f64::from(u32::MAX / 2));
        window.cwnd = grown as u32;
        self.fraction = grown.fract();
    }

    /// The next acknowledgment begins a stage.
    fn end_stage(&mut self) {
        self.stage = None;
        self.fraction = 0.0;
    }
}

impl Stage {
    /// `w_max` is 0 when there is none.
    fn begin(now: Instant, window: &Window, w_max: f64) -> Self {
        let cwnd = f64::from(window.cwnd);
        // RFC 9438 §4.2: K is the time to grow back to W_max; there is no way back from above it.
        let (k, w_max) = if w_max > cwnd {
            let segments = (w_max - cwnd) / f64::from(window.mss);
            ((segments / C).cbrt(), w_max)
        } else {
            (0.0, cwnd)
        };
        Self {
            start: now,
            k,
            w_max,
            w_est: cwnd,
        }
    }

    /// W_cubic, bytes, `elapsed` seconds after the beginning.
    fn at(&self, elapsed: f64, mss: f64) -> f64 {
        let distance = elapsed - self.k;
        C * distance * distance * distance * mss + self.w_max
    }
}

impl Controller for Cubic {
    fn on_acknowledged(&mut self, window: &mut Window, ack: &Acknowledged, cx: &Context) {
        if window.in_slow_start() {
            self.slow_start(window, ack, cx);
        } else {
            self.curve().advance(window, ack, cx);
        }
    }

    fn on_congestion(&mut self, window: &Window, signal: Signal, in_use: u32, _flight: u32) -> u32 {
        let used = f64::from(in_use);
        self.hystart = None;
        let curve = self.curve();
        // RFC 9438 §4.7: who did not get back to where it was makes room for others (fast convergence).
        curve.w_max = if used < curve.w_max {
            used * (1.0 + BETA) / 2.0
        } else {
            used
        };
        curve.cwnd_prior = used;
        curve.end_stage();
        if signal == Signal::Timeout {
            self.on_repeated_timeout();
        }
        let beta = match signal {
            Signal::Loss | Signal::Timeout => BETA,
            Signal::Ecn => BETA_ECN,
        };
        ((used * beta) as u32).max(2 * window.mss)
    }

    fn on_repeated_timeout(&mut self) {
        // RFC 9438 §4.8: W_max is CWND where congestion avoidance begins.
        if let Some(curve) = &mut self.curve {
            curve.w_max = 0.0;
            curve.end_stage();
        }
    }

    fn on_recovered(&mut self, _now: Instant) {
        if let Some(curve) = &mut self.curve {
            curve.end_stage();
        }
    }

    fn on_pause(&mut self, pause: Duration, restarted: bool) {
        let Some(curve) = &mut self.curve else { return };
        if restarted {
            curve.end_stage();
        } else if let Some(stage) = &mut curve.stage {
            stage.start += pause;
        }
    }

    /// RFC 9406 §4.2: growth that L does not limit is paced, at twice CWND in a round trip.
    fn pacing(&self, window: &Window, srtt: Duration) -> Option<Pacing> {
        self.is_pacing(window, Some(srtt))
            .then(|| Pacing::window_in(window.cwnd.saturating_mul(2), srtt, window.mss))
    }
}
