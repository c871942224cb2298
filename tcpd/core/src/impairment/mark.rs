//! A router's mark: Congestion Experienced, in the IP header.

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
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] |= FIELD << shift;
    if shift == 0 {
        // RFC 1624 §3 equation 3: by the difference alone, so that a header that was damaged before stays so.
        let after = u16::from_be_bytes([packet[0], packet[1]]);
        let old = u16::from_be_bytes([packet[10], packet[11]]);
        let sum = u32::from(!old) + u32::from(!before) + u32::from(after);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    true
}
