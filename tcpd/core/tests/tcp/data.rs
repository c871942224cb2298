//! Text out of order, in pieces, twice (RFC 9293 §3.10.7.4 seventh step), and the case where segment 1 comes last.

use std::time::Duration;

use tcpd_core::random::Generator;

use crate::peer::Peer;
use crate::wire::{Wire, pattern};

fn read_all(peer: &mut Peer, id: tcpd_core::stack::EndpointId) -> Vec<u8> {
    let mut out = vec![0; 1 << 20];
    let count = peer.stack.receive_into(peer.now, id, &mut out).unwrap_or(0);
    out.truncate(count);
    out
}

#[test]
fn segments_two_to_six_fill_the_window_and_segment_one_comes_last() {
    let mut peer = Peer::new(|config| config.tcp.receive_ring = 8192);
    let id = peer.established();
    let bytes = pattern(8192);
    let size = 1366;
    let mut edges = Vec::new();
    let edge = |peer: &mut Peer, edges: &mut Vec<u32>| {
        for (text, window, _) in peer.segments() {
            let ack: u32 = text
                .rsplit(' ')
                .next()
                .and_then(|word| word.parse().ok())
                .expect("ack");
            edges.push(ack + u32::from(window));
        }
    };
    for piece in 1..6usize {
        let end = ((piece + 1) * size).min(bytes.len());
        peer.tell(".", 1 + (piece * size) as u32, 1, &bytes[piece * size..end]);
        edge(&mut peer, &mut edges);
    }
    peer.tell(".", 1, 1, &bytes[..size]);
    edge(&mut peer, &mut edges);
    assert!(
        edges.windows(2).all(|pair| pair[0] <= pair[1]),
        "the right edge moved left: {edges:?}"
    );
    assert_eq!(edges.len(), 6, "an acknowledgment for each");
    assert!(read_all(&mut peer, id) == bytes);
}

#[test]
fn every_second_byte_fills_the_list_and_the_front_is_still_taken() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    let bytes = pattern(2000);
    for at in (1..2000).step_by(2) {
        peer.tell(".", 1 + at as u32, 1, &bytes[at..at + 1]);
    }
    assert_eq!(
        peer.stack
            .status(id)
            .map(|status| status.out_of_order.len()),
        Some(128)
    );
    assert_eq!(peer.dropped("too-many-ranges"), 1000 - 128);
    assert!(!peer.out().is_empty(), "acknowledged all the same");
    for at in (0..2000).step_by(500) {
        peer.tell(".", 1 + at as u32, 1, &bytes[at..at + 500]);
    }
    assert!(read_all(&mut peer, id) == bytes);
}

#[test]
fn any_order_with_overlaps_gives_the_same_bytes() {
    let bytes = pattern(60_000);
    for seed in 0..50 {
        let mut random = Generator::from_seed(seed);
        let mut peer = Peer::new(|_| {});
        let id = peer.established();
        for _ in 0..300 {
            let start = random.below(bytes.len() as u64) as usize;
            let end = (start + 1 + random.below(1400) as usize).min(bytes.len());
            peer.tell(".", 1 + start as u32, 1, &bytes[start..end]);
            peer.out();
        }
        for start in (0..bytes.len()).step_by(1000) {
            peer.tell(".", 1 + start as u32, 1, &bytes[start..start + 1000]);
            peer.out();
        }
        assert!(read_all(&mut peer, id) == bytes, "seed {seed}");
    }
}

#[test]
fn a_segment_that_begins_before_the_window_gives_its_new_part() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell(".", 1, 1, b"hello ");
    peer.tell(".", 4, 1, b"lo world");
    assert_eq!(read_all(&mut peer, id), b"hello world");
    peer.tell(".", 1, 1, b"hello world");
    assert_eq!(read_all(&mut peer, id), b"");
}

#[test]
fn bytes_of_any_size_pass_both_ways_at_once() {
    let mut random = Generator::from_seed(11);
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let bytes = pattern(400_000);
    let (mut sent, mut received) = ([0usize; 2], [Vec::new(), Vec::new()]);
    while received.iter().any(|got| got.len() < bytes.len()) {
        for side in 0..2 {
            let (stack, id) = if side == 0 {
                (&mut wire.left, left)
            } else {
                (&mut wire.right, right)
            };
            let size = 1 + random.below(30_000) as usize;
            let end = (sent[side] + size).min(bytes.len());
            sent[side] += stack
                .send(wire.now, id, &bytes[sent[side]..end])
                .unwrap_or(0);
            let mut out = vec![0; 1 + random.below(20_000) as usize];
            if let Ok(count) = stack.receive_into(wire.now, id, &mut out) {
                received[1 - side].extend_from_slice(&out[..count]);
            }
        }
        wire.run(Duration::from_millis(1));
    }
    assert!(received.iter().all(|got| *got == bytes));
}

#[test]
fn rings_grow_and_are_exchanged_in_the_middle_of_it_all() {
    use tcpd_core::tcp::buffer::{HeapRing, Ring};
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let bytes = pattern(300_000);
    let mut received = Vec::new();
    let mut sent = 0;
    for round in 0.. {
        sent += wire.left.send(wire.now, left, &bytes[sent..]).unwrap_or(0);
        wire.exchange();
        let now = wire.now;
        match round {
            2 => assert!(wire.right.grow_receive(now, right, 1 << 18)),
            3 => assert!(wire.left.grow_send(now, left, 1 << 17)),
            4 => {
                let fresh = || HeapRing::private(1 << 18);
                wire.right
                    .attach(now, right, fresh(), fresh())
                    .expect("attach");
                wire.left
                    .attach(now, left, fresh(), fresh())
                    .expect("attach");
            }
            _ => {}
        }
        let mut out = vec![0; 10_000];
        if let Ok(count) = wire.right.receive_into(now, right, &mut out) {
            received.extend_from_slice(&out[..count]);
        }
        if received.len() == bytes.len() {
            break;
        }
        wire.run(Duration::from_millis(1));
    }
    assert!(received == bytes);
    assert_eq!(
        wire.right.receive_ring(right).map(Ring::capacity),
        Some(1 << 18)
    );
}
