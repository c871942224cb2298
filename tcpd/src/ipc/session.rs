//! One session's socket: messages in, messages out, within limits. What a message means is the control loop's affair.
//!
//! Nothing here blocks, and nothing grows with what the client does: replies that it does not read wait up to a limit,
//! and then the session ends. Every end has a name ([`EndedBy`]), counted and shown by `tcpctl stats`.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libtcpclient::protocol::{DecodeError, MAX_MESSAGE};
use libtcpclient::socket::{Seqpacket, says_gone};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, Shutdown, recvmsg, shutdown};
use tcpd_core::time::Instant;

use super::credentials::Identity;
use super::policy::Kind;

/// More messages of a client than the kernel queues for one socket: what it said before its end is among so many.
pub const MOST_QUEUED: u32 = 1024;
/// What a message that waits costs beside its bytes, in bytes: its place in the queue and the allocator's rounding.
const MESSAGE_COST: u64 = 128;
/// Places that an empty queue of answers keeps.
const KEPT_PLACES: usize = 64;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndedBy {
    /// The client closed its socket.
    Client,
    /// The process that connected is gone, though somebody still holds the socket.
    ConnectorGone,
    /// A message ended inside a field.
    TruncatedMessage,
    /// A message of no known kind.
    UnknownMessage,
    /// A message that is not the encoding of anything.
    MalformedMessage,
    /// A message above 64 KiB.
    OversizedMessage,
    /// A message of no bytes.
    EmptyMessage,
    /// File descriptors where none belong.
    UnexpectedDescriptors,
    /// Something else before Hello.
    NoHello,
    /// Hello did not come in time.
    HelloTimeout,
    /// Hello named a version that the daemon does not speak.
    Version,
    /// A token that gives no right.
    Token,
    /// A quota left no room for it.
    Quota,
    /// Replies were not read.
    UnreadReplies,
    /// Something impossible in shared memory.
    Violation,
    /// The bell was closed, the session was not.
    BellClosed,
    /// The socket failed.
    SocketError,
    /// The daemon could not serve it.
    Daemon,
    /// The daemon stops.
    Stopping,
}

impl EndedBy {
    /// Each of them.
    pub const ALL: [EndedBy; 19] = [
        EndedBy::Client,
        EndedBy::ConnectorGone,
        EndedBy::TruncatedMessage,
        EndedBy::UnknownMessage,
        EndedBy::MalformedMessage,
        EndedBy::OversizedMessage,
        EndedBy::EmptyMessage,
        EndedBy::UnexpectedDescriptors,
        EndedBy::NoHello,
        EndedBy::HelloTimeout,
        EndedBy::Version,
        EndedBy::Token,
        EndedBy::Quota,
        EndedBy::UnreadReplies,
        EndedBy::Violation,
        EndedBy::BellClosed,
        EndedBy::SocketError,
        EndedBy::Daemon,
        EndedBy::Stopping,
    ];

