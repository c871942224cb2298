use super::*;
use crate::wire::ipv4::Ipv4Fields;
use proptest::prelude::*;

fn packet(source: [u8; 4], destination: [u8; 4], protocol: u8, first_byte: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    Ipv4Fields {
        source: source.into(),
        destination: destination.into(),
        protocol,
        ttl: 64,
        traffic_class: 0,
        identification: 0,
        dont_fragment: false,
        payload_len: 8,
    }
    .emit(&mut packet);
    packet.push(first_byte);
    packet.extend_from_slice(&[0; 7]);
    packet
}

fn reportable(packet: &[u8]) -> bool {
    may_report(&IpHeader::parse(packet).unwrap(), packet)
}

#[test]
fn errors_are_sent_only_about_unicast_packets_that_are_no_errors() {
    const US: [u8; 4] = [198, 18, 0, 2];
    assert!(reportable(&packet([198, 18, 0, 1], US, 17, 0)));
    assert!(reportable(&packet([198, 18, 0, 1], US, 1, ECHO_REQUEST)));
    for kind in [UNREACHABLE, 4, 5, TIME_EXCEEDED, PARAMETER_PROBLEM, 200] {
        assert!(
            !reportable(&packet([198, 18, 0, 1], US, 1, kind)),
            "about ICMP type {kind}"
        );
    }
    for source in [
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [240, 0, 0, 1],
        [255; 4],
    ] {
        assert!(!reportable(&packet(source, US, 17, 0)), "to {source:?}");
    }
    for destination in [[224, 0, 0, 1], [255; 4]] {
        assert!(
            !reportable(&packet([198, 18, 0, 1], destination, 17, 0)),
            "about one to {destination:?}"
        );
    }
}

#[test]
fn a_later_fragment_is_not_reported() {
    let bytes = packet([198, 18, 0, 1], [198, 18, 0, 2], 17, 0);
    let mut header = IpHeader::parse(&bytes).unwrap();
    header.fragment = Some(crate::wire::Fragment {
        identification: 1,
        offset: 0,
        more: true,
        start: 20,
        named_at: 0,
    });
    assert!(may_report(&header, &bytes));
    header.fragment = Some(crate::wire::Fragment {
        identification: 1,
        offset: 8,
        more: true,
        start: 20,
        named_at: 0,
    });
    assert!(!may_report(&header, &bytes));
}

#[test]
fn a_long_quote_is_cut_to_make_a_packet_of_576() {
    let mut out = Vec::new();
    Icmpv4Message::Unreachable {
        code: 3,
        mtu: 0,
        quote: &[0x45; 1500],
    }
    .emit(&mut out);
    assert_eq!(out.len() + ipv4::HEADER_LEN, 576);
}

proptest! {
    #[test]
    fn messages_round_trip_and_the_oracle_agrees(which in 0..6, code: u8, a: u16, b: u16, data in prop::collection::vec(any::<u8>(), 0..500)) {
        let echo = Echo { identifier: a, sequence: b, data: &data };
        let message = match which {
            0 => Icmpv4Message::EchoRequest(echo),
            1 => Icmpv4Message::EchoReply(echo),
            2 => Icmpv4Message::Unreachable { code: code % 16, mtu: a, quote: &data },
            3 => Icmpv4Message::TimeExceeded { code: code % 2, quote: &data },
            4 => Icmpv4Message::ParameterProblem { code: code % 3, pointer: a as u8, quote: &data },
            _ => Icmpv4Message::Other { kind: 4, code },
        };
        let mut bytes = Vec::new();
        message.emit(&mut bytes);
        prop_assert_eq!(Icmpv4Message::parse(&bytes), Ok(message));
        let oracle = etherparse::Icmpv4Slice::from_slice(&bytes).unwrap();
        prop_assert_eq!((oracle.type_u8(), oracle.code_u8()), (bytes[0], bytes[1]));
        prop_assert_eq!(etherparse::checksum::Sum16BitWords::new().add_slice(&bytes).ones_complement(), 0);
        if which == 0 {
            prop_assert_eq!(oracle.icmp_type(), etherparse::Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id: a, seq: b }));
        }
    }

    #[test]
    fn any_bytes_parse_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), sealed: bool) {
        let mut bytes = bytes;
        if sealed && bytes.len() >= 4 {
            bytes[2..4].fill(0);
            let checksum = checksum::of(&bytes);
            bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        }
        if let Ok(message) = Icmpv4Message::parse(&bytes) {
            let _ = message.quoted();
        }
    }
}
