//! Congestion control: how much may be in flight, and how fast it leaves.
//!
//! It is told what was delivered, lost and marked, and answers with CWND and, where it wants one, with a rate. It decides nothing
//! about *what* to send: that is [`crate::tcp::recovery`], which also rules CWND while what was lost is repaired (RFC 9937).
//!
//! 1. [`Window`] holds what every algorithm has: CWND, SSTHRESH, and how well CWND is validated ([`validation`], RFC 7661).
//! 2. A [`Controller`] moves them: one file an algorithm, [`cubic`] (with [`hystart`]) and [`new_reno`].
//! 3. [`Congestion`] joins the two, remembers what to go back to when a loss was none, and lets the algorithm be exchanged on a
//!    live connection.
//! 4. [`pacer`] spreads what may leave over time.

use std::time::Duration;

use crate::tcp::config::CongestionControl;
use crate::tcp::recovery::rate::RateSample;
use crate::time::Instant;

pub(crate) mod cubic;
pub(crate) mod hystart;
pub(crate) mod new_reno;
pub(crate) mod pacer;
mod round;
#[cfg(test)]
mod tests;
pub(crate) mod validation;
pub(crate) mod window;

use cubic::Cubic;
use new_reno::NewReno;
use pacer::{Allowance, Pacer, Pacing};
use window::{Context, NO_THRESHOLD, Window};

pub(crate) use window::initial_window;

/// Below this round trip nothing is spread over it: a wake-up would be later than what it waits for.
const SPREAD_FROM: Duration = Duration::from_millis(1);

/// What one acknowledgment tells the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// When it came.
    pub(crate) now: Instant,
    /// Bytes acknowledged or SACKed for the first time.
    pub(crate) bytes: u32,
    /// Bytes in flight before it.
    pub(crate) in_flight: u64,
    /// SND.UNA, after it.
    pub(crate) una: u64,
    /// SND.NXT.
    pub(crate) nxt: u64,
    /// The round trip it measured, if it did.
    pub(crate) latest_rtt: Option<Duration>,
    /// The least round trip of the connection.
    #[expect(dead_code, reason = "for controllers that model the path")]
    pub(crate) min_rtt: Option<Duration>,
    /// SRTT.
    pub(crate) srtt: Option<Duration>,
    /// The delivery rate it measured, if it did.
    #[expect(dead_code, reason = "for controllers that model the path")]
    pub(crate) rate: Option<RateSample>,
}

/// What says that there is congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A segment was lost.
    Loss,
    /// A router marked one (RFC 3168).
    Ecn,
    /// The retransmission timer went off.
    Timeout,
}

/// An algorithm: it moves CWND outside of recovery, and sets SSTHRESH when congestion strikes. All in bytes.
pub(crate) trait Controller {
    /// Something was delivered, and no recovery is under way.
    fn on_acknowledged(&mut self, window: &mut Window, ack: &Acknowledged, cx: &Context);

    /// Congestion, at most once a round trip; `in_use` of CWND was really used, and `flight` bytes were outstanding. The new SSTHRESH, at least
    /// two segments.
    fn on_congestion(&mut self, window: &Window, signal: Signal, in_use: u32, flight: u32) -> u32;

    /// The retransmission timer went off again, or while what was lost was being repaired: CWND is one segment, SSTHRESH stays.
    fn on_repeated_timeout(&mut self);

    /// What was lost is repaired, and CWND is SSTHRESH.
    fn on_recovered(&mut self, now: Instant);

    /// Nothing was in flight for `pause`. `restarted`: so long that CWND began anew (RFC 5681 §4.1).
    fn on_pause(&mut self, pause: Duration, restarted: bool);

    /// The rate at which bytes should leave; `None`: as they come.
    fn pacing(&self, _window: &Window, _srtt: Duration) -> Option<Pacing> {
        None
    }
}

#[derive(Clone, Debug)]
enum Algorithm {
    NewReno(NewReno),
    Cubic(Cubic),
}

impl Algorithm {
    fn new(kind: CongestionControl) -> Self {
        match kind {
            CongestionControl::NewReno => Self::NewReno(NewReno::new()),
            CongestionControl::Cubic => Self::Cubic(Cubic::new()),
        }
    }

