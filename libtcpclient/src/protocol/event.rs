//! What the daemon says unasked. Events have request number 0.

use super::codec::Writer;
use super::{DecodeError, Failure, Header};

/// Something a client did not ask for. The kind is in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// \[0xc001\] The daemon is about to close this session, and why: a violation, a quota, an
    /// operator. End of file follows. ([`Failure`])
    SessionEnding(Failure),
    /// \[0xc002\] The daemon is stopping: nothing new is taken; what is open goes on.
    Draining {
        /// Until what is left will be reset, in milliseconds. (u32)
        grace_ms: u32,
    },
    /// \[0xc003\] A listener was closed by somebody else; accepts waiting on it were answered.
    ListenerClosed {
        /// From `Listening`. (u64)
        listener: u64,
        /// Why.
        reason: Failure,
    },
}

impl Event {
    /// Whether `kind` is in the events' range.
    pub fn is_event(kind: u16) -> bool {
        kind & 0xc000 == 0xc000
    }

    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let kind = match self {
            Event::SessionEnding(_) => 0xc001,
            Event::Draining { .. } => 0xc002,
            Event::ListenerClosed { .. } => 0xc003,
        };
        Header { kind, request: 0 }.encode(&mut out);
        match self {
            Event::SessionEnding(failure) => failure.encode(&mut out),
            Event::Draining { grace_ms } => out.u32(*grace_ms),
            Event::ListenerClosed { listener, reason } => {
                out.u64(*listener);
                reason.encode(&mut out);
            }
        }
        out.finish()
    }

    /// The event in `message`.
    ///
    /// # Errors
    /// The first thing that is not the canonical encoding of an event.
    pub fn decode(message: &[u8]) -> Result<Event, DecodeError> {
        let (header, mut body) = Header::decode(message)?;
        if header.request != 0 {
            return Err(DecodeError::BadValue("request"));
        }
        let event = match header.kind {
            0xc001 => Event::SessionEnding(Failure::decode(&mut body)?),
            0xc002 => Event::Draining {
                grace_ms: body.u32()?,
            },
            0xc003 => Event::ListenerClosed {
                listener: body.u64()?,
                reason: Failure::decode(&mut body)?,
            },
            other => return Err(DecodeError::UnknownKind(other)),
        };
        body.end()?;
        Ok(event)
    }
}
