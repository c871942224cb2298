//! The parts together: what every algorithm has in common, undo, exchange on a live connection, idle times.

use std::time::Duration;

use super::{Acknowledged, Congestion, Signal, initial_window};
use crate::tcp::config::CongestionControl;
use crate::time::Instant;

pub(crate) const MSS: u32 = 1000;
pub(crate) const RTT: Duration = Duration::from_millis(100);

/// A connection that always fills its window, over a path that loses nothing.
pub(crate) struct Path {
    pub(crate) congestion: Congestion,
    pub(crate) now: Instant,
    pub(crate) rtt: Duration,
    pub(crate) una: u64,
    pub(crate) nxt: u64,
}

impl Path {
    pub(crate) fn new(kind: CongestionControl) -> Path {
        Path {
            congestion: Congestion::new(kind, MSS, false),
            now: Instant::from_secs(100),
            rtt: RTT,
            una: 0,
            nxt: 0,
        }
    }

    pub(crate) fn cwnd(&self) -> u32 {
        self.congestion.cwnd()
    }

    /// Sends until CWND is full.
    pub(crate) fn fill(&mut self) {
        self.nxt = self.nxt.max(self.una + u64::from(self.cwnd()));
        self.congestion.window_is_full(self.nxt);
    }

    /// One acknowledgment for `bytes`, after which the window is filled again.
    pub(crate) fn acknowledge(&mut self, bytes: u32) {
        let in_flight = self.nxt - self.una;
        self.una += u64::from(bytes);
        self.nxt = self.nxt.max(self.una);
        let ack = Acknowledged {
            now: self.now,
            bytes,
            in_flight,
            una: self.una,
            nxt: self.nxt,
            latest_rtt: Some(self.rtt),
            min_rtt: Some(self.rtt),
            srtt: Some(self.rtt),
            rate: None,
        };
        self.congestion.on_acknowledged(&ack);
    }

    /// A round trip: what is in flight is acknowledged, an acknowledgment for every second segment, and after each the window is filled.
    pub(crate) fn round(&mut self) {
        self.fill();
        self.deliver(true);
    }

    /// A round trip in which nothing is sent.
    pub(crate) fn drain(&mut self) {
        self.deliver(false);
    }

    /// A round trip with so many segments in flight, which the user has written at its beginning.
    pub(crate) fn trickle(&mut self, segments: u32) {
        assert_eq!(self.una, self.nxt, "more is in flight");
        self.nxt = self.una + u64::from(segments * MSS);
        self.drain();
    }

    fn deliver(&mut self, refill: bool) {
        let end = self.nxt;
        let acks = (end - self.una).div_ceil(2 * u64::from(MSS)).max(1) as u32;
        let begin = self.now;
        for ack in 1..=acks {
            self.now = begin + self.rtt * ack / acks;
            let left = (end - self.una) as u32;
            if left > 0 {
                self.acknowledge(left.min(2 * MSS));
            }
            if refill {
                self.fill();
            }
        }
    }

    /// A loss that is repaired at once.
    pub(crate) fn lose(&mut self) {
        let flight = self.nxt - self.una;
        self.congestion
            .on_congestion(Signal::Loss, flight, self.now);
        self.congestion.on_recovered(self.now);
        self.una = self.nxt;
    }
}

#[test]
fn the_initial_window_is_that_of_rfc_6928() {
    assert_eq!(initial_window(1460), 14_600);
    assert_eq!(initial_window(1000), 10_000);
    assert_eq!(initial_window(4000), 14_600);
    assert_eq!(initial_window(9000), 18_000);
    for kind in CongestionControl::ALL {
        assert_eq!(Congestion::new(kind, 1460, false).cwnd(), 14_600);
        assert_eq!(
            Congestion::new(kind, 1460, true).cwnd(),
            1460,
            "after a lost SYN"
        );
    }
}

