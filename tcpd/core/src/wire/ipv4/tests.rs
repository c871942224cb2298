use super::*;
use proptest::prelude::*;

fn fields(payload_len: u16) -> Ipv4Fields {
    Ipv4Fields {
        source: Ipv4Addr::new(198, 18, 0, 1),
        destination: Ipv4Addr::new(198, 18, 0, 2),
        protocol: 6,
        ttl: 64,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        payload_len,
    }
}

/// A packet of 8 payload bytes with these option bytes (a multiple of 4) and this flags/offset field.
fn packet(options: &[u8], flags: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields(8 + options.len() as u16).emit(&mut bytes);
    bytes[0] = 0x45 + options.len() as u8 / 4;
    bytes[6..8].copy_from_slice(&flags.to_be_bytes());
    bytes.extend_from_slice(options);
    bytes.extend_from_slice(&[7; 8]);
    seal(&mut bytes);
    bytes
}

fn seal(bytes: &mut [u8]) {
    let header_len = usize::from(bytes[0] & 15) * 4;
    bytes[10..12].fill(0);
    let checksum = checksum::of(&bytes[..header_len]);
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn reason(bytes: &[u8]) -> ParseError {
    parse(bytes).expect_err("must be refused").reason
}

#[test]
fn trailing_bytes_are_trimmed() {
    let mut bytes = packet(&[], 0);
    bytes.extend_from_slice(b"ethernet padding");
    assert_eq!(parse(&bytes).unwrap().payload, 20..28);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let good = packet(&[], 0);
    assert_eq!(reason(&good[..19]), ParseError::Truncated);
    assert_eq!(reason(&good[..27]), ParseError::TotalLength);
    for (at, value, expected) in [
        (0, 0x44, ParseError::HeaderLength),
        (0, 0x4f, ParseError::HeaderLength),
        (0, 0x65, ParseError::Version),
        (3, 19, ParseError::TotalLength),
        (3, 29, ParseError::TotalLength),
        (2, 0xff, ParseError::TotalLength),
        (10, good[10] ^ 1, ParseError::Checksum),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(reason(&bytes), expected, "byte {at} = {value:#x}");
    }
}

#[test]
fn a_packet_with_ttl_one_or_zero_is_accepted() {
    for ttl in [0, 1] {
        let mut bytes = packet(&[], 0);
        bytes[8] = ttl;
        seal(&mut bytes);
        assert_eq!(parse(&bytes).unwrap().hop_limit, ttl);
    }
}

/// RFC 9293 §3.9.2 MUST-50.
#[test]
fn options_are_skipped_and_source_routes_reported() {
    assert!(
        !parse(&packet(&[1, 7, 3, 4], 0)).unwrap().source_routed,
        "record route is none"
    );
    assert!(parse(&packet(&[131, 3, 4, 0], 0)).unwrap().source_routed);
    assert!(parse(&packet(&[1, 137, 3, 4], 0)).unwrap().source_routed);
    assert!(
        !parse(&packet(&[0, 137, 3, 4], 0)).unwrap().source_routed,
        "behind the end of the list"
    );
    for bad in [[7, 0, 1, 1], [7, 1, 1, 1], [7, 5, 1, 1], [1, 1, 1, 7]] {
        assert_eq!(reason(&packet(&bad, 0)), ParseError::Options, "{bad:?}");
    }
}

#[test]
fn fragments_are_recognised_and_a_ping_of_death_refused() {
    let first = parse(&packet(&[], MORE_FRAGMENTS)).unwrap();
    assert_eq!(
        first.fragment,
        Some(Fragment {
            identification: 0,
            offset: 0,
            more: true,
            start: 20,
            named_at: 0
        })
    );
    let last = parse(&packet(&[], 3)).unwrap();
    assert_eq!(
        last.fragment,
        Some(Fragment {
            identification: 0,
            offset: 24,
            more: false,
            start: 20,
            named_at: 0
        })
    );
    assert_eq!(
        parse(&packet(&[], DONT_FRAGMENT | 0x8000))
            .unwrap()
            .fragment,
        None,
        "the evil bit"
    );
    assert_eq!(reason(&packet(&[], 0x1fff)), ParseError::TotalLength);
}

proptest! {
    #[test]
    fn emitted_headers_parse_back_and_the_oracle_agrees(source: [u8; 4], destination: [u8; 4], protocol: u8, ttl: u8, traffic_class: u8, identification: u16, dont_fragment: bool, payload in prop::collection::vec(any::<u8>(), 0..100)) {
        let fields = Ipv4Fields { source: source.into(), destination: destination.into(), protocol, ttl, traffic_class, identification, dont_fragment, payload_len: payload.len() as u16 };
        let mut bytes = Vec::new();
        fields.emit(&mut bytes);
        bytes.extend_from_slice(&payload);
        let header = parse(&bytes).unwrap();
        prop_assert_eq!(header.addresses, IpAddresses { source: IpAddr::from(source), destination: IpAddr::from(destination) });
        prop_assert_eq!((header.protocol, header.hop_limit, header.traffic_class, header.dont_fragment), (protocol, ttl, traffic_class, dont_fragment));
        prop_assert_eq!(&bytes[header.payload.clone()], &payload[..]);
        let oracle = etherparse::Ipv4Header::from_slice(&bytes).unwrap().0;
        prop_assert_eq!(oracle.calc_header_checksum(), oracle.header_checksum);
        prop_assert_eq!((oracle.identification, oracle.dont_fragment), (identification, dont_fragment));
    }

    #[test]
    fn any_bytes_parse_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100), sealed: bool) {
        if let Some(first) = bytes.first_mut() {
            *first = 0x40 | (*first & 15);
        }
        if sealed && bytes.len() >= 60 {
            bytes[2] = 0;
            seal(&mut bytes);
        }
        if let Ok(header) = parse(&bytes) {
            prop_assert!(header.payload.start <= header.payload.end && header.payload.end <= bytes.len());
            let (oracle, _) = etherparse::Ipv4Header::from_slice(&bytes).unwrap();
            prop_assert_eq!(header.payload, oracle.header_len()..usize::from(oracle.total_len));
            prop_assert_eq!(header.fragment.is_some(), oracle.is_fragmenting_payload());
            prop_assert_eq!((header.protocol, header.hop_limit), (oracle.protocol.0, oracle.time_to_live));
        }
    }
}
