//! A router's mark: Congestion Experienced, in the IP header.

use crate::wire::checksum;

/// Where both versions keep the ECN field (RFC 3168 §5): the two low bits of IPv4's second byte; in IPv6 two bits in the
/// middle of its second byte.
const V6_SHIFT: u8 = 4;
const FIELD: u8 = 0b11;

/// Turns ECT(0) or ECT(1) into CE. Returns whether the packet is now marked; one that is not ECN-capable stays as it is.
pub(super) fn mark(packet: &mut [u8]) -> bool {
    let shift = match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 20 => 0,
        Some(6) if packet.len() >= 40 => V6_SHIFT,
        _ => return false,
    };
    // RFC 3168 §5: a router must not set CE in a packet whose ends do not understand it.
    if packet[1] >> shift & FIELD == 0 {
        return false;
    }
    packet[1] |= FIELD << shift;
    if shift == 0 {
        let header_len = usize::from(packet[0] & 0xf) * 4;
        if (20..=packet.len()).contains(&header_len) {
            packet[10..12].fill(0);
            let sum = checksum::of(&packet[..header_len]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    }
    true
}
