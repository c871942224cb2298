//! Bytes ↔ values, once, at the edge.
//!
//! Parsers here are total: any bytes give a value or a [`ParseError`], in time bounded by the length, without a panic.
//! What a parser does not check (checksums, addresses) is said where it is defined.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

pub mod checksum;
pub mod fragmentation;
pub mod icmpv4;
pub mod icmpv6;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod ladder;
pub mod quoted;
pub mod segmentation;
pub mod sequence;
pub mod tcp;
pub mod tcp_options;

pub use ip::{Ecn, Fragment, IpFields, IpHeader, IpRefusal, ParameterProblem};
pub use quoted::QuotedPacket;
pub use segmentation::{PartialChecksum, SuperSegment};
pub use sequence::SequenceNumber;
pub use tcp::{Flags, TcpSegment};
pub use tcp_options::{MAX_WINDOW_SCALE, SackBlocks, TcpOptions, Timestamps, UserTimeout};

/// IP protocol numbers (IANA).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMPV4: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6: nothing follows.
    pub const NO_NEXT_HEADER: u8 = 59;
}

/// Source and destination of a packet; both of one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpAddresses {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
}

impl IpAddresses {
    /// The way back.
    pub fn reversed(self) -> IpAddresses {
        IpAddresses {
            source: self.destination,
            destination: self.source,
        }
    }

    /// Whether this is a pair of IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.source.is_ipv6()
    }
}

/// What names a TCP connection in a packet: addresses and ports, as the sender of that packet sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowTuple {
    /// Addresses of the packet.
    pub addresses: IpAddresses,
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
}

impl FlowTuple {
    /// The same connection, named by the other side.
    pub fn reversed(self) -> FlowTuple {
        FlowTuple {
            addresses: self.addresses.reversed(),
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }
}

/// The bare octets in one piece: a keyed hash of a flow is computed for every segment.
impl Hash for FlowTuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u32::from(self.source_port) << 16 | u32::from(self.destination_port);
        match (self.addresses.source, self.addresses.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut octets = [0; 12];
                octets[..4].copy_from_slice(&source.octets());
                octets[4..8].copy_from_slice(&destination.octets());
                octets[8..].copy_from_slice(&ports.to_be_bytes());
                state.write(&octets);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut octets = [0; 36];
                octets[..16].copy_from_slice(&source.octets());
                octets[16..32].copy_from_slice(&destination.octets());
                octets[32..].copy_from_slice(&ports.to_be_bytes());
                state.write(&octets);
            }
            mixed => (mixed, ports).hash(state),
        }
    }
}

/// Why bytes are not a packet. Each is a drop reason of its own for the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// Shorter than the fixed header.
    #[error("shorter than its fixed header")]
    Truncated,
    /// The version nibble is not the one expected.
    #[error("unknown IP version")]
    Version,
    /// IPv4 IHL or TCP data offset below 5, or longer than the bytes there are.
    #[error("header length does not fit")]
    HeaderLength,
    /// IPv4 total length or IPv6 payload length below the header or beyond the bytes there are.
    #[error("total length does not fit")]
    TotalLength,
    /// The checksum of the IPv4 header or of the ICMP message is wrong.
    #[error("bad checksum")]
    Checksum,
    /// A malformed IPv4 option list, or an IPv6 option that asks to drop the packet.
    #[error("IP options refused")]
    Options,
    /// More IPv6 extension headers than any honest packet has, or one where it may not stand.
    #[error("extension header chain refused")]
    ExtensionHeaders,
}

/// Reads a big-endian number; the caller has checked the length.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a big-endian number; the caller has checked the length.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
