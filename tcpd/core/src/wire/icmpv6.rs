//! ICMP for IPv6 (RFC 4443).

use std::net::{IpAddr, Ipv6Addr};

use super::icmpv4::Echo;
use super::{
    IpAddresses, IpHeader, ParameterProblem, ParseError, QuotedPacket, be16, be32, checksum, ipv6,
    protocol,
};

/// Bytes before the data or the quoted packet.
pub const HEADER_LEN: usize = 8;
/// Kind number of a destination unreachable.
pub const UNREACHABLE: u8 = 1;
/// Kind number of a packet too big.
pub const PACKET_TOO_BIG: u8 = 2;
/// Kind number of a time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Kind number of a parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Kind number of an echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Kind number of an echo reply.
pub const ECHO_REPLY: u8 = 129;

/// Codes of destination unreachable and parameter problem.
pub mod code {
    /// Unreachable: nobody on the port.
    pub const PORT_UNREACHABLE: u8 = 4;
    /// Parameter problem: unrecognised next header.
    pub const UNRECOGNIZED_NEXT_HEADER: u8 = 1;
    /// Parameter problem: unrecognised option.
    pub const UNRECOGNIZED_OPTION: u8 = 2;
    /// Time exceeded: while a datagram was put together.
    pub const REASSEMBLY: u8 = 1;
}

