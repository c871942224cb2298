use super::*;
use proptest::prelude::*;

/// A packet with this first next-header number, this chain and 8 bytes of payload.
fn packet(first: u8, chain: &[u8]) -> Vec<u8> {
    let fields = Ipv6Fields {
        source: "fd00:7463:7064::1".parse().unwrap(),
        destination: "fd00:7463:7064::2".parse().unwrap(),
        protocol: first,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        payload_len: chain.len() as u16 + 8,
    };
    let mut bytes = Vec::new();
    fields.emit(&mut bytes);
    bytes.extend_from_slice(chain);
    bytes.extend_from_slice(&[7; 8]);
    bytes
}

fn refusal(first: u8, chain: &[u8]) -> IpRefusal {
    parse(&packet(first, chain)).expect_err("must be refused")
}

const PADDED: [u8; 6] = [1, 4, 0, 0, 0, 0];

fn options(next: u8, six: [u8; 6]) -> Vec<u8> {
    [&[next, 0][..], &six].concat()
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let good = packet(6, &[]);
    assert_eq!(parse(&good).unwrap().payload, 40..48);
    assert_eq!(
        parse(&good[..39]).unwrap_err().reason,
        ParseError::Truncated
    );
    assert_eq!(
        parse(&good[..47]).unwrap_err().reason,
        ParseError::TotalLength
    );
    let mut trailing = good.clone();
    trailing.push(9);
    assert_eq!(parse(&trailing).unwrap().payload, 40..48);
}

#[test]
fn a_chain_of_known_headers_is_walked() {
    let chain = [
        options(DESTINATION_OPTIONS, PADDED),
        options(ROUTING, [0; 6]),
        vec![FRAGMENT, 0, 2, 0, 0, 0, 0, 0],
        vec![DESTINATION_OPTIONS, 9, 0, 0, 0, 0, 0, 1],
        options(6, PADDED),
    ]
    .concat();
    let header = parse(&packet(HOP_BY_HOP, &chain)).unwrap();
    assert_eq!(
        (header.protocol, header.payload.clone(), header.fragment),
        (6, 80..88, None)
    );
    assert_eq!(header.protocol_at, 72);
}

#[test]
fn hop_by_hop_may_only_stand_first() {
    let chain = [options(HOP_BY_HOP, PADDED), options(6, PADDED)].concat();
    let expected = ParameterProblem {
        code: 1,
        pointer: 40,
        even_to_multicast: false,
    };
    assert_eq!(refusal(DESTINATION_OPTIONS, &chain).problem, Some(expected));
}

#[test]
fn an_unknown_option_does_what_its_action_bits_say() {
    let with = |kind: u8| refusal(HOP_BY_HOP, &options(6, [1, 0, kind, 2, 0, 0]));
    assert!(parse(&packet(HOP_BY_HOP, &options(6, [1, 0, 0x1e, 2, 0, 0]))).is_ok());
    assert_eq!(with(0x5e), ParseError::Options.into());
    let problem = |even_to_multicast| {
        Some(ParameterProblem {
            code: 2,
            pointer: 44,
            even_to_multicast,
        })
    };
    assert_eq!(with(0x9e).problem, problem(true));
    assert_eq!(with(0xde).problem, problem(false));
}

#[test]
fn option_lengths_beyond_the_header_are_refused() {
    for bad in [
        [1, 5, 0, 0, 0, 0],
        [0x1e, 255, 0, 0, 0, 0],
        [1, 3, 0, 0, 0, 0x1e],
    ] {
        assert_eq!(
            refusal(DESTINATION_OPTIONS, &options(6, bad)).reason,
            ParseError::Options,
            "{bad:?}"
        );
    }
}

#[test]
fn a_routing_header_not_used_up_is_reported_at_its_type() {
    let refusal = refusal(ROUTING, &options(6, [0, 1, 0, 0, 0, 0]));
    assert_eq!(
        refusal.problem,
        Some(ParameterProblem {
            code: 0,
            pointer: 42,
            even_to_multicast: false
        })
    );
}

#[test]
fn an_atomic_fragment_is_whole_and_later_pieces_are_not_read() {
    assert_eq!(
        parse(&packet(FRAGMENT, &[6, 0, 0, 0, 0, 0, 0, 1]))
            .unwrap()
            .fragment,
        None
    );
    let first = parse(&packet(FRAGMENT, &[6, 0, 0, 1, 0, 0, 0, 1])).unwrap();
    assert_eq!(
        first.fragment,
        Some(Fragment {
            identification: 1,
            offset: 0,
            more: true,
            start: 48,
            named_at: 6
        })
    );
    // The bytes behind it would be a malformed destination options header.
    let later = parse(&packet(
        FRAGMENT,
        &[DESTINATION_OPTIONS, 0, 0, 8, 0, 0, 0, 1],
    ))
    .unwrap();
    assert_eq!(
        (later.fragment.unwrap().offset, later.protocol),
        (8, DESTINATION_OPTIONS)
    );
}

