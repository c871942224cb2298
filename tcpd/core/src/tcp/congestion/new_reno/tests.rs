use crate::tcp::config::CongestionControl;
use crate::tcp::congestion::Signal;
use crate::tcp::congestion::tests::{MSS, Path};

fn path() -> Path {
    Path::new(CongestionControl::NewReno)
}

#[test]
fn slow_start_counts_bytes_at_most_two_segments_an_acknowledgment() {
    let mut path = path();
    path.fill();
    path.acknowledge(10 * MSS);
    assert_eq!(path.cwnd(), 12 * MSS, "a stretch acknowledgment");
    path.fill();
    for _ in 0..100 {
        path.acknowledge(10);
    }
    assert_eq!(
        path.cwnd(),
        13 * MSS,
        "one acknowledgment split in a hundred gains one segment"
    );
}

#[test]
fn slow_start_doubles_in_a_round_trip() {
    let mut path = path();
    for doubled in [20, 40, 80, 160] {
        path.round();
        assert_eq!(path.cwnd(), doubled * MSS);
    }
}

#[test]
fn congestion_avoidance_adds_one_segment_a_window() {
    let mut path = path();
    path.congestion.on_timeout(20_000, true, path.now);
    assert_eq!(path.cwnd(), MSS);
    assert_eq!(path.congestion.ssthresh(), Some(5 * MSS), "half of CWND");
    path.una = path.nxt;
    path.fill();
    for _ in 0..4 {
        path.acknowledge(2 * MSS);
        path.fill();
    }
    assert_eq!(
        path.cwnd(),
        5 * MSS,
        "L is 1 in the slow start after a timeout"
    );
    for more in 6..20 {
        for _ in 0..more - 1 {
            path.acknowledge(MSS);
            path.fill();
        }
        assert_eq!(path.cwnd(), more * MSS);
    }
}

#[test]
fn a_loss_halves_what_is_in_flight() {
    let mut path = path();
    path.round();
    path.congestion
        .on_congestion(Signal::Loss, 20_000, path.now);
    assert_eq!(path.congestion.ssthresh(), Some(10 * MSS));
    path.congestion.on_recovered(path.now);
    assert_eq!(path.cwnd(), 10 * MSS);
}
