use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

use super::super::Timestamps;

fn addresses() -> impl Strategy<Value = IpAddresses> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| IpAddresses {
            source: IpAddr::from(a),
            destination: IpAddr::from(b)
        }),
        (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| IpAddresses {
            source: IpAddr::from(a),
            destination: IpAddr::from(b)
        }),
    ]
}

fn options() -> impl Strategy<Value = TcpOptions> {
    (
        any::<Option<u16>>(),
        any::<Option<u8>>(),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
    )
        .prop_map(
            |(mss, window_scale, sack_permitted, timestamps)| TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                ..TcpOptions::default()
            },
        )
}

proptest! {
    #[test]
    fn emitted_segments_parse_back_and_verify(
        addresses in addresses(), options in options(), ports: (u16, u16), seq: u32, ack: u32, flags: u8,
        window: u16, urgent_pointer: u16, payload in prop::collection::vec(any::<u8>(), 0..200), flip: prop::sample::Index, bit in 0u8..8,
    ) {
        let segment = TcpSegment {
            source_port: ports.0, destination_port: ports.1, seq: SequenceNumber(seq), ack: SequenceNumber(ack),
            flags: Flags(flags), window, urgent_pointer, options, payload: &payload,
        };
        let mut bytes = Vec::new();
        segment.emit(&addresses, &mut bytes);
        prop_assert_eq!(bytes.len(), segment.header_len() + payload.len());
        prop_assert_eq!(TcpSegment::parse(&bytes), Ok(segment));
        prop_assert!(TcpSegment::verify(&addresses, &bytes));

        let oracle = etherparse::TcpHeader::from_slice(&bytes).unwrap().0;
        prop_assert_eq!((oracle.source_port, oracle.sequence_number, oracle.acknowledgment_number), (ports.0, seq, ack));
        prop_assert_eq!((oracle.syn, oracle.fin, oracle.cwr), (flags & 2 != 0, flags & 1 != 0, flags & 0x80 != 0));
        let checksum = match (addresses.source, addresses.destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => oracle.calc_checksum_ipv4_raw(a.octets(), b.octets(), &payload),
            (IpAddr::V6(a), IpAddr::V6(b)) => oracle.calc_checksum_ipv6_raw(a.octets(), b.octets(), &payload),
            _ => unreachable!(),
        };
        prop_assert_eq!(checksum.unwrap(), oracle.checksum);

        // RFC 9293 MUST-3: no single flipped bit passes.
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!TcpSegment::verify(&addresses, &bytes));
    }

    #[test]
    fn any_bytes_parse_without_panic_and_agree_with_the_oracle(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let ours = TcpSegment::parse(&bytes);
        let oracle = etherparse::TcpHeader::from_slice(&bytes);
        prop_assert_eq!(ours.is_ok(), oracle.is_ok());
        if let (Ok(ours), Ok((oracle, rest))) = (ours, oracle) {
            prop_assert_eq!(ours.payload, rest);
            prop_assert_eq!(ours.window, oracle.window_size);
            let _ = ours.to_string();
        }
    }
}

#[test]
fn segment_length_counts_syn_and_fin() {
    let segment = TcpSegment {
        flags: Flags::SYN | Flags::FIN,
        payload: b"abc",
        seq: SequenceNumber(u32::MAX),
        ..Default::default()
    };
    assert_eq!(segment.sequence_length(), 5);
    assert_eq!(segment.end(), SequenceNumber(4));
}

#[test]
fn flags_print_and_parse_as_in_the_ladder() {
    assert_eq!((Flags::SYN | Flags::ACK).to_string(), "S.");
    assert_eq!((Flags::PSH | Flags::ACK).to_string(), "P.");
    assert_eq!(Flags::NONE.to_string(), "-");
    assert_eq!("SEW".parse(), Ok(Flags::SYN | Flags::ECE | Flags::CWR));
    assert_eq!("-".parse(), Ok(Flags::NONE));
    assert_eq!("Sx".parse::<Flags>(), Err(UnknownFlag('x')));
}

#[test]
fn a_segment_prints_on_one_line() {
    let segment = TcpSegment {
        seq: SequenceNumber(300),
        ack: SequenceNumber(101),
        flags: Flags::SYN | Flags::ACK,
        window: 65535,
        options: TcpOptions {
            mss: Some(1460),
            window_scale: Some(7),
            ..Default::default()
        },
        ..Default::default()
    };
    assert_eq!(
        segment.to_string(),
        "S. 300:300(0) ack 101 win 65535 <mss 1460,wscale 7>"
    );
}

#[test]
fn reserved_bits_are_ignored() {
    let mut bytes = Vec::new();
    let segment = TcpSegment {
        flags: Flags::SYN,
        ..Default::default()
    };
    segment.emit_header(&mut bytes);
    bytes[12] |= 0x0f;
    assert_eq!(TcpSegment::parse(&bytes), Ok(segment));
}
