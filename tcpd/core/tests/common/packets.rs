//! Whole packets of what tests write.

use tcpd_core::wire::{IpAddresses, IpFields, TcpSegment, protocol};

/// An IP packet with `body`, of this protocol.
pub(crate) fn packet(addresses: IpAddresses, number: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(60 + body.len());
    IpFields::new(addresses, number).emit(body.len(), &mut packet);
    packet.extend_from_slice(body);
    packet
}

/// An IP packet with a segment and its checksum.
pub(crate) fn segment_packet(addresses: IpAddresses, segment: &TcpSegment<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    segment.emit(&addresses, &mut body);
    packet(addresses, protocol::TCP, &body)
}
