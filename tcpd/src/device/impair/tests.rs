use std::net::{IpAddr, SocketAddr};

use libtcpclient::shm::RawSlice;
use proptest::prelude::*;
use tcpd_core::wire::{IpAddresses, checksum, protocol};

use super::*;

const TRUSTED: ReceiveMeta = ReceiveMeta {
    checksum_trusted: true,
    segment_size: None,
};
const UNKNOWN: ReceiveMeta = ReceiveMeta {
    checksum_trusted: false,
    segment_size: None,
};
const NOW: Instant = Instant::from_secs(1);
const LATER: Instant = Instant::from_secs(1_000);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// tcpd's address in the tests, of the family of `peer`.
fn own(peer: IpAddr) -> IpAddr {
    ip(if peer.is_ipv4() {
        "198.18.0.2"
    } else {
        "fd00::2"
    })
}

/// An IP packet of this protocol with zeros for checksums, IPv4's header excepted.
fn packet(source: IpAddr, destination: IpAddr, protocol: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let length = (packet.len() + content.len()) as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            let sum = checksum::of(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend((content.len() as u16).to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
        }
        _ => panic!("two families"),
    }
    packet.extend_from_slice(content);
    packet
}

/// A TCP header from port 1000 to port 7, and this much text.
fn segment(from: u16, to: u16, text: usize) -> Vec<u8> {
    let mut segment = [from.to_be_bytes(), to.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2, 5 << 4, 0x18, 1, 0, 0, 0, 0, 0]);
    segment.extend((0..text).map(|n| n as u8));
    segment
}

fn received(peer: IpAddr, text: usize) -> Vec<u8> {
    packet(peer, own(peer), protocol::TCP, &segment(1000, 7, text))
}

/// Whether the checksums of a TCP or UDP packet without IP options are good.
fn is_good(packet: &[u8]) -> bool {
    let address = |at: usize, len: usize| -> IpAddr {
        match len {
            4 => <[u8; 4]>::try_from(&packet[at..at + 4]).expect("4").into(),
            _ => <[u8; 16]>::try_from(&packet[at..at + 16])
                .expect("16")
                .into(),
        }
    };
    let (addresses, protocol, at) = match packet[0] >> 4 {
        4 => ((address(12, 4), address(16, 4)), packet[9], 20),
        _ => ((address(8, 16), address(24, 16)), packet[6], 40),
    };
    let addresses = IpAddresses {
        source: addresses.0,
        destination: addresses.1,
    };
    let content = &packet[at..];
    let mut sum = checksum::pseudo_header(&addresses, protocol, content.len() as u32);
    sum.add(content);
    sum.finish() == 0 && (at == 40 || checksum::of(&packet[..20]) == 0)
}

fn rule(target: Target, directions: Directions, words: &str) -> RuleSpec {
    RuleSpec {
        target,
        directions,
        impairment: words.parse().expect("good words"),
        seed: 1,
    }
}

fn layer(words: &str) -> Impair {
    let mut layer = Impair::default();
    let spec = rule(Target::Everything, Directions::Both, words);
    layer.set(&spec).expect("room");
    layer
}

fn all(layer: &mut Impair, now: Instant, direction: Direction) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| layer.next(now, direction)).collect()
}

const PEERS: [&str; 2] = ["198.18.0.1", "fd00::1"];

#[test]
fn without_a_rule_for_it_no_packet_is_taken() {
    let mut layer = Impair::default();
    assert!(layer.is_idle());
    let packet = received(ip(PEERS[0]), 10);
    assert!(!layer.take_in(NOW, &packet, &TRUSTED));
    let other = Target::peer(ip("192.0.2.0"), 24);
    layer
        .set(&rule(other, Directions::Both, "loss=100%"))
        .expect("room");
    assert!(!layer.take_in(NOW, &packet, &TRUSTED));
    assert_eq!(layer.next_deadline(), None);
}

#[test]
fn a_received_super_segment_is_cut_and_checksummed_before_single_packets_are_lost() {
    for peer in PEERS {
        let mut layer = layer("loss=50% delay=5ms");
        let whole = received(ip(peer), 10_000);
        let header = whole.len() - 10_000;
        let meta = ReceiveMeta {
            checksum_trusted: true,
            segment_size: Some(1_000),
        };
        assert!(layer.take_in(NOW, &whole, &meta));
        assert_eq!(layer.next(NOW, Direction::In), None, "not before its time");
        let deadline = layer.next_deadline().expect("something travels");
        assert_eq!(deadline, NOW + std::time::Duration::from_millis(5));
        let packets = all(&mut layer, deadline, Direction::In);
        assert!((1..10).contains(&packets.len()), "{}", packets.len());
        for packet in &packets {
            assert_eq!(packet.len(), header + 1_000);
            assert!(is_good(packet));
        }
        let rule = &layer.rules()[0];
        assert_eq!(rule.counters.packets, 10);
        assert_eq!(rule.counters.lost, 10 - packets.len() as u64);
    }
}

