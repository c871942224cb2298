//! The IPv6 header and its extension headers (RFC 8200).
//!
//! The walk along the chain:
//! 1. hop-by-hop options only directly behind the fixed header;
//! 2. at most eight headers, at most one hop-by-hop, routing and fragment header, at most two of destination options;
//! 3. an option we do not know does what its two action bits say;
//! 4. a routing header that is not used up is refused (RFC 8200 §4.4; type 0: RFC 5095), one that is, is skipped;
//! 5. an atomic fragment (RFC 6946) is no fragment; behind the header of a later fragment nothing is read;
//! 6. a first fragment has the whole chain (RFC 7112), else it is truncated, and that is reported.
//!
//! Anything else ends the walk and is the upper-layer protocol; whether we know it is for the caller to say.

use std::net::{IpAddr, Ipv6Addr};

use super::{Fragment, IpAddresses, IpHeader, IpRefusal, ParameterProblem, ParseError, be16, be32};

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Every link carries packets of this size (RFC 8200 §5).
pub const MINIMUM_MTU: usize = 1280;
/// Bytes of a fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// The longest chain that is read.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Parameter problem: a first fragment without the whole chain (RFC 7112 §5).
pub const INCOMPLETE_CHAIN: u8 = 3;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Reads and checks the header and its extension headers. Trailing bytes are left out of the payload.
///
/// # Errors
/// [`ParseError::Truncated`] (a header of the chain is not all there), [`ParseError::Version`], [`ParseError::TotalLength`],
/// [`ParseError::ExtensionHeaders`], [`ParseError::Options`]; with the parameter problem RFC 8200 asks to send, where it does.
pub fn parse(packet: &[u8]) -> Result<IpHeader, IpRefusal> {
    if packet.len() < HEADER_LEN {
        return Err(ParseError::Truncated.into());
    }
    if packet[0] >> 4 != 6 {
        return Err(ParseError::Version.into());
    }
    let total_len = HEADER_LEN + usize::from(be16(packet, 4));
    if total_len > packet.len() {
        return Err(ParseError::TotalLength.into());
    }
    let mut chain = Chain {
        packet: &packet[..total_len],
        next: packet[6],
        next_at: 6,
        at: HEADER_LEN,
        fragment: None,
    };
    chain.walk()?;
    Ok(IpHeader {
        addresses: addresses(packet),
        protocol: chain.next,
        protocol_at: chain.next_at as u16,
        hop_limit: packet[7],
        traffic_class: (packet[0] << 4) | (packet[1] >> 4),
        dont_fragment: true,
        payload: chain.at..total_len,
        fragment: chain.fragment,
        source_routed: false,
    })
}

