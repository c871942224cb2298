//! Loss and its repair (RFC 5681, RFC 6582, RFC 3042), and networks that do everything wrong.

use std::time::Duration;

use tcpd_core::random::Generator;
use tcpd_core::stack::{CongestionControl, State};

use crate::peer::Peer;
use crate::wire::{Wire, pattern};

fn sending(segments: usize) -> (Peer, tcpd_core::stack::EndpointId) {
    let mut peer = Peer::new(|config| config.tcp.congestion = CongestionControl::NewReno);
    let id = peer.established();
    peer.stack
        .send(peer.now, id, &pattern(segments * 1000))
        .expect("send");
    (peer, id)
}

#[test]
fn the_first_flight_is_ten_segments() {
    let (mut peer, _) = sending(20);
    assert_eq!(peer.out().len(), 10);
}

#[test]
fn two_duplicates_send_something_new_and_the_third_repairs() {
    let (mut peer, id) = sending(20);
    peer.out();
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.out(), [". 10001(1000) ack 1"], "limited transmit");
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.out(), [". 11001(1000) ack 1"]);
    assert_eq!(
        peer.stack.status(id).map(|status| status.cwnd),
        Some(10_000)
    );
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.out(), [". 1(1000) ack 1"], "fast retransmit");
    let status = peer.stack.status(id).expect("status");
    // RFC 5681 §3.2 (2): half of the ten, without the two that limited transmit sent.
    assert_eq!((status.ssthresh, status.cwnd), (Some(5000), 9000));
    assert_eq!(
        status.in_flight, 9000,
        "three have arrived, one is sent again"
    );
    // All of it arrives: recovery ends at ssthresh.
    peer.tell(".", 1, 12_001, b"");
    let status = peer.stack.status(id).expect("status");
    assert!(!status.in_recovery);
    assert!(status.cwnd <= 5000, "{}", status.cwnd);
}

#[test]
fn two_losses_in_a_window_are_repaired_one_a_round_trip_with_one_reduction() {
    let (mut peer, id) = sending(40);
    peer.out();
    // Segments 1 and 4 of ten are lost.
    for _ in 0..8 {
        peer.tell(".", 1, 1, b"");
    }
    let sent = peer.out();
    assert_eq!(
        sent.iter().filter(|text| text.contains(" 1(1000)")).count(),
        1
    );
    let ssthresh = peer.stack.status(id).and_then(|status| status.ssthresh);
    peer.tell(".", 1, 3001, b"");
    assert!(
        peer.out().iter().any(|text| text.contains(" 3001(1000)")),
        "partial acknowledgment"
    );
    assert!(
        peer.stack
            .status(id)
            .is_some_and(|status| status.in_recovery)
    );
    let end = peer
        .stack
        .status(id)
        .expect("status")
        .snd_nxt
        .offset_from(peer.iss.expect("seen"));
    peer.tell(".", 1, end, b"");
    let status = peer.stack.status(id).expect("status");
    assert!(!status.in_recovery);
    assert_eq!(
        (status.ssthresh, status.fast_retransmits, status.timeouts),
        (ssthresh, 1, 0)
    );
}

#[test]
fn a_window_update_is_no_duplicate() {
    let (mut peer, id) = sending(20);
    peer.out();
    for more in 1..10 {
        peer.window = 30_000 + more;
        peer.tell(".", 1, 1, b"");
    }
    assert_eq!(
        peer.stack.status(id).map(|status| status.fast_retransmits),
        Some(0)
    );
    for _ in 0..10 {
        peer.tell(".", 1, 1, b"with text");
    }
    assert_eq!(
        peer.stack.status(id).map(|status| status.duplicate_acks),
        Some(0)
    );
}

#[test]
fn a_timeout_starts_again_with_one_segment_from_the_first_unacknowledged() {
    let (mut peer, id) = sending(20);
    peer.out();
    let sent = peer.wait(Duration::from_millis(250));
    assert_eq!(sent, [(200, ". 1(1000) ack 1".to_string())]);
    assert_eq!(
        peer.stack
            .status(id)
            .map(|status| (status.cwnd, status.ssthresh)),
        Some((1000, Some(5000)))
    );
    peer.tell(".", 1, 1001, b"");
    // RFC 5682 §3.1 step 2b: two new segments, to see whether the timeout was one.
    assert_eq!(peer.out(), [". 10001(1000) ack 1", ". 11001(1000) ack 1"]);
    // The rest had arrived: the acknowledgment jumps, and nothing more is sent twice.
    peer.tell(".", 1, 10_001, b"");
    assert!(peer.out().iter().all(|text| !text.contains(" 3001(")));
}

#[test]
fn a_thousand_duplicates_send_no_more_than_the_flight() {
    let (mut peer, _) = sending(60);
    peer.out();
    let mut sent = 0;
    for _ in 0..1000 {
        peer.tell(".", 1, 1, b"");
        sent += peer.out().len();
    }
    assert!(sent <= 20, "{sent}");
}

#[test]
fn one_acknowledgment_in_a_hundred_pieces_gains_little() {
    let (mut peer, id) = sending(60);
    peer.out();
    for piece in 1..=100 {
        peer.tell(".", 1, 1 + piece * 10, b"");
        peer.out();
    }
    assert_eq!(
        peer.stack.status(id).map(|status| status.cwnd),
        Some(11_000)
    );
}

#[test]
fn whatever_the_network_loses_the_bytes_arrive_and_both_ends_close() {
    for seed in 0..40u64 {
        let mut wire = Wire::new();
        let (left, right) = wire.connect();
        let mut random = Generator::from_seed(seed);
        let loss = [0.02, 0.1, 0.3][seed as usize % 3];
        wire.pass = Box::new(move |_, _, _| !random.chance(loss));
        let bytes = pattern(120_000);
        assert!(
            wire.transfer(true, left, right, &bytes) == bytes,
            "seed {seed}"
        );
        assert!(
            wire.transfer(false, right, left, &bytes) == bytes,
            "seed {seed}"
        );
        wire.left.close(wire.now, left).expect("close");
        wire.run(Duration::from_secs(5));
        wire.right.close(wire.now, right).expect("close");
        wire.run(Duration::from_secs(400));
        let left_over: Vec<State> = wire
            .left
            .endpoints()
            .chain(wire.right.endpoints())
            .map(|line| line.state)
            .collect();
        assert_eq!(left_over, [State::Listen], "seed {seed}");
    }
}
