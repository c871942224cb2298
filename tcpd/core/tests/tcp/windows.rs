//! Windows (RFC 9293 §3.8.6): zero, small, shrinking, scaled, and who may be silly.

use std::time::Duration;

use tcpd_core::stack::{ConnectionOptions, EndReason, EndpointId, Nagle, SendLimit, State, Timer};

use crate::peer::Peer;
use crate::wire::{Wire, pattern};

#[test]
fn a_zero_window_is_probed_with_one_octet_at_growing_intervals_for_as_long_as_it_is_answered() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.window = 0;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, b"abcdef").expect("send");
    let mut at = Vec::new();
    let mut elapsed = 0;
    while at.len() < 100 {
        let sent = peer.wait(Duration::from_millis(100));
        elapsed += 100;
        for (_, text) in sent {
            assert_eq!(text, ". 1(1) ack 1");
            at.push(elapsed);
            peer.tell(".", 1, 1, b"");
        }
    }
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.windows(2).all(|pair| pair[0] <= pair[1] + 100),
        "{gaps:?}"
    );
    assert_eq!(gaps.last(), Some(&60_000));
    assert_eq!(peer.stack.state(id), Some(State::Established));
    let status = peer.stack.status(id).expect("status");
    assert_eq!(
        (status.fast_retransmits, status.timeouts),
        (0, 0),
        "answers to probes are no duplicates"
    );
    // It opens: the rest goes out at once.
    peer.window = 1000;
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.out(), ["P. 1(6) ack 1"]);
}

#[test]
fn a_probe_that_is_taken_moves_on() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.window = 0;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, b"ab").expect("send");
    assert_eq!(peer.wait(Duration::from_millis(300)).len(), 1);
    peer.tell(".", 1, 2, b"");
    let sent = peer.wait(Duration::from_secs(2));
    assert_eq!(sent[0].1, "P. 2(1) ack 1");
}

#[test]
fn probes_without_any_answer_end_the_connection() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.window = 0;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, b"abc").expect("send");
    peer.wait(Duration::from_secs(3600));
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::TimedOut(Timer::ZeroWindow))
    );
}

/// RFC 9293 §3.4 MUST-66.
#[test]
fn at_a_zero_window_acks_and_resets_are_still_processed() {
    let mut peer = Peer::new(|config| config.tcp.receive_ring = 1024);
    let id = peer.established();
    peer.stack.send(peer.now, id, b"out").expect("send");
    peer.out();
    peer.tell(".", 1, 1, &[0; 1000]);
    peer.tell(".", 1001, 1, &[0; 24]);
    peer.now = peer.stack.next_deadline().expect("delayed ACK");
    peer.stack.on_deadline(peer.now);
    assert_eq!(peer.out_with_window(), [". 4(0) ack 1025 win 0"]);
    // A probe with text: refused, but its ACK counts.
    peer.tell(".", 1025, 4, b"x");
    assert_eq!(peer.out_with_window(), [". 4(0) ack 1025 win 0"]);
    assert_eq!(
        peer.stack.view(id).map(|view| view.send.acknowledged),
        Some(3)
    );
    peer.tell("R", 1025, 0, b"");
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Reset)
    );
}

#[test]
fn reading_opens_the_window_in_steps_that_are_worth_it() {
    let mut peer = Peer::new(|config| config.tcp.receive_ring = 4096);
    let id = peer.established();
    for piece in 0..4 {
        peer.tell(".", 1 + piece * 1024, 1, &[0; 1024]);
        peer.out();
    }
    let mut updates = Vec::new();
    for read in 1..=4096u32 {
        assert_eq!(peer.stack.receive_into(peer.now, id, &mut [0; 1]), Ok(1));
        for text in peer.out_with_window() {
            updates.push((read, text));
        }
    }
    assert!(updates.len() <= 4, "{updates:?}");
    assert_eq!(updates[0], (1024, ". 1(0) ack 4097 win 1024".to_string()));
}

