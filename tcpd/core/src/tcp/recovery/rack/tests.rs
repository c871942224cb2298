use std::time::Duration;

use super::Rack;
use crate::tcp::recovery::rate::DeliveryRate;
use crate::tcp::recovery::scoreboard::{Standing, Stretch};
use crate::time::Instant;

const MSS: u64 = 1000;
const RTT: Option<Duration> = Some(Duration::from_millis(100));

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn piece(segment: u64, sent_at: u64, transmissions: u8) -> Stretch {
    Stretch {
        start: segment * MSS,
        end: (segment + 1) * MSS,
        sent_at: at(sent_at),
        transmissions,
        standing: Standing::InFlight,
        stamp: DeliveryRate::new().on_sent(at(sent_at), true),
    }
}

fn window(rack: &Rack, recovering: bool, segments: u64) -> u128 {
    rack.reordering_window(RTT, RTT, recovering, segments * MSS, MSS)
        .as_millis()
}

#[test]
fn the_newest_is_by_time_of_sending_then_by_end() {
    let mut rack = Rack::new();
    rack.delivered(&piece(3, 5, 1), at(105), RTT, false);
    rack.delivered(&piece(1, 5, 1), at(106), RTT, false);
    assert_eq!(
        rack.newest(),
        Some(((at(5), 4 * MSS), Duration::from_millis(100)))
    );
    rack.delivered(&piece(0, 50, 2), at(170), RTT, false);
    assert_eq!(
        rack.newest(),
        Some(((at(50), MSS), Duration::from_millis(120)))
    );
}

#[test]
fn a_retransmission_answered_too_soon_is_taken_for_its_original() {
    let mut rack = Rack::new();
    rack.delivered(&piece(0, 50, 2), at(60), RTT, false);
    assert_eq!(rack.newest(), None, "10 ms of at least 100");
    rack.delivered(&piece(0, 50, 2), at(160), RTT, true);
    assert_eq!(rack.newest(), None, "the timestamp is of the original");
}

#[test]
fn before_any_reordering_more_than_three_segments_sacked_leave_no_patience() {
    let rack = Rack::new();
    assert_eq!(
        window(&rack, false, 1),
        25,
        "a quarter of the least round trip"
    );
    assert_eq!(window(&rack, false, 3), 25);
    assert_eq!(window(&rack, false, 4), 0);
    assert_eq!(window(&rack, true, 1), 0);
}

#[test]
fn an_original_that_arrives_behind_a_later_one_is_reordering() {
    let mut rack = Rack::new();
    rack.delivered(&piece(4, 4, 1), at(104), RTT, false);
    rack.delivered(&piece(2, 9, 2), at(209), RTT, false);
    assert!(!rack.reordering_seen(), "a retransmission says nothing");
    rack.delivered(&piece(1, 1, 1), at(105), RTT, false);
    assert!(rack.reordering_seen());
    assert_eq!(window(&rack, true, 9), 25);
}

#[test]
fn each_round_with_a_dsack_widens_the_window_by_a_quarter_up_to_srtt() {
    let mut rack = Rack::new();
    rack.on_dsack(0, 10 * MSS);
    rack.on_dsack(5 * MSS, 12 * MSS);
    assert_eq!(window(&rack, false, 0), 50, "one a round trip");
    for round in 1..20 {
        rack.on_dsack(round * 100 * MSS, (round * 100 + 50) * MSS);
    }
    assert_eq!(window(&rack, false, 0), 100, "never more than SRTT");
    for _ in 0..15 {
        rack.on_recovered();
    }
    assert_eq!(window(&rack, false, 0), 100);
    rack.on_recovered();
    assert_eq!(
        window(&rack, false, 0),
        25,
        "sixteen recoveries without one"
    );
}

#[test]
fn the_window_is_never_finer_than_the_timers() {
    let tiny = Some(Duration::from_micros(40));
    let window = Rack::new().reordering_window(tiny, tiny, false, 0, MSS);
    assert_eq!(window, super::LEAST_WINDOW);
}