    /// The counter's name.
    pub fn name(self) -> &'static str {
        match self {
            EndedBy::Client => "sessions-ended-by-client",
            EndedBy::ConnectorGone => "sessions-ended-connector-gone",
            EndedBy::TruncatedMessage => "sessions-ended-truncated-message",
            EndedBy::UnknownMessage => "sessions-ended-unknown-message",
            EndedBy::MalformedMessage => "sessions-ended-malformed-message",
            EndedBy::OversizedMessage => "sessions-ended-oversized-message",
            EndedBy::EmptyMessage => "sessions-ended-empty-message",
            EndedBy::UnexpectedDescriptors => "sessions-ended-unexpected-descriptors",
            EndedBy::NoHello => "sessions-ended-no-hello",
            EndedBy::HelloTimeout => "sessions-ended-hello-timeout",
            EndedBy::Version => "sessions-ended-version",
            EndedBy::Token => "sessions-ended-token",
            EndedBy::Quota => "sessions-ended-quota",
            EndedBy::UnreadReplies => "sessions-ended-unread-replies",
            EndedBy::Violation => "sessions-ended-violation",
            EndedBy::BellClosed => "sessions-ended-bell-closed",
            EndedBy::SocketError => "sessions-ended-socket-error",
            EndedBy::Daemon => "sessions-ended-by-daemon",
            EndedBy::Stopping => "sessions-ended-stopping",
        }
    }

    /// What the counter counts, in one sentence.
    pub fn help(self) -> &'static str {
        match self {
            EndedBy::Client => "Sessions whose client closed the socket.",
            EndedBy::ConnectorGone => {
                "Sessions whose process ended while another still held the socket."
            }
            EndedBy::TruncatedMessage => "Sessions ended because a message stopped inside a field.",
            EndedBy::UnknownMessage => "Sessions ended because of a message of no known kind.",
            EndedBy::MalformedMessage => {
                "Sessions ended because a message held what it cannot hold."
            }
            EndedBy::OversizedMessage => "Sessions ended because a message was longer than 64 KiB.",
            EndedBy::EmptyMessage => "Sessions ended because of a message without a byte.",
            EndedBy::UnexpectedDescriptors => {
                "Sessions ended because file descriptors came where none belong."
            }
            EndedBy::NoHello => "Sessions ended because they did not begin with Hello.",
            EndedBy::HelloTimeout => "Sessions ended because Hello did not come in time.",
            EndedBy::Version => "Sessions refused because of the protocol's version.",
            EndedBy::Token => "Sessions refused because of their token.",
            EndedBy::Quota => "Sessions refused or ended because of a quota.",
            EndedBy::UnreadReplies => "Sessions ended because replies were not read.",
            EndedBy::Violation => {
                "Sessions ended because of something impossible in shared memory."
            }
            EndedBy::BellClosed => "Sessions ended because their bell was closed.",
            EndedBy::SocketError => "Sessions whose socket failed.",
            EndedBy::Daemon => "Sessions the daemon could not serve.",
            EndedBy::Stopping => "Sessions open when the daemon stopped.",
        }
    }
}

impl From<DecodeError> for EndedBy {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => EndedBy::TruncatedMessage,
            DecodeError::TooLong => EndedBy::OversizedMessage,
            DecodeError::UnknownKind(_) => EndedBy::UnknownMessage,
            _ => EndedBy::MalformedMessage,
        }
    }
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// A message of that many bytes, at the start of the buffer.
    Message(usize),
    /// Nothing more for now.
    Nothing,
    /// The session is over.
    Ended(EndedBy),
}

/// A message that waits for room in the socket.
#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Outgoing {
    /// What it occupies, in bytes, about.
    fn cost(&self) -> u64 {
        self.bytes.len() as u64 + MESSAGE_COST
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// Its number, never used again.
    pub id: u64,
    /// Who it is.
    pub identity: Identity,
    /// Root or the administrators' group.
    pub administrator: bool,
    /// `None` until Hello.
    pub kind: Option<Kind>,
    /// What the program calls itself, else its command name.
    pub program: String,
    /// Since when.
    pub opened: Instant,
    /// Requests so far.
    pub requests: u64,
    socket: Seqpacket,
    pidfd: Option<OwnedFd>,
    outgoing: VecDeque<Outgoing>,
    /// What they occupy.
    outgoing_cost: u64,
    unread: UnreadLimit,
}

/// What all sessions of one user have not read, in bytes; each adds to it and takes off.
#[derive(Debug, Clone, Default)]
pub struct Unread(Arc<AtomicU64>);

impl Unread {
    /// For a session that may leave so many bytes itself.
    pub fn limited_to(self, own: u64) -> UnreadLimit {
        UnreadLimit { of_user: self, own }
    }

    /// Whether a session has it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// So many bytes.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take_off(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How much one session may leave unread, and where it is added up with others of its user.
#[derive(Debug)]
pub struct UnreadLimit {
    of_user: Unread,
    own: u64,
}

impl Session {
    /// A session that has just connected.
    pub fn new(
        id: u64,
        identity: Identity,
        administrator: bool,
        socket: Seqpacket,
        pidfd: Option<OwnedFd>,
        unread: UnreadLimit,
        now: Instant,
    ) -> Self {
        Self {
            id,
            identity,
            administrator,
            kind: None,
            program: String::new(),
            opened: now,
            requests: 0,
            socket,
            pidfd,
            outgoing: VecDeque::new(),
            outgoing_cost: 0,
            unread,
        }
    }

