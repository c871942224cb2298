//! Request heads: read within limits, parsed into values (RFC 9112 §2, §3, §5, §6).

use std::io;

use httparse::Header;

use super::super::{Clock, Connection, timed_out};
use super::conditions::Conditions;
use super::response::Status;
use super::{HEAD_TIME, IDLE_TIME, MAX_CONTENT, MAX_FIELDS, MAX_HEAD};

/// A request we can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// HEAD: the answer is sent without its content.
    pub head_only: bool,
    /// The request target as it was sent.
    pub target: String,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Whether the connection stays for another request.
    pub keep_alive: bool,
    /// The value of Range.
    pub range: Option<String>,
    /// The fields that make the answer depend on the file's date.
    pub conditions: Conditions,
    /// Bytes of content that follow the head.
    content_length: u64,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The peer ended the stream or fell silent between two requests.
    Ended,
    /// The request is answered with this status and the connection ends.
    Bad {
        /// What to answer.
        status: Status,
        /// The method was HEAD.
        head_only: bool,
    },
    /// The connection failed in the middle of a request.
    Io(io::Error),
}

impl ReadError {
    fn bad(status: Status) -> Self {
        Self::Bad {
            status,
            head_only: false,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Bytes received and not yet used: requests may come in pieces, or several at once.
pub(super) struct Reader {
    received: Vec<u8>,
    content_left: u64,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            received: Vec::with_capacity(MAX_HEAD),
            content_left: 0,
        }
    }

    /// The next request. Content of the one before is skipped first.
    pub(super) fn next(
        &mut self,
        connection: &mut dyn Connection,
        clock: &dyn Clock,
    ) -> Result<Request, ReadError> {
        self.skip_content(connection)?;
        let mut head_began = (!self.received.is_empty()).then(|| clock.monotonic());
        loop {
            // RFC 9112 §2.2: empty lines before a request line are ignored.
            let blank = self
                .received
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            self.received.drain(..blank);
            if let Some((request, length)) = parse(&self.received)? {
                self.received.drain(..length);
                self.content_left = request.content_length;
                return Ok(request);
            }
            if self.received.len() >= MAX_HEAD {
                return Err(ReadError::bad(too_long(&self.received)));
            }
            let limit = match head_began {
                None => IDLE_TIME,
                Some(began) => HEAD_TIME.saturating_sub(clock.monotonic().saturating_sub(began)),
            };
            if limit.is_zero() {
                return Err(ReadError::bad(Status::REQUEST_TIMEOUT));
            }
            connection.set_read_timeout(Some(limit))?;
            let idle = head_began.is_none();
            match self.receive(connection, MAX_HEAD) {
                Ok(0) => return Err(ReadError::Ended),
                Ok(_) => head_began = head_began.or_else(|| Some(clock.monotonic())),
                Err(error)
                    if idle
                        && (timed_out(&error)
                            || error.kind() == io::ErrorKind::ConnectionReset) =>
                {
                    return Err(ReadError::Ended);
                }
                Err(error) if timed_out(&error) => {
                    return Err(ReadError::bad(Status::REQUEST_TIMEOUT));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn skip_content(&mut self, connection: &mut dyn Connection) -> Result<(), ReadError> {
        connection.set_read_timeout(Some(HEAD_TIME))?;
        while self.content_left > 0 {
            if self.received.is_empty() && self.receive(connection, MAX_HEAD)? == 0 {
                return Err(ReadError::Ended);
            }
            let skipped = self
                .received
                .len()
                .min(usize::try_from(self.content_left).unwrap_or(usize::MAX));
            self.received.drain(..skipped);
            self.content_left -= skipped as u64;
        }
        Ok(())
    }

    /// Reads what is there, so that at most `limit` bytes are held. 0 is the end of the stream.
    fn receive(&mut self, connection: &mut dyn Connection, limit: usize) -> io::Result<usize> {
        let mut buffer = [0; MAX_HEAD];
        let room = limit.saturating_sub(self.received.len());
        loop {
            match connection.read(&mut buffer[..room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    let length = result?;
                    self.received.extend_from_slice(&buffer[..length]);
                    return Ok(length);
                }
            }
        }
    }
}

/// RFC 9112 §3: 414 when even the target does not fit; RFC 6585 §5: 431 when the fields do not.
fn too_long(head: &[u8]) -> Status {
    if head.contains(&b'\n') {
        Status::FIELDS_TOO_LARGE
    } else {
        Status::URI_TOO_LONG
    }
}

/// The request at the start of `bytes` and the length of its head; `None` while it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, ReadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(ReadError::bad(Status::FIELDS_TOO_LARGE));
        }
        Err(httparse::Error::Version) => return Err(ReadError::bad(Status::VERSION_NOT_SUPPORTED)),
        Err(_) => return Err(ReadError::bad(Status::BAD_REQUEST)),
    };
    let (Some(method), Some(target), Some(minor_version)) =
        (parsed.method, parsed.path, parsed.version)
    else {
        return Err(ReadError::bad(Status::BAD_REQUEST));
    };
    // RFC 9110 §9.1: 405 for a method we know, 501 for one we do not.
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
            return Err(ReadError::bad(Status::METHOD_NOT_ALLOWED));
        }
        _ => return Err(ReadError::bad(Status::NOT_IMPLEMENTED)),
    };
    let bad = |status| ReadError::Bad { status, head_only };
    let fields = Fields(parsed.headers);

    // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
    let hosts = fields.all("host").count();
    if hosts > 1 || (minor_version == 1 && hosts == 0) {
        return Err(bad(Status::BAD_REQUEST));
    }
    if fields.all("transfer-encoding").next().is_some() {
        return Err(bad(Status::NOT_IMPLEMENTED));
    }
    let content_length = fields.content_length().map_err(bad)?;
    if content_length > MAX_CONTENT {
        return Err(bad(Status::CONTENT_TOO_LARGE));
    }
    let request = Request {
        head_only,
        target: target.to_owned(),
        minor_version,
        keep_alive: if minor_version == 1 {
            !fields.connection_has("close")
        } else {
            fields.connection_has("keep-alive")
        },
        range: fields.one("range"),
        conditions: Conditions {
            if_none_match: fields.one("if-none-match"),
            if_match: fields.one("if-match"),
            if_modified_since: fields.one("if-modified-since"),
            if_unmodified_since: fields.one("if-unmodified-since"),
            if_range: fields.one("if-range"),
        },
        content_length,
    };
    Ok(Some((request, length)))
}

/// The header fields of a request; names are compared without case.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The field's value if there is exactly one and it is text; a field of ours that is not has no meaning.
    fn one(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        let value = values.next()?;
        if values.next().is_some() {
            return None;
        }
        Some(std::str::from_utf8(value).ok()?.trim().to_owned())
    }

    fn connection_has(&self, option: &str) -> bool {
        self.all("connection")
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(option))
    }

    /// RFC 9112 §6.3: a length that is no number, or two that differ, make the request invalid.
    fn content_length(&self) -> Result<u64, Status> {
        let mut length = None;
        for value in self.all("content-length") {
            let text = std::str::from_utf8(value)
                .map_err(|_| Status::BAD_REQUEST)?
                .trim();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Status::BAD_REQUEST);
            }
            let value = text.parse().unwrap_or(u64::MAX);
            if length.is_some_and(|earlier| earlier != value) {
                return Err(Status::BAD_REQUEST);
            }
            length = Some(value);
        }
        Ok(length.unwrap_or(0))
    }
}
