//! Limits, ICMP, hostile input: nothing that arrives may hurt.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::random::Generator;
use tcpd_core::stack::{ConnectOptions, EndReason, OpenError, ReceiveMeta, State};
use tcpd_core::wire::icmpv4::Icmpv4Message;
use tcpd_core::wire::{
    Flags, IpAddresses, IpFields, SequenceNumber, TcpOptions, Timestamps, protocol,
};

use crate::common::packets::packet;
use crate::peer::Peer;
use crate::wire::{LEFT, RIGHT};

#[test]
fn resets_for_nothing_are_limited_by_where_they_go() {
    let mut peer = Peer::new(|_| {});
    for _ in 0..1000 {
        peer.tell("S", 0, 0, b"");
    }
    let answered = peer.out().len();
    assert!((50..=100).contains(&answered), "{answered}");
    assert!(peer.dropped("rate-limited") >= 890);
}

#[test]
fn the_number_of_connections_is_limited() {
    let mut peer = Peer::new(|config| config.limits.connections = 1);
    let remote = (IpAddr::from(LEFT), 9).into();
    peer.stack
        .connect(peer.now, ConnectOptions::to(remote))
        .expect("the first");
    assert_eq!(
        peer.stack.connect(peer.now, ConnectOptions::to(remote)),
        Err(OpenError::InsufficientResources)
    );
    peer.listen();
    peer.out();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.dropped("connection-limit"), 1);
}

/// An unreachable about a segment of the stack with `seq`, relative.
pub(crate) fn unreachable(peer: &Peer, code: u8, mtu: u16, seq: u32) -> Vec<u8> {
    let from_stack = IpAddresses {
        source: RIGHT.into(),
        destination: LEFT.into(),
    };
    let mut quote = Vec::new();
    IpFields::new(from_stack, protocol::TCP).emit(1500 - 20, &mut quote);
    quote.extend_from_slice(&peer.stack_port.to_be_bytes());
    quote.extend_from_slice(&peer.port.to_be_bytes());
    quote.extend_from_slice(
        &(peer.iss.unwrap_or(SequenceNumber(0)) + seq)
            .0
            .to_be_bytes(),
    );
    let mut body = Vec::new();
    Icmpv4Message::Unreachable {
        code,
        mtu,
        quote: &quote,
    }
    .emit(&mut body);
    packet(from_stack.reversed(), protocol::ICMPV4, &body)
}

/// RFC 9293 §3.9.2.2 MUST-54, SHLD-26, RFC 5927 §4, §5.2: an error acts on the connection that it quotes, if the number is outstanding.
#[test]
fn port_unreachable_refuses_an_open_and_is_soft_later() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    let forged = unreachable(&peer, 3, 0, 1);
    peer.stack
        .receive(peer.now, &forged, ReceiveMeta::default());
    assert_eq!(
        peer.stack.state(id),
        Some(State::SynSent),
        "not the number of our SYN"
    );
    let honest = unreachable(&peer, 3, 0, 0);
    peer.stack
        .receive(peer.now, &honest, ReceiveMeta::default());
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Refused)
    );

    let mut peer = Peer::new(|config| config.tcp.r2 = 2);
    let id = peer.established();
    peer.stack.send(peer.now, id, b"abc").expect("send");
    peer.out();
    let honest = unreachable(&peer, 3, 0, 1);
    peer.stack
        .receive(peer.now, &honest, ReceiveMeta::default());
    assert_eq!(peer.stack.state(id), Some(State::Established));
    peer.wait(Duration::from_secs(10));
    let end = peer.stack.view(id).and_then(|view| view.end);
    assert!(matches!(end, Some(EndReason::Unreachable(_))), "{end:?}");
}

#[test]
fn packet_too_big_makes_segments_smaller_only_when_it_is_about_something_in_flight() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.send(peer.now, id, &[7; 3000]).expect("send");
    assert_eq!(peer.out().len(), 3);
    let forged = unreachable(&peer, 4, 600, 3001);
    peer.stack
        .receive(peer.now, &forged, ReceiveMeta::default());
    assert_eq!(peer.dropped("icmp-not-outstanding"), 1);
    let cwnd = peer.stack.status(id).map(|status| status.cwnd);
    let honest = unreachable(&peer, 4, 600, 1);
    peer.stack
        .receive(peer.now, &honest, ReceiveMeta::default());
    let sent = peer.out();
    assert_eq!(sent[0], ". 1(560) ack 1");
    assert_eq!(sent.len(), 6, "{sent:?}");
    let status = peer.stack.status(id).expect("status");
    assert_eq!(
        (status.mss_send, Some(status.cwnd)),
        (560, cwnd),
        "no congestion"
    );
    for tiny in [0, 1, 67] {
        let message = unreachable(&peer, 4, tiny, 1);
        peer.stack
            .receive(peer.now, &message, ReceiveMeta::default());
        assert!(
            peer.stack
                .status(id)
                .is_some_and(|status| status.mss_send >= 512),
            "{tiny}"
        );
    }
}

