//! `struct virtio_net_hdr`: what stands before each packet on a TUN opened with IFF_VNET_HDR.
//!
//! ```text
//!   0        1         2         4          6            8             10
//!   ┌────────┬─────────┬─────────┬──────────┬────────────┬─────────────┐
//!   │ flags  │ gso_type│ hdr_len │ gso_size │ csum_start │ csum_offset │   little-endian
//!   └────────┴─────────┴─────────┴──────────┴────────────┴─────────────┘
//! ```
//!
//! On the way in it says whether the kernel vouches for the checksum and whether the packet is a super-segment; every field is
//! checked against the packet before it is believed, for a packet can come from a raw socket with a header of its own.
//! On the way out it asks the kernel to segment and to fill in the checksum.

use thiserror::Error;

use super::{OutPacket, ReceiveMeta};

/// Bytes of the header on the wire between us and the kernel.
pub const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
/// A bit beside the type: the first segment carries CWR, the others must not (RFC 3168 §6.1.2).
const GSO_ECN: u8 = 0x80;

/// Offset of the flags in a TCP header, and CWR in them.
const TCP_FLAGS_OFFSET: usize = 13;
const TCP_CWR: u8 = 0x80;

/// The header's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// `NEEDS_CSUM` (1): the checksum is partial; `DATA_VALID` (2): it was verified. Other bits are ignored.
    pub flags: u8,
    /// 0 for one packet, 1 for TCP over IPv4, 4 for TCP over IPv6, with the bit 0x80 for ECN.
    pub gso_type: u8,
    /// Bytes of the IP and TCP headers; a hint on the way in.
    pub hdr_len: u16,
    /// Payload bytes of each segment of a super-segment, the last one excepted.
    pub gso_size: u16,
    /// Where the checksummed part begins, in bytes from the start of the packet.
    pub csum_start: u16,
    /// Where the checksum stands, in bytes from `csum_start`.
    pub csum_offset: u16,
}

/// Why a packet was dropped before the stack saw it: its header contradicts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Fewer bytes than a header, or nothing behind it.
    #[error("packet of {len} bytes is too short for an offload header and a packet")]
    TooShort {
        /// Bytes read, header included.
        len: usize,
    },
    /// The version nibble of the packet is neither 4 nor 6.
    #[error("packet is neither IPv4 nor IPv6 (version {version})")]
    NotIp {
        /// What it says.
        version: u8,
    },
    /// `csum_start` and `csum_offset` point outside the packet, or into the IP header.
    #[error("checksum at {start}+{offset} is outside the packet of {len} bytes")]
    ChecksumOutOfRange {
        /// `csum_start`.
        start: u16,
        /// `csum_offset`.
        offset: u16,
        /// Bytes of the packet.
        len: usize,
    },
    /// A super-segment that says its segments are empty.
    #[error("super-segment with a segment size of zero")]
    ZeroSegmentSize,
    /// `hdr_len` is longer than the packet.
    #[error("headers of {hdr_len} bytes in a packet of {len}")]
    HeaderLongerThanPacket {
        /// `hdr_len`.
        hdr_len: u16,
        /// Bytes of the packet.
        len: usize,
    },
    /// A super-segment of one IP version with a packet of the other.
    #[error("super-segment of type {gso_type} with an IPv{version} packet")]
    WrongVersion {
        /// The type without the ECN bit.
        gso_type: u8,
        /// The packet's IP version.
        version: u8,
    },
    /// A super-segment without the partial checksum it must have; its segments' checksums are unknowable.
    #[error("super-segment without a partial checksum")]
    SegmentsWithoutChecksum,
    /// A super-segment of a kind we did not ask for (UDP, or unknown).
    #[error("super-segment of type {gso_type}, which was not offered")]
    NotOffered {
        /// The type without the ECN bit.
        gso_type: u8,
    },
}

impl VnetHeader {
    /// Reads the fields; nothing is checked yet.
    pub fn decode(bytes: &[u8; LEN]) -> Self {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// The bytes to put before the packet.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        for (at, word) in [
            self.hdr_len,
            self.gso_size,
            self.csum_start,
            self.csum_offset,
        ]
        .into_iter()
        .enumerate()
        {
            bytes[2 + 2 * at..][..2].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What may be believed of the header for this packet, or what is wrong with it.
    pub fn verify(&self, packet: &[u8]) -> Result<ReceiveMeta, Malformed> {
        let len = packet.len();
        let Some(version) = packet.first().map(|first| first >> 4) else {
            return Err(Malformed::TooShort { len: LEN });
        };
        let ip_header = match version {
            4 => 20,
            6 => 40,
            _ => return Err(Malformed::NotIp { version }),
        };
        if self.flags & NEEDS_CSUM != 0 {
            let (start, offset) = (usize::from(self.csum_start), usize::from(self.csum_offset));
            if start < ip_header || start + offset + 2 > len {
                return Err(Malformed::ChecksumOutOfRange {
                    start: self.csum_start,
                    offset: self.csum_offset,
                    len,
                });
            }
        }
        Ok(ReceiveMeta {
            checksum_trusted: self.flags & (NEEDS_CSUM | DATA_VALID) != 0,
            segment_size: self.verify_segments(version, len)?,
        })
    }

    fn verify_segments(&self, version: u8, len: usize) -> Result<Option<u16>, Malformed> {
        let gso_type = self.gso_type & !GSO_ECN;
        let expected = match gso_type {
            GSO_NONE => return Ok(None),
            GSO_TCPV4 => 4,
            GSO_TCPV6 => 6,
            _ => return Err(Malformed::NotOffered { gso_type }),
        };
        if version != expected {
            return Err(Malformed::WrongVersion { gso_type, version });
        }
        if self.gso_size == 0 {
            return Err(Malformed::ZeroSegmentSize);
        }
        if usize::from(self.hdr_len) > len {
            return Err(Malformed::HeaderLongerThanPacket {
                hdr_len: self.hdr_len,
                len,
            });
        }
        if self.flags & NEEDS_CSUM == 0 {
            return Err(Malformed::SegmentsWithoutChecksum);
        }
        Ok(Some(self.gso_size))
    }

    /// The header that asks the kernel to cut and checksum this packet.
    pub fn for_packet(packet: &OutPacket<'_>) -> Self {
        let Some((start, offset)) = packet.checksum else {
            return Self::default(); // complete as it is: one packet, its own checksum
        };
        let mut header = Self {
            flags: NEEDS_CSUM,
            csum_start: start,
            csum_offset: offset,
            ..Self::default()
        };
        if packet.is_super_segment() {
            header.gso_type = if packet.is_ipv6() {
                GSO_TCPV6
            } else {
                GSO_TCPV4
            };
            let flags = packet
                .header
                .get(usize::from(start) + TCP_FLAGS_OFFSET)
                .copied()
                .unwrap_or(0);
            if flags & TCP_CWR != 0 {
                header.gso_type |= GSO_ECN;
            }
            header.gso_size = packet.segment_size;
            header.hdr_len = packet.header.len() as u16; // IP and TCP headers: at most 60 + 60 bytes
        }
        header
    }
}

#[cfg(test)]
mod tests;