#[test]
fn a_loss_that_was_none_is_undone_wholly() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        path.round();
        path.lose();
        for _ in 0..5 {
            path.round();
        }
        let (cwnd, ssthresh) = (path.cwnd(), path.congestion.ssthresh());
        let mut other = path.congestion.clone();

        path.congestion
            .on_congestion(Signal::Loss, cwnd.into(), path.now);
        path.congestion.set_cwnd(MSS);
        path.congestion.undo(path.now);
        assert_eq!((path.cwnd(), path.congestion.ssthresh()), (cwnd, ssthresh));
        // And it goes on as if nothing had been.
        let mut twin = Path {
            congestion: other.clone(),
            ..path
        };
        for _ in 0..5 {
            path.round();
            twin.round();
            assert_eq!(path.cwnd(), twin.cwnd(), "{kind:?}");
        }

        other.on_timeout(cwnd.into(), true, path.now);
        assert_eq!(other.cwnd(), MSS);
        other.undo(path.now);
        assert_eq!((other.cwnd(), other.ssthresh()), (cwnd, ssthresh));
    }
}

#[test]
fn a_timeout_in_the_recovery_from_a_loss_does_not_bring_ssthresh_down_again() {
    for kind in CongestionControl::ALL {
        let mut congestion = Congestion::new(kind, MSS, false);
        congestion.on_congestion(Signal::Loss, 10_000, Instant::ZERO);
        let ssthresh = congestion.ssthresh();
        congestion.on_timeout(5_000, true, Instant::ZERO);
        assert_eq!((congestion.cwnd(), congestion.ssthresh()), (MSS, ssthresh));
        congestion.on_timeout(MSS.into(), false, Instant::ZERO);
        assert_eq!(congestion.ssthresh(), ssthresh, "nor does a second one");
    }
}

#[test]
fn a_timeout_that_was_none_undoes_itself_and_not_the_loss_before() {
    let mut congestion = Congestion::new(CongestionControl::NewReno, MSS, false);
    congestion.on_congestion(Signal::Loss, 10_000, Instant::ZERO);
    congestion.set_cwnd(5 * MSS);
    congestion.on_timeout(5_000, true, Instant::ZERO);
    congestion.undo(Instant::ZERO);
    assert_eq!(
        (congestion.cwnd(), congestion.ssthresh()),
        (5 * MSS, Some(5 * MSS))
    );
}

#[test]
fn algorithms_are_exchanged_on_a_live_connection_and_nothing_else_changes() {
    let [a, b] = CongestionControl::ALL;
    for (from, to) in [(a, b), (b, a)] {
        let mut path = Path::new(from);
        path.round();
        path.lose();
        path.round();
        let before = (path.cwnd(), path.congestion.ssthresh());
        path.congestion.switch(to);
        assert_eq!(path.congestion.kind(), to);
        assert_eq!((path.cwnd(), path.congestion.ssthresh()), before);
        for _ in 0..20 {
            path.round();
        }
        assert!(path.cwnd() > before.0, "it goes on growing");
        // In the middle of a recovery.
        path.congestion
            .on_congestion(Signal::Loss, path.cwnd().into(), path.now);
        let ssthresh = path.congestion.ssthresh();
        path.congestion.set_cwnd(3 * MSS);
        path.congestion.switch(from);
        path.acknowledge(2 * MSS);
        assert_eq!(path.cwnd(), 3 * MSS, "recovery's until it is over");
        path.congestion.on_recovered(path.now);
        assert_eq!(Some(path.cwnd()), ssthresh);
    }
}

#[test]
fn an_idle_time_longer_than_the_rto_restarts_with_the_initial_window() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        for _ in 0..5 {
            path.round();
        }
        path.lose();
        path.round();
        let (cwnd, rto) = (path.cwnd(), Duration::from_millis(300));
        assert!(cwnd > 2 * initial_window(MSS), "{cwnd}");
        let sent_at = path.now;
        path.congestion.on_idle(sent_at + rto, sent_at, rto);
        assert_eq!(path.cwnd(), cwnd, "not longer");
        let later = sent_at + rto + Duration::from_millis(1);
        path.congestion.on_idle(later, sent_at, rto);
        assert_eq!(path.cwnd(), initial_window(MSS));
        assert_eq!(
            path.congestion.ssthresh(),
            path.congestion.ssthresh().max(Some(cwnd / 4 * 3)),
            "slow start finds most of it again"
        );
        path.congestion.on_idle(later, sent_at, rto);
        assert_eq!(path.cwnd(), initial_window(MSS), "said twice");
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        path.round();
        path.lose();
        path.trickle(2);
        let cwnd = path.cwnd();
        for _ in 0..50 {
            path.trickle(cwnd / MSS / 4);
        }
        assert_eq!(path.cwnd(), cwnd, "{kind:?}");
    }
}

