//! The packet an ICMP error quotes: one of ours, cut short on its way, every byte of it possibly forged.

use super::{FlowTuple, IpAddresses, SequenceNumber, be16, be32, ipv4, ipv6, protocol};

/// What can be read from a quoted packet. It was sent by the receiver of the error (RFC 5927 §4.1 has the checks to make).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotedPacket {
    /// As the quoted packet has them: its source is our own address.
    pub addresses: IpAddresses,
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Source and destination port of TCP or UDP, when at least four bytes of it are quoted.
    pub ports: Option<(u16, u16)>,
    /// SEG.SEQ of TCP, when quoted.
    pub seq: Option<SequenceNumber>,
    /// Length of the whole quoted packet as its IP header says: an RFC 1191 §5 router without an MTU makes it needed.
    pub total_len: u32,
}

impl QuotedPacket {
    /// Reads the quote of an ICMPv4 error. `None` when the header is not all there or is no IPv4, and for a fragment that is not the first.
    /// Neither total length nor checksum have to fit: routers change one and cut the other.
    pub fn parse_v4(quote: &[u8]) -> Option<QuotedPacket> {
        if quote.len() < ipv4::HEADER_LEN || quote[0] >> 4 != 4 || be16(quote, 6) & 0x1fff != 0 {
            return None;
        }
        let header_len = usize::from(quote[0] & 15) * 4;
        if header_len < ipv4::HEADER_LEN {
            return None;
        }
        let upper = quote.get(header_len..)?;
        Some(QuotedPacket::of(
            ipv4::addresses(quote),
            quote[9],
            upper,
            u32::from(be16(quote, 2)),
        ))
    }

    /// Reads the quote of an ICMPv6 error, behind its extension headers.
    pub fn parse_v6(quote: &[u8]) -> Option<QuotedPacket> {
        if quote.len() < ipv6::HEADER_LEN || quote[0] >> 4 != 6 {
            return None;
        }
        let (protocol, at) = ipv6::upper_layer_of_quote(quote)?;
        let upper = quote.get(at..)?;
        let total_len = ipv6::HEADER_LEN as u32 + u32::from(be16(quote, 4));
        Some(QuotedPacket::of(
            ipv6::addresses(quote),
            protocol,
            upper,
            total_len,
        ))
    }

    fn of(addresses: IpAddresses, number: u8, upper: &[u8], total_len: u32) -> QuotedPacket {
        let has_ports = matches!(number, protocol::TCP | protocol::UDP) && upper.len() >= 4;
        let has_seq = number == protocol::TCP && upper.len() >= 8;
        QuotedPacket {
            addresses,
            protocol: number,
            ports: has_ports.then(|| (be16(upper, 0), be16(upper, 2))),
            seq: has_seq.then(|| SequenceNumber(be32(upper, 4))),
            total_len,
        }
    }

    /// The connection, as we sent the quoted segment; `None` when it is not TCP.
    pub fn tcp_flow(&self) -> Option<FlowTuple> {
        let (source_port, destination_port) =
            self.ports.filter(|_| self.protocol == protocol::TCP)?;
        Some(FlowTuple {
            addresses: self.addresses,
            source_port,
            destination_port,
        })
    }
}

#[cfg(test)]
mod tests;
