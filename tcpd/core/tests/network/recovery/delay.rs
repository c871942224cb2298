//! A path that stalls loses nothing: what goes out twice for it is counted where it comes out twice.

use std::time::Duration;

use tcpd_core::stack::StackConfig;

use super::wire::{Line, MS, Rule, Wire, one_way};

const ROUND_TRIP: Duration = Duration::from_millis(50);
/// 20 Mbit/s.
const SPACING: Duration = Duration::from_micros(600);

/// A path on which what is sent at a time waits for as long as `wait` has it, and then goes, in order, as fast as the wire is.
fn stalling(wait: impl Fn(Duration) -> Duration + 'static) -> Rule {
    let mut line = Line::new(ROUND_TRIP / 2, SPACING);
    one_way(ROUND_TRIP / 2, move |packet| {
        let waits = wait(packet.at);
        Some(waits + line.passes(packet.at + waits))
    })
}

/// Nothing gets forth from `from` on for as long as `stall`.
fn once(from: Duration, stall: Duration) -> impl Fn(Duration) -> Duration {
    move |at| match at < from {
        true => Duration::ZERO,
        false => (from + stall).saturating_sub(at),
    }
}

/// Every combination of timestamps and SACK. Windows are smaller than the path: no queue makes round trips longer.
const WAYS: [fn(&mut StackConfig); 4] = [
    |config| narrow(config, true, true),
    |config| narrow(config, false, true),
    |config| narrow(config, true, false),
    |config| narrow(config, false, false),
];

fn narrow(config: &mut StackConfig, timestamps: bool, sack: bool) {
    let tcp = &mut config.tcp;
    (tcp.timestamps, tcp.sack) = (timestamps, sack);
    (tcp.receive_ring, tcp.receive_ring_max) = (64 << 10, 64 << 10);
}

#[test]
fn a_round_trip_that_triples_sends_nothing_twice() {
    // Less than the least retransmission timeout of 200 ms, whatever was measured.
    for (number, tweak) in WAYS.into_iter().enumerate() {
        let mut wire = Wire::new(tweak, stalling(once(MS * 600, MS * 100)));
        wire.transfer(2_000_000, MS * 60_000);
        let status = wire.status();
        assert_eq!(wire.came_twice, 0, "{number}: {status:?}");
        assert_eq!(
            (status.timeouts, status.lost),
            (0, 0),
            "{number}: {status:?}"
        );
    }
}

#[test]
fn a_stall_longer_than_the_timeout_is_probed_and_costs_no_window() {
    for (number, tweak) in WAYS.into_iter().enumerate() {
        let (from, stall) = (MS * 600, MS * 500);
        let mut wire = Wire::new(tweak, stalling(once(from, stall)));
        wire.write(2_000_000);
        wire.run(MS * 590 - wire.elapsed());
        let before = wire.status();
        wire.finish(MS * 60_000);
        let status = wire.status();
        // RFC 5682: the first segment goes out by the timer, and the last one before it as a probe; what comes back says that it was for
        // nothing, and nothing else follows.
        assert_eq!(status.timeouts, 1, "{number}: {status:?}");
        let probes = status.tail_loss_probes;
        assert!(probes <= 1, "{number}: {status:?}");
        assert_eq!(wire.came_twice, 1 + probes, "{number}: {status:?}");
        assert_eq!(status.undone, 1, "{number}: {status:?}");
        let after = wire
            .acknowledgments
            .iter()
            .filter(|ack| ack.at > from + stall + ROUND_TRIP * 2);
        let least = after.map(|ack| ack.cwnd).min().expect("it goes on");
        assert!(least >= before.cwnd, "{number}: {least} after {before:?}");
        assert_eq!(status.ssthresh, before.ssthresh, "{number}: {status:?}");
    }
}

#[test]
fn each_of_many_stalls_is_probed_for_and_no_more() {
    for (number, tweak) in WAYS.into_iter().enumerate() {
        let stalls = 10;
        // Every two seconds, for a quarter of a second and up to twice that.
        let rule = stalling(move |at| {
            let turn = (at.as_secs() / 2) as u32;
            match (1..=stalls).contains(&turn) {
                true => (MS * (2_000 * turn + 250 + 25 * turn)).saturating_sub(at),
                false => Duration::ZERO,
            }
        });
        let mut wire = Wire::new(tweak, rule);
        wire.write(100_000_000);
        wire.run(MS * 24_000);
        let status = wire.status();
        // A stall of up to half a second takes no more than a probe and a timeout, which is taken back.
        let tries = status.timeouts + status.tail_loss_probes;
        assert!(
            (u64::from(stalls)..=u64::from(2 * stalls)).contains(&tries),
            "{number}: {status:?}"
        );
        assert_eq!(wire.came_twice, tries, "{number}: {status:?}");
        assert_eq!(status.undone, status.timeouts, "{number}: {status:?}");
    }
}

#[test]
fn a_path_that_becomes_long_for_good_is_measured_anew() {
    for (number, tweak) in WAYS.into_iter().enumerate() {
        let mut line = Line::new(ROUND_TRIP / 2, SPACING);
        let mut long = Line::new(ROUND_TRIP * 3, SPACING);
        let rule = one_way(ROUND_TRIP / 2, move |packet| {
            Some(match packet.at > MS * 1_000 {
                false => line.passes(packet.at),
                true => long.passes(packet.at),
            })
        });
        let mut wire = Wire::new(tweak, rule);
        wire.write(100_000_000);
        wire.run(MS * 5_000);
        let status = wire.status();
        assert!(status.timeouts <= 1, "{number}: {status:?}");
        assert!(
            wire.came_twice <= 1,
            "{number}: {} {status:?}",
            wire.came_twice
        );
        assert!(
            status.srtt.is_some_and(|srtt| srtt > ROUND_TRIP * 3),
            "{status:?}"
        );
    }
}

/// A reader who delays its acknowledgments by 40 ms is not silent, however steady the round trips before were.
#[test]
fn a_delayed_acknowledgment_on_a_long_steady_path_is_no_timeout() {
    for round_trip in [20, 100, 210, 300, 600] {
        for (number, tweak) in WAYS.into_iter().enumerate() {
            let mut line = Line::new(MS * round_trip / 2, SPACING);
            let rule = one_way(MS * round_trip / 2, move |packet| {
                Some(line.passes(packet.at))
            });
            let mut wire = Wire::new(tweak, rule);
            // Pairs of segments are acknowledged at once, again and again.
            for _ in 0..40 {
                let mss = u64::from(wire.status().mss_send);
                wire.transfer(2 * mss, MS * 10_000);
                wire.run(MS * round_trip * 2);
            }
            // A single one is not.
            for _ in 0..5 {
                wire.transfer(100, MS * 10_000);
                wire.run(MS * round_trip * 2);
                let status = wire.status();
                assert_eq!(
                    (status.timeouts, wire.came_twice),
                    (0, 0),
                    "{round_trip} ms, {number}: {status:?}"
                );
            }
        }
    }
}
