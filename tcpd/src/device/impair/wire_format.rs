//! Packets as they would be on a wire: no longer than the link takes, with complete checksums.

use tcpd_core::stack::ReceiveMeta;
use tcpd_core::wire::segmentation::{PartialChecksum, SuperSegment};
use tcpd_core::wire::{IpHeader, checksum, protocol, tcp};

use crate::device::OutPacket;
use crate::device::offload::Cutter;

/// Makes them; keeps its scratch memory between calls.
#[derive(Debug, Default)]
pub(super) struct WireFormat {
    cutter: Cutter,
    scratch: Vec<u8>,
}

const UDP_HEADER_LEN: usize = 8;
const UDP_CHECKSUM_OFFSET: usize = 6;

impl WireFormat {
    /// Gives each packet of what the stack sends to `emit`, in order.
    pub(super) fn each_sent(&mut self, packet: &OutPacket<'_>, mut emit: impl FnMut(Vec<u8>)) {
        self.cutter
            .for_each_packet(packet, |packet| emit(packet.to_vec()));
    }

    /// Gives each packet of what the device received to `emit`, in order. What the kernel vouches for gets the checksum that it would
    /// have; anything else stays as it is.
    pub(super) fn each_received(
        &mut self,
        packet: &[u8],
        meta: &ReceiveMeta,
        mut emit: impl FnMut(Vec<u8>),
    ) {
        let vouched_for = meta.checksum_trusted || meta.segment_size.is_some();
        let header = IpHeader::parse(packet).ok().filter(|header| {
            vouched_for && header.fragment.is_none() && header.total_len() <= packet.len()
        });
        let Some(header) = header else {
            return emit(packet.to_vec());
        };
        let at = header.payload.start;
        let packet = &packet[..header.total_len()];
        match header.protocol {
            protocol::TCP => self.each_segment(packet, at, meta.segment_size.unwrap_or(0), emit),
            protocol::UDP if packet.len() >= at + UDP_HEADER_LEN => {
                let mut packet = packet.to_vec();
                let datagram = &mut packet[at..];
                datagram[UDP_CHECKSUM_OFFSET..][..2].fill(0);
                let length = datagram.len() as u32;
                let mut sum = checksum::pseudo_header(&header.addresses, protocol::UDP, length);
                sum.add(datagram);
                // RFC 768: zero says that there is none.
                let sum = match sum.finish() {
                    0 => u16::MAX,
                    sum => sum,
                };
                datagram[UDP_CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.to_be_bytes());
                emit(packet);
            }
            _ => emit(packet.to_vec()),
        }
    }

    fn each_segment(
        &mut self,
        packet: &[u8],
        at: usize,
        segment_size: u16,
        mut emit: impl FnMut(Vec<u8>),
    ) {
        let header_len = packet
            .get(at + 12)
            .map_or(0, |byte| usize::from(byte >> 4) * 4);
        if header_len < tcp::HEADER_LEN || packet.len() < at + header_len {
            // Cut off, or nonsense: the stack says what it thinks of that.
            return emit(packet.to_vec());
        }
        let (header, payload) = packet.split_at(at + header_len);
        let segment = SuperSegment {
            header,
            checksum: Some(PartialChecksum {
                start: at as u16,
                offset: tcp::CHECKSUM_OFFSET as u16,
            }),
            payload_len: payload.len() as u32,
            segment_size,
        };
        let read = |offset: u32, out: &mut [u8]| {
            out.copy_from_slice(&payload[offset as usize..][..out.len()]);
        };
        segment.for_each_packet(&mut self.scratch, read, |packet| emit(packet.to_vec()));
    }
}
