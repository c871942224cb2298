//! What the daemon answers. Field order in a struct is the order on the wire.

use std::net::SocketAddr;

use super::codec::{Reader, Writer};
use super::{DecodeError, ErrorCode, Header, Json, Page};

/// The longest [`Failure::detail`] in bytes.
pub const MAX_DETAIL: usize = 512;
/// The longest daemon version in bytes.
pub const MAX_DAEMON_VERSION: usize = 64;

/// The session is open. Kind `0x8001`.
///
/// With an arena, the message carries 1 + `stack_threads` descriptors: the arena's memfd, then
/// the client's end of each stack thread's doorbell. Without one, `stack_threads`, `slots` and `ring_maximum` are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The daemon's [`super::VERSION`]. (u16)
    pub version: u16,
    /// Doorbells, hence doorbell blocks in the arena. (u16)
    pub stack_threads: u16,
    /// Slots, hence connections at a time. (u32)
    pub slots: u32,
    /// Bytes of address space per ring, a power of two. (u32)
    pub ring_maximum: u32,
    /// The session's number, for logs and `tcpctl`. (u64)
    pub session: u64,
    /// For people. (text16 ≤ 64)
    pub daemon_version: String,
}

/// A connection and its slot, in `Connected`, `Accepted` and `Adopted`. 64 bytes.
///
/// Before the daemon sends it, it has initialised the slot header: positions, geometry, state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// What later requests name it by. (u64)
    pub connection: u64,
    /// Its slot in the session's arena. (u32)
    pub slot: u32,
    /// Which doorbell block and bell belong to it. (u16, then a zero u16)
    pub stack_thread: u16,
    /// This side. (endpoint)
    pub local: SocketAddr,
    /// The other side. (endpoint)
    pub remote: SocketAddr,
    /// How far the receive ring may grow, in bytes. (u32)
    pub receive_maximum: u32,
    /// How far the transmit ring may grow, in bytes: beyond it, `GrowTransmit` is pointless. (u32)
    pub transmit_maximum: u32,
}

/// A refusal: u16 code, text16 ≤ 512 detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it is.
    pub code: ErrorCode,
    /// The particulars: the rule, the quota, the versions. May be empty.
    pub detail: String,
}

/// Everything the daemon can answer. The kind is in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// \[0x8001\]
    Welcome(Welcome),
    /// \[0x8002\] Done, and there is nothing to say about it.
    Done,
    /// \[0x8003\] Refused.
    Error(Failure),
    /// \[0x8010\]
    Listening {
        /// What later requests name it by. (u64)
        listener: u64,
        /// With the port that was picked; an unspecified address if it listens on all. (endpoint)
        local: SocketAddr,
    },
    /// \[0x8011\]
    Accepted(Opened),
    /// \[0x8012\]
    Connected(Opened),
    /// \[0x8013\]
    Adopted(Opened),
    /// \[0x8014\] The transmit ring's geometry from now on, also in the slot header. The same as before when it cannot grow now.
    Grown {
        /// Bytes, a power of two. (u32)
        capacity: u32,
        /// The position at offset 0. (u64)
        base: u64,
    },
    /// \[0x8015\] The message carries one descriptor: what was asked for.
    Stream,
    /// \[0x8016\] The connection waits for whoever brings this token.
    HandedOff {
        /// (16 bytes)
        token: [u8; 16],
        /// How long it waits, in milliseconds; then it is reset. (u32)
        life_ms: u32,
    },
    /// \[0x8020\] One JSON object. (text32)
    Status(Json),
    /// \[0x8021\] One JSON object a line. (u64 next, text32)
    Rows(Page),
    /// \[0x8022\]
    Pong {
        /// (text16 ≤ 64)
        version: String,
        /// The daemon's process. (u32)
        pid: u32,
        /// Since the daemon started. (u64)
        uptime_ms: u64,
    },
}

impl Reply {
    /// A refusal with its particulars.
    pub fn error(code: ErrorCode, detail: impl Into<String>) -> Reply {
        Reply::Error(Failure {
            code,
            detail: detail.into(),
        })
    }

    /// The message that answers the request with the number `request`.
    ///
    /// Texts beyond their maximum are cut off; everything else encodes as it is.
    pub fn encode(&self, request: u32) -> Vec<u8> {
        let mut out = Writer::new();
        let kind = self.kind();
        Header { kind, request }.encode(&mut out);
        self.encode_body(&mut out);
        out.finish()
    }

    /// The number of this message's kind.
    pub fn kind(&self) -> u16 {
        match self {
            Reply::Welcome(_) => 0x8001,
            Reply::Done => 0x8002,
            Reply::Error(_) => 0x8003,
            Reply::Listening { .. } => 0x8010,
            Reply::Accepted(_) => 0x8011,
            Reply::Connected(_) => 0x8012,
            Reply::Adopted(_) => 0x8013,
            Reply::Grown { .. } => 0x8014,
            Reply::Stream => 0x8015,
            Reply::HandedOff { .. } => 0x8016,
            Reply::Status(_) => 0x8020,
            Reply::Rows(_) => 0x8021,
            Reply::Pong { .. } => 0x8022,
        }
    }

