//! The window against RFC 9438's formulas, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ALPHA, BETA, C, Cubic, Curve};
use crate::tcp::config::CongestionControl;
use crate::tcp::congestion::tests::{MSS, Path, RTT};
use crate::tcp::congestion::{Algorithm, Signal};
use crate::time::Instant;

/// A connection that has just come out of a loss at `segments`.
fn after_loss_at(segments: u32, rtt: Duration) -> Path {
    let mut path = Path::new(CongestionControl::Cubic);
    path.rtt = rtt;
    path.congestion.set_cwnd(segments * MSS);
    path.fill();
    path.lose();
    path.fill();
    path
}

fn curve(path: &Path) -> &Curve {
    cubic(path).curve.as_ref().expect("a curve")
}

fn cubic(path: &Path) -> &Cubic {
    match &path.congestion.algorithm {
        Algorithm::Cubic(cubic) => cubic,
        Algorithm::NewReno(_) => panic!("another algorithm"),
    }
}

/// RFC 9438 figure 1, segments.
fn w_cubic(t: f64, w_max: f64, k: f64) -> f64 {
    C * (t - k).powi(3) + w_max
}

/// Runs one round trip after the other for so long, and gives each with the seconds since the beginning of the stage.
fn run(path: &mut Path, time: Duration, mut look: impl FnMut(f64, f64)) {
    let begin = path.now;
    let mut start: Option<Instant> = None;
    while path.now.duration_since(begin) < time {
        path.round();
        let start = *start.get_or_insert(curve(path).stage.expect("a stage").start);
        let t = path.now.duration_since(start).as_secs_f64();
        look(t, f64::from(path.cwnd()) / f64::from(MSS));
    }
}

#[test]
fn the_window_follows_the_formula_through_plateau_and_probing() {
    for (w_max, rtt) in [(1000, 100), (3000, 20), (10_000, 100), (300, 200)] {
        let mut path = after_loss_at(w_max, Duration::from_millis(rtt));
        assert_eq!(path.cwnd(), (f64::from(w_max * MSS) * BETA) as u32);
        let w_max = f64::from(w_max);
        let k = (w_max * (1.0 - BETA) / C).cbrt();
        let mut seen = [false; 2];
        run(&mut path, Duration::from_secs_f64(2.0 * k), |t, cwnd| {
            let formula = w_cubic(t, w_max, k);
            let off = (cwnd - formula).abs() / formula;
            assert!(
                off < 0.005,
                "W_max {w_max}, {rtt} ms: {cwnd:.1} instead of {formula:.1} after {t:.2} s"
            );
            seen[usize::from(t > k)] = true;
        });
        assert_eq!(seen, [true, true], "both sides of K");
    }
}

#[test]
fn where_newreno_is_faster_the_window_is_newrenos() {
    // RFC 9438 §4.3, with little in flight and a short round trip.
    let rtt = Duration::from_millis(10);
    let mut path = after_loss_at(40, rtt);
    let mut estimate = 40.0 * BETA;
    for _ in 0..60 {
        path.round();
        estimate += if estimate >= 40.0 { 1.0 } else { ALPHA };
        let cwnd = f64::from(path.cwnd()) / f64::from(MSS);
        assert!(
            (cwnd - estimate).abs() < 1.0,
            "{cwnd:.2} instead of {estimate:.2}"
        );
    }
    assert!(estimate > 60.0, "α is 1 once W_max is reached again");
}

#[test]
fn who_did_not_get_back_to_where_it_was_gives_way() {
    let mut path = after_loss_at(1000, RTT);
    run(&mut path, Duration::from_secs(2), |_, _| {});
    let second = f64::from(path.cwnd());
    assert!(second < 1_000_000.0);
    path.lose();
    let w_max = curve(&path).w_max;
    assert!((w_max - second * (1.0 + BETA) / 2.0).abs() < 1.0, "{w_max}");
    // Who did keeps it.
    let mut path = after_loss_at(1000, RTT);
    run(&mut path, Duration::from_secs(15), |_, _| {});
    let second = f64::from(path.cwnd());
    assert!(second > 1_000_000.0);
    path.lose();
    assert_eq!(curve(&path).w_max, second);
}

#[test]
fn a_round_trip_adds_at_most_half_a_window() {
    // Long after K the curve is far above.
    let mut path = after_loss_at(20, Duration::from_secs(4));
    let mut before = f64::from(path.cwnd());
    let mut most: f64 = 0.0;
    for _ in 0..20 {
        path.round();
        let now = f64::from(path.cwnd());
        most = most.max(now / before);
        before = now;
    }
    // The bytes of one window, each with its share: e^½ at the most.
    assert!((1.4..1.65).contains(&most), "{most}");
}

#[test]
fn after_a_timeout_the_curve_begins_where_slow_start_ends() {
    let mut path = after_loss_at(1000, RTT);
    path.congestion.on_timeout(700_000, true, path.now);
    path.una = path.nxt;
    let ssthresh = path.congestion.ssthresh().expect("known");
    assert_eq!(ssthresh / 100, 4_899);
    while path.cwnd() < ssthresh {
        path.round();
    }
    path.round();
    let stage = curve(&path).stage.expect("a stage");
    assert_eq!((stage.k, stage.w_max as u32 / MSS), (0.0, 489));
}

