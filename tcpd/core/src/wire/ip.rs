//! What IPv4 and IPv6 have in common once their headers are read.

use std::net::IpAddr;
use std::ops::Range;

use super::ipv4::Ipv4Fields;
use super::ipv6::Ipv6Fields;
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

    /// The ECN field.
    pub fn ecn(&self) -> Ecn {
        Ecn::of(self.traffic_class)
    }
}

/// The ECN field of an IP header: the lower two bits of the traffic class (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ecn {
    /// Not ECN-capable: a router that is congested drops the packet.
    #[default]
    NotEct = 0,
    /// ECN-capable; to a classic sender the same as ECT(0). L4S gives it a meaning of its own (RFC 9331).
    Ect1 = 1,
    /// ECN-capable: a router may mark the packet in place of dropping it.
    Ect0 = 2,
    /// Congestion experienced: a router marked it.
    Ce = 3,
}

impl Ecn {
    /// The field in a traffic class.
    pub const fn of(traffic_class: u8) -> Ecn {
        match traffic_class & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// The two bits.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// As ladders and scripts name it: `ECT(0)`, `CE`, `Not-ECT`.
impl std::fmt::Display for Ecn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ecn::NotEct => "Not-ECT",
            Ecn::Ect1 => "ECT(1)",
            Ecn::Ect0 => "ECT(0)",
            Ecn::Ce => "CE",
        })
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
    /// Where in the packet the piece's bytes begin: behind the header, in IPv6 directly behind the fragment header.
    pub start: u16,
    /// IPv6: where in the packet the number of the fragment header stands. IPv4: 0.
    pub named_at: u16,
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
    /// 0 erroneous field, 1 unrecognised next header, 2 unrecognised option, 3 a first fragment without all headers.
    pub code: u8,
    /// Offset of the offending byte in the packet.
    pub pointer: u32,
    /// To be reported even when the packet was sent to a multicast address (option action 10, RFC 8200 §4.2).
    pub even_to_multicast: bool,
}

/// The default TTL and hop limit (RFC 1122 §3.2.1.7, RFC 1700).
pub const DEFAULT_HOP_LIMIT: u8 = 64;

/// What the IP header of a packet to be sent says, of either family: no options, no extension headers, never a fragment, DF set, identification 0
/// (RFC 6864 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpFields {
    /// Both of one family.
    pub addresses: IpAddresses,
    /// IANA protocol number of the payload.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// 20 bits (RFC 6437); IPv4 has none.
    pub flow_label: u32,
}

impl IpFields {
    /// The usual fields: hop limit 64, no DSCP, not ECN-capable, no flow label.
    pub fn new(addresses: IpAddresses, protocol: u8) -> IpFields {
        IpFields {
            addresses,
            protocol,
            hop_limit: DEFAULT_HOP_LIMIT,
            traffic_class: 0,
            flow_label: 0,
        }
    }

    /// Bytes that [`IpFields::emit`] appends: 20 or 40.
    pub fn header_len(&self) -> usize {
        header_len(self.addresses.source)
    }

    /// Appends the header of a packet with `payload_len` bytes behind it. Addresses of two families are a mistake of the caller; nothing is
    /// appended then.
    pub fn emit(&self, payload_len: usize, out: &mut Vec<u8>) {
        debug_assert!(
            payload_len <= usize::from(u16::MAX),
            "{payload_len} bytes do not fit into a packet"
        );
        let payload_len = payload_len as u16;
        let IpFields {
            protocol,
            hop_limit,
            traffic_class,
            flow_label,
            ..
        } = *self;
        match (self.addresses.source, self.addresses.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (ttl, identification, dont_fragment) = (hop_limit, 0, true);
                Ipv4Fields {
                    source,
                    destination,
                    protocol,
                    ttl,
                    traffic_class,
                    identification,
                    dont_fragment,
                    payload_len,
                }
                .emit(out);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Ipv6Fields {
                    source,
                    destination,
                    protocol,
                    hop_limit,
                    traffic_class,
                    flow_label,
                    payload_len,
                }
                .emit(out);
            }
            _ => debug_assert!(false, "addresses of two families: {:?}", self.addresses),
        }
    }
}

/// Bytes of the header we send from an address of this family: 20 or 40.
pub const fn header_len(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => ipv4::HEADER_LEN,
        IpAddr::V6(_) => ipv6::HEADER_LEN,
    }
}
