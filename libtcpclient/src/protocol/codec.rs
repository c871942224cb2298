//! Reader and writer of the wire format, with bounds everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::{HEADER_LEN, MAX_MESSAGE};

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the last field")]
    TrailingBytes,
    /// Longer than [`MAX_MESSAGE`].
    #[error("the message is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// A reserved or unused byte is not zero.
    #[error("a reserved byte is not zero")]
    Reserved,
    /// No message has this kind.
    #[error("no message has kind {0:#06x}")]
    UnknownKind(u16),
    /// A field holds a value it cannot have.
    #[error("{0} holds a value it cannot have")]
    BadValue(&'static str),
    /// A text is longer than its field allows.
    #[error("{0} is too long")]
    TextTooLong(&'static str),
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
}

/// A value's JSON does not fit into one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes of JSON do not fit into one message")]
pub struct TooLarge(pub usize);

/// One JSON object that fits into one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The most bytes of text: a message less its header and the text's length.
    pub const MAX: usize = MAX_MESSAGE - HEADER_LEN - 4;

    /// `value` as JSON.
    ///
    /// # Errors
    /// When the text is longer than [`Json::MAX`].
    pub fn of(value: &impl Serialize) -> Result<Json, TooLarge> {
        // The status structs have string keys and plain values only, so serialising them cannot fail.
        let text = serde_json::to_string(value).map_err(|_| TooLarge(0))?;
        Json::from_text(text)
    }

    pub(crate) fn from_text(text: String) -> Result<Json, TooLarge> {
        match text.len() {
            0..=Json::MAX => Ok(Json(text)),
            len => Err(TooLarge(len)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Some rows of a longer table: JSON objects, each ended by a newline, and where to go on.
///
/// The daemon pushes rows until one is refused, then sets [`Page::next`] to where that row is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    lines: String,
    /// The cursor of the following page; 0 when this is the last. Its meaning is the daemon's own,
    /// but within a table cursors grow. A page may be empty and not the last: the daemon bounds
    /// the work of one request, also when a filter lets nothing through.
    pub next: u64,
}

impl Page {
    /// The most bytes of text: a message less its header, the cursor and the text's length.
    pub const MAX: usize = MAX_MESSAGE - HEADER_LEN - 8 - 4;

    /// An empty page, so far the last.
    pub fn new() -> Page {
        Page::default()
    }

    /// Appends a row; false when it does not fit any more.
    pub fn push(&mut self, row: &impl Serialize) -> bool {
        let Ok(text) = serde_json::to_string(row) else {
            return false;
        };
        if self.lines.len() + text.len() + 1 > Page::MAX {
            return false;
        }
        self.lines.push_str(&text);
        self.lines.push('\n');
        true
    }

    pub(crate) fn from_parts(lines: String, next: u64) -> Result<Page, DecodeError> {
        if lines.len() > Page::MAX {
            return Err(DecodeError::TextTooLong("rows"));
        }
        Ok(Page { lines, next })
    }

    /// The rows, one JSON object a line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.lines()
    }

    /// The text with its newlines.
    pub fn as_str(&self) -> &str {
        &self.lines
    }

    /// True when no row was pushed.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Appends fields to a message.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer {
            bytes: Vec::with_capacity(128),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        debug_assert!(self.bytes.len() <= MAX_MESSAGE);
        self.bytes
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A text for people; what is beyond `max` bytes is cut off at a character.
    pub(crate) fn text16(&mut self, text: &str, max: usize) {
        let mut len = text.len().min(max);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.u16(u16::try_from(len).unwrap_or(u16::MAX));
        self.raw(&text.as_bytes()[..len]);
    }

    /// A text whose type bounds it already.
    pub(crate) fn text32(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.raw(text.as_bytes());
    }

    fn ip(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => {
                self.raw(&v4.octets());
                self.raw(&[0; 12]);
            }
            IpAddr::V6(v6) => self.raw(&v6.octets()),
        }
    }

    pub(crate) fn address(&mut self, address: Option<IpAddr>) {
        match address {
            None => self.raw(&[0; 17]),
            Some(ip) => {
                self.u8(family(ip));
                self.ip(ip);
            }
        }
    }

    pub(crate) fn endpoint(&mut self, endpoint: SocketAddr) {
        self.u8(family(endpoint.ip()));
        self.u8(0);
        self.u16(endpoint.port());
        self.ip(endpoint.ip());
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 4,
        IpAddr::V6(_) => 6,
    }
}

/// Takes fields off a message.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Every byte must have been taken.
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::BadValue(field)),
        }
    }

    pub(crate) fn text16(
        &mut self,
        max: usize,
        field: &'static str,
    ) -> Result<String, DecodeError> {
        let len = usize::from(self.u16()?);
        if len > max {
            return Err(DecodeError::TextTooLong(field));
        }
        self.text(len, field)
    }

    pub(crate) fn text32(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let len = usize::try_from(self.u32()?).map_err(|_| DecodeError::TextTooLong(field))?;
        self.text(len, field)
    }

    fn text(&mut self, len: usize, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.take(len)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8(field))?;
        Ok(text.to_owned())
    }

    fn ip(&mut self, family: u8, field: &'static str) -> Result<Option<IpAddr>, DecodeError> {
        let bytes = self.array::<16>()?;
        let [a, b, c, d, tail @ ..] = bytes;
        match family {
            0 if bytes == [0; 16] => Ok(None),
            4 if tail == [0; 12] => Ok(Some(Ipv4Addr::new(a, b, c, d).into())),
            0 | 4 => Err(DecodeError::Reserved),
            6 => Ok(Some(Ipv6Addr::from(bytes).into())),
            _ => Err(DecodeError::BadValue(field)),
        }
    }

    pub(crate) fn address(&mut self, field: &'static str) -> Result<Option<IpAddr>, DecodeError> {
        let family = self.u8()?;
        self.ip(family, field)
    }

    pub(crate) fn endpoint(&mut self, field: &'static str) -> Result<SocketAddr, DecodeError> {
        let family = self.u8()?;
        if self.u8()? != 0 {
            return Err(DecodeError::Reserved);
        }
        let port = self.u16()?;
        let ip = self
            .ip(family, field)?
            .ok_or(DecodeError::BadValue(field))?;
        Ok(SocketAddr::new(ip, port))
    }
}
