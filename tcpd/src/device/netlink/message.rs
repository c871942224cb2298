//! Netlink's framing: a header of 16 bytes, a fixed body, attributes padded to four bytes; all in the machine's byte order.

use std::io;

/// `sizeof(struct nlmsghdr)`.
pub(super) const HEADER_LEN: usize = 16;
/// `sizeof(struct nlattr)`.
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// Bits of an attribute's type that are flags (nested, byte order), not type.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// A request under construction.
pub(super) struct Message {
    bytes: Vec<u8>,
    flags: u16,
}

impl Message {
    pub(super) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        Self {
            bytes,
            flags: flags | libc::NLM_F_REQUEST as u16,
        }
    }

    /// Appends a part of the fixed body.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        put_attribute(&mut self.bytes, kind, value);
    }

    pub(super) fn is_dump(&self) -> bool {
        self.flags & libc::NLM_F_DUMP as u16 == libc::NLM_F_DUMP as u16
    }

    pub(super) fn want_acknowledgement(&mut self, wanted: bool) {
        if wanted {
            self.flags |= libc::NLM_F_ACK as u16;
        }
    }

    /// The whole message, its length, flags and sequence number filled in.
    pub(super) fn finish(&mut self, sequence: u32) -> &[u8] {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&self.flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.bytes
    }
}

/// Appends one attribute with its padding. `value` is far below 64 KiB.
pub(super) fn put_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = (ATTRIBUTE_HEADER_LEN + value.len()) as u16;
    out.extend_from_slice(&len.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// One message of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The first message of `bytes` (at least `HEADER_LEN` of them), and what follows it.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<(Reply, &[u8])> {
        let len = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if len < HEADER_LEN || len > bytes.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "netlink message of impossible length",
            ));
        }
        let reply = Reply {
            kind: u16::from_ne_bytes([bytes[4], bytes[5]]),
            sequence: u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            body: bytes[HEADER_LEN..len].to_vec(),
        };
        Ok((reply, &bytes[len.next_multiple_of(4).min(bytes.len())..]))
    }

    /// What an `NLMSG_ERROR` says: zero is an acknowledgement, otherwise a negative errno.
    pub(super) fn acknowledgement(&self) -> io::Result<()> {
        let code = self
            .body
            .first_chunk::<4>()
            .map_or(-libc::EBADMSG, |code| i32::from_ne_bytes(*code));
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(code.saturating_neg()))
        }
    }
}

/// Walks a run of attributes; stops at the first one that does not fit.
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & ATTRIBUTE_TYPE_MASK;
        let value = self.0.get(ATTRIBUTE_HEADER_LEN..len)?;
        self.0 = &self.0[len.next_multiple_of(4).min(self.0.len())..];
        Some((kind, value))
    }
}
