use std::time::Duration;

use super::{HyStart, Pace};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A round of ten acknowledgments with these round trips; what the last one led to.
fn round(hystart: &mut HyStart, rtt: Duration) -> Pace {
    let mut pace = hystart.on_acknowledged(Some(rtt), true);
    for _ in 0..9 {
        if pace == Pace::Over {
            break;
        }
        pace = hystart.on_acknowledged(Some(rtt), false);
    }
    pace
}

#[test]
fn round_trips_that_stay_let_slow_start_go_on() {
    let mut hystart = HyStart::default();
    for _ in 0..50 {
        assert_eq!(round(&mut hystart, ms(100)), Pace::Full);
    }
}

#[test]
fn the_threshold_is_an_eighth_of_the_round_trip_between_4_and_16_ms() {
    // (round trip, the largest growth that is no sign)
    for (base, harmless) in [(8, 3), (32, 3), (64, 7), (100, 12), (128, 15), (400, 15)] {
        let mut hystart = HyStart::default();
        round(&mut hystart, ms(base));
        assert_eq!(
            round(&mut hystart, ms(base + harmless)),
            Pace::Full,
            "{base} ms and {harmless}"
        );
        let mut hystart = HyStart::default();
        round(&mut hystart, ms(base));
        assert_eq!(
            round(&mut hystart, ms(base + harmless + 1)),
            Pace::Conservative,
            "{base} ms and {} more",
            harmless + 1
        );
    }
}

#[test]
fn fewer_than_eight_samples_of_a_round_say_nothing() {
    let mut hystart = HyStart::default();
    round(&mut hystart, ms(20));
    hystart.on_acknowledged(Some(ms(80)), true);
    for _ in 0..6 {
        assert_eq!(hystart.on_acknowledged(Some(ms(80)), false), Pace::Full);
    }
    assert_eq!(
        hystart.on_acknowledged(None, false),
        Pace::Full,
        "an acknowledgment without a round trip is no sample"
    );
    assert_eq!(
        hystart.on_acknowledged(Some(ms(80)), false),
        Pace::Conservative,
        "the eighth"
    );
}

#[test]
fn the_least_of_a_round_counts_not_its_jitter() {
    let mut hystart = HyStart::default();
    round(&mut hystart, ms(20));
    hystart.on_acknowledged(Some(ms(21)), true);
    for _ in 0..20 {
        assert_eq!(hystart.on_acknowledged(Some(ms(90)), false), Pace::Full);
    }
}

#[test]
fn conservative_slow_start_lasts_five_rounds() {
    let mut hystart = HyStart::default();
    round(&mut hystart, ms(20));
    assert_eq!(round(&mut hystart, ms(30)), Pace::Conservative);
    for _ in 0..4 {
        assert_eq!(round(&mut hystart, ms(30)), Pace::Conservative);
    }
    assert_eq!(round(&mut hystart, ms(30)), Pace::Over);
}

#[test]
fn round_trips_that_come_down_again_resume_slow_start() {
    let mut hystart = HyStart::default();
    round(&mut hystart, ms(20));
    assert_eq!(round(&mut hystart, ms(30)), Pace::Conservative);
    assert_eq!(round(&mut hystart, ms(29)), Pace::Full, "below what began");
    assert_eq!(
        round(&mut hystart, ms(34)),
        Pace::Conservative,
        "another ramp, measured from there"
    );
}
