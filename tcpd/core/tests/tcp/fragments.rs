//! Datagrams that come in fragments, at a whole stack: TCP, UDP, echoes, and what their senders hear.

use std::time::Duration;

use tcpd_core::stack::{IpCidr, ReceiveMeta};
use tcpd_core::wire::icmpv4::{self, Echo, Icmpv4Message};
use tcpd_core::wire::icmpv6::{self, Icmpv6Message};
use tcpd_core::wire::{IpAddresses, IpHeader, checksum, fragmentation, protocol};

use crate::common::packets;
use crate::peer::Peer;
use crate::wire::{RIGHT_V6, ends, pattern};

fn to_stack(ipv6: bool) -> IpAddresses {
    let (source, destination) = ends(ipv6);
    IpAddresses {
        source,
        destination,
    }
}

/// A peer whose stack has an address of each family.
fn peer() -> Peer {
    Peer::new(|config| {
        config.addresses.push(IpCidr::new(RIGHT_V6.into(), 64));
    })
}

fn packet(ipv6: bool, number: u8, payload: &[u8]) -> Vec<u8> {
    packets::packet(to_stack(ipv6), number, payload)
}

fn udp(ipv6: bool, length: usize) -> Vec<u8> {
    let mut datagram = vec![0x13, 0x88, 0, 9];
    datagram.extend_from_slice(&(length as u16 + 8).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend(pattern(length));
    let mut sum = checksum::pseudo_header(&to_stack(ipv6), protocol::UDP, datagram.len() as u32);
    sum.add(&datagram);
    datagram[6..8].copy_from_slice(&sum.finish().to_be_bytes());
    packet(ipv6, protocol::UDP, &datagram)
}

fn cut(packet: &[u8], mtu: u16, identification: u32) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    fragmentation::split(packet, mtu, identification, |piece| pieces.push(piece));
    assert!(pieces.len() > 1, "cut into pieces");
    pieces
}

impl Peer {
    fn give(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            self.stack.receive(self.now, packet, ReceiveMeta::default());
        }
    }

    /// What the stack sends, as it is.
    fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| packets.push(packet.to_vec()));
        }
        packets
    }

    fn assert_all_counted(&self) {
        let counters = self.stack.counters();
        let counted = counters.segments_accepted + counters.dropped_in_all();
        assert_eq!(counters.segments_in, counted);
    }
}

#[test]
fn a_segment_in_fragments_is_taken_in_like_a_whole_one_and_its_checksum_verified() {
    let mut peer = peer();
    let id = peer.established();
    let text = pattern(900);
    let segment = peer.packet(&peer.segment("P.", 1, 1, &text));
    let mut pieces = cut(&segment, 300, 7);
    pieces.reverse();
    peer.give(&pieces);
    let delayed = peer.wait(Duration::from_millis(40));
    assert_eq!(delayed, [(40, ". 1(0) ack 901".to_owned())]);
    let mut read = [0; 1000];
    let count = peer.stack.receive_into(peer.now, id, &mut read).unwrap();
    assert_eq!(&read[..count], text);

    let segment = peer.packet(&peer.segment("P.", 901, 1, &text));
    let mut pieces = cut(&segment, 300, 8);
    pieces[1][100] ^= 1;
    let trusted = ReceiveMeta {
        checksum_trusted: true,
        segment_size: None,
    };
    for piece in &pieces {
        // What the device says of a piece says nothing about the whole.
        peer.stack.receive(peer.now, piece, trusted);
    }
    assert_eq!(peer.dropped("tcp-checksum"), 1);
    assert_eq!(peer.stack.counters().datagrams_reassembled, 2);
    peer.assert_all_counted();
}

#[test]
fn a_segment_of_which_pieces_overlap_is_never_seen() {
    let mut peer = peer();
    peer.established();
    let segment = peer.packet(&peer.segment("P.", 1, 1, &pattern(900)));
    let mut pieces = cut(&segment, 300, 7);
    // The second piece once more, with another byte.
    let mut forged = pieces[1].clone();
    *forged.last_mut().unwrap() ^= 1;
    pieces.insert(2, forged);
    peer.give(&pieces);
    assert!(peer.out().is_empty());
    let dropped = peer.dropped("fragment-overlap");
    assert_eq!(dropped, pieces.len() as u64 - 2);
    peer.assert_all_counted();
}

#[test]
fn a_large_datagram_for_nobody_is_refused_with_a_quote_of_its_beginning() {
    for ipv6 in [false, true] {
        let mut peer = peer();
        let whole = udp(ipv6, 4000);
        peer.give(&cut(&whole, 1500, 7));
        let [refusal] = &peer.packets()[..] else {
            panic!("one answer");
        };
        let header = IpHeader::parse(refusal).unwrap();
        let message = &refusal[header.payload.clone()];
        let quote = if ipv6 {
            let Ok(Icmpv6Message::Unreachable { code, quote }) =
                Icmpv6Message::parse(&header.addresses, message)
            else {
                panic!("unreachable")
            };
            assert_eq!(code, icmpv6::code::PORT_UNREACHABLE);
            quote
        } else {
            let Ok(Icmpv4Message::Unreachable { code, quote, .. }) = Icmpv4Message::parse(message)
            else {
                panic!("unreachable")
            };
            assert_eq!(code, icmpv4::code::PORT_UNREACHABLE);
            quote
        };
        let headers = IpHeader::parse(&whole).unwrap().payload.start;
        assert_eq!(quote[headers..], whole[headers..quote.len()]);
        peer.assert_all_counted();
    }
}