/// One message, its data or quoted packet borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icmpv6Message<'a> {
    /// Echo request.
    EchoRequest(Echo<'a>),
    /// Echo reply.
    EchoReply(Echo<'a>),
    /// Destination unreachable.
    Unreachable {
        /// Why (0 to 8).
        code: u8,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Packet too big.
    PacketTooBig {
        /// MTU of the next hop.
        mtu: u32,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Time exceeded.
    TimeExceeded {
        /// 0 hop limit, 1 reassembly.
        code: u8,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Parameter problem.
    ParameterProblem {
        /// 0 erroneous field, 1 unrecognised next header, 2 unrecognised option.
        code: u8,
        /// Offset of the offending byte.
        pointer: u32,
        /// Start of the packet it is about.
        quote: &'a [u8],
    },
    /// Everything else, to be ignored: neighbour and router discovery, multicast listeners, redirect, …
    Other {
        /// ICMPv6 type.
        kind: u8,
        /// ICMPv6 code.
        code: u8,
    },
}

impl<'a> Icmpv6Message<'a> {
    /// Reads a message (the upper-layer payload of an IPv6 packet) and verifies its checksum, which covers the addresses.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] below 8 bytes, [`ParseError::Checksum`].
    pub fn parse(
        addresses: &IpAddresses,
        bytes: &'a [u8],
    ) -> Result<Icmpv6Message<'a>, ParseError> {
        if bytes.len() < HEADER_LEN {
            return Err(ParseError::Truncated);
        }
        if !checksum::verify_transport(addresses, protocol::ICMPV6, bytes) {
            return Err(ParseError::Checksum);
        }
        let (code, rest) = (bytes[1], &bytes[HEADER_LEN..]);
        let echo = Echo {
            identifier: be16(bytes, 4),
            sequence: be16(bytes, 6),
            data: rest,
        };
        Ok(match bytes[0] {
            ECHO_REQUEST => Icmpv6Message::EchoRequest(echo),
            ECHO_REPLY => Icmpv6Message::EchoReply(echo),
            UNREACHABLE => Icmpv6Message::Unreachable { code, quote: rest },
            PACKET_TOO_BIG => Icmpv6Message::PacketTooBig {
                mtu: be32(bytes, 4),
                quote: rest,
            },
            TIME_EXCEEDED => Icmpv6Message::TimeExceeded { code, quote: rest },
            PARAMETER_PROBLEM => Icmpv6Message::ParameterProblem {
                code,
                pointer: be32(bytes, 4),
                quote: rest,
            },
            kind => Icmpv6Message::Other { kind, code },
        })
    }

    /// The packet an error is about; `None` for a message that is no error, and for a quote too short to tell.
    pub fn quoted(&self) -> Option<QuotedPacket> {
        match self {
            Icmpv6Message::Unreachable { quote, .. }
            | Icmpv6Message::PacketTooBig { quote, .. }
            | Icmpv6Message::TimeExceeded { quote, .. }
            | Icmpv6Message::ParameterProblem { quote, .. } => QuotedPacket::parse_v6(quote),
            Icmpv6Message::EchoRequest(_)
            | Icmpv6Message::EchoReply(_)
            | Icmpv6Message::Other { .. } => None,
        }
    }

    /// Appends the message with its checksum. Of a quote as much is kept as fits into a packet of 1280 bytes with 40 of
    /// IP header (RFC 4443 §2.4 (c)).
    pub fn emit(&self, addresses: &IpAddresses, out: &mut Vec<u8>) {
        let start = out.len();
        let word = |echo: Echo<'_>| u32::from(echo.identifier) << 16 | u32::from(echo.sequence);
        let (kind, code, rest, data) = match *self {
            Icmpv6Message::EchoRequest(echo) => (ECHO_REQUEST, 0, word(echo), echo.data),
            Icmpv6Message::EchoReply(echo) => (ECHO_REPLY, 0, word(echo), echo.data),
            Icmpv6Message::Unreachable { code, quote } => (UNREACHABLE, code, 0, cut(quote)),
            Icmpv6Message::PacketTooBig { mtu, quote } => (PACKET_TOO_BIG, 0, mtu, cut(quote)),
            Icmpv6Message::TimeExceeded { code, quote } => (TIME_EXCEEDED, code, 0, cut(quote)),
            Icmpv6Message::ParameterProblem {
                code,
                pointer,
                quote,
            } => (PARAMETER_PROBLEM, code, pointer, cut(quote)),
            Icmpv6Message::Other { kind, code } => (kind, code, 0, &[][..]),
        };
        out.extend_from_slice(&[kind, code, 0, 0]);
        out.extend_from_slice(&rest.to_be_bytes());
        out.extend_from_slice(data);
        let length = (out.len() - start) as u32;
        let mut sum = checksum::pseudo_header(addresses, protocol::ICMPV6, length);
        sum.add(&out[start..]);
        out[start + 2..start + 4].copy_from_slice(&sum.finish().to_be_bytes());
    }
}

fn cut(quote: &[u8]) -> &[u8] {
    &quote[..quote
        .len()
        .min(ipv6::MINIMUM_MTU - ipv6::HEADER_LEN - HEADER_LEN)]
}

/// Whether an ICMPv6 error may be sent about this packet at all (RFC 4443 §2.4 (e)): not about an ICMPv6 error or redirect, not
/// about a later fragment, not to a multicast address, not from an address that is not one node's. The rate is the caller's.
pub fn may_report(header: &IpHeader, packet: &[u8]) -> bool {
    let later_fragment = header.fragment.is_some_and(|fragment| fragment.offset != 0);
    let about_icmp = header.protocol == protocol::ICMPV6;
    unicast_ends(&header.addresses)
        && !later_fragment
        && !(about_icmp && is_error_or_redirect(packet.get(header.payload.start)))
}

/// The same for a packet that [`ipv6::parse`] refused with a [`ParameterProblem`]. `None` when it must not be answered,
/// else the addresses it had.
pub fn may_report_problem(problem: &ParameterProblem, packet: &[u8]) -> Option<IpAddresses> {
    if packet.len() < ipv6::HEADER_LEN {
        return None;
    }
    let addresses = ipv6::addresses(packet);
    let about_error = match ipv6::upper_layer_of_quote(packet) {
        Some((protocol::ICMPV6, at)) => is_error_or_redirect(packet.get(at)),
        _ => false,
    };
    let to_multicast =
        matches!(addresses.destination, IpAddr::V6(destination) if destination.is_multicast());
    let ends = if to_multicast && problem.even_to_multicast {
        one_node(addresses.source)
    } else {
        unicast_ends(&addresses)
    };
    (ends && !about_error).then_some(addresses)
}

fn unicast_ends(addresses: &IpAddresses) -> bool {
    one_node(addresses.source)
        && !matches!(addresses.destination, IpAddr::V6(address) if address.is_multicast())
}

fn one_node(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address)
        if !address.is_multicast() && address != Ipv6Addr::UNSPECIFIED && address != Ipv6Addr::LOCALHOST)
}

fn is_error_or_redirect(kind: Option<&u8>) -> bool {
    // Errors have the high bit clear; a message too short to tell is treated as one.
    kind.is_none_or(|kind| *kind < 128 || *kind == 137)
}

#[cfg(test)]
mod tests;