#[test]
fn a_sent_super_segment_is_cut_and_checksummed_wherever_its_text_lies() {
    for peer in PEERS {
        let mut layer = layer("delay=5ms");
        let whole = packet(
            own(ip(peer)),
            ip(peer),
            protocol::TCP,
            &segment(7, 1000, 3_000),
        );
        let (header, text) = whole.split_at(whole.len() - 3_000);
        let (first, second) = text.split_at(1_700);
        let slice = |bytes: &[u8]| RawSlice {
            pointer: bytes.as_ptr(),
            len: bytes.len(),
        };
        let out = OutPacket {
            header,
            payload: [slice(first), slice(second)],
            segment_size: 1_400,
            checksum: Some((header.len() as u16 - 20, 16)),
        };
        assert!(layer.take_out(NOW, &out));
        let packets = all(&mut layer, LATER, Direction::Out);
        let texts: Vec<usize> = packets.iter().map(|p| p.len() - header.len()).collect();
        assert_eq!(texts, [1_400, 1_400, 200]);
        assert!(packets.iter().all(|packet| is_good(packet)));
        let joined: Vec<u8> = packets
            .iter()
            .flat_map(|p| &p[header.len()..])
            .copied()
            .collect();
        assert_eq!(joined, text);
    }
}

#[test]
fn what_the_kernel_vouches_for_gets_the_checksum_that_it_would_have() {
    for peer in PEERS {
        let udp = [&[0, 9, 0, 7, 0, 12, 0x12, 0x34][..], b"text"].concat();
        let udp = packet(ip(peer), own(ip(peer)), protocol::UDP, &udp);
        for packet in [received(ip(peer), 100), udp] {
            assert!(!is_good(&packet), "its checksum is partial");
            let mut layer = layer("delay=1ms");
            assert!(layer.take_in(NOW, &packet, &TRUSTED));
            let out = layer.next(LATER, Direction::In).expect("it arrives");
            assert!(is_good(&out));
            assert_eq!(out.len(), packet.len());
        }
    }
}

#[test]
fn what_nobody_vouches_for_stays_as_it_is() {
    let mut layer = layer("delay=1ms");
    let bad = received(ip(PEERS[0]), 100);
    assert!(layer.take_in(NOW, &bad, &UNKNOWN));
    assert_eq!(layer.next(LATER, Direction::In), Some(bad));
}

#[test]
fn a_damaged_packet_does_not_keep_a_good_checksum() {
    let mut layer = layer("corrupt=100%");
    let mut noticed = 0;
    for _ in 0..100 {
        layer.take_in(NOW, &received(ip(PEERS[0]), 500), &TRUSTED);
        let out = layer.next(NOW, Direction::In).expect("it arrives");
        noticed += u32::from(!is_good(&out));
    }
    assert_eq!(noticed, 100);
}

#[test]
fn the_most_particular_rule_that_fits_is_the_one() {
    let mut slots = slotmap_ids();
    let id = slots.next().expect("an id");
    let connection = Target::Connection {
        id,
        local: SocketAddr::new(own(ip(PEERS[0])), 7),
        remote: SocketAddr::new(ip(PEERS[0]), 1000),
    };
    let targets = [
        Target::Everything,
        Target::peer(ip("198.18.0.77"), 16),
        Target::peer(ip("198.18.0.77"), 24),
        connection,
    ];
    let mut layer = Impair::default();
    for target in targets {
        layer
            .set(&rule(target, Directions::In, "delay=1ms"))
            .expect("room");
    }
    let other_port = packet(
        ip(PEERS[0]),
        own(ip(PEERS[0])),
        protocol::TCP,
        &segment(1001, 7, 1),
    );
    for packet in [
        received(ip("192.0.2.1"), 1),
        received(ip("198.18.9.9"), 1),
        other_port,
        received(ip(PEERS[0]), 1),
    ] {
        assert!(layer.take_in(NOW, &packet, &TRUSTED));
    }
    let seen: Vec<(String, u64)> = layer
        .rules()
        .iter()
        .map(|rule| (rule.target.to_string(), rule.counters.packets))
        .collect();
    let connection = format!("connection {id}");
    let expected = [&connection, "198.18.0.0/24", "198.18.0.0/16", "everything"];
    assert_eq!(seen, expected.map(|target| (target.to_owned(), 1)));
    // The other direction is another path, and has none here.
    let sent = packet_to(PEERS[0]);
    assert!(!layer.take_out(NOW, &OutPacket::whole(&sent)));
}

