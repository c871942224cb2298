//! ICMP for IPv4 (RFC 792, RFC 1122 §3.2.2).

use std::net::{IpAddr, Ipv4Addr};

use super::{IpHeader, ParseError, QuotedPacket, be16, checksum, ipv4, protocol};

/// Bytes before the data or the quoted packet.
pub const HEADER_LEN: usize = 8;
/// Kind number of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Kind number of a destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Kind number of an echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Kind number of a time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Kind number of a parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;

/// Codes of a destination unreachable.
pub mod code {
    /// No handler for the protocol number.
    pub const PROTOCOL_UNREACHABLE: u8 = 2;
    /// Nobody on the port.
    pub const PORT_UNREACHABLE: u8 = 3;
    /// Too big for the next hop and DF set; carries the MTU (RFC 1191).
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Time exceeded: while a datagram was put together.
    pub const REASSEMBLY: u8 = 1;
}

/// One message, its data or quoted packet borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icmpv4Message<'a> {
    /// Echo request.
    EchoRequest(Echo<'a>),
    /// Echo reply.
    EchoReply(Echo<'a>),
    /// Destination unreachable.
    Unreachable {
        /// Why (0 to 15).
        code: u8,
        /// Next-hop MTU, meaningful with code 4; 0 from routers older than RFC 1191.
        mtu: u16,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Time exceeded.
    TimeExceeded {
        /// 0 in transit, 1 during reassembly.
        code: u8,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Parameter problem.
    ParameterProblem {
        /// 0: the pointer indicates the error.
        code: u8,
        /// Offset of the offending byte.
        pointer: u8,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Everything else, to be ignored: source quench (RFC 6633), redirect, timestamp, router discovery, …
    Other {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
}

/// Identifier, sequence and data of an echo: all of it comes back unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echo<'a> {
    /// Identifier.
    pub identifier: u16,
    /// Sequence number.
    pub sequence: u16,
    /// Data.
    pub data: &'a [u8],
}

impl<'a> Icmpv4Message<'a> {
    /// Reads a message (the payload of an IP packet) and verifies its checksum.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] below 8 bytes, [`ParseError::Checksum`].
    pub fn parse(bytes: &'a [u8]) -> Result<Icmpv4Message<'a>, ParseError> {
        if bytes.len() < HEADER_LEN {
            return Err(ParseError::Truncated);
        }
        if !checksum::verify(bytes) {
            return Err(ParseError::Checksum);
        }
        let (code, rest) = (bytes[1], &bytes[HEADER_LEN..]);
        let echo = Echo {
            identifier: be16(bytes, 4),
            sequence: be16(bytes, 6),
            data: rest,
        };
        Ok(match bytes[0] {
            ECHO_REQUEST => Icmpv4Message::EchoRequest(echo),
            ECHO_REPLY => Icmpv4Message::EchoReply(echo),
            UNREACHABLE => Icmpv4Message::Unreachable {
                code,
                mtu: be16(bytes, 6),
                quote: rest,
            },
            TIME_EXCEEDED => Icmpv4Message::TimeExceeded { code, quote: rest },
            PARAMETER_PROBLEM => Icmpv4Message::ParameterProblem {
                code,
                pointer: bytes[4],
                quote: rest,
            },
            kind => Icmpv4Message::Other { kind, code },
        })
    }

    /// The packet an error is about; `None` for a message that is no error, and for a quote too short to tell.
    pub fn quoted(&self) -> Option<QuotedPacket> {
        match self {
            Icmpv4Message::Unreachable { quote, .. }
            | Icmpv4Message::TimeExceeded { quote, .. }
            | Icmpv4Message::ParameterProblem { quote, .. } => QuotedPacket::parse_v4(quote),
            Icmpv4Message::EchoRequest(_)
            | Icmpv4Message::EchoReply(_)
            | Icmpv4Message::Other { .. } => None,
        }
    }

    /// Appends the message with its checksum. Of a quote as much is kept as fits into a packet of 576 bytes with 20 of
    /// IP header (RFC 1812 §4.3.2.3).
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, code, rest, data) = match *self {
            Icmpv4Message::EchoRequest(echo) => (ECHO_REQUEST, 0, echo.word(), echo.data),
            Icmpv4Message::EchoReply(echo) => (ECHO_REPLY, 0, echo.word(), echo.data),
            Icmpv4Message::Unreachable { code, mtu, quote } => {
                (UNREACHABLE, code, u32::from(mtu), cut(quote))
            }
            Icmpv4Message::TimeExceeded { code, quote } => (TIME_EXCEEDED, code, 0, cut(quote)),
            Icmpv4Message::ParameterProblem {
                code,
                pointer,
                quote,
            } => (
                PARAMETER_PROBLEM,
                code,
                u32::from(pointer) << 24,
                cut(quote),
            ),
            Icmpv4Message::Other { kind, code } => (kind, code, 0, &[][..]),
        };
        out.extend_from_slice(&[kind, code, 0, 0]);
        out.extend_from_slice(&rest.to_be_bytes());
        out.extend_from_slice(data);
        let checksum = checksum::of(&out[start..]);
        out[start + 2..start + 4].copy_from_slice(&checksum.to_be_bytes());
    }
}

impl Echo<'_> {
    fn word(&self) -> u32 {
        u32::from(self.identifier) << 16 | u32::from(self.sequence)
    }
}

fn cut(quote: &[u8]) -> &[u8] {
    &quote[..quote
        .len()
        .min(ipv4::MINIMUM_REASSEMBLY - ipv4::HEADER_LEN - HEADER_LEN)]
}

/// Whether an ICMP error may be sent about this packet at all (RFC 1122 §3.2.2): not about an ICMP error (nor any ICMP but a
/// query), not about a later fragment, not to or from an address that is not one host's. Subnet broadcasts are the caller's
/// to know, and so is the rate.
pub fn may_report(header: &IpHeader, packet: &[u8]) -> bool {
    let (IpAddr::V4(source), IpAddr::V4(destination)) =
        (header.addresses.source, header.addresses.destination)
    else {
        return false;
    };
    let later_fragment = header.fragment.is_some_and(|fragment| fragment.offset != 0);
    one_host(source)
        && !destination.is_multicast()
        && !destination.is_broadcast()
        && !later_fragment
        && (header.protocol != protocol::ICMPV4 || is_query(packet.get(header.payload.start)))
}

fn one_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && !address.is_loopback() && first < 224
}

/// Echo, router discovery, timestamp, information, address mask, extended echo. Unknown kinds count as errors.
fn is_query(kind: Option<&u8>) -> bool {
    matches!(kind, Some(0 | 8 | 9 | 10 | 13..=18 | 42 | 43))
}

#[cfg(test)]
mod tests;