#[test]
fn time_in_which_the_window_is_not_used_does_not_count() {
    let mut path = after_loss_at(1000, RTT);
    run(&mut path, Duration::from_secs(2), |_, _| {});
    let mut twin = Path {
        congestion: path.congestion.clone(),
        ..path
    };
    // One writes little for a minute, the other nothing for a second.
    path.drain();
    for _ in 0..600 {
        path.trickle(10);
    }
    twin.drain();
    let sent_at = twin.now;
    twin.now += Duration::from_secs(1);
    twin.congestion
        .on_idle(twin.now, sent_at, Duration::from_secs(2));
    for path in [&mut path, &mut twin] {
        let before = path.cwnd();
        path.round();
        let grown = path.cwnd() - before;
        assert!(grown < 20 * MSS, "{grown}");
    }
}

/// Sends through a bottleneck that takes `rate` segments in a base round trip, with all the queue in the world, until slow start is over. CWND in segments
/// when it became conservative.
fn through_a_queue(path: &mut Path, base: Duration, rate: u32) -> u32 {
    let mut conservative_at = None;
    let service = base / rate;
    let (mut in_flight, mut free_at) = (VecDeque::new(), path.now);
    while path.congestion.in_slow_start() {
        path.fill();
        let sent = path.una + u64::from(MSS) * in_flight.len() as u64;
        for _ in sent / u64::from(MSS)..path.nxt / u64::from(MSS) {
            free_at = free_at.max(path.now) + service;
            in_flight.push_back((path.now, free_at + base));
        }
        let (sent_at, back_at) = in_flight.pop_front().expect("in flight");
        path.now = back_at;
        path.rtt = back_at.duration_since(sent_at);
        let before = path.cwnd();
        path.acknowledge(MSS);
        if path.cwnd() - before < MSS {
            conservative_at.get_or_insert(before / MSS);
        }
        assert!(path.cwnd() < 100 * rate * MSS, "still in slow start");
    }
    conservative_at.expect("it goes through conservative slow start")
}

#[test]
fn hystart_leaves_slow_start_before_the_queue_overflows() {
    for (base, rate) in [(20, 170), (100, 830), (300, 2500), (100, 100)] {
        let base = Duration::from_millis(base);
        let mut path = Path::new(CongestionControl::Cubic);
        let conservative_at = through_a_queue(&mut path, base, rate);
        let cwnd = path.cwnd() / MSS;
        // A round passes before acknowledgments tell of the queue, and one more before all of a round do.
        assert!(
            (rate..rate * 5).contains(&conservative_at),
            "{conservative_at} segments of {rate} in {base:?}"
        );
        // The rest of that round and four more, a fourth each.
        let factor = f64::from(cwnd) / f64::from(conservative_at);
        assert!(
            (2.4..=3.06).contains(&factor),
            "{factor} from {conservative_at} with {rate} in {base:?}"
        );
        assert_eq!(path.congestion.ssthresh(), Some(path.cwnd()));
        path.round();
        let stage = curve(&path).stage.expect("a stage");
        assert_eq!(stage.k, 0.0, "RFC 9438 §4.10");
    }
}

#[test]
fn in_conservative_slow_start_a_round_trip_adds_a_fourth() {
    let mut path = Path::new(CongestionControl::Cubic);
    for _ in 0..3 {
        path.round();
    }
    path.rtt = RTT + Duration::from_millis(13);
    path.round();
    // Found in the middle of that round.
    for _ in 0..3 {
        let before = f64::from(path.cwnd());
        path.round();
        let factor = f64::from(path.cwnd()) / before;
        assert!((1.24..1.26).contains(&factor), "{factor}");
    }
    assert!(path.congestion.in_slow_start());
    path.round();
    path.round();
    assert!(!path.congestion.in_slow_start(), "five rounds are over");
}

#[test]
fn a_loss_in_slow_start_ends_hystart() {
    let mut path = Path::new(CongestionControl::Cubic);
    path.round();
    assert!(cubic(&path).hystart.is_some());
    path.lose();
    assert!(cubic(&path).hystart.is_none());
    path.congestion.on_timeout(14_000, true, path.now);
    path.round();
    assert!(cubic(&path).hystart.is_none(), "SSTHRESH is known now");
}

#[test]
fn stretch_acknowledgments_are_paced_instead_of_limited() {
    let mut path = Path::new(CongestionControl::Cubic);
    path.fill();
    path.acknowledge(8 * MSS);
    assert_eq!(path.cwnd(), 18 * MSS, "L is eight");
    assert_eq!(path.congestion.pacing(Some(RTT)), None);
    path.fill();
    path.acknowledge(18 * MSS);
    assert_eq!(path.cwnd(), 36 * MSS);
    let pacing = path.congestion.pacing(Some(RTT)).expect("a rate");
    assert_eq!(pacing.rate, 720_000, "twice the window in a round trip");
    // Not where a round trip is shorter than a wake-up is worth.
    let mut path = Path::new(CongestionControl::Cubic);
    path.rtt = Duration::from_micros(100);
    path.fill();
    path.acknowledge(10 * MSS);
    assert_eq!(path.cwnd(), 18 * MSS);
    assert_eq!(path.congestion.pacing(Some(path.rtt)), None);
}

#[test]
fn a_mark_leaves_more_than_a_loss_and_remembers_the_same() {
    let mut path = after_loss_at(1000, RTT);
    run(&mut path, Duration::from_secs(15), |_, _| {});
    let cwnd = path.cwnd();
    path.congestion
        .on_congestion(Signal::Ecn, cwnd.into(), path.now);
    assert_eq!(
        path.congestion.ssthresh(),
        Some((f64::from(cwnd) * 0.85) as u32)
    );
    assert_eq!(curve(&path).w_max, f64::from(cwnd));
}
