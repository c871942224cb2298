//! Pieces are named by their place in eight bytes: `piece(0, 3, true)` has bytes 0 to 23, and more follow.

use super::*;
use crate::wire::{IpAddresses, IpFields};
use proptest::prelude::*;

mod attacks;

const NOW: Instant = Instant::from_secs(1);
const LIMIT: usize = 1 << 20;

/// The packet before it is cut: UDP, of no port, its bytes count up.
fn datagram(source: &str, length: usize) -> Vec<u8> {
    let source: IpAddr = source.parse().unwrap();
    let destination = if source.is_ipv6() {
        "fd00::2".parse().unwrap()
    } else {
        [198, 18, 0, 2].into()
    };
    let addresses = IpAddresses {
        source,
        destination,
    };
    let mut packet = Vec::new();
    IpFields::new(addresses, protocol::UDP).emit(length, &mut packet);
    packet.extend((0..length).map(|at| (at / 8) as u8));
    packet
}

/// A fragment at `offset` (in eight bytes) of a datagram as made by [`datagram`].
#[derive(Clone)]
struct Piece {
    source: String,
    identification: u32,
    protocol: u8,
    offset: usize,
    bytes: Vec<u8>,
    more: bool,
    ecn: u8,
}

fn piece(offset: usize, eights: usize, more: bool) -> Piece {
    Piece {
        source: "198.18.0.1".into(),
        identification: 1,
        protocol: protocol::UDP,
        offset,
        bytes: (offset * 8..(offset + eights) * 8)
            .map(|at| (at / 8) as u8)
            .collect(),
        more,
        ecn: 0,
    }
}

impl Piece {
    fn from(mut self, source: &str) -> Piece {
        self.source = source.into();
        self
    }

    fn of(mut self, identification: u32) -> Piece {
        self.identification = identification;
        self
    }

