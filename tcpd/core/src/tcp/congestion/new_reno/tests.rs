use super::{NewReno, initial_window};
use crate::tcp::congestion::Acknowledged;

const MSS: u32 = 1000;

fn acked(bytes: u32) -> Acknowledged {
    Acknowledged {
        bytes,
        window_was_used: true,
    }
}

#[test]
fn the_initial_window_is_that_of_rfc_6928() {
    assert_eq!(initial_window(1460), 14_600);
    assert_eq!(initial_window(1000), 10_000);
    assert_eq!(initial_window(4000), 14_600);
    assert_eq!(initial_window(9000), 18_000);
    assert_eq!(NewReno::new(1460, true).cwnd(), 1460);
}

#[test]
fn slow_start_counts_bytes_at_most_two_segments_an_acknowledgment() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_acknowledged(acked(10 * MSS));
    assert_eq!(reno.cwnd(), 12 * MSS, "a stretch acknowledgment");
    for _ in 0..100 {
        reno.on_acknowledged(acked(10));
    }
    assert_eq!(
        reno.cwnd(),
        13 * MSS,
        "one acknowledgment split in a hundred gains one segment"
    );
}

#[test]
fn congestion_avoidance_adds_one_segment_a_window() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_timeout(20_000, true);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (MSS, 10 * MSS));
    for _ in 0..9 {
        reno.on_acknowledged(acked(2 * MSS));
    }
    assert_eq!(
        reno.cwnd(),
        10 * MSS,
        "L is 1 in the slow start after a timeout"
    );
    for _ in 0..10 {
        reno.on_acknowledged(acked(MSS));
    }
    assert_eq!(reno.cwnd(), 11 * MSS);
}

#[test]
fn an_unused_window_does_not_grow() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_acknowledged(Acknowledged {
        bytes: MSS,
        window_was_used: false,
    });
    assert_eq!(reno.cwnd(), 10 * MSS);
}

#[test]
fn recovery_inflates_deflates_and_ends_at_ssthresh() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_fast_retransmit(10_000);
    assert_eq!((reno.cwnd(), reno.ssthresh()), (8 * MSS, 5 * MSS));
    reno.on_duplicate_in_recovery();
    assert_eq!(reno.cwnd(), 9 * MSS);
    reno.on_partial_acknowledgment(3 * MSS);
    assert_eq!(reno.cwnd(), 7 * MSS);
    reno.on_recovered(8_000);
    assert_eq!(reno.cwnd(), 5 * MSS);
}

#[test]
fn a_thousand_forged_duplicates_gain_no_more_than_the_flight() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_fast_retransmit(10_000);
    for _ in 0..1000 {
        reno.on_duplicate_in_recovery();
    }
    assert_eq!(reno.cwnd(), 15 * MSS);
}

#[test]
fn the_window_is_never_below_one_segment() {
    let mut reno = NewReno::new(MSS, false);
    reno.on_fast_retransmit(1);
    reno.on_partial_acknowledgment(1_000_000);
    assert_eq!(reno.cwnd(), MSS);
}
