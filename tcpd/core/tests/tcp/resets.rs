//! Who may reset, synchronise or acknowledge what (RFC 9293 §3.10.7.4 steps 1 to 5; RFC 5961).

use std::time::Duration;

use tcpd_core::stack::{EndReason, State};
use tcpd_core::wire::Timestamps;

use crate::peer::Peer;

#[test]
fn a_reset_counts_exactly_at_rcv_nxt_is_challenged_inside_and_ignored_outside() {
    let mut peer = Peer::new(|config| config.limits.challenge_ack_interval = Duration::ZERO);
    let id = peer.established();
    for outside in [0, 65_537, 1_000_000] {
        peer.tell("R", outside, 0, b"");
        assert_eq!(peer.out(), Vec::<String>::new(), "{outside}");
    }
    for inside in [2, 30_000, 65_000] {
        peer.tell("R", inside, 0, b"");
        assert_eq!(peer.out(), [". 1(0) ack 1"], "{inside}");
    }
    assert_eq!(peer.stack.state(id), Some(State::Established));
    peer.tell("R", 1, 0, b"with data");
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Reset)
    );
}

#[test]
fn a_syn_is_challenged_whatever_its_number() {
    let mut peer = Peer::new(|config| config.limits.challenge_ack_interval = Duration::ZERO);
    let id = peer.established();
    for seq in [0, 1, 2, 5000, 1_000_000, u32::MAX / 2] {
        peer.tell("S", seq, 0, b"");
        assert_eq!(peer.out(), [". 1(0) ack 1"], "{seq}");
        peer.tell("S.", seq, 1, b"");
        assert_eq!(peer.out(), [". 1(0) ack 1"], "{seq}");
    }
    assert_eq!(peer.stack.state(id), Some(State::Established));
}

#[test]
fn challenges_are_limited_for_each_connection_with_jitter() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    let mut answered = Vec::new();
    for tenth in 0..100u64 {
        peer.tell("R", 100, 0, b"");
        if !peer.out().is_empty() {
            answered.push(tenth * 100);
        }
        peer.now += Duration::from_millis(100);
    }
    assert!((10..=20).contains(&answered.len()), "{answered:?}");
    let gaps: Vec<u64> = answered.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| (500..=1100).contains(gap)),
        "{gaps:?}"
    );
    assert!(
        gaps.iter().any(|gap| *gap != gaps[0]),
        "no jitter: {gaps:?}"
    );
}

#[test]
fn acknowledgments_are_believed_only_for_what_was_sent_and_not_too_long_ago() {
    let mut peer = Peer::new(|config| config.limits.challenge_ack_interval = Duration::ZERO);
    let id = peer.established();
    peer.window = 10_000;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, &[0; 1000]).expect("send");
    assert_eq!(peer.out(), ["P. 1(1000) ack 1"]);
    peer.tell(".", 1, 1001, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
    // One more than was ever sent.
    peer.tell(".", 1, 1002, b"ghost");
    assert_eq!(peer.out(), [". 1001(0) ack 1"]);
    assert_eq!(peer.dropped("ack-of-unsent"), 1);
    // Our SYN itself, and below: nothing of that was ever data.
    for ghost in [0, u32::MAX, u32::MAX - 5000] {
        peer.tell(".", 1, ghost, b"ghost");
        assert_eq!(peer.out(), [". 1001(0) ack 1"], "{ghost}");
    }
    assert_eq!(peer.dropped("ack-too-old"), 3);
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(0));
    // An old one that is true still lets its data in.
    peer.tell(".", 1, 1, b"old but true");
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(12));
}

#[test]
fn the_lower_bound_moves_with_the_largest_window() {
    let mut peer = Peer::new(|config| config.limits.challenge_ack_interval = Duration::ZERO);
    peer.window = 2000;
    let id = peer.established();
    for piece in 0..5 {
        peer.stack.send(peer.now, id, &[0; 1000]).expect("send");
        peer.out();
        peer.tell(".", 1, 1001 + piece * 1000, b"");
    }
    let before = peer.dropped("ack-too-old");
    peer.tell(".", 1, 3001, b"");
    assert_eq!(peer.dropped("ack-too-old"), before, "SND.UNA - MAX.SND.WND");
    peer.tell(".", 1, 3000, b"");
    assert_eq!(peer.dropped("ack-too-old"), before + 1);
}

#[test]
fn a_segment_without_ack_is_dropped() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("P", 1, 0, b"data");
    peer.tell("F", 1, 0, b"");
    assert_eq!(peer.dropped("no-ack"), 2);
    assert_eq!(peer.stack.state(id), Some(State::Established));
}

