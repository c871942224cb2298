use std::time::Duration;

use super::{TailLoss, Verdict, timeout};

#[test]
fn the_probe_waits_two_round_trips_and_longer_for_a_single_segment() {
    let srtt = Some(Duration::from_millis(50));
    assert_eq!(timeout(srtt, false), Duration::from_millis(102));
    assert_eq!(timeout(srtt, true), Duration::from_millis(300));
    assert_eq!(timeout(None, false), Duration::from_secs(1));
}

#[test]
fn new_text_as_a_probe_hides_nothing() {
    let mut tail = TailLoss::default();
    tail.sent(5000, false);
    assert_eq!(tail.on_ack(4000, None, true), Verdict::Nothing);
    assert!(tail.is_out(), "it was not acknowledged yet");
    assert_eq!(tail.on_ack(6000, None, false), Verdict::Nothing);
    assert!(!tail.is_out());
}

#[test]
fn a_retransmission_that_was_needed_is_a_loss() {
    let mut tail = TailLoss::default();
    tail.sent(5000, true);
    assert_eq!(
        tail.on_ack(5000, None, false),
        Verdict::Nothing,
        "not known yet"
    );
    assert_eq!(tail.on_ack(6000, None, false), Verdict::Repaired);
    assert!(!tail.is_out());
}

#[test]
fn a_retransmission_that_was_reported_twice_is_none() {
    for (dsack, bare) in [(Some((4000, 5000)), false), (None, true)] {
        let mut tail = TailLoss::default();
        tail.sent(5000, true);
        tail.on_ack(5000, None, false);
        assert_eq!(tail.on_ack(5000, dsack, bare), Verdict::Nothing);
        assert_eq!(tail.on_ack(6000, None, false), Verdict::Nothing);
    }
}

#[test]
fn a_duplicate_of_something_else_says_nothing_about_the_probe() {
    let mut tail = TailLoss::default();
    tail.sent(5000, true);
    tail.on_ack(5000, Some((1000, 2000)), false);
    assert_eq!(tail.on_ack(6000, None, false), Verdict::Repaired);
}