#[test]
fn small_and_large_mss_options_are_bounded() {
    for (option, expected) in [
        (None, 536),
        (Some(0), 88),
        (Some(1), 88),
        (Some(87), 88),
        (Some(88), 88),
        (Some(1000), 1000),
        (Some(65_535), 1460),
    ] {
        let mut peer = Peer::new(|_| {});
        let listener = peer.listen();
        peer.options = TcpOptions {
            mss: option,
            ..TcpOptions::default()
        };
        peer.tell("S", 0, 0, b"");
        peer.out();
        peer.tell(".", 1, 1, b"");
        let id = peer.stack.accept(peer.now, listener).expect("accepted");
        // MSS counts on SYN only.
        peer.options.mss = Some(1);
        peer.tell(".", 1, 1, b"x");
        let status = peer.stack.status(id).expect("status");
        assert_eq!(status.mss_send, expected, "{option:?}");
    }
}

/// Random segments around the right numbers: whatever happens, invariants hold (they are checked after every event), each packet is
/// counted once, and nothing is answered more than once.
#[test]
fn random_segments_hurt_nobody() {
    for seed in 0..300u64 {
        let mut random = Generator::from_seed(seed);
        let mut peer = Peer::new(|config| config.tcp.timestamps = seed % 2 == 0);
        if seed % 2 == 0 {
            peer.options.timestamps = Some(Timestamps {
                value: 100,
                echo: 0,
            });
        }
        let id = if seed % 3 == 0 {
            peer.connecting()
        } else {
            peer.established()
        };
        let mut open = true;
        for _ in 0..400 {
            let near = [0, 1, 2, 65_535, 1000][random.below(5) as usize];
            let seq = near + random.below(4) as u32;
            let ack = (random.below(6) as u32)
                .wrapping_add([0, 1000, u32::MAX - 2][random.below(3) as usize]);
            let mut segment = peer.segment("-", seq, 0, b"");
            segment.flags = Flags(
                random.next_u64() as u8 & random.next_u64() as u8
                    | (random.next_u64() as u8 & 0x10),
            );
            segment.ack = peer.iss.unwrap_or(SequenceNumber(0)) + ack;
            segment.window = random.below(3000) as u16;
            segment.urgent_pointer = random.next_u64() as u16;
            let data = vec![9; random.below(1500) as usize];
            segment.payload = &data;
            let packet = peer.packet(&segment);
            peer.stack
                .receive(peer.now, &packet, ReceiveMeta::default());
            if open {
                match random.below(40) {
                    0 => open = peer.stack.close(peer.now, id).is_err(),
                    1 => drop(peer.stack.shutdown_write(peer.now, id)),
                    2 => open = peer.stack.abort(peer.now, id).is_err(),
                    3..10 => drop(peer.stack.send(peer.now, id, &data)),
                    10..20 => drop(peer.stack.receive_into(peer.now, id, &mut [0; 700])),
                    _ => {}
                }
            }
            if random.below(4) == 0 {
                peer.wait(Duration::from_millis(random.below(500)));
            }
            while peer.stack.poll_transmit(peer.now).is_some() {}
        }
        peer.wait(Duration::from_secs(4000));
        let counters = peer.stack.counters();
        assert_eq!(
            counters.segments_in,
            counters.segments_accepted + counters.dropped_in_all()
        );
    }
}

#[test]
fn random_bytes_hurt_nobody() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    let good = peer.packet(&peer.segment("P.", 1, 1, b"payload"));
    let mut random = Generator::from_seed(5);
    for _ in 0..20_000 {
        let mut packet = good.clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(packet.len() as u64) as usize;
            packet[at] = random.next_u64() as u8;
        }
        packet.truncate(random.below(packet.len() as u64 + 1) as usize);
        let meta = ReceiveMeta {
            checksum_trusted: true,
            segment_size: Some(random.below(3) as u16),
        };
        peer.stack.receive(peer.now, &packet, meta);
        while let Some(transmit) = peer.stack.poll_transmit(peer.now) {
            transmit.write_packets(|_| {});
        }
    }
    let counters = peer.stack.counters();
    assert_eq!(
        counters.segments_in,
        counters.segments_accepted + counters.dropped_in_all()
    );
}

#[test]
fn the_second_connection_over_a_narrow_path_learns_of_it_as_well() {
    let mut peer = Peer::new(|_| {});
    let listener = peer.listen();
    let mut connections = Vec::new();
    for port in [5000, 5001] {
        (peer.port, peer.iss) = (port, None);
        peer.options.mss = Some(1460);
        peer.tell("S", 0, 0, b"");
        assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
        peer.options.mss = None;
        peer.tell(".", 1, 1, b"");
        let id = peer.stack.accept(peer.now, listener).expect("accepted");
        connections.push((port, id, peer.iss));
    }
    for (port, id, iss) in connections {
        (peer.port, peer.iss) = (port, iss);
        peer.stack.send(peer.now, id, &vec![0; 2000]).expect("send");
        assert_eq!(peer.out()[0], ". 1(1460) ack 1");
        let narrow = unreachable(&peer, 4, 1400, 1);
        peer.stack
            .receive(peer.now, &narrow, ReceiveMeta::default());
        // The second one, of 540 bytes, has got through.
        assert_eq!(
            peer.out(),
            [". 1(1360) ack 1", ". 1361(100) ack 1"],
            "port {port}"
        );
    }
}
