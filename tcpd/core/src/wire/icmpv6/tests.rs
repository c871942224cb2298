use super::*;
use crate::wire::ipv6::Ipv6Fields;
use proptest::prelude::*;

const HOST: &str = "fd00::1";
const US: &str = "fd00::2";

fn packet(source: &str, destination: &str, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    Ipv6Fields {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        protocol,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        payload_len: rest.len() as u16,
    }
    .emit(&mut packet);
    packet.extend_from_slice(rest);
    packet
}

fn reportable(packet: &[u8]) -> bool {
    may_report(&IpHeader::parse(packet).unwrap(), packet)
}

#[test]
fn errors_are_sent_only_about_unicast_packets_that_are_no_errors() {
    assert!(reportable(&packet(HOST, US, 17, &[0; 8])));
    assert!(reportable(&packet(HOST, US, 58, &[ECHO_REQUEST; 8])));
    for kind in [
        UNREACHABLE,
        PACKET_TOO_BIG,
        TIME_EXCEEDED,
        PARAMETER_PROBLEM,
        127,
        137,
    ] {
        assert!(
            !reportable(&packet(HOST, US, 58, &[kind; 8])),
            "about ICMPv6 type {kind}"
        );
    }
    assert!(
        !reportable(&packet(HOST, US, 58, &[])),
        "about ICMPv6 too short to tell"
    );
    for source in ["::", "::1", "ff02::1"] {
        assert!(!reportable(&packet(source, US, 17, &[0; 8])), "to {source}");
    }
    assert!(!reportable(&packet(HOST, "ff02::1", 17, &[0; 8])));
}

#[test]
fn an_unknown_option_is_reported_to_multicast_only_with_action_10() {
    let option = |kind| [58, 0, 1, 0, kind, 2, 0, 0];
    let answer = |destination: &str, rest: &[u8]| {
        let packet = packet(HOST, destination, 0, rest);
        let problem = IpHeader::parse(&packet).unwrap_err().problem.unwrap();
        may_report_problem(&problem, &packet).is_some()
    };
    let with_echo = |kind| [&option(kind)[..], &[ECHO_REQUEST; 8]].concat();
    assert!(answer(US, &with_echo(0x9e)) && answer(US, &with_echo(0xde)));
    assert!(answer("ff02::1", &with_echo(0x9e)) && !answer("ff02::1", &with_echo(0xde)));
    let with_error = [&option(0x9e)[..], &[PACKET_TOO_BIG; 8]].concat();
    assert!(!answer(US, &with_error), "about an ICMPv6 error");
}

#[test]
fn a_long_quote_is_cut_to_make_a_packet_of_1280() {
    let addresses = IpAddresses {
        source: US.parse().unwrap(),
        destination: HOST.parse().unwrap(),
    };
    let mut out = Vec::new();
    Icmpv6Message::Unreachable {
        code: 4,
        quote: &[0x60; 1500],
    }
    .emit(&addresses, &mut out);
    assert_eq!(out.len() + ipv6::HEADER_LEN, 1280);
}

proptest! {
    #[test]
    fn messages_round_trip_and_the_oracle_agrees(which in 0..7, code: u8, a: u16, b: u16, data in prop::collection::vec(any::<u8>(), 0..1200), source: [u8; 16], destination: [u8; 16]) {
        let addresses = IpAddresses { source: IpAddr::from(source), destination: IpAddr::from(destination) };
        let echo = Echo { identifier: a, sequence: b, data: &data };
        let number = u32::from(a) << 16 | u32::from(b);
        let message = match which {
            0 => Icmpv6Message::EchoRequest(echo),
            1 => Icmpv6Message::EchoReply(echo),
            2 => Icmpv6Message::Unreachable { code: code % 7, quote: &data },
            3 => Icmpv6Message::PacketTooBig { mtu: number, quote: &data },
            4 => Icmpv6Message::TimeExceeded { code: code % 2, quote: &data },
            5 => Icmpv6Message::ParameterProblem { code: code % 3, pointer: number, quote: &data },
            _ => Icmpv6Message::Other { kind: 135, code },
        };
        let mut bytes = Vec::new();
        message.emit(&addresses, &mut bytes);
        prop_assert_eq!(Icmpv6Message::parse(&addresses, &bytes), Ok(message));
        let oracle = etherparse::Icmpv6Slice::from_slice(&bytes).unwrap();
        prop_assert!(oracle.is_checksum_valid(source, destination));
        prop_assert_eq!((oracle.type_u8(), oracle.code_u8()), (bytes[0], bytes[1]));
    }

    #[test]
    fn any_bytes_parse_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let addresses = IpAddresses { source: US.parse().unwrap(), destination: HOST.parse().unwrap() };
        if let Ok(message) = Icmpv6Message::parse(&addresses, &bytes) {
            let _ = message.quoted();
        }
        let problem = ParameterProblem { code: 0, pointer: 0, even_to_multicast: true };
        let _ = may_report_problem(&problem, &bytes);
    }
}
