//! What one connection can learn of another (RFC 5961 §7, CVE-2016-5696), and how resets are limited.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tcpd_core::random::Generator;
use tcpd_core::stack::{ConnectOptions, EndReason, ListenOptions, ReceiveMeta, State};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment};

use crate::common::packets::segment_packet;
use crate::wire::{LEFT, RIGHT, TestStack, Wire, config, stack};

const TRUSTED: ReceiveMeta = ReceiveMeta {
    checksum_trusted: true,
    segment_size: None,
};

/// A far end that is played by the test.
#[derive(Clone, Copy)]
struct Far {
    address: Ipv4Addr,
    port: u16,
    seq: SequenceNumber,
    ack: SequenceNumber,
}

impl Far {
    fn says(&self, flags: Flags, seq: u32, ack: u32, text: &[u8]) -> Vec<u8> {
        let options = TcpOptions {
            mss: (flags == Flags::SYN).then_some(1000),
            ..TcpOptions::default()
        };
        let segment = TcpSegment {
            source_port: self.port,
            destination_port: 80,
            seq: self.seq + seq,
            ack: self.ack + ack,
            flags,
            window: 60_000,
            options,
            payload: text,
            ..TcpSegment::default()
        };
        let addresses = IpAddresses {
            source: self.address.into(),
            destination: RIGHT.into(),
        };
        segment_packet(addresses, &segment)
    }
}

/// What was sent to each address, and when.
type Sent = Vec<(Instant, IpAddr, Vec<u8>)>;

fn drain(stack: &mut TestStack, now: Instant, sent: &mut Sent) {
    while let Some(transmit) = stack.poll_transmit(now) {
        transmit.write_packets(|packet| {
            let header = IpHeader::parse(packet).expect("an IP packet");
            sent.push((now, header.addresses.destination, packet.to_vec()));
        });
    }
}

fn open(stack: &mut TestStack, now: Instant, far: &mut Far) {
    let mut sent = Sent::new();
    stack.receive(now, &far.says(Flags::SYN, 0, 0, b""), TRUSTED);
    drain(stack, now, &mut sent);
    let (_, _, packet) = sent.pop().expect("a SYN-ACK");
    let header = IpHeader::parse(&packet).expect("an IP packet");
    let syn_ack = TcpSegment::parse(&packet[header.payload]).expect("a segment");
    far.seq += 1;
    far.ack = syn_ack.seq + 1;
    stack.receive(now, &far.says(Flags::ACK, 0, 0, b""), TRUSTED);
}

/// Forged segments of every kind that provokes an answer, or a refusal to give one.
fn provoke(far: &Far, generator: &mut Generator) -> Vec<u8> {
    let near = 1 + generator.below(50_000) as u32;
    let far_away = 0x4000_0000 + near;
    match generator.below(9) {
        0 => far.says(Flags::RST, near, 0, b""),
        1 => far.says(Flags::RST, far_away, 0, b""),
        2 => far.says(Flags::SYN, near, 0, b""),
        3 => far.says(Flags::SYN | Flags::ACK, far_away, 0, b""),
        4 => far.says(Flags::ACK, far_away, 0, b""),
        5 => far.says(Flags::ACK, 0, near, b""),
        6 => far.says(Flags::ACK, 0, 0u32.wrapping_sub(far_away), b""),
        7 => far.says(Flags::ACK | Flags::PSH, far_away, 0, b"text"),
        _ => far.says(Flags::ACK | Flags::PSH, near, 0x3000_0000, b"text"),
    }
}

