use super::*;
use crate::wire::{IpAddresses, IpFields, IpHeader};
use proptest::prelude::*;

fn packet(ipv6: bool, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = if ipv6 {
        ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
    } else {
        ([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
    };
    let addresses = IpAddresses {
        source,
        destination,
    };
    let mut packet = Vec::new();
    IpFields::new(addresses, 17).emit(payload.len(), &mut packet);
    packet.extend_from_slice(payload);
    packet
}

proptest! {
    #[test]
    fn pieces_fit_the_mtu_cover_the_packet_once_and_give_its_header_back(ipv6: bool, length in 0usize..9000, mtu in 1280u16..3000, identification: u32) {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let packet = packet(ipv6, &payload);
        let mut pieces = Vec::new();
        split(&packet, mtu, identification, |piece| pieces.push(piece));
        if packet.len() <= usize::from(mtu) {
            prop_assert_eq!(pieces, [packet]);
            return Ok(());
        }
        let mut joined = Vec::new();
        let mut whole = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            prop_assert!(piece.len() <= usize::from(mtu));
            let header = IpHeader::parse(piece).unwrap();
            let fragment = header.fragment.unwrap();
            prop_assert_eq!(usize::from(fragment.offset), joined.len());
            prop_assert_eq!(fragment.more, index + 1 < pieces.len());
            prop_assert_eq!(fragment.identification, if ipv6 { identification } else { identification & 0xffff });
            joined.extend_from_slice(&piece[usize::from(fragment.start)..]);
            if index == 0 {
                whole = whole_header(&piece[..usize::from(fragment.start)], &fragment, length, false).unwrap();
            }
        }
        whole.extend_from_slice(&joined);
        let header = IpHeader::parse(&whole).unwrap();
        prop_assert_eq!((header.fragment, header.protocol), (None, 17));
        prop_assert_eq!(&whole[header.payload], &payload);
    }
}

#[test]
fn a_mark_is_kept_and_a_datagram_beyond_what_its_header_can_say_is_none() {
    for ipv6 in [false, true] {
        let mut first = Vec::new();
        split(&packet(ipv6, &[0; 2000]), 1280, 7, |piece| {
            if first.is_empty() {
                first = piece;
            }
        });
        let fragment = IpHeader::parse(&first).unwrap().fragment.unwrap();
        let head = &first[..usize::from(fragment.start)];
        let mut whole = whole_header(head, &fragment, 8, true).unwrap();
        whole.extend_from_slice(&[0; 8]);
        assert_eq!(IpHeader::parse(&whole).unwrap().ecn().bits(), 3);
        let most = if ipv6 { 65_535 } else { 65_515 };
        assert!(whole_header(head, &fragment, most, false).is_some());
        assert_eq!(whole_header(head, &fragment, most + 1, false), None);
    }
}
