//! Lines for the journal, in its native protocol: one datagram an event.
//!
//! MESSAGE is the line as standard error would have it, with every field in it, because that is what `journalctl` shows. The
//! fields stand beside it by name as well, so that `journalctl F_SERVICE=echo` finds them.
//!
//! Nothing waits for the journal: a datagram that it does not take at once is lost, and counted.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Context;

/// Where the journal listens (systemd's "Native Journal Protocol").
const SOCKET: &str = "/run/systemd/journal/socket";

static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines that the journal did not take, since the start.
pub(super) fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// A layer that sends events to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Reaches for the journal.
    ///
    /// # Errors
    /// What the kernel says when nobody listens there.
    pub(super) fn open() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // The journal ignores an empty one. Not connected: a journal that is started again listens on another socket.
        socket.send_to(&[], SOCKET)?;
        Ok(Self { socket })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let entry = Entry::of(event.metadata(), event);
        if self.socket.send_to(&entry.0, SOCKET).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An entry as it is sent: its fields one behind the other.
struct Entry(Vec<u8>);

impl Entry {
    fn of(metadata: &Metadata<'_>, fields: impl RecordFields + Copy) -> Self {
        let mut line = String::new();
        let writer = Writer::new(&mut line);
        if DefaultFields::new().format_fields(writer, fields).is_err() {
            line.push_str(" (not all of it)");
        }
        let mut entry = Self(Vec::with_capacity(512));
        entry.put("MESSAGE", &line);
        entry.put("PRIORITY", priority(*metadata.level()));
        entry.put("SYSLOG_IDENTIFIER", "tcpd");
        entry.put("TARGET", metadata.target());
        fields.record(&mut entry);
        entry
    }

    /// The binary form, which may hold line ends: name, line end, length in 64 bits, value, line end.
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'\n');
        self.0
            .extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }

    fn put_field(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            let name: String = field.name().chars().map(allowed_in_a_name).collect();
            self.put(&format!("F_{name}"), value);
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_field(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a String does not fail; what a value's own Debug leaves out is in MESSAGE.
        let _ = write!(text, "{value:?}");
        self.put_field(field, &text);
    }
}

/// The journal takes capital letters, digits and underscores.
fn allowed_in_a_name(letter: char) -> char {
    match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    }
}

/// syslog's number.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}
