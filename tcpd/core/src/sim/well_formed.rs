//! What an observer on the wire makes of a packet that an end sends: it must be well-formed.

use super::pair::End;
use crate::wire::{IpHeader, TcpSegment, protocol};

/// The IP header of a packet that `end` sends, and its segment; `None` for what is not TCP.
pub(super) fn segment_of(
    end: End,
    packet: &[u8],
) -> Result<(IpHeader, Option<TcpSegment<'_>>), String> {
    let header = IpHeader::parse(packet)
        .map_err(|refusal| format!("{end:?} sent a malformed packet: {}", refusal.reason))?;
    if header.protocol != protocol::TCP {
        return Ok((header, None));
    }
    let bytes = &packet[header.payload.clone()];
    if !TcpSegment::verify(&header.addresses, bytes) {
        return Err(format!("{end:?} sent a wrong TCP checksum"));
    }
    let segment = TcpSegment::parse(bytes)
        .map_err(|error| format!("{end:?} sent a malformed segment: {error}"))?;
    Ok((header, Some(segment)))
}
