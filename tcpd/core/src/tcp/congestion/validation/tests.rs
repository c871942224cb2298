use std::time::Duration;

use super::Validation;
use crate::time::Instant;

const RTT: Option<Duration> = Some(Duration::from_millis(100));

fn at(millis: u64) -> Instant {
    Instant::from_millis(1_000_000 + millis)
}

#[test]
fn before_the_first_round_trip_a_window_counts_as_validated() {
    let mut validation = Validation::new();
    assert!(validation.is_validated(u32::MAX));
    validation.on_acknowledged(10, false, at(0), RTT, true);
    assert_eq!(validation.pipe_ack(), None);
    validation.on_acknowledged(10, true, at(100), RTT, true);
    assert_eq!(validation.pipe_ack(), Some(20));
}

#[test]
fn half_of_the_window_in_one_round_trip_validates_it() {
    let mut validation = Validation::new();
    validation.on_acknowledged(50_000, true, at(0), RTT, false);
    assert!(validation.is_validated(100_000));
    assert!(validation.is_validated(100_001));
    assert!(!validation.is_validated(100_002));
}

#[test]
fn the_largest_round_counts_for_a_second_and_then_is_forgotten() {
    let mut validation = Validation::new();
    validation.on_acknowledged(50_000, true, at(0), RTT, false);
    for round in 1..=9 {
        validation.on_acknowledged(1_000, true, at(round * 100), RTT, false);
        assert_eq!(validation.pipe_ack(), Some(50_000), "after {round} rounds");
    }
    for round in 10..=16 {
        validation.on_acknowledged(1_000, true, at(round * 100), RTT, false);
    }
    assert_eq!(validation.pipe_ack(), Some(1_000));
}

#[test]
fn on_a_long_path_it_counts_for_three_round_trips() {
    let mut validation = Validation::new();
    let rtt = Some(Duration::from_secs(1));
    validation.on_acknowledged(50_000, true, at(0), rtt, false);
    for round in 1..=2 {
        validation.on_acknowledged(1_000, true, at(round * 1_000), rtt, false);
        assert_eq!(validation.pipe_ack(), Some(50_000));
    }
}

#[test]
fn a_round_under_way_validates_as_soon_as_it_is_large_enough() {
    let mut validation = Validation::new();
    validation.on_acknowledged(1_000, true, at(0), RTT, false);
    for _ in 0..48 {
        validation.on_acknowledged(1_000, false, at(90), RTT, false);
    }
    assert!(!validation.is_validated(100_000));
    validation.on_acknowledged(2_000, false, at(91), RTT, false);
    assert!(validation.is_validated(100_000));
}

#[test]
fn five_minutes_without_validation_are_told_once() {
    let mut validation = Validation::new();
    validation.on_acknowledged(50_000, true, at(0), RTT, true);
    validation.on_acknowledged(1_000, true, at(5_000), RTT, false);
    assert!(!validation.has_expired(at(299_999)));
    assert!(validation.has_expired(at(300_000)));
    assert!(!validation.has_expired(at(300_001)), "once");
    assert!(validation.has_expired(at(600_000)));
    validation.on_acknowledged(50_000, true, at(600_001), RTT, true);
    assert!(!validation.has_expired(at(900_000)), "validated since");
}