    fn kind(&self) -> CongestionControl {
        match self {
            Self::NewReno(_) => CongestionControl::NewReno,
            Self::Cubic(_) => CongestionControl::Cubic,
        }
    }

    fn controller(&self) -> &dyn Controller {
        match self {
            Self::NewReno(algorithm) => algorithm,
            Self::Cubic(algorithm) => algorithm,
        }
    }

    fn controller_mut(&mut self) -> &mut dyn Controller {
        match self {
            Self::NewReno(algorithm) => algorithm,
            Self::Cubic(algorithm) => algorithm,
        }
    }
}

/// Where a connection stood before congestion struck.
#[derive(Clone, Debug)]
struct Saved {
    cwnd: u32,
    ssthresh: u32,
    algorithm: Algorithm,
}

/// Congestion control of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    window: Window,
    algorithm: Algorithm,
    /// Between [`Congestion::on_congestion`] and [`Congestion::on_recovered`]: CWND is not the algorithm's.
    in_recovery: bool,
    /// Since the latest congestion.
    saved: Option<Box<Saved>>,
    pacer: Pacer,
}

impl Congestion {
    /// For segments of `mss` bytes.
    pub(crate) fn new(kind: CongestionControl, mss: u32, syn_was_lost: bool) -> Self {
        Self {
            window: Window::new(mss, syn_was_lost),
            algorithm: Algorithm::new(kind),
            in_recovery: false,
            saved: None,
            pacer: Pacer::new(),
        }
    }

    /// The algorithm's name.
    pub(crate) fn kind(&self) -> CongestionControl {
        self.algorithm.kind()
    }

    /// Another algorithm from now on. CWND, SSTHRESH and a recovery under way stay as they are; a loss before is not undone any more.
    pub(crate) fn switch(&mut self, kind: CongestionControl) {
        if kind != self.kind() {
            self.algorithm = Algorithm::new(kind);
            self.saved = None;
        }
    }

    /// CWND.
    pub(crate) fn cwnd(&self) -> u32 {
        self.window.cwnd
    }

    /// SSTHRESH; `None` before the first congestion.
    pub(crate) fn ssthresh(&self) -> Option<u32> {
        Some(self.window.ssthresh).filter(|&ssthresh| ssthresh != NO_THRESHOLD)
    }

    /// Whether CWND is below SSTHRESH.
    pub(crate) fn in_slow_start(&self) -> bool {
        self.window.in_slow_start()
    }

    /// The MSS changed with the path MTU.
    pub(crate) fn set_mss(&mut self, mss: u32) {
        self.window.mss = mss;
        self.window.cwnd = self.window.cwnd.max(mss);
        self.window.ssthresh = self.window.ssthresh.max(2 * mss);
    }

    /// CWND alone keeps more from being sent; SND.NXT is `nxt`. What is acknowledged up to there may let it grow.
    pub(crate) fn window_is_full(&mut self, nxt: u64) {
        self.window.is_full(nxt);
    }

    /// Something was delivered.
    pub(crate) fn on_acknowledged(&mut self, ack: &Acknowledged) {
        let cx = self.window.observe(ack);
        if self.in_recovery {
            return;
        }
        self.algorithm
            .controller_mut()
            .on_acknowledged(&mut self.window, ack, &cx);
        if self.window.validation.has_expired(ack.now) {
            self.give_up_unvalidated();
        }
    }

    /// RFC 7661 §4.4.3: half of what nobody has used for five minutes is given up; slow start finds it again.
    fn give_up_unvalidated(&mut self) {
        let window = &mut self.window;
        let least = initial_window(window.mss);
        if window.cwnd > least {
            window.remember_most();
            window.cwnd = (window.cwnd / 2).max(least);
        }
    }

    /// A segment was lost, or marked, with `flight` bytes outstanding: SSTHRESH comes down, and CWND is recovery's until
    /// [`Congestion::on_recovered`].
    pub(crate) fn on_congestion(&mut self, signal: Signal, flight: u64, _now: Instant) {
        self.save();
        self.reduce(signal, flight);
        self.in_recovery = true;
    }

