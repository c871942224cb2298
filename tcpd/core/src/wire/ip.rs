//! What IPv4 and IPv6 have in common once their headers are read.

use std::ops::Range;

use super::{IpAddresses, ParseError, ipv4, ipv6};

/// The header of one IP packet, extension headers included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpHeader {
    /// Source and destination, not judged yet.
    pub addresses: IpAddresses,
    /// What the payload is (IANA protocol number), behind all extension headers.
    pub protocol: u8,
    /// Where in the packet the number in `protocol` stands: what a parameter problem points at (RFC 8200 §4).
    pub protocol_at: u16,
    /// TTL or hop limit. A host does not drop a packet for a small one (RFC 1122 §3.2.1.7).
    pub hop_limit: u8,
    /// DSCP (upper six bits) and ECN (lower two).
    pub traffic_class: u8,
    /// Don't Fragment; always true for IPv6.
    pub dont_fragment: bool,
    /// Where the payload stands. Bytes of the buffer behind its end do not belong to the packet.
    pub payload: Range<usize>,
    /// Set when this is one piece of a datagram. An atomic IPv6 fragment (RFC 6946) is whole, hence `None`.
    pub fragment: Option<Fragment>,
    /// An IPv4 source route option (LSRR or SSRR) was there.
    pub source_routed: bool,
}

impl IpHeader {
    /// Reads an IPv4 or IPv6 header by its version nibble.
    ///
    /// # Errors
    /// See [`ipv4::parse`] and [`ipv6::parse`]; [`ParseError::Version`] for any other version.
    pub fn parse(packet: &[u8]) -> Result<IpHeader, IpRefusal> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => ipv4::parse(packet),
            Some(6) => ipv6::parse(packet),
            Some(_) => Err(ParseError::Version.into()),
            None => Err(ParseError::Truncated.into()),
        }
    }

    /// Bytes of all headers before the payload.
    pub fn header_len(&self) -> usize {
        self.payload.start
    }

    /// Bytes of the whole packet.
    pub fn total_len(&self) -> usize {
        self.payload.end
    }

    /// ECN field: 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE (RFC 3168 §5).
    pub fn ecn(&self) -> u8 {
        self.traffic_class & 3
    }
}

/// Which piece of a datagram a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// Identification; 16 bits in IPv4.
    pub identification: u32,
    /// First byte of the piece within the datagram's payload; a multiple of 8, at most 65,528.
    pub offset: u16,
    /// More pieces follow.
    pub more: bool,
}

/// Why a packet was refused, and what its sender is to be told (IPv6 only).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct IpRefusal {
    /// Why.
    pub reason: ParseError,
    /// The ICMPv6 error RFC 8200 asks for; the usual rules for ICMP errors apply on top.
    pub problem: Option<ParameterProblem>,
}

impl From<ParseError> for IpRefusal {
    fn from(reason: ParseError) -> IpRefusal {
        IpRefusal {
            reason,
            problem: None,
        }
    }
}

/// Contents of an ICMPv6 parameter problem (RFC 4443 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParameterProblem {
    /// 0 erroneous field, 1 unrecognised next header, 2 unrecognised option.
    pub code: u8,
    /// Offset of the offending byte in the packet.
    pub pointer: u32,
    /// To be reported even when the packet was sent to a multicast address (option action 10, RFC 8200 §4.2).
    pub even_to_multicast: bool,
}
