//! Segmentation in software: what a device with TSO does, for one that has none (and for the simulator and loopback).
//!
//! A super-segment is one IP and TCP header with up to 64 KiB of payload. It is cut every `segment_size` bytes:
//! 1. SEG.SEQ moves on by what was cut; the urgent pointer moves back by it, and URG goes where it has been passed;
//! 2. FIN and PSH stay on the last packet only, CWR on the first only (RFC 3168 §6.1.2: once is enough);
//! 3. total length or payload length, and the identification of an IPv4 packet that may be fragmented, are set anew
//!    (an atomic one keeps its own, RFC 6864 §4.1);
//! 4. both checksums are computed in full.

use super::checksum::{self, Sum};
use super::tcp::{self, Flags};
use super::{be16, be32, ipv4, ipv6, protocol};

/// A checksum the device still has to complete, as virtio has it: sum the packet from `start` on, put the complement at `start +
/// offset`, where the folded sum of the pseudo header stands so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialChecksum {
    /// Where summing starts: the first byte of the TCP header, counted from that of the IP header.
    pub start: u16,
    /// Where the field is, counted from `start`: 16 for TCP.
    pub offset: u16,
}

/// A packet to be cut, its payload elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct SuperSegment<'a> {
    /// IP header (no extension headers) and TCP header with options.
    pub header: &'a [u8],
    /// `None` when the packet is complete as it is (ICMP): then it is not touched, and never cut.
    pub checksum: Option<PartialChecksum>,
    /// Bytes of payload, at most 65,535.
    pub payload_len: u32,
    /// Payload bytes of each packet but the last; 0 for one packet.
    pub segment_size: u16,
}

impl SuperSegment<'_> {
    /// Calls `emit` once for every complete, checksummed packet, in order. `read(offset, out)` copies payload from `offset` on
    /// into `out`. `scratch` is room to build packets in; its contents do not matter.
    pub fn for_each_packet(
        &self,
        scratch: &mut Vec<u8>,
        mut read: impl FnMut(u32, &mut [u8]),
        mut emit: impl FnMut(&[u8]),
    ) {
        let size = match self.segment_size {
            0 => self.payload_len,
            size => u32::from(size),
        };
        let mut offset = 0;
        loop {
            let length = size.min(self.payload_len - offset);
            let end = offset + length;
            scratch.clear();
            scratch.extend_from_slice(self.header);
            scratch.resize(self.header.len() + length as usize, 0);
            read(offset, &mut scratch[self.header.len()..]);
            if let Some(partial) = self.checksum {
                let place = Place {
                    offset,
                    first: offset == 0,
                    last: end == self.payload_len,
                };
                finish(scratch, usize::from(partial.start), place);
            }
            emit(scratch);
            if end == self.payload_len || self.checksum.is_none() {
                return;
            }
            offset = end;
        }
    }
}

/// Where a packet lies in its super-segment.
struct Place {
    offset: u32,
    first: bool,
    last: bool,
}

/// Makes a copy of the super-segment's header, with one packet's payload behind it, that packet. A header that is not IP and TCP
/// is left alone.
fn finish(packet: &mut [u8], tcp_at: usize, place: Place) {
    if packet.len() < tcp_at + tcp::HEADER_LEN {
        return;
    }
    let addresses = match packet[0] >> 4 {
        4 if tcp_at >= ipv4::HEADER_LEN => {
            finish_ipv4(packet, tcp_at, &place);
            ipv4::addresses(packet)
        }
        6 if tcp_at >= ipv6::HEADER_LEN => {
            let payload_len = (packet.len() - ipv6::HEADER_LEN) as u16;
            packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
            ipv6::addresses(packet)
        }
        _ => return,
    };
    let segment = &mut packet[tcp_at..];
    finish_tcp(segment, &place);
    segment[tcp::CHECKSUM_OFFSET..][..2].fill(0);
    let mut sum: Sum = checksum::pseudo_header(&addresses, protocol::TCP, segment.len() as u32);
    sum.add(segment);
    segment[tcp::CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.finish().to_be_bytes());
}

fn finish_ipv4(packet: &mut [u8], header_len: usize, place: &Place) {
    let total_len = packet.len() as u16;
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    let dont_fragment = packet[6] & 0x40 != 0;
    if !dont_fragment {
        // Different packets need different numbers; the stream offset is as good as a counter.
        let identification = be16(packet, 4).wrapping_add(place.offset as u16);
        packet[4..6].copy_from_slice(&identification.to_be_bytes());
    }
    packet[10..12].fill(0);
    let checksum = checksum::of(&packet[..header_len]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn finish_tcp(segment: &mut [u8], place: &Place) {
    let seq = be32(segment, 4).wrapping_add(place.offset);
    segment[4..8].copy_from_slice(&seq.to_be_bytes());
    let mut flags = Flags(segment[13]);
    if !place.last {
        flags = flags.without(Flags::FIN.with(Flags::PSH));
    }
    if !place.first {
        flags = flags.without(Flags::CWR);
    }
    if flags.contains(Flags::URG) && !place.first {
        let urgent = u32::from(be16(segment, 18)).saturating_sub(place.offset) as u16;
        segment[18..20].copy_from_slice(&urgent.to_be_bytes());
        if urgent == 0 {
            flags = flags.without(Flags::URG);
        }
    }
    segment[13] = flags.0;
}

#[cfg(test)]
mod tests;
