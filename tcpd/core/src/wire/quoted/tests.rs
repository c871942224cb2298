use super::*;
use crate::wire::{TcpSegment, ipv4::Ipv4Fields, ipv6::Ipv6Fields};
use proptest::prelude::*;
use std::net::IpAddr;

fn packet_v4() -> Vec<u8> {
    let mut packet = Vec::new();
    Ipv4Fields {
        source: [10, 0, 0, 2].into(),
        destination: [10, 0, 0, 1].into(),
        protocol: 6,
        ttl: 1,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        payload_len: 20,
    }
    .emit(&mut packet);
    tcp().emit_header(&mut packet);
    packet
}

fn tcp() -> TcpSegment<'static> {
    TcpSegment {
        source_port: 80,
        destination_port: 40_000,
        seq: SequenceNumber(7),
        ..Default::default()
    }
}

#[test]
fn eight_bytes_of_tcp_are_enough() {
    let packet = packet_v4();
    let quoted = QuotedPacket::parse_v4(&packet[..28]).unwrap();
    assert_eq!(
        (quoted.ports, quoted.seq),
        (Some((80, 40_000)), Some(SequenceNumber(7)))
    );
    let flow = quoted.tcp_flow().unwrap();
    assert_eq!(
        (flow.addresses.source, flow.source_port),
        (IpAddr::from([10, 0, 0, 2]), 80)
    );
    assert_eq!(QuotedPacket::parse_v4(&packet[..27]).unwrap().seq, None);
    assert_eq!(QuotedPacket::parse_v4(&packet[..23]).unwrap().ports, None);
    assert_eq!(QuotedPacket::parse_v4(&packet[..19]), None);
}

#[test]
fn a_wrong_checksum_or_length_in_the_quote_does_not_matter_but_a_later_fragment_does() {
    let mut packet = packet_v4();
    packet[10] ^= 0xff;
    packet[2] = 0xff;
    assert!(QuotedPacket::parse_v4(&packet).is_some());
    packet[7] = 1;
    assert_eq!(QuotedPacket::parse_v4(&packet), None);
}

#[test]
fn extension_headers_of_an_ipv6_quote_are_skipped() {
    let mut packet = Vec::new();
    Ipv6Fields {
        source: "fd00::2".parse().unwrap(),
        destination: "fd00::1".parse().unwrap(),
        protocol: 60,
        hop_limit: 1,
        traffic_class: 0,
        flow_label: 0,
        payload_len: 28,
    }
    .emit(&mut packet);
    packet.extend_from_slice(&[6, 0, 1, 4, 0, 0, 0, 0]);
    tcp().emit_header(&mut packet);
    let quoted = QuotedPacket::parse_v6(&packet).unwrap();
    assert_eq!((quoted.protocol, quoted.seq), (6, Some(SequenceNumber(7))));
    assert_eq!(QuotedPacket::parse_v6(&packet[..41]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = QuotedPacket::parse_v4(&bytes);
        let _ = QuotedPacket::parse_v6(&bytes);
    }
}
