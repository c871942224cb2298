use super::*;
use crate::wire::{Fragment, IpAddresses};

fn header(source: &str, protocol: u8, payload_len: usize, piece: Option<(u16, bool)>) -> IpHeader {
    let source = source.parse().unwrap();
    IpHeader {
        addresses: IpAddresses {
            source,
            destination: source,
        },
        protocol,
        protocol_at: 9,
        hop_limit: 64,
        traffic_class: 0,
        dont_fragment: false,
        payload: 20..20 + payload_len,
        fragment: piece.map(|(offset, more)| Fragment {
            identification: 1,
            offset,
            more,
        }),
        source_routed: false,
    }
}

#[test]
fn every_piece_has_its_name_and_a_whole_packet_passes() {
    use FragmentRefusal::{Ipv4, Ipv6, Tiny};
    for (source, protocol, payload_len, piece, expected) in [
        ("10.0.0.1", 6, 40, None, Ok(())),
        ("10.0.0.1", 6, 40, Some((0, true)), Err(Ipv4)),
        ("10.0.0.1", 6, 40, Some((1480, false)), Err(Ipv4)),
        ("10.0.0.1", 6, 8, Some((0, true)), Err(Tiny)),
        ("10.0.0.1", 6, 16, Some((8, false)), Err(Tiny)),
        ("10.0.0.1", 17, 8, Some((0, true)), Err(Ipv4)),
        ("fd00::1", 6, 40, Some((0, true)), Err(Ipv6)),
        ("fd00::1", 6, 8, Some((0, true)), Err(Tiny)),
    ] {
        let header = header(source, protocol, payload_len, piece);
        assert_eq!(
            classify(&header),
            expected,
            "{source} {protocol} {payload_len} {piece:?}"
        );
    }
}