#[test]
fn fragments_of_impossible_size_are_reported() {
    let uneven = refusal(FRAGMENT, &[6, 0, 0, 1, 0, 0, 0, 1, 0]);
    assert_eq!(
        uneven.problem,
        Some(ParameterProblem {
            code: 0,
            pointer: 4,
            even_to_multicast: false
        })
    );
    let beyond = refusal(FRAGMENT, &[6, 0, 0xff, 0xf8, 0, 0, 0, 1]);
    assert_eq!(
        beyond.problem,
        Some(ParameterProblem {
            code: 0,
            pointer: 42,
            even_to_multicast: false
        })
    );
}

#[test]
fn chains_too_long_or_repeated_or_cut_are_refused() {
    let three = [options(60, PADDED), options(60, PADDED), options(6, PADDED)].concat();
    assert_eq!(refusal(60, &three), ParseError::ExtensionHeaders.into());
    let two_routing = [options(43, [0; 6]), options(6, [0; 6])].concat();
    assert_eq!(
        refusal(43, &two_routing),
        ParseError::ExtensionHeaders.into()
    );
    assert_eq!(
        refusal(60, &[6, 9, 1, 4, 0, 0, 0, 0]),
        ParseError::Truncated.into()
    );
    let mut cut = packet(60, &[]);
    cut[5] = 7;
    assert_eq!(parse(&cut).unwrap_err().reason, ParseError::Truncated);
}

#[test]
fn an_unknown_next_header_is_left_to_the_caller_with_its_place() {
    let header = parse(&packet(DESTINATION_OPTIONS, &options(253, PADDED))).unwrap();
    assert_eq!((header.protocol, header.protocol_at), (253, 40));
    assert_eq!(parse(&packet(253, &[])).unwrap().protocol_at, 6);
}

proptest! {
    #[test]
    fn emitted_headers_parse_back_and_the_oracle_agrees(source: [u8; 16], destination: [u8; 16], hop_limit: u8, traffic_class: u8, flow_label in 0u32..1 << 20, payload in prop::collection::vec(any::<u8>(), 0..100)) {
        let fields = Ipv6Fields { source: source.into(), destination: destination.into(), protocol: 6, hop_limit, traffic_class, flow_label, payload_len: payload.len() as u16 };
        let mut bytes = Vec::new();
        fields.emit(&mut bytes);
        bytes.extend_from_slice(&payload);
        let header = parse(&bytes).unwrap();
        prop_assert_eq!((header.hop_limit, header.traffic_class), (hop_limit, traffic_class));
        prop_assert_eq!(&bytes[header.payload.clone()], &payload[..]);
        let oracle = etherparse::Ipv6Header::from_slice(&bytes).unwrap().0;
        prop_assert_eq!((oracle.flow_label.value(), oracle.traffic_class), (flow_label, traffic_class));
        prop_assert_eq!((oracle.source, oracle.destination), (source, destination));
    }

    #[test]
    fn any_chain_is_walked_without_panic(first in prop::sample::select(vec![0u8, 43, 44, 60, 6]), chain in prop::collection::vec(prop_oneof![prop::sample::select(vec![0u8, 1, 43, 44, 60, 6]), any::<u8>()], 0..200), cut in 0usize..300) {
        let mut bytes = packet(first, &chain);
        bytes.truncate(cut.max(1));
        if let Ok(header) = parse(&bytes) {
            prop_assert!(header.payload.start <= header.payload.end && header.payload.end <= bytes.len());
            // The oracle also walks through headers of IPsec and mobility; we stop there.
            if header.fragment.is_none() && !matches!(header.protocol, 51 | 135 | 139 | 140 | 253 | 254) {
                let (_, protocol, rest) = etherparse::Ipv6ExtensionsSlice::from_slice(etherparse::IpNumber(bytes[6]), &bytes[40..header.payload.end]).unwrap();
                prop_assert_eq!((header.protocol, header.payload.len()), (protocol.0, rest.len()));
            }
        }
        let _ = upper_layer_of_quote(&bytes);
    }
}
