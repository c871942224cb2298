//! Answers: what stands in them and how they are sent (RFC 9110 §15, RFC 9112 §4).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::SystemTime;

use super::super::Connection;
use super::files::OpenFile;

/// Bytes read from a file and written to the connection at once.
const CHUNK: usize = 256 << 10;

/// A status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(u16);

impl Status {
    pub(super) const OK: Self = Self(200);
    pub(super) const PARTIAL_CONTENT: Self = Self(206);
    pub(super) const MOVED_PERMANENTLY: Self = Self(301);
    pub(super) const NOT_MODIFIED: Self = Self(304);
    pub(super) const BAD_REQUEST: Self = Self(400);
    pub(super) const FORBIDDEN: Self = Self(403);
    pub(super) const NOT_FOUND: Self = Self(404);
    pub(super) const METHOD_NOT_ALLOWED: Self = Self(405);
    pub(super) const REQUEST_TIMEOUT: Self = Self(408);
    pub(super) const PRECONDITION_FAILED: Self = Self(412);
    pub(super) const CONTENT_TOO_LARGE: Self = Self(413);
    pub(super) const URI_TOO_LONG: Self = Self(414);
    pub(super) const RANGE_NOT_SATISFIABLE: Self = Self(416);
    pub(super) const FIELDS_TOO_LARGE: Self = Self(431);
    pub(super) const INTERNAL: Self = Self(500);
    pub(super) const NOT_IMPLEMENTED: Self = Self(501);
    pub(super) const VERSION_NOT_SUPPORTED: Self = Self(505);

    fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            206 => "Partial Content",
            301 => "Moved Permanently",
            304 => "Not Modified",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            416 => "Range Not Satisfiable",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Internal Server Error",
        }
    }
}

/// One answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    /// What is answered.
    pub status: Status,
    /// Header fields that only some answers have, each with its line end.
    fields: String,
    content: Content,
    /// The connection ends after this answer.
    pub last: bool,
    /// The minor version of the request: a peer of HTTP/1.0 must be told that the connection stays.
    pub minor_version: u8,
}

#[derive(Debug)]
enum Content {
    /// No content, and no length: 304.
    None,
    Text(String),
    /// `length` bytes of the file from `start`.
    File {
        file: File,
        start: u64,
        length: u64,
    },
}

impl Answer {
    fn new(status: Status, fields: String, content: Content) -> Self {
        Self {
            status,
            fields,
            content,
            last: false,
            minor_version: 1,
        }
    }

    /// A status with its name as content.
    pub(super) fn refusal(status: Status) -> Self {
        let mut fields = String::from("Content-Type: text/plain; charset=utf-8\r\n");
        if status == Status::METHOD_NOT_ALLOWED {
            fields.push_str("Allow: GET, HEAD\r\n");
        }
        let text = format!("{} {}\n", status.0, status.reason());
        Self::new(status, fields, Content::Text(text))
    }

    /// The connection ends after this answer.
    pub(super) fn last(self) -> Self {
        Self { last: true, ..self }
    }

    pub(super) fn redirect(to: &str) -> Self {
        let mut answer = Self::refusal(Status::MOVED_PERMANENTLY);
        let _ = write!(answer.fields, "Location: {to}\r\n");
        answer
    }

    pub(super) fn not_modified(modified: SystemTime) -> Self {
        Self::new(Status::NOT_MODIFIED, last_modified(modified), Content::None)
    }

    pub(super) fn unsatisfiable(length: u64) -> Self {
        let mut answer = Self::refusal(Status::RANGE_NOT_SATISFIABLE);
        let _ = write!(answer.fields, "Content-Range: bytes */{length}\r\n");
        answer
    }

    pub(super) fn whole(open: OpenFile, modified: SystemTime) -> Self {
        let fields = file_fields(&open, modified);
        Self::new(
            Status::OK,
            fields,
            Content::File {
                file: open.file,
                start: 0,
                length: open.length,
            },
        )
    }

    /// Bytes `first` to `last`, both included.
    pub(super) fn part(open: OpenFile, modified: SystemTime, first: u64, last: u64) -> Self {
        let mut fields = file_fields(&open, modified);
        let _ = write!(
            fields,
            "Content-Range: bytes {first}-{last}/{}\r\n",
            open.length
        );
        let content = Content::File {
            file: open.file,
            start: first,
            length: last - first + 1,
        };
        Self::new(Status::PARTIAL_CONTENT, fields, content)
    }

    fn head(&self, now: SystemTime) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status.0, self.status.reason());
        let _ = write!(
            head,
            "Date: {}\r\nServer: tcpd\r\n{}",
            httpdate::fmt_http_date(now),
            self.fields
        );
        match &self.content {
            Content::None => {}
            Content::Text(text) => {
                let _ = write!(head, "Content-Length: {}\r\n", text.len());
            }
            Content::File { length, .. } => {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
        }
        if self.last {
            head.push_str("Connection: close\r\n");
        } else if self.minor_version == 0 {
            head.push_str("Connection: keep-alive\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

fn file_fields(open: &OpenFile, modified: SystemTime) -> String {
    format!(
        "Content-Type: {}\r\nX-Content-Type-Options: nosniff\r\nAccept-Ranges: bytes\r\n{}",
        open.content_type,
        last_modified(modified),
    )
}

fn last_modified(modified: SystemTime) -> String {
    format!("Last-Modified: {}\r\n", httpdate::fmt_http_date(modified))
}

/// Sends an answer; without its content when the method was HEAD.
///
/// # Errors
/// When the connection fails, or a file ends before the length that was announced.
pub(super) fn send(
    connection: &mut dyn Connection,
    answer: Answer,
    head_only: bool,
    now: SystemTime,
) -> io::Result<()> {
    // Head and first bytes leave together, so that a small answer is one segment.
    let mut buffer = answer.head(now).into_bytes();
    match answer.content {
        Content::None => connection.write_all(&buffer),
        _ if head_only => connection.write_all(&buffer),
        Content::Text(text) => {
            buffer.extend_from_slice(text.as_bytes());
            connection.write_all(&buffer)
        }
        Content::File {
            file,
            start,
            length,
        } => send_file(connection, buffer, file, start, length),
    }
}

fn send_file(
    connection: &mut dyn Connection,
    mut buffer: Vec<u8>,
    mut file: File,
    start: u64,
    length: u64,
) -> io::Result<()> {
    if start > 0 {
        file.seek(SeekFrom::Start(start))?;
    }
    let mut left = length;
    loop {
        let room = (CHUNK - buffer.len().min(CHUNK)) as u64;
        let taken = file
            .by_ref()
            .take(left.min(room))
            .read_to_end(&mut buffer)?;
        left -= taken as u64;
        connection.write_all(&buffer)?;
        if left == 0 {
            return Ok(());
        }
        if taken == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was sent",
            ));
        }
        buffer.clear();
    }
}
