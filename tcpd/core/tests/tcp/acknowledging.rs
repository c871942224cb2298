//! When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2).

use std::time::Duration;

use tcpd_core::stack::ReceiveMeta;

use crate::peer::Peer;

#[test]
fn one_segment_waits_two_do_not() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    peer.tell(".", 1, 1, &[0; 1000]);
    assert_eq!(
        peer.wait(Duration::from_millis(100)),
        [(40, ". 1(0) ack 1001".to_string())]
    );
    peer.tell(".", 1001, 1, &[0; 1000]);
    assert_eq!(peer.out(), Vec::<String>::new());
    peer.tell(".", 2001, 1, &[0; 1000]);
    assert_eq!(peer.out(), [". 1(0) ack 3001"]);
}

#[test]
fn segments_inside_a_super_segment_count_one_by_one() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    let data = [0; 3000];
    let packet = peer.packet(&peer.segment(".", 1, 1, &data));
    let meta = ReceiveMeta {
        checksum_trusted: false,
        segment_size: Some(1000),
    };
    peer.stack.receive(peer.now, &packet, meta);
    assert_eq!(peer.out(), [". 1(0) ack 3001"]);
}

#[test]
fn an_answer_carries_the_acknowledgment() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("P.", 1, 1, b"question");
    assert_eq!(peer.out(), Vec::<String>::new());
    peer.stack.send(peer.now, id, b"answer").expect("send");
    assert_eq!(peer.out(), ["P. 1(6) ack 9"]);
    assert_eq!(peer.wait(Duration::from_millis(100)), []);
}

#[test]
fn each_segment_behind_a_hole_is_acknowledged_at_once_and_so_is_the_one_that_fills_it() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    for piece in 1..4 {
        peer.tell(".", 1 + piece * 100, 1, &[0; 100]);
    }
    assert_eq!(
        peer.out(),
        [". 1(0) ack 1"; 3],
        "one for each, though they came in one batch"
    );
    peer.tell(".", 1, 1, &[0; 100]);
    assert_eq!(peer.out(), [". 1(0) ack 401"]);
}

#[test]
fn a_duplicate_is_acknowledged_at_once() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    peer.tell(".", 1, 1, &[0; 100]);
    peer.wait(Duration::from_millis(50));
    peer.tell(".", 1, 1, &[0; 100]);
    assert_eq!(peer.out(), [". 1(0) ack 101"]);
}

/// RFC 9293 §3.10.7.4 MUST-58, MUST-59: whatever has arrived before the stack is asked for segments is acknowledged by one of them.
#[test]
fn a_run_of_segments_is_processed_before_anything_is_acknowledged() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    for piece in 0..6 {
        peer.tell(".", 1 + piece * 1000, 1, &[0; 1000]);
    }
    assert_eq!(peer.out(), [". 1(0) ack 6001"]);
    // A queue behind a hole as well, once the hole is filled.
    for piece in [7, 8, 6] {
        peer.tell(".", 1 + piece * 1000, 1, &[0; 1000]);
    }
    let last = peer.out().pop();
    assert_eq!(last.as_deref(), Some(". 1(0) ack 9001"));
}