#[test]
fn a_shrinking_window_loses_nothing() {
    for shrunk in [0u16, 1, 500, 999, 1000, 1500, 2999] {
        let mut peer = Peer::new(|_| {});
        let id = peer.established();
        peer.window = 3000;
        peer.tell(".", 1, 1, b"");
        let bytes = pattern(6000);
        peer.stack.send(peer.now, id, &bytes).expect("send");
        assert_eq!(peer.out().len(), 3);
        peer.window = shrunk;
        peer.tell(".", 1, 1, b"");
        for _ in 0..5 {
            for (_, text) in peer.wait(Duration::from_millis(700)) {
                let new =
                    text.contains(" 3001(") || text.contains(" 4001(") || text.contains(" 5001(");
                assert!(!new, "new data beyond the shrunk window {shrunk}: {text}");
            }
        }
        assert_eq!(peer.stack.state(id), Some(State::Established));
        peer.window = 10_000;
        peer.tell(".", 1, 3001, b"");
        let sent: Vec<String> = peer
            .wait(Duration::from_millis(50))
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert!(
            sent.iter().any(|text| text.contains(" 3001(1000)")),
            "{shrunk}: {sent:?}"
        );
    }
}

#[test]
fn a_sliver_of_window_is_not_filled_until_overridden() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.send(peer.now, id, &[0; 10]).expect("send");
    peer.out();
    peer.window = 100;
    peer.tell(".", 1, 11, b"");
    peer.stack.send(peer.now, id, &[0; 5000]).expect("send");
    assert_eq!(peer.out(), Vec::<String>::new(), "silly");
    let sent = peer.wait(Duration::from_secs(2));
    assert_eq!(sent[0].1, ". 11(100) ack 1");
}

#[test]
fn short_segments_wait_for_earlier_short_ones() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    for word in [b"one", b"two", b"six"] {
        peer.stack.send(peer.now, id, word).expect("send");
        peer.out();
    }
    assert_eq!(
        peer.stack.status(id).map(|status| status.in_flight),
        Some(3)
    );
    peer.tell(".", 1, 4, b"");
    assert_eq!(peer.out(), ["P. 4(6) ack 1"]);
    let options = ConnectionOptions {
        nodelay: true,
        ..ConnectionOptions::default()
    };
    peer.stack
        .set_options(peer.now, id, options)
        .expect("options");
    peer.stack.send(peer.now, id, b"now").expect("send");
    assert_eq!(peer.out(), ["P. 10(3) ack 1"]);
}

#[test]
fn minshall_lets_a_long_streams_tail_go_and_classic_nagle_does_not() {
    for (nagle, sent) in [(Nagle::Minshall, 2), (Nagle::Classic, 1), (Nagle::Off, 2)] {
        let mut peer = Peer::new(|config| config.tcp.nagle = nagle);
        let id = peer.established();
        peer.stack.send(peer.now, id, &[0; 1500]).expect("send");
        assert_eq!(peer.out().len(), sent, "{nagle:?}");
    }
}

/// RFC 9293 §3.1 MUST-1, REC-1: the window is unsigned, and 32 bits wide once it is scaled.
#[test]
fn a_window_of_a_gigabyte_is_used_without_a_negative_one() {
    let mut peer = Peer::new(|config| {
        config.tcp.window_scale = true;
        config.tcp.send_ring = 1 << 22;
    });
    peer.options.window_scale = Some(200);
    let id = peer.established();
    peer.options.window_scale = None;
    peer.tell(".", 1, 1, b"");
    let status = peer.stack.status(id).expect("status");
    assert_eq!(
        (status.snd_wnd, status.window_scale_peer),
        (65_535 << 14, Some(14))
    );
    peer.stack
        .send(peer.now, id, &vec![0; 1 << 20])
        .expect("send");
    assert_eq!(peer.out().len(), 10, "the initial window");
}