#[test]
fn acknowledgments_that_come_in_one_batch_count_all() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        path.fill();
        // Nothing is sent between them.
        for _ in 0..5 {
            path.acknowledge(2 * MSS);
        }
        assert_eq!(path.cwnd(), 20 * MSS, "{kind:?}");
    }
}

#[test]
fn a_trickle_leaves_a_window_that_is_let_out_slowly() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        for _ in 0..6 {
            path.round();
        }
        let mut cwnd = path.cwnd();
        assert!(cwnd > 40 * MSS);
        assert_eq!(path.congestion.pacing(Some(RTT)), None, "while it is used");
        path.drain();
        cwnd = cwnd.max(path.cwnd());
        for _ in 0..20 {
            path.trickle(1);
        }
        assert_eq!(path.cwnd(), cwnd, "it is not taken away (RFC 7661)");
        let pacing = path.congestion.pacing(Some(RTT)).expect("a rate");
        assert_eq!(pacing.rate, u64::from(cwnd) * 10, "CWND in a round trip");
        assert_eq!(pacing.burst, initial_window(MSS));
        // Half of it in one round trip validates it again.
        path.trickle(cwnd / MSS / 2 + 4);
        assert_eq!(path.congestion.pacing(Some(RTT)), None);
    }
}

#[test]
fn a_loss_brings_a_window_that_is_not_validated_down_to_what_was_in_use() {
    for kind in CongestionControl::ALL {
        let mut path = Path::new(kind);
        for _ in 0..6 {
            path.round();
        }
        path.drain();
        for _ in 0..20 {
            path.trickle(8);
        }
        path.congestion.on_congestion(Signal::Loss, 8_000, path.now);
        assert!(
            path.congestion.ssthresh() <= Some(8 * MSS),
            "{kind:?}: {:?}",
            path.congestion.ssthresh()
        );
    }
}

#[test]
fn a_window_nobody_uses_for_five_minutes_is_halved() {
    let mut path = Path::new(CongestionControl::NewReno);
    for _ in 0..6 {
        path.round();
    }
    path.drain();
    let cwnd = path.cwnd();
    let begin = path.now;
    while path.now.duration_since(begin) < Duration::from_secs(299) {
        path.trickle(1);
    }
    assert_eq!(path.cwnd(), cwnd);
    while path.now.duration_since(begin) < Duration::from_secs(302) {
        path.trickle(1);
    }
    assert_eq!(path.cwnd(), cwnd / 2);
}

#[test]
fn routers_that_mark_cost_less_than_routers_that_drop() {
    // RFC 8511: 0.8 for Reno, 0.85 for CUBIC, instead of 0.5 and 0.7.
    for (kind, loss, mark) in [
        (CongestionControl::NewReno, 50, 80),
        (CongestionControl::Cubic, 70, 85),
    ] {
        for (event, left) in [(Signal::Loss, loss), (Signal::Ecn, mark)] {
            let mut path = Path::new(kind);
            for _ in 0..3 {
                path.round();
            }
            let cwnd = path.cwnd();
            path.congestion.on_congestion(event, cwnd.into(), path.now);
            let ssthresh = path.congestion.ssthresh();
            assert_eq!(ssthresh, Some(cwnd / 100 * left), "{kind:?} {event:?}");
        }
    }
}

#[test]
fn neither_a_window_nor_ssthresh_falls_below_what_keeps_a_connection_going() {
    for kind in CongestionControl::ALL {
        let mut congestion = Congestion::new(kind, MSS, true);
        for _ in 0..10 {
            congestion.on_congestion(Signal::Loss, 1, Instant::ZERO);
            congestion.on_recovered(Instant::ZERO);
        }
        assert_eq!(congestion.ssthresh(), Some(2 * MSS));
        assert_eq!(congestion.cwnd(), 2 * MSS);
        congestion.on_timeout(1, true, Instant::ZERO);
        assert_eq!(congestion.cwnd(), MSS);
        congestion.set_mss(9000);
        assert_eq!(
            (congestion.cwnd(), congestion.ssthresh()),
            (9000, Some(18_000))
        );
    }
}

#[test]
fn a_connection_that_sends_nothing_pays_little_for_congestion_control() {
    assert!(
        size_of::<Congestion>() <= 120,
        "{}",
        size_of::<Congestion>()
    );
}
