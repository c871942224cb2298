use super::*;
use crate::wire::icmpv4::Echo;
use crate::wire::{IpAddresses, TcpSegment, checksum, icmpv6, ladder};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const NOW: Instant = Instant::from_secs(1);
const OWN_V6: &str = "fd00::2";

fn to_us(v6: bool) -> IpAddresses {
    let (source, destination) = if v6 {
        ("fd00::1", OWN_V6)
    } else {
        ("198.18.0.1", "198.18.0.2")
    };
    IpAddresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn packet(addresses: IpAddresses, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    IpFields::new(addresses, protocol).emit(payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

fn icmp() -> Icmp {
    Icmp::new(IcmpLimits::default())
}

fn receive(packet: &[u8]) -> (IcmpInput, Vec<u8>) {
    let mut out = Vec::new();
    let input = icmp().receive(NOW, &IpHeader::parse(packet).unwrap(), packet, &mut out);
    (input, out)
}

fn icmp_v4(message: Icmpv4Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes);
    packet(to_us(false), protocol::ICMPV4, &bytes)
}

fn icmp_v6(message: Icmpv6Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&to_us(true), &mut bytes);
    packet(to_us(true), protocol::ICMPV6, &bytes)
}

/// A segment as we would have sent it.
fn our_segment(v6: bool) -> Vec<u8> {
    let addresses = to_us(v6).reversed();
    let mut tcp = Vec::new();
    let segment = TcpSegment {
        source_port: 80,
        destination_port: 40_000,
        seq: SequenceNumber(77),
        ..Default::default()
    };
    segment.emit(&addresses, &mut tcp);
    packet(addresses, protocol::TCP, &tcp)
}

fn udp(addresses: IpAddresses, payload: &[u8]) -> Vec<u8> {
    let mut datagram = [0, 9, 0, 9, 0, 8 + payload.len() as u8, 0, 0].to_vec();
    datagram.extend_from_slice(payload);
    let mut sum = checksum::pseudo_header(&addresses, protocol::UDP, datagram.len() as u32);
    sum.add(&datagram);
    datagram[6..8].copy_from_slice(&sum.finish().to_be_bytes());
    packet(addresses, protocol::UDP, &datagram)
}

fn no_handler(packet: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    icmp()
        .no_handler(NOW, &IpHeader::parse(packet).unwrap(), packet, &mut out)
        .then_some(out)
}

#[test]
fn an_echo_comes_back_with_its_data_and_its_dscp() {
    let echo = Echo {
        identifier: 3,
        sequence: 4,
        data: b"ping",
    };
    let mut request = icmp_v4(Icmpv4Message::EchoRequest(echo));
    request[1] = 0xb9;
    request[10..12].fill(0);
    let header_checksum = checksum::of(&request[..20]);
    request[10..12].copy_from_slice(&header_checksum.to_be_bytes());
    let (input, reply) = receive(&request);
    let header = IpHeader::parse(&reply).unwrap();
    assert_eq!((input, header.traffic_class), (IcmpInput::Replied, 0xb8));
    assert_eq!(header.addresses, to_us(false).reversed());
    assert_eq!(
        Icmpv4Message::parse(&reply[20..]),
        Ok(Icmpv4Message::EchoReply(echo))
    );

    let (input, reply) = receive(&icmp_v6(Icmpv6Message::EchoRequest(echo)));
    let addresses = to_us(true).reversed();
    assert_eq!(input, IcmpInput::Replied);
    assert_eq!(
        Icmpv6Message::parse(&addresses, &reply[40..]),
        Ok(Icmpv6Message::EchoReply(echo))
    );
}

/// RFC 9293 §3.9.2.2 MUST-55: source quench among others.
#[test]
fn what_is_ignored_has_a_name() {
    let echo = Echo {
        identifier: 3,
        sequence: 4,
        data: b"",
    };
    let ignored = |packet: &[u8]| match receive(packet) {
        (IcmpInput::Ignored(why), out) if out.is_empty() => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        ignored(&icmp_v4(Icmpv4Message::EchoReply(echo))),
        IcmpIgnored::Unsolicited
    );
    assert_eq!(
        ignored(&icmp_v4(Icmpv4Message::Other { kind: 4, code: 0 })),
        IcmpIgnored::Kind,
        "source quench"
    );
    assert_eq!(
        ignored(&icmp_v4(Icmpv4Message::Other { kind: 5, code: 1 })),
        IcmpIgnored::Kind,
        "redirect"
    );
    assert_eq!(
        ignored(&icmp_v6(Icmpv6Message::Other { kind: 135, code: 0 })),
        IcmpIgnored::Kind
    );
    let short = Icmpv4Message::Unreachable {
        code: 3,
        mtu: 0,
        quote: &our_segment(false)[..26],
    };
    assert_eq!(ignored(&icmp_v4(short)), IcmpIgnored::QuoteTooShort);
    let about_udp = udp(to_us(false).reversed(), b"x");
    assert_eq!(
        ignored(&icmp_v4(Icmpv4Message::TimeExceeded {
            code: 0,
            quote: &about_udp
        })),
        IcmpIgnored::NotTcp
    );
    let mut flipped = icmp_v4(Icmpv4Message::EchoRequest(echo));
    flipped[27] ^= 1;
    assert_eq!(
        ignored(&flipped),
        IcmpIgnored::Malformed(ParseError::Checksum)
    );
    assert_eq!(
        ignored(&packet(to_us(true), protocol::ICMPV4, &[0; 8])),
        IcmpIgnored::Kind
    );
}

/// RFC 9293 §3.9.2.2 MUST-56, SHLD-26: soft and hard, message by message.
#[test]
fn the_decision_table_of_icmp_errors_for_ipv4() {
    use IcmpCause::*;
    use IcmpErrorKind::*;
    let quote = our_segment(false);
    let kind = |message| match receive(&icmp_v4(message)).0 {
        IcmpInput::Error(error) => {
            assert_eq!(
                (
                    error.seq,
                    error.flow.source_port,
                    error.flow.destination_port
                ),
                (SequenceNumber(77), 80, 40_000)
            );
            assert_eq!(error.flow.addresses, to_us(false).reversed());
            error.kind
        }
        other => panic!("{other:?}"),
    };
    for (code, expected) in [
        (0, Soft(Network)),
        (1, Soft(Host)),
        (2, HardDuringOpen(Protocol)),
        (3, HardDuringOpen(Port)),
        (
            4,
            PacketTooBig {
                mtu: 1200,
                quoted_len: 40,
            },
        ),
        (5, Soft(Host)),
        (6, Soft(Network)),
        (7, Soft(Host)),
        (8, Soft(Host)),
        (9, HardDuringOpen(Prohibited)),
        (10, HardDuringOpen(Prohibited)),
        (11, Soft(Network)),
        (12, Soft(Host)),
        (13, HardDuringOpen(Prohibited)),
        (200, Soft(Host)),
    ] {
        assert_eq!(
            kind(Icmpv4Message::Unreachable {
                code,
                mtu: 1200,
                quote: &quote
            }),
            expected,
            "code {code}"
        );
    }
    assert_eq!(
        kind(Icmpv4Message::TimeExceeded {
            code: 0,
            quote: &quote
        }),
        Soft(TimeExceeded)
    );
    let problem = Icmpv4Message::ParameterProblem {
        code: 0,
        pointer: 20,
        quote: &quote,
    };
    assert_eq!(kind(problem), Soft(ParameterProblem));
}

/// RFC 9293 §3.9.2.2 MUST-56, SHLD-26, RFC 5461 §2: the same for ICMPv6.
#[test]
fn the_decision_table_of_icmp_errors_for_ipv6() {
    use IcmpCause::*;
    use IcmpErrorKind::*;
    let quote = our_segment(true);
    let kind = |message| match receive(&icmp_v6(message)).0 {
        IcmpInput::Error(error) => error.kind,
        other => panic!("{other:?}"),
    };
    for (code, expected) in [
        (0, Soft(Network)),
        (1, HardDuringOpen(Prohibited)),
        (2, Soft(Host)),
        (3, Soft(Host)),
        (4, HardDuringOpen(Port)),
        (5, HardDuringOpen(Prohibited)),
        (6, HardDuringOpen(Prohibited)),
    ] {
        assert_eq!(
            kind(Icmpv6Message::Unreachable {
                code,
                quote: &quote
            }),
            expected,
            "code {code}"
        );
    }
    let too_big = Icmpv6Message::PacketTooBig {
        mtu: 1280,
        quote: &quote,
    };
    assert_eq!(
        kind(too_big),
        PacketTooBig {
            mtu: 1280,
            quoted_len: 60
        }
    );
    assert_eq!(
        kind(Icmpv6Message::TimeExceeded {
            code: 0,
            quote: &quote
        }),
        Soft(TimeExceeded)
    );
    let problem = Icmpv6Message::ParameterProblem {
        code: 1,
        pointer: 6,
        quote: &quote,
    };
    assert_eq!(kind(problem), Soft(ParameterProblem));
}

#[test]
fn a_packet_without_a_handler_is_reported_to_its_sender() {
    for (packet, expected) in [
        (
            udp(to_us(false), b"abc"),
            "198.18.0.2 > 198.18.0.1: unreachable, code 3 [about 198.18.0.1:9 > 198.18.0.2:9]",
        ),
        (
            packet(to_us(false), 4, &[0; 40]),
            "198.18.0.2 > 198.18.0.1: unreachable, code 2 [about 198.18.0.1 > 198.18.0.2 protocol 4]",
        ),
        (
            udp(to_us(true), b"abc"),
            "fd00::2 > fd00::1: unreachable, code 4 [about [fd00::1]:9 > [fd00::2]:9]",
        ),
        (
            packet(to_us(true), 41, &[0; 40]),
            "fd00::2 > fd00::1: parameter problem, code 1, pointer 6 [about fd00::1 > fd00::2 protocol 41]",
        ),
    ] {
        assert_eq!(ladder::one_line(&no_handler(&packet).unwrap()), expected);
    }
}

#[test]
fn noise_is_not_reported() {
    assert_eq!(
        no_handler(&packet(to_us(true), protocol::NO_NEXT_HEADER, &[])),
        None
    );
    let multicast = IpAddresses {
        destination: IpAddr::from([224, 0, 0, 1]),
        ..to_us(false)
    };
    assert_eq!(no_handler(&udp(multicast, b"abc")), None);
    for v6 in [false, true] {
        let mut flipped = udp(to_us(v6), b"abc");
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(no_handler(&flipped), None);
        assert_eq!(
            no_handler(&packet(to_us(v6), protocol::UDP, &[0, 9, 0, 9, 0, 7, 0, 0])),
            None
        );
        let without_checksum = packet(to_us(v6), protocol::UDP, &[0, 9, 0, 9, 0, 8, 0, 0]);
        assert_eq!(no_handler(&without_checksum).is_some(), !v6);
    }
}

#[test]
fn an_unknown_option_is_reported_with_its_place() {
    let mut chain = vec![58, 0, 1, 0, 0xde, 2, 0, 0];
    chain.extend_from_slice(&[icmpv6::ECHO_REQUEST; 8]);
    let packet = packet(to_us(true), 0, &chain);
    let problem = IpHeader::parse(&packet).unwrap_err().problem.unwrap();
    let own: Ipv6Addr = OWN_V6.parse().unwrap();
    let mut out = Vec::new();
    assert!(icmp().parameter_problem(NOW, own, &packet, &problem, &mut out));
    assert!(
        ladder::one_line(&out)
            .starts_with("fd00::2 > fd00::1: parameter problem, code 2, pointer 44 ")
    );
}

#[test]
fn replies_and_errors_are_limited_apart() {
    let limits = IcmpLimits {
        errors_per_second: 10,
        errors_burst: 3,
        echoes_per_second: 10,
        echoes_burst: 2,
    };
    let mut icmp = Icmp::new(limits);
    let datagram = udp(to_us(false), b"abc");
    let header = IpHeader::parse(&datagram).unwrap();
    let mut out = Vec::new();
    let mut errors = |icmp: &mut Icmp, now| {
        (0..100)
            .filter(|_| icmp.no_handler(now, &header, &datagram, &mut out))
            .count()
    };
    assert_eq!(errors(&mut icmp, NOW), 3);
    assert_eq!(errors(&mut icmp, NOW + Duration::from_millis(99)), 0);
    assert_eq!(errors(&mut icmp, NOW + Duration::from_millis(100)), 1);
    assert_eq!(errors(&mut icmp, NOW + Duration::from_secs(100)), 3);
    let request = icmp_v4(Icmpv4Message::EchoRequest(Echo {
        identifier: 1,
        sequence: 1,
        data: b"",
    }));
    let header = IpHeader::parse(&request).unwrap();
    let inputs: Vec<_> = (0..3)
        .map(|_| icmp.receive(NOW, &header, &request, &mut Vec::new()))
        .collect();
    assert_eq!(inputs[2], IcmpInput::Ignored(IcmpIgnored::RateLimited));
    assert_eq!(inputs[..2], [IcmpInput::Replied; 2]);
}

proptest! {
    #[test]
    fn no_packet_makes_more_than_one_and_none_makes_an_answer_to_an_error(
        v6: bool, protocol in prop::sample::select(vec![1u8, 17, 58, 41, 59]), payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = packet(to_us(v6), protocol, &payload);
        // Some numbers are extension headers to IPv6; what is refused is not handed in here.
        let Ok(header) = IpHeader::parse(&bytes) else { return Ok(()) };
        let mut out = Vec::new();
        let input = icmp().receive(NOW, &header, &bytes, &mut out);
        prop_assert_eq!(out.is_empty(), input != IcmpInput::Replied);
        if let Some(error) = no_handler(&bytes) {
            let header = IpHeader::parse(&error).unwrap();
            prop_assert_eq!(header.total_len(), error.len());
            prop_assert_eq!(no_handler(&error), None);
        }
    }
}
