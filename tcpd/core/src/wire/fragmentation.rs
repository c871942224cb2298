//! The header of a datagram put together from fragments, and the other way round: packets cut into fragments.

use super::{Fragment, be16, checksum, ipv4, ipv6};

/// The header of the whole datagram. `head` is its first fragment up to `fragment.start`; `payload_len` bytes follow. `congested`: one of the
/// fragments was marked CE, and so is the whole (RFC 3168 §5.3). IPv6 loses its fragment header (RFC 8200 §4.5).
///
/// `None` when the datagram would be longer than its header can say.
pub fn whole_header(
    head: &[u8],
    fragment: &Fragment,
    payload_len: usize,
    congested: bool,
) -> Option<Vec<u8>> {
    let mut header = head.to_vec();
    match header.first()? >> 4 {
        4 => {
            let total_len = u16::try_from(head.len() + payload_len).ok()?;
            header[2..4].copy_from_slice(&total_len.to_be_bytes());
            header[6..8].fill(0);
            header[1] |= if congested { 3 } else { 0 };
            ipv4_checksum(&mut header);
        }
        _ => {
            let chain_len = head
                .len()
                .checked_sub(ipv6::HEADER_LEN + ipv6::FRAGMENT_HEADER_LEN)?;
            let payload_len = u16::try_from(chain_len + payload_len).ok()?;
            let named_at = usize::from(fragment.named_at);
            let fragment_header = head.len() - ipv6::FRAGMENT_HEADER_LEN;
            header[named_at] = head[fragment_header];
            header.truncate(fragment_header);
            header[4..6].copy_from_slice(&payload_len.to_be_bytes());
            header[1] |= if congested { 0x30 } else { 0 };
        }
    }
    Some(header)
}

/// Cuts a packet of our own (no options, no extension headers) into fragments of at most `mtu` bytes, `identification` in each (its lower
/// 16 bits in IPv4); calls `emit` with one after the other. A packet that fits is emitted as it is.
pub fn split(packet: &[u8], mtu: u16, identification: u32, mut emit: impl FnMut(Vec<u8>)) {
    let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
    let (header_len, fragment_header_len) = if is_v6 {
        (ipv6::HEADER_LEN, ipv6::FRAGMENT_HEADER_LEN)
    } else {
        (ipv4::HEADER_LEN, 0)
    };
    let mtu = usize::from(mtu);
    if packet.len() <= mtu || packet.len() <= header_len {
        return emit(packet.to_vec());
    }
    // RFC 791 §3.2, RFC 8200 §4.5: every piece but the last is a multiple of eight bytes.
    let most = (mtu.saturating_sub(header_len + fragment_header_len) & !7).max(8);
    let (header, payload) = packet.split_at(header_len);
    let count = payload.len().div_ceil(most);
    for (index, piece) in payload.chunks(most).enumerate() {
        let (offset, more) = ((index * most) as u16, index + 1 < count);
        let mut fragment = header.to_vec();
        if is_v6 {
            let length = (ipv6::FRAGMENT_HEADER_LEN + piece.len()) as u16;
            fragment[4..6].copy_from_slice(&length.to_be_bytes());
            fragment[6] = ipv6::FRAGMENT;
            fragment.extend_from_slice(&[header[6], 0]);
            fragment.extend_from_slice(&(offset | u16::from(more)).to_be_bytes());
            fragment.extend_from_slice(&identification.to_be_bytes());
        } else {
            let length = (ipv4::HEADER_LEN + piece.len()) as u16;
            let flags = (offset / 8) | if more { ipv4::MORE_FRAGMENTS } else { 0 };
            fragment[2..4].copy_from_slice(&length.to_be_bytes());
            fragment[4..6].copy_from_slice(&(identification as u16).to_be_bytes());
            fragment[6..8].copy_from_slice(&flags.to_be_bytes());
            ipv4_checksum(&mut fragment);
        }
        fragment.extend_from_slice(piece);
        emit(fragment);
    }
}

/// Sums up the header that `packet` consists of.
fn ipv4_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum::of(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    debug_assert_eq!(be16(header, 10), sum, "in its place");
}

#[cfg(test)]
mod tests;