/// The addresses of a header of at least 40 bytes.
pub(super) fn addresses(packet: &[u8]) -> IpAddresses {
    let address = |at: usize| {
        let octets: [u8; 16] = std::array::from_fn(|index| packet[at + index]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    IpAddresses {
        source: address(8),
        destination: address(24),
    }
}

/// The walk along the chain of headers.
struct Chain<'a> {
    /// The packet without trailing bytes.
    packet: &'a [u8],
    /// Number of the header at `at`.
    next: u8,
    /// Where that number stands.
    next_at: usize,
    /// Where that header begins.
    at: usize,
    fragment: Option<Fragment>,
}

impl Chain<'_> {
    fn walk(&mut self) -> Result<(), IpRefusal> {
        let (mut routing, mut fragments, mut destination_options) = (0, 0, 0);
        for count in 0.. {
            let seen = match self.next {
                HOP_BY_HOP if count == 0 => &mut 0,
                // RFC 8200 §4: anywhere else it is an unrecognised next header.
                HOP_BY_HOP => {
                    return Err(problem(ParseError::ExtensionHeaders, 1, self.next_at));
                }
                ROUTING => &mut routing,
                FRAGMENT => &mut fragments,
                DESTINATION_OPTIONS => &mut destination_options,
                _ => return Ok(()),
            };
            *seen += 1;
            let limit = if self.next == DESTINATION_OPTIONS {
                2
            } else {
                1
            };
            if *seen > limit || count == MAX_EXTENSION_HEADERS {
                return Err(ParseError::ExtensionHeaders.into());
            }
            if self.step()? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the header at `at` and moves behind it; true when nothing behind it is to be read.
    fn step(&mut self) -> Result<bool, IpRefusal> {
        let rest = &self.packet[self.at..];
        if rest.len() < 8 {
            return Err(self.truncated());
        }
        let length = if self.next == FRAGMENT {
            FRAGMENT_HEADER_LEN
        } else {
            (usize::from(rest[1]) + 1) * 8
        };
        let header = rest.get(..length).ok_or_else(|| self.truncated())?;
        let mut last = false;
        match self.next {
            ROUTING => self.routing(header)?,
            FRAGMENT => last = self.fragment(header, rest.len() - length)?,
            _ => self.options(header)?,
        }
        self.next = header[0];
        self.next_at = self.at;
        self.at += length;
        Ok(last)
    }

    /// A header of the chain is not all there; RFC 8200 §4.5: of a first fragment that is reported.
    fn truncated(&self) -> IpRefusal {
        match self.fragment {
            Some(_) => problem(ParseError::Truncated, INCOMPLETE_CHAIN, 0),
            None => ParseError::Truncated.into(),
        }
    }

    fn routing(&self, header: &[u8]) -> Result<(), IpRefusal> {
        let segments_left = header[3];
        if segments_left == 0 {
            Ok(())
        } else {
            Err(problem(ParseError::ExtensionHeaders, 0, self.at + 2))
        }
    }

    /// True for a fragment that is not the first.
    fn fragment(&mut self, header: &[u8], payload_len: usize) -> Result<bool, IpRefusal> {
        let field = be16(header, 2);
        let (offset, more) = (field & 0xfff8, field & 1 != 0);
        if offset == 0 && !more {
            return Ok(false);
        }
        // RFC 8200 §4.5: every piece but the last is a multiple of 8 bytes; none ends beyond 65,535.
        if more && !payload_len.is_multiple_of(8) {
            return Err(problem(ParseError::TotalLength, 0, 4));
        }
        if usize::from(offset) + payload_len > usize::from(u16::MAX) {
            return Err(problem(ParseError::TotalLength, 0, self.at + 2));
        }
        self.fragment = Some(Fragment {
            identification: be32(header, 4),
            offset,
            more,
            start: (self.at + FRAGMENT_HEADER_LEN) as u16,
            named_at: self.next_at as u16,
        });
        Ok(offset != 0)
    }

    /// Options of a hop-by-hop or destination options header; every turn consumes at least one byte.
    fn options(&self, header: &[u8]) -> Result<(), IpRefusal> {
        let mut at = 2;
        while let Some(&kind) = header.get(at) {
            if kind == 0 {
                at += 1;
                continue;
            }
            let length = usize::from(*header.get(at + 1).ok_or(ParseError::Options)?);
            if at + 2 + length > header.len() {
                return Err(ParseError::Options.into());
            }
            // RFC 8200 §4.2: the two highest bits say what to do with an option one does not know. PadN has 00.
            let refusal = problem(ParseError::Options, 2, self.at + at);
            match kind >> 6 {
                0b00 => {}
                0b01 => return Err(ParseError::Options.into()),
                0b10 => return Err(even_to_multicast(refusal)),
                _ => return Err(refusal),
            }
            at += 2 + length;
        }
        Ok(())
    }
}

fn problem(reason: ParseError, code: u8, pointer: usize) -> IpRefusal {
    IpRefusal {
        reason,
        problem: Some(ParameterProblem {
            code,
            pointer: pointer as u32,
            even_to_multicast: false,
        }),
    }
}

fn even_to_multicast(mut refusal: IpRefusal) -> IpRefusal {
    if let Some(problem) = &mut refusal.problem {
        problem.even_to_multicast = true;
    }
    refusal
}

/// Finds the upper-layer header of a packet that may be cut short, as ICMP errors quote it: (protocol, offset).
/// `None` for a later fragment and where the chain is cut.
pub(super) fn upper_layer_of_quote(quote: &[u8]) -> Option<(u8, usize)> {
    let (mut next, mut at) = (*quote.get(6)?, HEADER_LEN);
    for _ in 0..=MAX_EXTENSION_HEADERS {
        let length = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                (usize::from(*quote.get(at + 1)?) + 1) * 8
            }
            FRAGMENT if be16(quote.get(at + 2..at + 4)?, 0) & 0xfff8 == 0 => 8,
            FRAGMENT => return None,
            _ => return Some((next, at)),
        };
        next = *quote.get(at)?;
        at += length;
    }
    None
}

/// What a header to be sent says; we never send extension headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6Fields {
    /// Source.
    pub source: Ipv6Addr,
    /// Destination.
    pub destination: Ipv6Addr,
    /// IANA protocol number of the payload.
    pub protocol: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// 20 bits (RFC 6437).
    pub flow_label: u32,
    /// Bytes behind the header.
    pub payload_len: u16,
}

impl Ipv6Fields {
    /// Appends the 40 bytes of the header.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | (self.flow_label & 0xf_ffff);
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&self.payload_len.to_be_bytes());
        out.extend_from_slice(&[self.protocol, self.hop_limit]);
        out.extend_from_slice(&self.source.octets());
        out.extend_from_slice(&self.destination.octets());
    }
}

#[cfg(test)]
mod tests;