#[test]
fn a_large_echo_comes_back_whole_in_fragments_that_fit() {
    for ipv6 in [false, true] {
        let mut peer = peer();
        let echo = Echo {
            identifier: 17,
            sequence: 3,
            data: &pattern(8000),
        };
        let mut message = Vec::new();
        if ipv6 {
            Icmpv6Message::EchoRequest(echo).emit(&to_stack(true), &mut message);
            peer.give(&cut(&packet(true, protocol::ICMPV6, &message), 1500, 7));
        } else {
            Icmpv4Message::EchoRequest(echo).emit(&mut message);
            peer.give(&cut(&packet(false, protocol::ICMPV4, &message), 1500, 7));
        }
        let (mut back, mut named) = (Vec::new(), Vec::new());
        for piece in peer.packets() {
            assert!(piece.len() <= 1500);
            let header = IpHeader::parse(&piece).unwrap();
            let fragment = header.fragment.unwrap();
            assert_eq!(usize::from(fragment.offset), back.len());
            named.push(fragment.identification);
            back.extend_from_slice(&piece[usize::from(fragment.start)..]);
        }
        named.dedup();
        assert_eq!(named.len(), 1);
        // The reply differs from the request in its type and checksum.
        assert_eq!(back.len(), message.len());
        assert_eq!(back[4..], message[4..]);
        assert_ne!(back[0], message[0]);
    }
}

#[test]
fn after_a_minute_the_sender_of_a_first_fragment_hears_of_the_missing_ones() {
    for ipv6 in [false, true] {
        let mut peer = peer();
        let pieces = cut(&udp(ipv6, 4000), 1500, 7);
        // Of one datagram the first and the last piece, of another one the last alone.
        peer.give(&[pieces[0].clone(), pieces[2].clone()]);
        let other = cut(&udp(ipv6, 4000), 1500, 8);
        peer.give(&other[2..]);
        let due = peer.now + Duration::from_secs(60);
        assert_eq!(peer.stack.next_deadline(), Some(due));
        peer.now = due;
        peer.stack.on_deadline(due);
        let [told] = &peer.packets()[..] else {
            panic!("one answer");
        };
        let header = IpHeader::parse(told).unwrap();
        assert_eq!(header.addresses, to_stack(ipv6).reversed());
        let message = &told[header.payload.clone()];
        let quote = if ipv6 {
            let Ok(Icmpv6Message::TimeExceeded { code: 1, quote }) =
                Icmpv6Message::parse(&header.addresses, message)
            else {
                panic!("time exceeded")
            };
            quote
        } else {
            let Ok(Icmpv4Message::TimeExceeded { code: 1, quote }) = Icmpv4Message::parse(message)
            else {
                panic!("time exceeded")
            };
            quote
        };
        assert_eq!(quote, &pieces[0][..quote.len()]);
        assert_eq!(peer.stack.next_deadline(), None);
        assert_eq!(peer.stack.counters().reassembly_timeouts, 2);
        peer.assert_all_counted();
    }
}

#[test]
fn a_first_fragment_without_all_headers_is_reported_in_ipv6_and_dropped_in_silence_in_ipv4() {
    let mut peer = peer();
    let segment = peer.packet(&peer.segment("S", 0, 0, b""));
    let mut tiny = cut(&segment, 36, 7);
    tiny.truncate(1);
    peer.give(&tiny);
    assert!(peer.packets().is_empty());

    let mut chain_cut = packet(true, 44, &[60, 0, 0, 1, 0, 0, 0, 9, 6, 1, 0, 0, 0, 0, 0, 0]);
    let tiny = cut(&packet(true, protocol::TCP, &[0; 40]), 40 + 8 + 16, 7);
    for (packet, reason) in [
        (tiny[0].clone(), "fragment-malformed"),
        (std::mem::take(&mut chain_cut), "malformed-ip"),
    ] {
        let before = peer.dropped(reason);
        peer.give(std::slice::from_ref(&packet));
        let [told] = &peer.packets()[..] else {
            panic!("one answer about {reason}");
        };
        let header = IpHeader::parse(told).unwrap();
        let message = &told[header.payload.clone()];
        let Ok(Icmpv6Message::ParameterProblem {
            code: 3,
            pointer: 0,
            quote,
        }) = Icmpv6Message::parse(&header.addresses, message)
        else {
            panic!("parameter problem 3 about {reason}");
        };
        assert_eq!(quote, packet);
        assert_eq!(peer.dropped(reason), before + 1);
    }
    peer.assert_all_counted();
}
