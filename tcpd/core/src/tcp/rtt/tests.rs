use std::time::Duration;

use super::{DELAYED_ACK, RtoBounds, RttEstimator};

const BOUNDS: RtoBounds = RtoBounds {
    initial: Duration::from_secs(1),
    min: Duration::from_millis(200),
    max: Duration::from_secs(60),
};

#[test]
fn the_timeout_begins_at_one_second_and_doubles_up_to_its_maximum() {
    let mut rtt = RttEstimator::new(BOUNDS);
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(rtt.rto().as_secs());
        rtt.back_off();
    }
    assert_eq!(seen, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn the_first_sample_sets_srtt_and_half_of_it_as_variance() {
    let mut rtt = RttEstimator::new(BOUNDS);
    rtt.sample(Duration::from_millis(400));
    assert_eq!(rtt.srtt(), Some(Duration::from_millis(400)));
    assert_eq!(rtt.rttvar(), Some(Duration::from_millis(200)));
    assert_eq!(rtt.rto(), Duration::from_millis(1200));
}

#[test]
fn later_samples_are_smoothed_by_an_eighth_and_a_quarter() {
    let mut rtt = RttEstimator::new(BOUNDS);
    rtt.sample(Duration::from_millis(400));
    rtt.sample(Duration::from_millis(480));
    assert_eq!(rtt.srtt(), Some(Duration::from_millis(410)));
    assert_eq!(rtt.rttvar(), Some(Duration::from_millis(170)));
}

#[test]
fn a_short_path_is_held_to_the_minimum() {
    // A minimum that what is left for a delayed acknowledgment does not reach by itself.
    let min = Duration::from_secs(1);
    let mut rtt = RttEstimator::new(RtoBounds { min, ..BOUNDS });
    rtt.sample(Duration::from_micros(50));
    assert_eq!(rtt.rto(), min);
}

#[test]
fn however_steady_a_long_path_is_there_is_time_for_a_delayed_acknowledgment() {
    let long = Duration::from_millis(600);
    let steady = |bounds| {
        let mut rtt = RttEstimator::new(bounds);
        (0..100).for_each(|_| rtt.sample(long));
        rtt.rto() - long
    };
    assert_eq!(steady(BOUNDS), Duration::from_millis(200));
    // Unless that is not wanted.
    let min = Duration::from_millis(20);
    assert_eq!(steady(RtoBounds { min, ..BOUNDS }), min);
    let min = Duration::from_millis(500);
    assert_eq!(steady(RtoBounds { min, ..BOUNDS }), DELAYED_ACK);
}

#[test]
fn a_sample_ends_the_backoff() {
    let mut rtt = RttEstimator::new(BOUNDS);
    rtt.back_off();
    rtt.back_off();
    rtt.sample(Duration::from_millis(100));
    assert_eq!(rtt.backoff(), 0);
    assert_eq!(rtt.rto(), Duration::from_millis(300));
}

#[test]
fn a_lost_syn_makes_the_first_data_wait_three_seconds() {
    let mut rtt = RttEstimator::new(BOUNDS);
    rtt.back_off();
    rtt.after_lost_syn();
    assert_eq!(rtt.rto(), Duration::from_secs(3));
}