    fn save(&mut self) {
        self.saved = Some(Box::new(Saved {
            cwnd: self.window.cwnd,
            ssthresh: self.window.ssthresh,
            algorithm: self.algorithm.clone(),
        }));
    }

    fn reduce(&mut self, signal: Signal, flight: u64) {
        let in_use = self.window.in_use(flight);
        self.window.ssthresh = self.algorithm.controller_mut().on_congestion(
            &self.window,
            signal,
            in_use,
            u32::try_from(flight).unwrap_or(u32::MAX),
        );
    }

    /// Recovery's word about CWND (RFC 9937).
    pub(crate) fn set_cwnd(&mut self, cwnd: u32) {
        self.window.cwnd = cwnd;
    }

    /// All that was outstanding at the loss is acknowledged.
    pub(crate) fn on_recovered(&mut self, now: Instant) {
        self.in_recovery = false;
        self.window.cwnd = self.window.ssthresh.max(self.window.mss);
        self.algorithm.controller_mut().on_recovered(now);
    }

    /// The retransmission timer went off with `flight` bytes outstanding (RFC 5681 §3.1): one segment, slow start. Neither the second
    /// timeout of a segment (`first` is false) nor one in the recovery from a loss brings SSTHRESH down once more.
    pub(crate) fn on_timeout(&mut self, flight: u64, first: bool, _now: Instant) {
        if first {
            self.save();
        }
        if first && !self.in_recovery {
            self.reduce(Signal::Timeout, flight);
        } else {
            self.algorithm.controller_mut().on_repeated_timeout();
        }
        self.in_recovery = false;
        self.window.cwnd = self.window.mss;
        self.window.validation.restart();
    }

    /// The latest congestion was none: nothing was lost, only late (RFC 4015, RFC 9438 §4.9).
    pub(crate) fn undo(&mut self, _now: Instant) {
        self.in_recovery = false;
        if let Some(saved) = self.saved.take() {
            self.window.cwnd = self.window.cwnd.max(saved.cwnd);
            self.window.ssthresh = saved.ssthresh;
            self.algorithm = saved.algorithm;
        }
    }

    /// Something is sent with nothing in flight, for the first time since `sent_at`. RFC 5681 §4.1: after an idle time longer than the RTO the
    /// window says nothing about the path any more; SSTHRESH remembers it (RFC 7661 §4.4.3).
    pub(crate) fn on_idle(&mut self, now: Instant, sent_at: Instant, rto: Duration) {
        let pause = self.window.pause(now);
        let restarted = now.duration_since(sent_at) > rto;
        let least = initial_window(self.window.mss);
        if restarted && self.window.cwnd > least {
            self.window.remember_most();
            self.window.cwnd = least;
            self.window.validation.restart();
        }
        self.algorithm.controller_mut().on_pause(pause, restarted);
    }

    /// How bytes should leave; `None`: as they come. A CWND that is not validated is not let out as one burst (RFC 7661 §4.4).
    pub(crate) fn pacing(&self, srtt: Option<Duration>) -> Option<Pacing> {
        let srtt = srtt?;
        if self.in_recovery {
            return None;
        }
        let window = &self.window;
        if let Some(pacing) = self.algorithm.controller().pacing(window, srtt) {
            return Some(pacing);
        }
        let spread = srtt >= SPREAD_FROM
            && window.cwnd > initial_window(window.mss)
            && !window.is_validated();
        spread.then(|| Pacing::window_in(window.cwnd, srtt, window.mss))
    }

    /// What may leave at `now`; `None`: whatever CWND allows.
    pub(crate) fn allowance(&self, srtt: Option<Duration>, now: Instant) -> Option<Allowance> {
        let pacing = self.pacing(srtt)?;
        Some(self.pacer.allowance(&pacing, self.window.mss, now))
    }

    /// `bytes` have left.
    pub(crate) fn on_sent(&mut self, srtt: Option<Duration>, bytes: u64, now: Instant) {
        if let Some(pacing) = self.pacing(srtt) {
            self.pacer.on_sent(&pacing, self.window.mss, bytes, now);
        }
    }
}