fn packet_to(peer: &str) -> Vec<u8> {
    packet(own(ip(peer)), ip(peer), protocol::TCP, &segment(7, 1000, 0))
}

/// Names of connections, as a stack gives them.
fn slotmap_ids() -> impl Iterator<Item = EndpointId> {
    (1..).map(|n| EndpointId::from_bits(n << 32 | 1))
}

#[test]
fn what_travels_arrives_at_once_and_in_order_when_its_rule_goes_or_changes() {
    for changed in [None, Some("delay=10s")] {
        let mut layer = layer("delay=10s jitter=1s");
        for text in 1..=20 {
            layer.take_in(NOW, &received(ip(PEERS[0]), text), &TRUSTED);
        }
        assert_eq!(all(&mut layer, NOW, Direction::In).len(), 0);
        match changed {
            None => assert_eq!(layer.clear(None, Directions::Both), 2),
            Some(words) => {
                let spec = rule(Target::Everything, Directions::Both, words);
                layer.set(&spec).expect("room");
            }
        }
        assert!(layer.next_deadline().is_some_and(|at| at <= NOW));
        let arrived = all(&mut layer, NOW, Direction::In);
        let texts: Vec<usize> = arrived.iter().map(|packet| packet.len() - 40).collect();
        assert_eq!(texts, (1..=20).collect::<Vec<_>>());
        assert_eq!(layer.is_idle(), changed.is_none());
        assert_eq!(layer.held(), 0);
    }
}

#[test]
fn what_a_rule_left_behind_is_told_by_direction_until_all_of_it_is_taken() {
    let mut layer = layer("delay=10s");
    let both = [Direction::In, Direction::Out];
    let told = |layer: &Impair| both.map(|direction| layer.has_released(direction));
    for text in 1..=3 {
        layer.take_in(NOW, &received(ip(PEERS[0]), text), &TRUSTED);
    }
    assert_eq!(told(&layer), [false, false]);
    layer.clear(None, Directions::Both);
    for left in [2, 1, 0] {
        assert_eq!(told(&layer), [true, false]);
        assert!(layer.next(NOW, Direction::In).is_some());
        assert_eq!(layer.held() > 0, left > 0);
    }
    assert_eq!(told(&layer), [false, false]);
    assert!(!layer.take_in(NOW, &received(ip(PEERS[0]), 4), &TRUSTED));
}

#[test]
fn paths_left_behind_empty_in_the_order_of_their_rules() {
    let mut layer = layer("delay=10s");
    for (text, words) in [(1, "delay=20s"), (2, "delay=1s"), (3, "loss=1%")] {
        layer.take_in(NOW, &received(ip(PEERS[0]), text), &TRUSTED);
        let spec = rule(Target::Everything, Directions::Both, words);
        layer.set(&spec).expect("room");
    }
    let arrived = all(&mut layer, NOW, Direction::In);
    let texts: Vec<usize> = arrived.iter().map(|packet| packet.len() - 40).collect();
    assert_eq!(texts, [1, 2, 3]);
}

#[test]
fn one_direction_is_cleared_without_the_other() {
    let mut layer = layer("loss=1%");
    assert_eq!(layer.clear(Some(&Target::Everything), Directions::In), 1);
    let left: Vec<Direction> = layer.rules().iter().map(|rule| rule.direction).collect();
    assert_eq!(left, [Direction::Out]);
    assert_eq!(layer.clear(Some(&Target::Everything), Directions::In), 0);
}

#[test]
fn one_rule_too_many_is_refused_and_changes_nothing() {
    let mut layer = Impair::default();
    let peer = |n: u8| Target::peer(IpAddr::from([192, 0, 2, n]), 32);
    for n in 0..32 {
        layer
            .set(&rule(peer(n), Directions::Both, "loss=1%"))
            .expect("room");
    }
    let before = layer.rules();
    for directions in [Directions::In, Directions::Both] {
        assert_eq!(
            layer.set(&rule(peer(99), directions, "loss=2%")),
            Err(TooManyRules)
        );
    }
    assert_eq!(layer.rules(), before);
    // In place of another there is room.
    layer
        .set(&rule(peer(3), Directions::Both, "loss=2%"))
        .expect("room");
    assert_eq!(layer.rules().len(), MAX_RULES);
}

