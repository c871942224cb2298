//! What the kernel does with offload, done here: cutting a super-segment into packets and completing their checksums.
//!
//! The cutting is the core's ([`tcpd_core::wire::segmentation`]); here the payload is fetched out of memory that may be
//! shared, once, so that each checksum is that of the very bytes that leave.

use tcpd_core::wire::segmentation::{PartialChecksum, SuperSegment};

use super::{OutPacket, RawSlice};

/// Cuts packets; keeps its scratch memory between calls.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    scratch: Vec<u8>,
}

impl Cutter {
    /// Gives every packet of `packet`, whole and with complete checksums, to `emit`, in order.
    pub(super) fn for_each_packet(&mut self, packet: &OutPacket<'_>, emit: impl FnMut(&[u8])) {
        let segment = SuperSegment {
            header: packet.header,
            checksum: packet
                .checksum
                .map(|(start, offset)| PartialChecksum { start, offset }),
            payload_len: packet.payload_len() as u32, // at most 65,535 with its header
            segment_size: packet.segment_size,
        };
        let [first, second] = packet.payload;
        let read = |offset: u32, out: &mut [u8]| {
            let copied = copy(first, offset as usize, out);
            let into_second = (offset as usize + copied).saturating_sub(first.len);
            copy(second, into_second, &mut out[copied..]);
        };
        segment.for_each_packet(&mut self.scratch, read, emit);
    }
}

/// Copies what `from` has from `offset` on, as much as fits; gives the bytes copied.
fn copy(from: RawSlice, offset: usize, out: &mut [u8]) -> usize {
    let len = from.len.saturating_sub(offset).min(out.len());
    if len > 0 {
        // SAFETY: a `RawSlice` is mapped for `from.len` bytes and `offset + len` is within them; `out` is our own and apart from
        // it. Another process may write the memory meanwhile: any bytes will do, and none is read twice.
        unsafe { std::ptr::copy_nonoverlapping(from.pointer.add(offset), out.as_mut_ptr(), len) };
    }
    len
}

#[cfg(test)]
mod tests;
