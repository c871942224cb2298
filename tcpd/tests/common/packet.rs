//! What a test sees of packets on a wire, and changes in them.

use std::net::SocketAddr;

use tcpd_core::wire::{
    Ecn, Flags, IpAddresses, IpFields, IpHeader, SequenceNumber, TcpSegment, checksum, icmpv4,
    icmpv6, ipv4, protocol,
};

/// A TCP segment on a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Ecn,
    pub(crate) flags: Flags,
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    /// Bytes of text.
    pub(crate) text: u32,
}

impl Seen {
    /// What this packet is, if it is a whole TCP segment.
    pub(crate) fn of(packet: &[u8]) -> Option<Seen> {
        let header = IpHeader::parse(packet).ok()?;
        if header.protocol != protocol::TCP || header.fragment.is_some() {
            return None;
        }
        let tcp = TcpSegment::parse(packet.get(header.payload.clone())?).ok()?;
        Some(Seen {
            from: SocketAddr::new(header.addresses.source, tcp.source_port),
            to: SocketAddr::new(header.addresses.destination, tcp.destination_port),
            ecn: header.ecn(),
            flags: tcp.flags,
            seq: tcp.seq,
            ack: tcp.ack,
            text: tcp.payload.len() as u32,
        })
    }

    /// Where its text ends.
    pub(crate) fn end(&self) -> SequenceNumber {
        self.seq + self.text
    }
}

/// Whether it is for more than one host; or no IP packet at all.
pub(crate) fn is_for_many(packet: &[u8]) -> bool {
    IpHeader::parse(packet).map_or(true, |header| header.addresses.destination.is_multicast())
}

/// Writes the ECN field (RFC 3168 §5), as a router does: an IPv4 header gets its checksum anew.
pub(crate) fn set_ecn(packet: &mut [u8], ecn: Ecn) {
    if packet[0] >> 4 == 6 {
        packet[1] = packet[1] & !0x30 | ecn.bits() << 4;
        return;
    }
    packet[1] = packet[1] & !0x03 | ecn.bits();
    packet[10..12].fill(0);
    let sum = checksum::of(&packet[..ipv4::HEADER_LEN]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// A packet-too-big message about `packet`, from the host at `addresses.source` (RFC 1191 §4, RFC 4443 §3.2).
pub(crate) fn packet_too_big(addresses: IpAddresses, mtu: u16, packet: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let protocol = if addresses.source.is_ipv4() {
        icmpv4::Icmpv4Message::Unreachable {
            code: icmpv4::code::FRAGMENTATION_NEEDED,
            mtu,
            quote: packet,
        }
        .emit(&mut message);
        protocol::ICMPV4
    } else {
        icmpv6::Icmpv6Message::PacketTooBig {
            mtu: mtu.into(),
            quote: packet,
        }
        .emit(&addresses, &mut message);
        protocol::ICMPV6
    };
    let mut whole = Vec::new();
    IpFields::new(addresses, protocol).emit(message.len(), &mut whole);
    whole.extend_from_slice(&message);
    whole
}