/// Everything that the attacker sees on his own connection while he provokes it, and the victim's, too, or not.
fn attackers_view(victim_is_provoked: bool) -> (Sent, u64) {
    let mut now = Instant::from_secs(5000);
    let mut server = stack(config(RIGHT.into()), 3, now);
    let options = ListenOptions {
        port: 80,
        ..ListenOptions::default()
    };
    server.listen(now, options).expect("listen");
    let far = |last, port| Far {
        address: Ipv4Addr::new(198, 18, 0, last),
        port,
        seq: SequenceNumber(u32::from(last) << 24),
        ack: SequenceNumber(0),
    };
    let (mut victim, mut attacker) = (far(7, 7000), far(9, 9000));
    open(&mut server, now, &mut victim);
    open(&mut server, now, &mut attacker);

    let (mut own, mut forged) = (Generator::from_seed(1), Generator::from_seed(2));
    let mut sent = Sent::new();
    for _ in 0..20_000 {
        if victim_is_provoked {
            server.receive(now, &provoke(&victim, &mut forged), TRUSTED);
        }
        server.receive(now, &provoke(&attacker, &mut own), TRUSTED);
        drain(&mut server, now, &mut sent);
        now += Duration::from_micros(500);
        if server.next_deadline().is_some_and(|at| at <= now) {
            server.on_deadline(now);
        }
    }
    let theirs = sent
        .iter()
        .filter(|(_, to, _)| *to == IpAddr::from(victim.address));
    let victims = theirs.count() as u64;
    sent.retain(|(_, to, _)| *to == IpAddr::from(attacker.address));
    (sent, victims)
}

// RFC 5961 §7, CVE-2016-5696: byte for byte and nanosecond for nanosecond.
#[test]
fn nothing_sent_to_one_connection_changes_what_is_seen_on_another() {
    let (alone, to_the_victim_alone) = attackers_view(false);
    let (beside, to_the_victim) = attackers_view(true);
    assert!(to_the_victim > to_the_victim_alone + 10, "{to_the_victim}");
    assert!(alone.len() > 10, "{}", alone.len());
    assert_eq!(alone, beside);
}

/// A SYN to a closed port, from a stranger.
fn syn_from(address: Ipv4Addr, port: u16) -> Vec<u8> {
    let far = Far {
        address,
        port,
        seq: SequenceNumber(u32::from(port)),
        ack: SequenceNumber(0),
    };
    far.says(Flags::SYN, 0, 0, b"")
}

/// A second of a flood of 10,000 SYNs to a closed port from `network`.0/24, and how many RSTs answered it.
fn flood(wire: &mut Wire, network: [u8; 3]) -> usize {
    let mut sent = Sent::new();
    for count in 0..10_000u32 {
        let source = Ipv4Addr::new(network[0], network[1], network[2], 2 + (count % 250) as u8);
        let packet = syn_from(source, 1024 + count as u16);
        wire.right.receive(wire.now, &packet, TRUSTED);
        drain(&mut wire.right, wire.now, &mut sent);
        wire.now += Duration::from_micros(100);
    }
    sent.len()
}

// RFC 9293 §3.5.2, §3.10.7.1: the limit of RSTs must not turn "refused" into "timed out".
#[test]
fn a_connect_to_a_closed_port_is_refused_during_a_flood_from_another_prefix() {
    let mut wire = Wire::new();
    let resets = flood(&mut wire, [203, 0, 113]);
    assert!((200..=400).contains(&resets), "{resets} of 10,000");
    let remote = wire.right_socket();
    let options = ConnectOptions::to(remote);
    let id = wire.left.connect(wire.now, options).expect("connect");
    wire.exchange();
    let end = wire.left.view(id).and_then(|view| view.end);
    assert_eq!(end, Some(EndReason::Refused));
}

// The price, said in `ResetLimiter`: who shares the prefix of a flood shares its limit, and is refused when it is over.
#[test]
fn a_connect_from_inside_a_flooded_prefix_is_refused_by_a_later_syn() {
    let mut wire = Wire::new();
    let [a, b, c, _] = LEFT;
    flood(&mut wire, [a, b, c]);
    let remote = wire.right_socket();
    let options = ConnectOptions::to(remote);
    let id = wire.left.connect(wire.now, options).expect("connect");
    wire.exchange();
    assert_eq!(
        wire.left.state(id),
        Some(State::SynSent),
        "the bucket is empty"
    );
    wire.run(Duration::from_secs(1));
    let end = wire.left.view(id).and_then(|view| view.end);
    assert_eq!(end, Some(EndReason::Refused));
}