    fn encode_body(&self, out: &mut Writer) {
        match self {
            Reply::Welcome(welcome) => welcome.encode(out),
            Reply::Done | Reply::Stream => {}
            Reply::Error(failure) => failure.encode(out),
            Reply::Listening { listener, local } => {
                out.u64(*listener);
                out.endpoint(*local);
            }
            Reply::Accepted(opened) | Reply::Connected(opened) | Reply::Adopted(opened) => {
                opened.encode(out);
            }
            Reply::Grown { capacity, base } => {
                out.u32(*capacity);
                out.u64(*base);
            }
            Reply::HandedOff { token, life_ms } => {
                out.raw(token);
                out.u32(*life_ms);
            }
            Reply::Status(json) => out.text32(json.as_str()),
            Reply::Rows(page) => {
                out.u64(page.next);
                out.text32(page.as_str());
            }
            Reply::Pong {
                version,
                pid,
                uptime_ms,
            } => {
                out.text16(version, MAX_DAEMON_VERSION);
                out.u32(*pid);
                out.u64(*uptime_ms);
            }
        }
    }

    /// The reply in `message` and the number of the request it answers.
    ///
    /// # Errors
    /// The first thing that is not the canonical encoding of a reply; the number 0 is one.
    pub fn decode(message: &[u8]) -> Result<(u32, Reply), DecodeError> {
        let (header, mut body) = Header::decode(message)?;
        if header.request == 0 {
            return Err(DecodeError::BadValue("request"));
        }
        let reply = Reply::decode_body(header.kind, &mut body)?;
        body.end()?;
        Ok((header.request, reply))
    }

    fn decode_body(kind: u16, body: &mut Reader<'_>) -> Result<Reply, DecodeError> {
        Ok(match kind {
            0x8001 => Reply::Welcome(Welcome::decode(body)?),
            0x8002 => Reply::Done,
            0x8003 => Reply::Error(Failure::decode(body)?),
            0x8010 => Reply::Listening {
                listener: body.u64()?,
                local: body.endpoint("local")?,
            },
            0x8011 => Reply::Accepted(Opened::decode(body)?),
            0x8012 => Reply::Connected(Opened::decode(body)?),
            0x8013 => Reply::Adopted(Opened::decode(body)?),
            0x8014 => Reply::Grown {
                capacity: body.u32()?,
                base: body.u64()?,
            },
            0x8015 => Reply::Stream,
            0x8016 => Reply::HandedOff {
                token: body.array()?,
                life_ms: body.u32()?,
            },
            0x8020 => {
                let text = body.text32("status")?;
                Reply::Status(
                    Json::from_text(text).map_err(|_| DecodeError::TextTooLong("status"))?,
                )
            }
            0x8021 => {
                let next = body.u64()?;
                Reply::Rows(Page::from_parts(body.text32("rows")?, next)?)
            }
            0x8022 => Reply::Pong {
                version: body.text16(MAX_DAEMON_VERSION, "version")?,
                pid: body.u32()?,
                uptime_ms: body.u64()?,
            },
            other => return Err(DecodeError::UnknownKind(other)),
        })
    }
}

impl Welcome {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.version);
        out.u16(self.stack_threads);
        out.u32(self.slots);
        out.u32(self.ring_maximum);
        out.u64(self.session);
        out.text16(&self.daemon_version, MAX_DAEMON_VERSION);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Welcome, DecodeError> {
        Ok(Welcome {
            version: body.u16()?,
            stack_threads: body.u16()?,
            slots: body.u32()?,
            ring_maximum: body.u32()?,
            session: body.u64()?,
            daemon_version: body.text16(MAX_DAEMON_VERSION, "daemon_version")?,
        })
    }
}

impl Opened {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.connection);
        out.u32(self.slot);
        out.u16(self.stack_thread);
        out.u16(0);
        out.endpoint(self.local);
        out.endpoint(self.remote);
        out.u32(self.receive_maximum);
        out.u32(self.transmit_maximum);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Opened, DecodeError> {
        let connection = body.u64()?;
        let slot = body.u32()?;
        let stack_thread = body.u16()?;
        if body.u16()? != 0 {
            return Err(DecodeError::Reserved);
        }
        Ok(Opened {
            connection,
            slot,
            stack_thread,
            local: body.endpoint("local")?,
            remote: body.endpoint("remote")?,
            receive_maximum: body.u32()?,
            transmit_maximum: body.u32()?,
        })
    }
}

impl Failure {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.u16(self.code.code());
        out.text16(&self.detail, MAX_DETAIL);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Failure, DecodeError> {
        let code = ErrorCode::from_code(body.u16()?).ok_or(DecodeError::BadValue("code"))?;
        Ok(Failure {
            code,
            detail: body.text16(MAX_DETAIL, "detail")?,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.detail.as_str() {
            "" => write!(f, "{}", self.code),
            detail => write!(f, "{}: {detail}", self.code),
        }
    }
}
