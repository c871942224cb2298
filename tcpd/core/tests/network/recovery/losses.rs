//! What is really lost is repaired without waiting for the retransmission timer.

use std::collections::HashMap;
use std::time::Duration;

use tcpd_core::sim::network::goodput::TEXT as MSS;

use super::wire::{Line, MS, Packet, Rule, Wire};

/// A path of this round trip and 100 Mbit/s that loses what `loses` says.
fn losing(round_trip: Duration, mut loses: impl FnMut(&Packet) -> bool + 'static) -> Rule {
    let mut lines = [(); 2].map(|()| Line::new(round_trip / 2, MS * 12 / 100));
    Box::new(move |packet: &Packet| {
        let passes = lines[usize::from(packet.forth)].passes(packet.at);
        (!loses(packet)).then_some(passes)
    })
}

#[test]
fn a_lost_tail_is_repaired_by_a_probe_and_not_by_the_timer() {
    for round_trip in [10, 50, 100, 300].map(|millis| MS * millis) {
        for lost in 1..=8 {
            let warm = 40 * MSS;
            let flight = 10 * MSS;
            let tail = warm + flight - lost * MSS..warm + flight;
            let rule = losing(round_trip, move |packet| {
                !packet.again && packet.length > 0 && tail.contains(&packet.start)
            });
            let mut wire = Wire::new(|_| {}, rule);
            wire.transfer(warm, MS * 10_000);
            wire.run(round_trip * 3 + MS * 100);
            let (sent, before) = (wire.elapsed(), wire.status());
            wire.transfer(flight, MS * 10_000);
            let status = wire.status();
            let seen = format!("{lost} lost, {round_trip:?}: {status:?}");
            assert_eq!(status.timeouts, 0, "{seen}");
            assert!(status.tail_loss_probes >= 1, "{seen}");
            // RFC 8985 §7.2: two round trips after the last ACK, which itself takes one and as long as the reader delays it; then half of one
            // for the probe.
            let srtt = before.srtt.expect("measured").max(round_trip + MS);
            let most = round_trip * 3 / 2
                + MS * 45
                + match lost {
                    // A single segment is left, whose ACK may be delayed: but the timer would go off before.
                    1 => before.rto.min(srtt * 2 + MS * 200),
                    // More than the probe's segment is missing: its SACK comes back, and the others go out as RFC 9937 lets them, first one
                    // and then two for each that arrives.
                    _ => srtt * 2 + round_trip * lost.next_power_of_two().ilog2(),
                };
            let took = wire.read_at - sent;
            assert!(took <= most, "{took:?}, more than {most:?}: {seen}");
        }
    }
}

#[test]
fn the_end_of_a_flight_of_one_segment_waits_for_a_delayed_acknowledgment_as_well() {
    for round_trip in [10, 50, 100].map(|millis| MS * millis) {
        let warm = 40 * MSS;
        let rule = losing(round_trip, move |packet| {
            !packet.again && packet.start == warm
        });
        let mut wire = Wire::new(|config| config.tcp.rto_min = MS * 1_000, rule);
        wire.transfer(warm, MS * 10_000);
        wire.run(round_trip * 3 + MS * 100);
        let (sent, srtt) = (wire.elapsed(), wire.status().srtt.expect("measured"));
        wire.transfer(MSS, MS * 10_000);
        let status = wire.status();
        assert_eq!(
            (status.timeouts, status.tail_loss_probes),
            (0, 1),
            "{status:?}"
        );
        let took = wire.read_at - sent;
        // RFC 8985 §7.2: 2 SRTT + WCDelAckT, and the way of the probe.
        let due = srtt * 2 + MS * 200 + round_trip / 2;
        assert!(took.abs_diff(due) < MS, "{took:?}, not {due:?}: {status:?}");
    }
}