    fn packet(&self) -> Vec<u8> {
        let whole = datagram(&self.source, self.bytes.len());
        let mut packet = Vec::new();
        let is_v6 = whole[0] >> 4 == 6;
        let field = self.offset * 8;
        if is_v6 {
            packet.extend_from_slice(&whole[..40]);
            packet[1] |= self.ecn << 4;
            packet[4..6].copy_from_slice(&(self.bytes.len() as u16 + 8).to_be_bytes());
            packet[6] = 44;
            packet.extend_from_slice(&[self.protocol, 0]);
            packet.extend_from_slice(&(field as u16 | u16::from(self.more)).to_be_bytes());
            packet.extend_from_slice(&self.identification.to_be_bytes());
        } else {
            packet.extend_from_slice(&whole[..20]);
            packet[1] |= self.ecn;
            packet[4..6].copy_from_slice(&(self.identification as u16).to_be_bytes());
            let flags = self.offset as u16 | if self.more { 0x2000 } else { 0 };
            packet[6..8].copy_from_slice(&flags.to_be_bytes());
            packet[9] = self.protocol;
            packet[10..12].fill(0);
            let sum = crate::wire::checksum::of(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        packet.extend_from_slice(&self.bytes);
        packet
    }
}

fn receive_at(
    reassembly: &mut Reassembly,
    now: Instant,
    packet: &[u8],
) -> Result<Option<Vec<u8>>, FragmentRefusal> {
    let header = IpHeader::parse(packet).expect("an IP packet");
    let fragment = header.fragment.expect("a fragment");
    let outcome = reassembly.receive(now, &header, &fragment, packet);
    if reassembly.len() <= 64 {
        reassembly.assert_invariants();
    }
    outcome
}

fn receive(reassembly: &mut Reassembly, piece: &Piece) -> Result<Option<Vec<u8>>, FragmentRefusal> {
    receive_at(reassembly, NOW, &piece.packet())
}

/// The packet, its header read, and its bytes those of [`datagram`].
fn assert_whole(packet: &[u8], length: usize) -> IpHeader {
    let header = IpHeader::parse(packet).expect("a good header");
    assert_eq!(header.fragment, None);
    assert_eq!(header.protocol, protocol::UDP);
    let expected: Vec<u8> = (0..length).map(|at| (at / 8) as u8).collect();
    assert_eq!(&packet[header.payload.clone()], expected);
    header
}

proptest! {
    #[test]
    fn pieces_of_any_size_in_any_order_some_twice_become_the_datagram_they_were(
        ipv6: bool,
        cuts in prop::collection::btree_set(2usize..200, 1..20),
        tail in 1usize..9,
        order in any::<u64>(),
        twice in any::<u64>(),
    ) {
        let source = if ipv6 { "fd00::1" } else { "198.18.0.1" };
        let mut edges = vec![0];
        edges.extend(cuts);
        let mut pieces = Vec::new();
        for (index, edge) in edges.windows(2).enumerate() {
            let mut piece = piece(edge[0], edge[1] - edge[0], index + 2 < edges.len()).from(source);
            if !piece.more {
                piece.bytes.truncate(piece.bytes.len() - 8 + tail);
            }
            pieces.push(piece);
        }
        let length = pieces.iter().map(|piece| piece.bytes.len()).sum::<usize>();
        prop_assume!(pieces[0].more && pieces[0].bytes.len() >= 8);
        let mut random = crate::random::Generator::from_seed(order);
        for at in (1..pieces.len()).rev() {
            pieces.swap(at, random.below(at as u64 + 1) as usize);
        }
        let mut reassembly = Reassembly::new(LIMIT);
        let mut whole = None;
        let count = pieces.len();
        for (index, piece) in pieces.iter().enumerate() {
            prop_assert_eq!(&whole, &None);
            whole = receive(&mut reassembly, piece).expect("taken in");
            if whole.is_none() && twice >> (index % 64) & 1 == 1 {
                prop_assert_eq!(receive(&mut reassembly, piece), Err(FragmentRefusal::Duplicate), "{} of {}", index, count);
            }
        }
        assert_whole(&whole.expect("whole"), length);
        prop_assert!(reassembly.is_empty() && reassembly.cost() == 0);
        prop_assert_eq!(reassembly.tally().reassembled, 1);
    }
}

#[test]
fn an_overlap_spoils_the_datagram_and_what_comes_after_it() {
    for (name, teardrop) in [
        ("inside", piece(3, 1, true)),
        ("over the end", piece(5, 3, true)),
        ("over the beginning", piece(1, 2, true)),
        ("over all of it", piece(1, 8, true)),
        ("same place, shorter", piece(2, 3, true)),
        ("same place, longer", piece(2, 5, true)),
        ("same place, other bytes", {
            let mut piece = piece(2, 4, true);
            piece.bytes[7] ^= 1;
            piece
        }),
    ] {
        for source in ["198.18.0.1", "fd00::1"] {
            let mut reassembly = Reassembly::new(LIMIT);
            let mut tell = |piece: Piece| receive(&mut reassembly, &piece.from(source));
            assert_eq!(tell(piece(0, 2, true)), Ok(None), "{name}");
            assert_eq!(tell(piece(2, 4, true)), Ok(None), "{name}");
            let teardrop = tell(teardrop.clone());
            assert_eq!(teardrop, Err(FragmentRefusal::Overlap), "{name}");
            for rest in [piece(0, 2, true), piece(6, 4, true), piece(10, 1, false)] {
                assert_eq!(tell(rest), Err(FragmentRefusal::Overlap), "{name}");
            }
            assert_eq!(reassembly.cost(), DATAGRAM_COST, "its bytes are gone");
            let mut told = 0;
            reassembly.expire(NOW + TIMEOUT, |_| told += 1);
            assert_eq!((told, reassembly.len()), (0, 0), "nobody is told");
            assert_eq!(
                receive(&mut reassembly, &piece(0, 2, true).from(source)),
                Ok(None),
                "its name is free again"
            );
        }
    }
}

#[test]
fn pieces_beyond_the_end_and_a_second_end_spoil_the_datagram() {
    for (name, first, second) in [
        ("beyond", piece(2, 2, false), piece(8, 1, true)),
        ("an earlier end", piece(8, 1, true), piece(2, 2, false)),
        ("a later end", piece(2, 2, false), piece(4, 2, false)),
    ] {
        let mut reassembly = Reassembly::new(LIMIT);
        assert_eq!(receive(&mut reassembly, &first), Ok(None), "{name}");
        assert_eq!(
            receive(&mut reassembly, &second),
            Err(FragmentRefusal::Malformed),
            "{name}"
        );
        assert!(receive(&mut reassembly, &piece(0, 2, true)).is_err());
    }
}

#[test]
fn what_no_honest_sender_makes_is_refused_and_leaves_nothing() {
    let with = |protocol, eights: usize, offset| {
        let mut piece = piece(offset, eights, true);
        piece.protocol = protocol;
        piece
    };
    let mut uneven = piece(0, 2, true);
    uneven.bytes.pop();
    let mut empty = piece(3, 0, false);
    for (name, source, piece, refusal) in [
        (
            "no multiple of eight",
            "198.18.0.1",
            &uneven,
            FragmentRefusal::Malformed,
        ),
        (
            "empty",
            "198.18.0.1",
            &piece(3, 0, true),
            FragmentRefusal::Malformed,
        ),
        (
            "an empty end",
            "198.18.0.1",
            &empty.clone(),
            FragmentRefusal::Malformed,
        ),
        (
            "tiny TCP",
            "198.18.0.1",
            &with(protocol::TCP, 2, 0),
            FragmentRefusal::Malformed,
        ),
        (
            "flags of TCP",
            "198.18.0.1",
            &with(protocol::TCP, 2, 1),
            FragmentRefusal::Malformed,
        ),
        (
            "tiny TCP",
            "fd00::1",
            &with(protocol::TCP, 2, 0),
            FragmentRefusal::Incomplete,
        ),
        (
            "flags of TCP",
            "fd00::1",
            &with(protocol::TCP, 2, 1),
            FragmentRefusal::Malformed,
        ),
    ] {
        let mut reassembly = Reassembly::new(LIMIT);
        let piece = piece.clone().from(source);
        assert_eq!(receive(&mut reassembly, &piece), Err(refusal), "{name}");
        assert!(reassembly.is_empty(), "{name}");
    }
    empty.more = true;
    let mut reassembly = Reassembly::new(LIMIT);
    assert_eq!(
        receive(&mut reassembly, &with(protocol::TCP, 3, 0)),
        Ok(None)
    );
}

#[test]
fn a_datagram_is_named_by_addresses_identification_and_in_ipv4_protocol() {
    let mut reassembly = Reassembly::new(LIMIT);
    let mut tcp = piece(2, 1, false);
    tcp.protocol = protocol::TCP;
    for (source, other, apart) in [
        ("198.18.0.1", piece(2, 1, false).of(2), true),
        ("198.18.0.1", tcp.clone(), true),
        ("fd00::1", piece(2, 1, false).of(2), true),
        // RFC 8200 §4.5: the number in a later fragment says nothing.
        ("fd00::1", tcp, false),
    ] {
        let first = piece(0, 2, true).from(source);
        assert_eq!(receive(&mut reassembly, &first), Ok(None));
        let whole = receive(&mut reassembly, &other.from(source)).unwrap();
        assert_eq!(whole.is_none(), apart);
        let rest = piece(2, 1, false).from(source);
        let whole = if apart {
            receive(&mut reassembly, &rest).unwrap()
        } else {
            whole
        };
        assert_whole(&whole.expect("whole"), 24);
        reassembly = Reassembly::new(LIMIT);
    }
}

#[test]
fn after_a_minute_the_first_fragment_comes_back_if_it_was_there() {
    let mut reassembly = Reassembly::new(LIMIT);
    assert_eq!(reassembly.next_deadline(), None);
    let first = piece(0, 4, true);
    receive(&mut reassembly, &first).unwrap();
    let later = NOW + Duration::from_secs(1);
    receive_at(&mut reassembly, later, &piece(9, 4, true).of(2).packet()).unwrap();
    // A further piece does not prolong it.
    receive_at(&mut reassembly, later, &piece(9, 4, true).packet()).unwrap();
    assert_eq!(reassembly.next_deadline(), Some(NOW + TIMEOUT));
    let mut told = Vec::new();
    let early = NOW + (TIMEOUT - Duration::from_nanos(1));
    reassembly.expire(early, |first| told.push(first.to_vec()));
    assert_eq!((told.len(), reassembly.len()), (0, 2));
    reassembly.expire(NOW + TIMEOUT, |first| told.push(first.to_vec()));
    assert_eq!(told, [first.packet()]);
    assert_eq!(reassembly.next_deadline(), Some(later + TIMEOUT));
    reassembly.expire(later + TIMEOUT, |first| told.push(first.to_vec()));
    assert_eq!((told.len(), reassembly.cost()), (1, 0), "no first fragment");
    assert_eq!(reassembly.tally().timed_out, 2);
}

#[test]
fn a_mark_of_congestion_is_kept_and_contradicting_ones_are_refused() {
    for (first, second, expected) in [
        (2, 2, Ok(2)),
        (2, 3, Ok(3)),
        (1, 3, Ok(3)),
        (0, 3, Err(FragmentRefusal::Marks)),
    ] {
        for source in ["198.18.0.1", "fd00::1"] {
            let mut reassembly = Reassembly::new(LIMIT);
            let (mut one, mut two) = (
                piece(0, 2, true).from(source),
                piece(2, 1, false).from(source),
            );
            (one.ecn, two.ecn) = (first, second);
            receive(&mut reassembly, &one).unwrap();
            let outcome = receive(&mut reassembly, &two);
            let ecn = outcome.map(|whole| {
                IpHeader::parse(&whole.expect("whole"))
                    .unwrap()
                    .ecn()
                    .bits()
            });
            assert_eq!(ecn, expected, "{first} {second} {source}");
            assert!(reassembly.is_empty());
        }
    }
}

#[test]
fn a_limit_of_nothing_refuses_everything() {
    let mut reassembly = Reassembly::new(0);
    assert_eq!(
        receive(&mut reassembly, &piece(0, 2, true)),
        Err(FragmentRefusal::Limit)
    );
}