#[test]
fn a_new_configuration_replaces_the_old_one_and_leaves_the_rest() {
    let mut layer = Impair::default();
    let (a, b, c) = (
        Target::peer(ip("192.0.2.0"), 24),
        Target::peer(ip("198.18.0.0"), 24),
        Target::peer(ip("203.0.113.0"), 24),
    );
    let kept = rule(a, Directions::In, "delay=1ms");
    layer.configure(&[kept.clone(), rule(b, Directions::In, "loss=1%")]);
    layer
        .set(&rule(c, Directions::In, "loss=3%"))
        .expect("room");
    assert!(layer.take_in(NOW, &received(ip("192.0.2.7"), 1), &TRUSTED));
    layer.configure(&[kept, rule(Target::Everything, Directions::Out, "loss=2%")]);
    let told: Vec<(String, bool, u64)> = layer
        .rules()
        .iter()
        .map(|rule| {
            (
                rule.target.to_string(),
                rule.configured,
                rule.counters.packets,
            )
        })
        .collect();
    let row = |target: &str, configured, packets| (target.to_owned(), configured, packets);
    assert_eq!(
        told,
        [
            row("192.0.2.0/24", true, 1),
            row("203.0.113.0/24", false, 0),
            row("everything", true, 0),
        ]
    );
    // What an operator had set for the same packets makes way.
    layer.configure(&[rule(c, Directions::In, "loss=4%")]);
    let rules = layer.rules();
    assert_eq!((rules.len(), rules[0].configured), (1, true));
    assert_eq!(rules[0].impairment.loss, 0.04);
}

#[test]
fn the_rule_of_a_connection_goes_with_it() {
    let mut ids = slotmap_ids();
    let (first, second) = (ids.next().expect("one"), ids.next().expect("another"));
    let target = |id, port| Target::Connection {
        id,
        local: SocketAddr::new(own(ip(PEERS[0])), 7),
        remote: SocketAddr::new(ip(PEERS[0]), port),
    };
    let mut layer = layer("loss=0%");
    for (id, port) in [(first, 1000), (second, 1001)] {
        let spec = rule(target(id, port), Directions::In, "delay=1s");
        layer.set(&spec).expect("room");
    }
    layer.take_in(NOW, &received(ip(PEERS[0]), 5), &TRUSTED);
    layer.forget_connections(|id| id == second);
    assert_eq!(layer.rules().len(), 3);
    assert_eq!(
        all(&mut layer, NOW, Direction::In).len(),
        1,
        "and what travelled arrives"
    );
}

#[test]
fn what_travels_takes_no_more_memory_than_it_may_and_the_rest_is_counted() {
    let mut layer = layer("delay=60s");
    let packet = received(ip(PEERS[0]), 10_000);
    for _ in 0..200 {
        assert!(layer.take_in(NOW, &packet, &TRUSTED));
    }
    assert!(
        layer.held() <= MAX_HELD + packet.len() + PACKET_COST,
        "{}",
        layer.held()
    );
    let counters = layer.rules()[0].counters;
    assert!(counters.overflowed > 90, "{}", counters.overflowed);
    assert_eq!(counters.packets, 200);
    let arrived = all(&mut layer, LATER, Direction::In).len() as u64;
    assert_eq!(arrived, 200 - counters.overflowed);
    assert_eq!(layer.held(), 0);
}

proptest! {
    #[test]
    fn any_bytes_go_through_the_layer(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        version in prop::sample::select(&[0x45u8, 0x4f, 0x60, 0x00][..]),
        protocol in prop::sample::select(&[6u8, 17, 0, 44][..]),
        trusted: bool,
        size in prop::option::of(1u16..100),
    ) {
        let mut packet = bytes;
        for (at, byte) in [(0, version), (6, protocol), (9, protocol)] {
            if let Some(place) = packet.get_mut(at) {
                *place = byte;
            }
        }
        let mut layer = layer("delay=1ms");
        let meta = ReceiveMeta { checksum_trusted: trusted, segment_size: size };
        let taken = layer.take_in(NOW, &packet, &meta);
        let out = all(&mut layer, LATER, Direction::In);
        prop_assert_eq!(taken, !out.is_empty());
    }
}