/// Of the segments beginning at these places, the first so many transmissions are lost.
fn stubborn(round_trip: Duration, holes: Vec<u64>, times: u32) -> Rule {
    let mut seen: HashMap<u64, u32> = holes.into_iter().map(|place| (place, 0)).collect();
    losing(round_trip, move |packet| {
        let hole = seen
            .iter_mut()
            .find(|(place, _)| packet.length > 0 && (packet.start..packet.end()).contains(*place));
        hole.is_some_and(|(_, count)| {
            *count += 1;
            *count <= times
        })
    })
}

#[test]
fn a_retransmission_that_is_lost_is_repaired_without_a_timeout() {
    for timestamps in [true, false] {
        for times in 1..=5 {
            let round_trip = MS * 40;
            let hole = 400 * MSS;
            // Behind each other, alone, and far apart.
            for holes in [
                vec![hole],
                vec![hole, hole + MSS, hole + 2 * MSS],
                vec![hole, hole + 30 * MSS],
            ] {
                let last = *holes.last().expect("a hole");
                let rule = stubborn(round_trip, holes.clone(), times);
                let mut wire = Wire::new(|config| config.tcp.timestamps = timestamps, rule);
                wire.transfer(4_000_000, MS * 60_000);
                let status = wire.status();
                let seen = format!("{times} times {holes:?}, timestamps {timestamps}: {status:?}");
                assert_eq!(status.timeouts, 0, "{seen}");
                assert_eq!(wire.came_twice, 0, "{seen}");
                let of_last = || {
                    wire.sent
                        .iter()
                        .filter(|packet| (packet.start..packet.end()).contains(&last))
                };
                assert_eq!(of_last().count() as u32, times + 1, "{seen}");
                // Each is missed when what was sent after it has come, a round trip later, and a quarter of one for what may only be late.
                let (first, at) = (
                    of_last().next().expect("sent").at,
                    of_last().next_back().expect("sent").at,
                );
                let queue = status.srtt.expect("measured") + MS * 10;
                assert!(
                    at - first <= queue * 5 / 4 * times,
                    "{:?}: {seen}",
                    at - first
                );
            }
        }
    }
}

#[test]
fn without_sack_one_hole_is_repaired_a_round_trip_and_no_timer_goes_off() {
    let round_trip = MS * 40;
    let holes: Vec<u64> = (0..6).map(|n| (400 + 3 * n) * MSS).collect();
    let count = holes.len() as u64;
    let rule = stubborn(round_trip, holes, 1);
    let mut wire = Wire::new(|config| config.tcp.sack = false, rule);
    wire.transfer(2_000_000, MS * 60_000);
    let status = wire.status();
    assert_eq!(status.timeouts, 0, "{status:?}");
    assert_eq!(
        (status.retransmissions, status.fast_retransmits),
        (count, 1),
        "{status:?}"
    );
    assert_eq!(wire.came_twice, 0, "{status:?}");
    let again = wire.sent.iter().filter(|packet| packet.again);
    let times: Vec<Duration> = again.map(|packet| packet.at).collect();
    for step in times.windows(2).map(|pair| pair[1] - pair[0]) {
        assert!(step >= round_trip && step < round_trip * 3 / 2, "{times:?}");
    }
}

/// Every other byte that goes out again is for a byte that was lost, however much is.
#[test]
fn nothing_is_sent_again_but_what_was_lost() {
    for (seed, loss) in [(1, 0.001), (2, 0.01), (3, 0.03), (4, 0.05)] {
        for timestamps in [true, false] {
            let mut chance = tcpd_core::random::Generator::from_seed(seed);
            let rule = losing(MS * 40, move |packet| {
                packet.length > 0 && chance.chance(loss)
            });
            let mut wire = Wire::new(|config| config.tcp.timestamps = timestamps, rule);
            wire.transfer(4_000_000, MS * 120_000);
            let status = wire.status();
            assert!(status.lost > 0, "{status:?}");
            // A tail loss probe cannot know.
            assert!(
                wire.came_twice <= status.tail_loss_probes,
                "{loss}, timestamps {timestamps}: {} came twice: {status:?}",
                wire.came_twice
            );
        }
    }
}
