//! What overtakes other packets is not lost (RFC 8985 §6.2): nothing is sent again for it, counted where it would come out twice.

use std::time::Duration;

use tcpd_core::random::Generator;
use tcpd_core::stack::StackConfig;

use super::wire::{Line, MS, Packet, Rule, Wire, one_way};

/// A wire on which one packet with text in eight is overtaken by up to `positions` others; `round_trip` when nothing is in the way.
fn shuffling(round_trip: Duration, spacing: Duration, positions: u64, seed: u64) -> Rule {
    let mut chance = Generator::from_seed(seed);
    let mut lines = [(); 2].map(|()| Line::new(round_trip / 2, spacing));
    Box::new(move |packet: &Packet| {
        let on_time = lines[usize::from(packet.forth)].passes(packet.at);
        // Half a place more: behind the last of those that overtake it, and before the next one.
        let late = match packet.forth && chance.chance(0.125) {
            true => spacing * (1 + chance.below(positions)) as u32 + spacing / 2,
            false => Duration::ZERO,
        };
        Some(on_time + late)
    })
}

/// Round trips, and what separates two packets on the wire: 10, 100 and 10 Mbit/s.
const PATHS: [(Duration, Duration); 3] = [
    (Duration::from_millis(40), Duration::from_micros(1_200)),
    (Duration::from_millis(10), Duration::from_micros(120)),
    (Duration::from_millis(200), Duration::from_micros(1_200)),
];

#[test]
fn three_positions_of_reordering_send_nothing_twice_and_cost_no_window() {
    let without_timestamps: fn(&mut StackConfig) = |config| config.tcp.timestamps = false;
    for tweak in [|_: &mut StackConfig| {}, without_timestamps] {
        for (number, (round_trip, spacing)) in PATHS.into_iter().enumerate() {
            for seed in 0..4 {
                let rule = shuffling(round_trip, spacing, 3, seed);
                let mut wire = Wire::new(tweak, rule);
                wire.transfer(2_000_000, MS * 60_000);
                wire.run(round_trip * 2);
                let status = wire.status();
                let seen = format!("path {number}, seed {seed}: {status:?}");
                assert!(status.reordering_seen, "nothing was reordered: {seen}");
                assert_eq!(wire.came_twice, 0, "{seen}");
                assert_eq!((status.retransmissions, status.lost), (0, 0), "{seen}");
                assert_eq!((status.timeouts, status.undone), (0, 0), "{seen}");
            }
        }
    }
}

#[test]
fn without_sack_two_positions_send_nothing_twice() {
    for (round_trip, spacing) in PATHS {
        let rule = shuffling(round_trip, spacing, 2, 1);
        let mut wire = Wire::new(|config| config.tcp.sack = false, rule);
        wire.transfer(1_000_000, MS * 60_000);
        wire.run(round_trip * 2);
        let status = wire.status();
        assert_eq!(
            (wire.came_twice, status.retransmissions),
            (0, 0),
            "{status:?}"
        );
        assert!(status.duplicate_acks_in > 20, "{status:?}");
    }
}

const ROUND_TRIP: Duration = Duration::from_millis(80);

/// One packet in fifty arrives `late`, behind dozens of others.
fn far_behind(late: Duration) -> Rule {
    let mut line = Line::new(ROUND_TRIP / 2, MS / 20);
    one_way(ROUND_TRIP / 2, move |packet| {
        let held = packet.length > 0 && !packet.again && packet.number % 50 == 49;
        let more = if held { late } else { Duration::ZERO };
        Some(line.passes(packet.at) + more)
    })
}

#[test]
fn the_window_for_reordering_grows_by_a_quarter_round_trip_until_nothing_is_sent_twice() {
    // Later than one quarter of the round trip, than two, than three.
    for quarters in 1..=3 {
        let late = ROUND_TRIP / 4 * quarters + ROUND_TRIP / 8;
        // A window smaller than the path: hardly a queue that changes the round trip.
        let narrow = |config: &mut StackConfig| {
            let tcp = &mut config.tcp;
            (tcp.receive_ring, tcp.receive_ring_max) = (128 << 10, 128 << 10);
        };
        let mut wire = Wire::new(narrow, far_behind(late));
        wire.transfer(1_500_000, MS * 60_000);
        wire.run(ROUND_TRIP * 2);
        let adapted = wire.status();
        assert!(
            adapted.duplicate_sacks_in > 0 && wire.came_twice > 0,
            "nobody told: {adapted:?}"
        );
        let least = adapted.min_rtt.expect("measured");
        assert_eq!(
            adapted.reordering_window,
            Some(least / 4 * (quarters + 1)),
            "{quarters} quarters: {adapted:?}"
        );
        // A D-SACK a round widens it by one, so that many rounds went wrong, with the few packets each that were late in them.
        assert!(
            adapted.duplicate_sacks_in <= u64::from(6 * quarters),
            "{quarters} quarters: {adapted:?}"
        );
        assert!(adapted.undone > 0, "{adapted:?}");
        let (twice, again) = (wire.came_twice, adapted.retransmissions);
        wire.transfer(6_000_000, MS * 60_000);
        let later = wire.status();
        assert_eq!(wire.came_twice, twice, "{quarters} quarters: {later:?}");
        assert_eq!(
            later.retransmissions, again,
            "{quarters} quarters: {later:?}"
        );
        assert_eq!(later.timeouts, 0, "{later:?}");
    }
}
