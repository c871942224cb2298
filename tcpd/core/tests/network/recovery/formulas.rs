//! Windows and times of two whole stacks against what the RFCs compute.

use std::time::Duration;

use tcpd_core::sim::network::goodput::TEXT as MSS;
use tcpd_core::stack::CongestionControl;

use super::wire::{Line, MS, Packet, Rule, Wire, one_way};

fn segments(bytes: u32) -> f64 {
    f64::from(bytes) / MSS as f64
}

/// A wide path of this round trip that loses the packets with text whose numbers are named.
fn losing(round_trip: Duration, lost: Vec<u64>) -> Rule {
    Box::new(move |packet: &Packet| {
        let lost = packet.length > 0 && !packet.again && lost.contains(&packet.number);
        (!lost).then_some(round_trip / 2)
    })
}

/// RFC 6298 §5.5: an endless black hole. The first timeout is RTO, each further one twice the one before, up to `rto_max`.
#[test]
fn timeouts_double_from_the_measured_one_to_the_largest() {
    for round_trip in [MS * 10, MS * 150, MS * 700] {
        let rule: Rule = Box::new(move |packet: &Packet| {
            let text = packet.length > 0 && packet.start >= 100 * MSS;
            (!text).then_some(round_trip / 2)
        });
        let mut wire = Wire::new(
            |config| {
                config.tcp.r2 = 100;
                config.tcp.tail_loss_probe = false;
            },
            rule,
        );
        wire.transfer(100 * MSS, MS * 60_000);
        wire.run(round_trip * 4 + MS * 100);
        let rto = wire.status().rto;
        let begin = wire.elapsed();
        wire.write(100);
        wire.run(Duration::from_secs(500));
        let of_it = wire.sent.iter().filter(|packet| packet.at >= begin);
        let times: Vec<Duration> = of_it.map(|packet| packet.at - begin).collect();
        assert!(times.len() >= 12, "{times:?}");
        let mut due = Duration::ZERO;
        for (number, at) in times.into_iter().enumerate() {
            let off = at.abs_diff(due);
            assert!(
                off <= MS * (1 + number as u32),
                "{number}: {at:?}, not {due:?}"
            );
            due = at + (rto * (1 << number.min(10))).min(Duration::from_secs(60));
        }
    }
}

/// RFC 9438 §4.2: W_cubic(t) = C (t − K)³ + W_max.
#[test]
fn after_a_loss_the_window_is_where_cubics_curve_is() {
    let round_trip = MS * 100;
    let mut wire = Wire::new(|_| {}, losing(round_trip, vec![900]));
    wire.write(200_000_000);
    let recovered = |wire: &Wire| {
        let last = wire.acknowledgments.last();
        last.is_some_and(|ack| ack.ssthresh.is_some() && !ack.in_recovery)
    };
    while !recovered(&wire) {
        wire.run(MS * 10);
        assert!(
            wire.elapsed() < MS * 5_000,
            "no recovery: {:?}",
            wire.status()
        );
    }
    let all = &wire.acknowledgments;
    let before = all
        .iter()
        .rposition(|ack| ack.in_recovery)
        .expect("a recovery");
    let (w_max, cwnd) = (
        segments(all[before].ssthresh.expect("set")) / 0.7,
        segments(all[before + 1].cwnd),
    );
    assert!((cwnd / w_max - 0.7).abs() < 0.01, "{cwnd} of {w_max}");
    let start = all[before + 1].at;
    let k = (w_max * 0.3 / 0.4_f64).cbrt();
    wire.run(Duration::from_secs_f64(1.8 * k));
    let mut sides = [0; 2];
    for ack in &wire.acknowledgments[before + 1..] {
        let t = (ack.at - start).as_secs_f64();
        let formula = 0.4 * (t - k).powi(3) + w_max;
        let cwnd = segments(ack.cwnd);
        // What a round trip adds comes little by little in it.
        assert!(
            (cwnd - formula).abs() / formula < 0.02,
            "{cwnd:.1} instead of {formula:.1} {t:.2} s after a loss at {w_max:.1}"
        );
        sides[usize::from(t > k)] += 1;
    }
    assert!(sides.iter().all(|&count| count > 1_000), "{sides:?}");
    assert_eq!(wire.status().lost, 1);
}

/// A path whose round trip is longer by `step` for what is sent from `from` on, and by a thousandth of the time since: a queue that grows.
fn stepping(round_trip: Duration, from: Duration, step: Duration) -> Rule {
    Box::new(move |packet: &Packet| {
        let more = match packet.forth && packet.at >= from {
            true => step + (packet.at - from) / 1_000,
            false => Duration::ZERO,
        };
        Some(round_trip / 2 + more)
    })
}