#[test]
fn the_right_edge_of_a_scaled_window_never_moves_left_while_the_user_reads() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let bytes = pattern(1 << 20);
    let mut edge = 0u32;
    let mut started = false;
    wire.pass = Box::new(move |from_left, _, packet| {
        if !from_left {
            let header = tcpd_core::wire::IpHeader::parse(packet).expect("ip");
            let segment = tcpd_core::wire::TcpSegment::parse(&packet[header.payload]).expect("tcp");
            let now = segment.ack.0.wrapping_add(u32::from(segment.window) << 7);
            assert!(
                !started || now.wrapping_sub(edge) as i32 >= -127,
                "moved left by more than the rounding"
            );
            (edge, started) = (now, true);
        }
        true
    });
    assert!(wire.transfer(true, left, right, &bytes) == bytes);
}

#[test]
fn two_closed_windows_face_each_other_for_as_long_as_both_peers_answer() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let bytes = pattern(8 << 20);
    // Both users write as much as goes, and neither reads.
    let (mut to_right, mut to_left) = (0, 0);
    for _ in 0..200 {
        let now = wire.now;
        to_right += wire.left.send(now, left, &bytes[to_right..]).unwrap_or(0);
        to_left += wire.right.send(now, right, &bytes[to_left..]).unwrap_or(0);
        wire.run(Duration::from_millis(100));
    }
    wire.run(Duration::from_secs(6 * 3600));
    assert_eq!(wire.left.state(left), Some(State::Established));
    assert_eq!(wire.right.state(right), Some(State::Established));

    // One side reads again: its window update has to count, though the other's window stays closed.
    let mut read = vec![0; 8 << 20];
    let mut received = 0;
    for _ in 0..200 {
        let now = wire.now;
        received += wire
            .right
            .receive_into(now, right, &mut read[received..])
            .unwrap_or(0);
        wire.run(Duration::from_millis(100));
    }
    assert_eq!(received, to_right, "all that was written, in 20 seconds");
    assert!(read[..received] == bytes[..received]);
}

fn limit(peer: &mut Peer, id: EndpointId) -> Option<SendLimit> {
    peer.out();
    peer.stack.status(id).expect("status").send_limit
}

#[test]
fn what_limits_sending_has_a_name() {
    let mut peer = Peer::new(|config| config.tcp.send_ring = 16 << 10);
    let opening = peer.connecting();
    assert_eq!(limit(&mut peer, opening), Some(SendLimit::Handshake));
    peer.stack.abort(peer.now, opening).expect("abort");

    let mut peer = Peer::new(|config| config.tcp.send_ring = 16 << 10);
    let id = peer.established();
    assert_eq!(limit(&mut peer, id), Some(SendLimit::NothingToSend));
    peer.stack.send(peer.now, id, &[0; 100]).expect("send");
    assert_eq!(
        peer.stack.status(id).expect("status").send_limit,
        Some(SendLimit::NothingToSend)
    );
    assert_eq!(limit(&mut peer, id), Some(SendLimit::Acknowledgment));
    // A short segment behind a short one.
    peer.stack.send(peer.now, id, &[0; 100]).expect("send");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::Nagle));
    peer.tell(".", 1, 101, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::Acknowledgment));
    peer.tell(".", 1, 201, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::NothingToSend));
    // More than the initial window of ten segments.
    peer.stack.send(peer.now, id, &[0; 16_000]).expect("send");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::CongestionWindow));
    peer.window = 8_500;
    peer.tell(".", 1, 2201, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::SillyWindow));
    peer.window = 8_000;
    peer.tell(".", 1, 2201, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::PeerWindow));
    peer.window = 0;
    peer.tell(".", 1, 10_201, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::ZeroWindow));
    peer.window = 65_535;
    peer.tell(".", 1, 10_201, b"");
    peer.out();
    peer.tell(".", 1, 16_201, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::NothingToSend));
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.tell(".", 1, 16_202, b"");
    assert_eq!(limit(&mut peer, id), Some(SendLimit::Closed));

    // The ring is full before CWND is.
    let mut peer = Peer::new(|config| config.tcp.send_ring = 4_096);
    let id = peer.established();
    assert_eq!(peer.stack.send(peer.now, id, &[0; 8_192]), Ok(4_096));
    assert_eq!(limit(&mut peer, id), Some(SendLimit::SendRing));
}