    /// The connector's pidfd: readable when that process is gone.
    pub fn pidfd(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// What the client has not read and the kernel has no room for, in bytes.
    pub fn unread(&self) -> u64 {
        self.outgoing_cost
    }

    /// The same of all sessions of its user.
    pub fn unread_of_user(&self) -> u64 {
        self.unread.of_user.bytes()
    }

    /// Reads one message into `buffer`, which must be longer than [`MAX_MESSAGE`].
    pub fn receive(&self, buffer: &mut [u8]) -> Incoming {
        debug_assert!(buffer.len() > MAX_MESSAGE);
        // No control buffer: descriptors that come nevertheless are closed by the kernel, which says so in the flags.
        let mut none = RecvAncillaryBuffer::default();
        let mut slices = [IoSliceMut::new(buffer)];
        let received = loop {
            match recvmsg(
                &self.socket,
                &mut slices,
                &mut none,
                RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
            ) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        match received {
            Err(Errno::AGAIN) => Incoming::Nothing,
            Err(Errno::CONNRESET) => Incoming::Ended(EndedBy::Client),
            Err(_) => Incoming::Ended(EndedBy::SocketError),
            Ok(message) if message.flags.contains(ReturnFlags::CTRUNC) => {
                Incoming::Ended(EndedBy::UnexpectedDescriptors)
            }
            Ok(message)
                if message.flags.contains(ReturnFlags::TRUNC) || message.bytes > MAX_MESSAGE =>
            {
                Incoming::Ended(EndedBy::OversizedMessage)
            }
            Ok(message) if message.bytes == 0 => {
                Incoming::Ended(self.end_or_empty_message(slices[0].as_mut()))
            }
            Ok(message) => Incoming::Message(message.bytes),
        }
    }

    /// A read of no bytes is the end of file, or a message of no bytes: at the end of file the next read is the same.
    fn end_or_empty_message(&self, buffer: &mut [u8]) -> EndedBy {
        match rustix::net::recv(&self.socket, buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((0, _)) | Err(Errno::CONNRESET) => EndedBy::Client,
            _ => EndedBy::EmptyMessage,
        }
    }

    /// Sends a message, now or when there is room. An error means that the session is over.
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<(), EndedBy> {
        self.send_with(bytes, Vec::new())
    }

    /// Sends a message with descriptors.
    pub fn send_with(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) -> Result<(), EndedBy> {
        let message = Outgoing { bytes, descriptors };
        self.outgoing_cost += message.cost();
        self.unread.of_user.add(message.cost());
        self.outgoing.push_back(message);
        if self.outgoing.len() == 1 {
            self.flush()?;
        }
        if let Some(waiting) = self.outgoing.back_mut() {
            // A small answer was written into a larger buffer.
            waiting.bytes.shrink_to_fit();
        }
        if self.outgoing_cost > self.unread.own {
            Err(EndedBy::UnreadReplies)
        } else {
            Ok(())
        }
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) -> Result<(), EndedBy> {
        while let Some(message) = self.outgoing.front() {
            let descriptors: Vec<BorrowedFd<'_>> =
                message.descriptors.iter().map(AsFd::as_fd).collect();
            match self.socket.try_send_with_fds(&message.bytes, &descriptors) {
                Ok(()) => {
                    self.outgoing_cost -= message.cost();
                    self.unread.of_user.take_off(message.cost());
                    self.outgoing.pop_front();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if says_gone(&error) => return Err(EndedBy::Client),
                Err(_) => return Err(EndedBy::SocketError),
            }
        }
        self.outgoing.shrink_to(KEPT_PLACES);
        Ok(())
    }

    /// Says a last word if there is room for it, and closes.
    pub fn end(mut self, last_word: Option<Vec<u8>>) {
        if let Some(bytes) = last_word
            && self.outgoing.is_empty()
        {
            // It may not get through: the client sees the end of file in any case.
            let _ = self.send(bytes);
        }
        // A Unix socket closed with unread messages resets its peer, which would then read an error before our last
        // word. So no more is let in, and what is in is thrown away.
        if shutdown(&self.socket, Shutdown::Read).is_ok() {
            let mut scrap = [0; 1];
            for _ in 0..MOST_QUEUED {
                match rustix::net::recv(
                    &self.socket,
                    &mut scrap,
                    RecvFlags::DONTWAIT | RecvFlags::TRUNC,
                ) {
                    Ok((_, 1..)) | Err(Errno::INTR) => {}
                    _ => break,
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.unread.of_user.take_off(self.outgoing_cost);
    }
}

impl AsRawFd for Session {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