/// RFC 9406 §4.2: a round trip that grows by an eighth, between 4 and 16 ms, ends slow start five rounds of a fourth of its growth later.
#[test]
fn a_round_trip_that_grows_by_the_threshold_ends_slow_start_five_rounds_later() {
    for (round_trip, threshold) in [(20, 4_000), (40, 5_000), (100, 12_500), (300, 16_000)] {
        let (round_trip, threshold) = (MS * round_trip, Duration::from_micros(threshold));
        // Some rounds of slow start come before: 10 · 2⁴ segments.
        let from = round_trip * 5 + round_trip / 2;
        for (step, exits) in [(threshold - MS / 4, false), (threshold + MS / 4, true)] {
            let mut wire = Wire::new(|_| {}, stepping(round_trip, from, step));
            wire.write(200_000_000);
            wire.run(round_trip * 9 + round_trip / 2);
            // The round that is measured, and two of five conservative ones are over.
            assert_eq!(wire.status().ssthresh, None, "too early");
            let early = segments(wire.status().cwnd);
            if !exits {
                assert!(early > 10.0 * 120.0, "{round_trip:?}: {early}");
                continue;
            }
            wire.run(round_trip * 6);
            let all = &wire.acknowledgments;
            let end = all.iter().find(|ack| ack.ssthresh.is_some());
            let end = end.unwrap_or_else(|| {
                panic!("{round_trip:?}: still in slow start: {:?}", wire.status())
            });
            let rounds = (end.at - from).as_secs_f64() / (round_trip + step).as_secs_f64();
            assert!((5.0..8.0).contains(&rounds), "{round_trip:?}: {rounds}");
            // 1.25⁵ in these rounds; the window at their beginning is that of the ACK which was late enough.
            let at_begin = all
                .iter()
                .rfind(|ack| ack.at + (round_trip + step) * 5 <= end.at);
            let growth = segments(end.cwnd) / segments(at_begin.expect("an ACK").cwnd);
            assert!((2.4..3.4).contains(&growth), "{round_trip:?}: by {growth}");
            assert_eq!(wire.status().lost, 0);
        }
    }
}

/// RFC 9937 §6.2: with a single loss CWND comes down to SSTHRESH by what is not sent: five segments for ten that arrive with NewReno,
/// seven with CUBIC.
#[test]
fn in_a_recovery_as_much_goes_out_as_the_window_comes_down_by() {
    for (controller, share) in [
        (CongestionControl::NewReno, 0.5),
        (CongestionControl::Cubic, 0.7),
    ] {
        let round_trip = MS * 100;
        let tweak = |config: &mut tcpd_core::stack::StackConfig| config.tcp.congestion = controller;
        let mut line = Line::new(round_trip / 2, MS / 10);
        let rule = one_way(round_trip / 2, move |packet| {
            let gone = !packet.again && packet.number == 700;
            (!gone).then(|| line.passes(packet.at))
        });
        let mut wire = Wire::new(tweak, rule);
        wire.write(20_000_000);
        wire.run(MS * 1_500);
        let all = &wire.acknowledgments;
        let first = all
            .iter()
            .position(|ack| ack.in_recovery)
            .expect("a recovery");
        let during = &all[first..];
        let last = during
            .iter()
            .position(|ack| !ack.in_recovery)
            .expect("it ends");
        let during = &during[..last];
        // One ACK a segment that arrives, and the first segment goes out at once.
        let released: u64 = during.iter().map(|ack| ack.released).sum();
        let sent = released as f64 / during.len() as f64;
        assert!(
            (sent - share).abs() < 0.02,
            "{controller:?}: {sent} for each ACK"
        );
        let most = during.iter().map(|ack| ack.released).max();
        assert_eq!(most, Some(1), "{controller:?}: a burst");
        let end = all[first + last];
        let ssthresh = f64::from(end.ssthresh.expect("set"));
        assert!(
            (f64::from(end.cwnd) / ssthresh - 1.0).abs() < 0.01,
            "{controller:?}: {end:?}"
        );
    }
}

/// RFC 9937 §6.2: after a burst of losses, with less in flight than SSTHRESH, each ACK lets out what it delivered and one segment more at
/// most: never a burst.
#[test]
fn after_half_of_a_window_was_lost_one_or_two_go_out_for_each_that_arrives() {
    for controller in CongestionControl::ALL {
        let round_trip = MS * 100;
        let mut line = Line::new(round_trip / 2, MS / 10);
        let rule = one_way(round_trip / 2, move |packet| {
            let gone = !packet.again && packet.length > 0 && (600..740).contains(&packet.number);
            (!gone).then(|| line.passes(packet.at))
        });
        let mut wire = Wire::new(|config| config.tcp.congestion = controller, rule);
        wire.write(20_000_000);
        wire.run(MS * 2_500);
        let status = wire.status();
        assert_eq!(
            (status.timeouts, status.lost, status.fast_retransmits),
            (0, 140, 1),
            "{status:?}"
        );
        assert_eq!(wire.came_twice, 0, "{status:?}");
        let during = wire.acknowledgments.iter().filter(|ack| ack.in_recovery);
        let most = during.clone().map(|ack| ack.released).max();
        assert!(most <= Some(2), "{controller:?}: {most:?} at once");
        // The recovery is over within a few round trips.
        let (first, last) = (during.clone().next(), during.clone().next_back());
        let took = last.expect("ends").at - first.expect("begins").at;
        assert!(took < round_trip * 7 / 2, "{controller:?}: {took:?}");
    }
}

/// RFC 7661 §4.4: a window that was not used for a while is let out over a round trip, not as one burst.
#[test]
fn a_window_that_nobody_used_lately_is_let_out_little_by_little() {
    let round_trip = MS * 100;
    let mut wire = Wire::new(|_| {}, losing(round_trip, Vec::new()));
    wire.transfer(4_000_000, MS * 10_000);
    let window = u64::from(wire.status().cwnd) / MSS;
    for _ in 0..60 {
        wire.write(MSS);
        wire.run(MS * 50);
    }
    let (before, begin) = (wire.sent.len(), wire.elapsed());
    assert!(
        u64::from(wire.status().cwnd) / MSS >= window / 2,
        "{:?}",
        wire.status()
    );
    wire.write(8_000_000);
    wire.run(round_trip);
    let sent = &wire.sent[before..];
    let within = |share: u32| {
        sent.iter()
            .filter(|packet| packet.at - begin <= round_trip / share)
            .count() as u64
    };
    let (early, all) = (within(10), within(1));
    assert!(all >= window / 2, "{all} of {window}");
    assert!(
        early <= window / 5,
        "{early} of {window} at once, {all} in a round trip"
    );
}