#[test]
fn an_unacceptable_segment_is_answered_with_what_is_expected() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    peer.tell(".", 100_000, 1, b"far");
    assert_eq!(peer.out(), [". 1(0) ack 1"]);
    peer.tell(".", 0, 1, b"");
    assert_eq!(peer.out(), [". 1(0) ack 1"], "a keepalive probe");
}

#[test]
fn two_who_disagree_do_not_talk_for_ever() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    let mut answers = 0;
    for _ in 0..1000 {
        peer.tell(".", 500_000, 1, b"");
        answers += peer.out().len();
        peer.now += Duration::from_millis(1);
    }
    assert!(answers <= 50, "{answers}");
}

#[test]
fn old_timestamps_are_refused_and_resets_are_exempt() {
    let mut peer = Peer::new(|config| config.tcp.timestamps = true);
    peer.options.timestamps = Some(Timestamps {
        value: 1000,
        echo: 0,
    });
    let id = peer.established();
    let stamp = |value| Some(Timestamps { value, echo: 0 });
    peer.options.timestamps = stamp(2000);
    peer.tell(".", 1, 1, b"new");
    peer.options.timestamps = stamp(1999);
    peer.tell(".", 4, 1, b"old");
    assert_eq!(peer.dropped("paws"), 1);
    assert_eq!(peer.out(), [". 1(0) ack 4"], "answered at once");
    peer.options.timestamps = None;
    peer.tell(".", 4, 1, b"none");
    assert_eq!(peer.dropped("timestamp-missing"), 1);
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(3));
    // After 24 days TS.Recent is void.
    peer.now += Duration::from_secs(25 * 86_400);
    peer.options.timestamps = stamp(5);
    peer.tell(".", 4, 1, b"late");
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(7));
    peer.options.timestamps = stamp(1);
    peer.tell("R", 8, 1, b"");
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Reset)
    );
}

#[test]
fn only_a_segment_at_the_left_edge_sets_what_is_echoed() {
    let mut peer = Peer::new(|config| config.tcp.timestamps = true);
    peer.options.timestamps = Some(Timestamps {
        value: 1000,
        echo: 0,
    });
    let id = peer.established();
    let recent = |peer: &Peer| peer.stack.status(id).map(|status| status.ts_recent);
    peer.options.timestamps = Some(Timestamps {
        value: 3000,
        echo: 0,
    });
    peer.tell(".", 500, 1, b"beyond a hole");
    assert_eq!(recent(&peer), Some(1000));
    peer.tell(".", 900_000, 1, b"outside");
    assert_eq!(recent(&peer), Some(1000), "CVE-2005-0356");
    peer.options.timestamps = Some(Timestamps {
        value: 2000,
        echo: 0,
    });
    peer.tell(".", 1, 1, b"in order");
    assert_eq!(recent(&peer), Some(2000));
    peer.out();
    // After the ACK, a later one.
    peer.options.timestamps = Some(Timestamps {
        value: 4000,
        echo: 0,
    });
    peer.tell(".", 9, 1, b"!");
    assert_eq!(recent(&peer), Some(4000));
}

#[test]
fn the_urgent_pointer_is_noted_and_its_bytes_stay_in_line() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    for pointer in [0u16, 1, 3, 60_000, 65_535] {
        let next = peer.stack.view(id).expect("view").receive.next as u32;
        let mut segment = peer.segment("U.", 1 + next, 1, b"abc");
        segment.urgent_pointer = pointer;
        let packet = peer.packet(&segment);
        peer.stack
            .receive(peer.now, &packet, tcpd_core::stack::ReceiveMeta::default());
    }
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(15));
    assert!(
        peer.stack
            .status(id)
            .is_some_and(|status| status.rcv_up.is_some())
    );
}

/// RFC 9293 §3.1 MUST-3.
#[test]
fn one_bit_flipped_anywhere_changes_nothing() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    let segment = peer.segment("P.", 1, 1, b"payload!");
    let packet = peer.packet(&segment);
    for bit in 160..packet.len() * 8 {
        let mut damaged = packet.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        peer.stack
            .receive(peer.now, &damaged, tcpd_core::stack::ReceiveMeta::default());
    }
    assert_eq!(peer.out(), Vec::<String>::new());
    assert_eq!(peer.stack.view(id).map(|view| view.receive.next), Some(0));
    let malformed = peer.dropped("malformed-tcp") + peer.dropped("tcp-checksum");
    assert_eq!(malformed, (packet.len() * 8 - 160) as u64);
}
