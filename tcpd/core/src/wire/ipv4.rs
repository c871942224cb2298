//! The IPv4 header (RFC 791, RFC 1122 §3.2.1).

use std::net::{IpAddr, Ipv4Addr};

use super::{Fragment, IpAddresses, IpHeader, IpRefusal, ParseError, be16, checksum};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Every host takes datagrams of this size, and every link carries 68 of it (RFC 791 §3.1).
pub const MINIMUM_REASSEMBLY: usize = 576;

pub(super) const MORE_FRAGMENTS: u16 = 0x2000;
const DONT_FRAGMENT: u16 = 0x4000;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Reads and checks a header: IHL, total length against the buffer, header checksum, option lengths. Options are
/// skipped (RFC 9293 §3.9.2 MUST-50); a source route is reported. Trailing bytes are left out of the payload.
///
/// # Errors
/// [`ParseError::Truncated`], [`ParseError::Version`], [`ParseError::HeaderLength`], [`ParseError::TotalLength`] (also for a
/// fragment that would end beyond 65,535), [`ParseError::Checksum`], [`ParseError::Options`].
pub fn parse(packet: &[u8]) -> Result<IpHeader, IpRefusal> {
    if packet.len() < HEADER_LEN {
        return Err(ParseError::Truncated.into());
    }
    if packet[0] >> 4 != 4 {
        return Err(ParseError::Version.into());
    }
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    if header_len < HEADER_LEN || header_len > packet.len() {
        return Err(ParseError::HeaderLength.into());
    }
    let total_len = usize::from(be16(packet, 2));
    if total_len < header_len || total_len > packet.len() {
        return Err(ParseError::TotalLength.into());
    }
    if !checksum::verify(&packet[..header_len]) {
        return Err(ParseError::Checksum.into());
    }
    let flags = be16(packet, 6);
    Ok(IpHeader {
        addresses: addresses(packet),
        protocol: packet[9],
        protocol_at: 9,
        hop_limit: packet[8],
        traffic_class: packet[1],
        dont_fragment: flags & DONT_FRAGMENT != 0,
        payload: header_len..total_len,
        fragment: fragment(flags, be16(packet, 4), header_len, total_len)?,
        source_routed: source_routed(&packet[HEADER_LEN..header_len])?,
    })
}

/// The addresses of a header of at least 20 bytes.
pub(super) fn addresses(packet: &[u8]) -> IpAddresses {
    let address = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(
            packet[at],
            packet[at + 1],
            packet[at + 2],
            packet[at + 3],
        ))
    };
    IpAddresses {
        source: address(12),
        destination: address(16),
    }
}

fn fragment(
    flags: u16,
    identification: u16,
    header_len: usize,
    total_len: usize,
) -> Result<Option<Fragment>, ParseError> {
    let (offset, more) = ((flags & 0x1fff) * 8, flags & MORE_FRAGMENTS != 0);
    if offset == 0 && !more {
        return Ok(None);
    }
    // The ping of death: the last piece would end beyond what a datagram can hold.
    if usize::from(offset) + total_len - header_len > usize::from(u16::MAX) {
        return Err(ParseError::TotalLength);
    }
    Ok(Some(Fragment {
        identification: u32::from(identification),
        offset,
        more,
        start: header_len as u16,
        named_at: 0,
    }))
}

/// Walks the option list: every turn consumes at least one byte.
fn source_routed(mut options: &[u8]) -> Result<bool, ParseError> {
    let mut found = false;
    loop {
        options = match options {
            [] | [0, ..] => return Ok(found),
            [1, rest @ ..] => rest,
            [kind, length, ..] => {
                found |= matches!(*kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
                let length = usize::from(*length);
                if length < 2 {
                    return Err(ParseError::Options);
                }
                options.get(length..).ok_or(ParseError::Options)?
            }
            [_] => return Err(ParseError::Options),
        }
    }
}

/// What a header to be sent says; without options, never a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Fields {
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
    /// IANA protocol number of the payload.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Identification; 0 for atomic datagrams (RFC 6864 §4.1).
    pub identification: u16,
    /// Don't Fragment.
    pub dont_fragment: bool,
    /// Bytes behind the header; with it at most 65,535.
    pub payload_len: u16,
}

impl Ipv4Fields {
    /// Appends the 20 bytes of the header with its checksum.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let total_len = self.payload_len.saturating_add(HEADER_LEN as u16);
        out.extend_from_slice(&[0x45, self.traffic_class]);
        out.extend_from_slice(&total_len.to_be_bytes());
        out.extend_from_slice(&self.identification.to_be_bytes());
        out.extend_from_slice(&(if self.dont_fragment { DONT_FRAGMENT } else { 0 }).to_be_bytes());
        out.extend_from_slice(&[self.ttl, self.protocol, 0, 0]);
        out.extend_from_slice(&self.source.octets());
        out.extend_from_slice(&self.destination.octets());
        let checksum = checksum::of(&out[start..]);
        out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
