//! The messages between a client and the daemon: plain values, no I/O, no unsafe.
//!
//! # The wire format
//!
//! A session is a `SOCK_SEQPACKET` Unix socket. **One datagram is one message**, at most
//! [`MAX_MESSAGE`] bytes. Everything is little-endian. A message is an eight byte header and a body:
//!
//! | offset | type | field | |
//! |---|---|---|---|
//! | 0 | u16 | kind | requests `0x0001…`, replies `0x8001…`, events `0xc001…` |
//! | 2 | u16 | reserved | zero |
//! | 4 | u32 | request | chosen by the client, never 0; a reply echoes it; 0 in an event |
//!
//! The types a body is made of:
//!
//! | type | bytes | meaning |
//! |---|---|---|
//! | u8 u16 u32 u64 | 1 2 4 8 | unsigned, little-endian, not aligned |
//! | bool | 1 | 0 or 1, nothing else |
//! | text16 | 2 + n | u16 length in bytes, then UTF-8; each field has its maximum |
//! | text32 | 4 + n | u32 length in bytes, then UTF-8; bounded by the message |
//! | address | 17 | u8 family (0 none, 4, 6), then 16 bytes; an IPv4 address is the first four, the rest zero |
//! | endpoint | 20 | u8 family (4 or 6), u8 zero, u16 port, 16 bytes as in *address* |
//!
//! The encoding is canonical: a value has one encoding, and what is not that encoding (a byte too
//! many, a reserved byte that is not zero) is a [`DecodeError`]. So the same bytes mean the same in
//! every language.
//!
//! # Order of a session
//!
//! 1. The client sends [`Request::Hello`]; its first body field is the version, and that will stay
//!    so in every version. Anything else before it ends the session.
//! 2. The daemon answers [`Reply::Welcome`], with file descriptors if an arena was asked for: the
//!    arena's memfd, then one doorbell socket per stack thread. It is the only message that carries
//!    descriptors. Or it answers [`Reply::Error`] (`version-mismatch`, `bad-token`,
//!    `quota-exceeded`, `not-permitted`) and closes.
//! 3. Requests are answered in any order; each gets exactly one reply.
//! 4. The lifetime of the session is the socket's. A zero-length message is a violation, since it
//!    reads as end of file.

pub mod codec;
pub mod congestion;
pub mod event;
pub mod reason;
pub mod reply;
pub mod request;
pub mod status;

pub use codec::{DecodeError, Json, Page, TooLarge};
pub use congestion::{CongestionControl, UnknownCongestionControl};
pub use event::Event;
pub use reason::{EndReason, ErrorCode};
pub use reply::{Failure, Opened, Reply, Welcome};
pub use request::{
    Connect, Filter, Hello, Impair, ImpairDirection, Impaired, KeepAlive, Listen, Request,
    ShutdownHow, StreamOptions,
};

use codec::{Reader, Writer};

/// The version of the protocol and of the shared memory's layout that this library speaks.
///
/// | version | what is new |
/// |---|---|
/// | 4 | the word `wanted` in [`TransmitDaemon`](crate::shm::layout::TransmitDaemon); figures of loss recovery, pacing and ECN in [`ConnectionStatus`](crate::protocol::status::ConnectionStatus); [`Request::Impair`], [`Request::Impairments`]; congestion control in [`StreamOptions`] (40 bytes, were 36), [`Request::ControlSet`] |
/// | 3 | socket endpoints ([`Request::IntoSocket`]), hand-off ([`Request::HandOff`], [`Request::AdoptHandoff`]), [`Request::ErrorStream`], [`Request::Users`] |
/// | 2 | idle timeout and codepoint in [`StreamOptions`] (36 bytes, were 28), [`EndReason::IdleTimeout`] |
/// | 1 | the first |
pub const VERSION: u16 = 4;

/// The largest message, header included, in bytes.
pub const MAX_MESSAGE: usize = 65_536;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// Where the daemon listens unless `$TCPD_SOCKET` says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/tcpd/tcpd.sock";

/// The environment variable that overrides [`DEFAULT_SOCKET`].
pub const SOCKET_VARIABLE: &str = "TCPD_SOCKET";

/// The most stack threads (hence doorbells) a daemon may announce.
pub const MAX_STACK_THREADS: u16 = 64;

/// What stands before every body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which message follows.
    pub kind: u16,
    /// The request's number; 0 in an event.
    pub request: u32,
}

impl Header {
    fn encode(self, out: &mut Writer) {
        out.u16(self.kind);
        out.u16(0);
        out.u32(self.request);
    }

    /// Reads the header of `message` and leaves the reader at the body.
    ///
    /// # Errors
    /// Shorter than a header, longer than [`MAX_MESSAGE`], or a reserved field that is not zero.
    pub(crate) fn decode<'a>(message: &'a [u8]) -> Result<(Header, Reader<'a>), DecodeError> {
        if message.len() > MAX_MESSAGE {
            return Err(DecodeError::TooLong);
        }
        let mut body = Reader::new(message);
        let kind = body.u16()?;
        if body.u16()? != 0 {
            return Err(DecodeError::Reserved);
        }
        let request = body.u32()?;
        Ok((Header { kind, request }, body))
    }

    /// The header of `message` whatever its body is, to answer a request that cannot be decoded.
    pub fn peek(message: &[u8]) -> Option<Header> {
        Header::decode(message).ok().map(|(header, _)| header)
    }
}

/// What a client can receive: an answer, or something it did not ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum FromDaemon {
    /// The answer to the request with this number.
    Reply(u32, Reply),
    /// Unasked.
    Event(Event),
}

impl FromDaemon {
    /// Decodes any message a daemon may send.
    ///
    /// # Errors
    /// The first thing in `message` that is not the canonical encoding of a reply or an event.
    pub fn decode(message: &[u8]) -> Result<FromDaemon, DecodeError> {
        let (header, _) = Header::decode(message)?;
        if Event::is_event(header.kind) {
            Event::decode(message).map(FromDaemon::Event)
        } else {
            Reply::decode(message).map(|(request, reply)| FromDaemon::Reply(request, reply))
        }
    }
}

#[cfg(test)]
mod tests;
