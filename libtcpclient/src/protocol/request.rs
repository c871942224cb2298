//! What a client asks.

mod bodies;

mod impair;

pub use bodies::{Connect, Filter, Hello, KeepAlive, Listen, ShutdownHow, StreamOptions};
pub use impair::{Impair, ImpairDirection, Impaired};

use super::codec::{Reader, Writer};
use super::{DecodeError, Header};

/// The longest [`Hello::program`], in bytes.
pub const MAX_PROGRAM: usize = 64;
/// The longest id in [`Request::Show`] and its like, in bytes.
pub const MAX_ID: usize = 48;
/// The longest [`Impair::impairment`], in bytes.
pub const MAX_IMPAIRMENT: usize = 512;
/// The longest settings in [`Request::ControlSet`], in bytes.
pub const MAX_SETTINGS: usize = 256;
/// The longest service name in a [`Filter`], in bytes.
pub const MAX_SERVICE: usize = 64;

/// Everything a client can ask. The kind is in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// \[0x0001\] → [`super::Reply::Welcome`].
    Hello(Hello),

    /// \[0x0010\] → [`super::Reply::Listening`].
    Listen(Listen),
    /// \[0x0011\] → `Done`. Connections nobody accepted yet are reset.
    CloseListener {
        /// From `Listening`. (u64)
        listener: u64,
    },
    /// \[0x0012\] → [`super::Reply::Accepted`], when there is one.
    Accept {
        /// From `Listening`. (u64)
        listener: u64,
        /// Answer `would-block` rather than later. (bool)
        nonblocking: bool,
    },
    /// \[0x0013\] → `Done`. The accept answers `cancelled`, unless it has answered already.
    CancelAccept {
        /// The number of the accept to take back. (u32)
        request: u32,
    },

    /// \[0x0020\] → [`super::Reply::Connected`].
    Connect(Connect),
    /// \[0x0021\] → [`super::Reply::Adopted`]. Only on a session opened with a token, once.
    Adopt,

    /// \[0x0022\] → [`super::Reply::Adopted`]. Takes over a connection that another process has handed off.
    AdoptHandoff {
        /// From `HandedOff`: good for one use, and only for the user it was meant for. (16 bytes)
        token: [u8; 16],
    },
    /// \[0x0023\] → [`super::Reply::Stream`]: the write end of a pipe whose lines the daemon logs. Only on the session of an exec
    /// service's worker, once.
    ErrorStream,

    /// \[0x0030\] → `Done`. CLOSE of one half (RFC 9293 §3.10.4).
    Shutdown {
        /// From `Opened`. (u64)
        connection: u64,
        /// (u8)
        how: ShutdownHow,
    },
    /// \[0x0031\] → `Done` or `timed-out`. CLOSE (RFC 9293 §3.10.4): FIN after what is written, or RST
    /// if received data was not read (RFC 2525 §2.17). The connection's number and slot are the
    /// daemon's again; the client does not touch the slot any more.
    Close {
        /// From `Opened`. (u64)
        connection: u64,
        /// `None`: answer at once. Otherwise answer when everything is acknowledged, and reset the
        /// connection when that takes longer than this many milliseconds. (bool, u32)
        linger_ms: Option<u32>,
    },
    /// \[0x0032\] → `Done`. ABORT (RFC 9293 §3.10.5): RST. As for `Close`, the slot is given back.
    Abort {
        /// From `Opened`. (u64)
        connection: u64,
    },
    /// \[0x0033\] → `Done`.
    SetOptions {
        /// From `Opened`. (u64)
        connection: u64,
        /// All of them. ([`StreamOptions`])
        options: StreamOptions,
    },
    /// \[0x0034\] → [`super::Reply::Grown`]. The client writes nothing to the ring until the answer is there.
    GrowTransmit {
        /// From `Opened`. (u64)
        connection: u64,
    },
    /// \[0x0035\] → [`super::Reply::Status`] with a [`super::status::ConnectionStatus`]. STATUS (RFC 9293 §3.10.6).
    ConnectionStatus {
        /// From `Opened`. (u64)
        connection: u64,
    },
    /// \[0x0036\] → [`super::Reply::Stream`]: from now on the connection is the other end of this stream socket, and lives as long
    /// as that. Its number and slot are given back, as for `Close`.
    IntoSocket {
        /// From `Opened`. (u64)
        connection: u64,
    },
    /// \[0x0037\] → [`super::Reply::HandedOff`]. The connection waits for `AdoptHandoff` by another process, with all that is unread and
    /// unacknowledged; it is reset when nobody comes in time. Its number and slot are given back, as for `Close`.
    HandOff {
        /// From `Opened`. (u64)
        connection: u64,
        /// The user who may adopt it; `None`: this session's. (bool, u32)
        uid: Option<u32>,
    },

    /// \[0x0040\] → [`super::Reply::Pong`].
    Ping,
    /// \[0x0041\] → [`super::Reply::Rows`] of [`super::status::ConnectionRow`].
    List {
        /// Which.
        filter: Filter,
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x0042\] → `Rows` of [`super::status::ListenerRow`].
    Listeners {
        /// Which.
        filter: Filter,
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x0043\] → `Status` with a [`super::status::ConnectionStatus`].
    Show {
        /// As [`super::status::ConnectionRow::id`] has it. (text16 ≤ 48)
        id: String,
    },
    /// \[0x0044\] → `Rows` of [`super::status::CounterRow`].
    Stats {
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x0045\] → `Rows` of [`super::status::ServiceRow`].
    Services {
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x0046\] → `Rows` of [`super::status::SessionRow`].
    Sessions {
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x0047\] → `Status` with a [`super::status::DaemonStatus`].
    DaemonStatus,
    /// \[0x0048\] → `Done`. The connection closes as if its owner had closed it.
    ControlClose {
        /// As [`super::status::ConnectionRow::id`] has it. (text16 ≤ 48)
        id: String,
    },
    /// \[0x0049\] → `Done`. The connection is reset.
    ControlReset {
        /// As [`super::status::ConnectionRow::id`] has it. (text16 ≤ 48)
        id: String,
    },
    /// \[0x004a\] → `Status` with a [`super::status::Reloaded`]: the configuration is read again, and all of it counts or
    /// nothing (`bad-configuration`, `needs-restart`, `address-in-use`). For root and the administrators' group.
    Reload,
    /// \[0x004b\] → `Status` with a [`super::status::Draining`]: nothing new is taken, and the daemon ends when nothing is left,
    /// at the latest after this time, when it resets the rest. For root and the administrators' group.
    Drain {
        /// `None`: the configured `shutdown_grace`. Milliseconds. (bool, u32)
        grace_ms: Option<u32>,
    },
    /// \[0x004c\] → `Rows` of use against limit, a user each. Users see themselves, administrators everybody.
    Users {
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x004d\] → `Done`: from now on a bad network is played to these packets, or no more. A refusal changes nothing.
    /// For root and the administrators' group.
    Impair(Impair),
    /// \[0x004e\] → `Rows` of [`super::status::ImpairmentRow`]. For root and the administrators' group.
    Impairments {
        /// 0, then [`super::Page::next`]. (u64)
        cursor: u64,
    },
    /// \[0x004f\] → `Done`, or `bad-request` naming what is allowed; then nothing has changed.
    ControlSet {
        /// As [`super::status::ConnectionRow::id`] has it. (text16 ≤ 48)
        id: String,
        /// `NAME=VALUE`, several with spaces between them. So far `congestion=cubic` and `congestion=newreno`. (text16 ≤ 256)
        settings: String,
    },
}

impl Request {
    /// The message for this request, which has the number `request` (not 0).
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
        use Request::*;
        match self {
            Hello(_) => 0x0001,
            Listen(_) => 0x0010,
            CloseListener { .. } => 0x0011,
            Accept { .. } => 0x0012,
            CancelAccept { .. } => 0x0013,
            Connect(_) => 0x0020,
            Adopt => 0x0021,
            AdoptHandoff { .. } => 0x0022,
            ErrorStream => 0x0023,
            Shutdown { .. } => 0x0030,
            Close { .. } => 0x0031,
            Abort { .. } => 0x0032,
            SetOptions { .. } => 0x0033,
            GrowTransmit { .. } => 0x0034,
            ConnectionStatus { .. } => 0x0035,
            IntoSocket { .. } => 0x0036,
            HandOff { .. } => 0x0037,
            Ping => 0x0040,
            List { .. } => 0x0041,
            Listeners { .. } => 0x0042,
            Show { .. } => 0x0043,
            Stats { .. } => 0x0044,
            Services { .. } => 0x0045,
            Sessions { .. } => 0x0046,
            DaemonStatus => 0x0047,
            ControlClose { .. } => 0x0048,
            ControlReset { .. } => 0x0049,
            Reload => 0x004a,
            Drain { .. } => 0x004b,
            Users { .. } => 0x004c,
            Impair(_) => 0x004d,
            Impairments { .. } => 0x004e,
            ControlSet { .. } => 0x004f,
        }
    }

    fn encode_body(&self, out: &mut Writer) {
        use Request::*;
        match self {
            Hello(hello) => hello.encode(out),
            Listen(listen) => listen.encode(out),
            Connect(connect) => connect.encode(out),
            Impair(impair) => impair.encode(out),
            Adopt | ErrorStream | Ping | DaemonStatus | Reload => {}
            AdoptHandoff { token } => out.raw(token),
            CloseListener { listener } => out.u64(*listener),
            Accept {
                listener,
                nonblocking,
            } => {
                out.u64(*listener);
                out.bool(*nonblocking);
            }
            CancelAccept { request } => out.u32(*request),
            Shutdown { connection, how } => {
                out.u64(*connection);
                out.u8(*how as u8);
            }
            Close {
                connection,
                linger_ms,
            } => {
                out.u64(*connection);
                encode_optional(*linger_ms, out);
            }
            Drain { grace_ms } => encode_optional(*grace_ms, out),
            HandOff { connection, uid } => {
                out.u64(*connection);
                encode_optional(*uid, out);
            }
            Abort { connection }
            | IntoSocket { connection }
            | GrowTransmit { connection }
            | ConnectionStatus { connection } => {
                out.u64(*connection);
            }
            SetOptions {
                connection,
                options,
            } => {
                out.u64(*connection);
                options.encode(out);
            }
            List { filter, cursor } | Listeners { filter, cursor } => {
                filter.encode(out);
                out.u64(*cursor);
            }
            Stats { cursor }
            | Services { cursor }
            | Sessions { cursor }
            | Users { cursor }
            | Impairments { cursor } => out.u64(*cursor),
            ControlSet { id, settings } => {
                out.text16(id, MAX_ID);
                out.text16(settings, MAX_SETTINGS);
            }
            Show { id } | ControlClose { id } | ControlReset { id } => out.text16(id, MAX_ID),
        }
    }

    /// The request in `message` and its number.
    ///
    /// # Errors
    /// The first thing that is not the canonical encoding of a request; the number 0 is one.
    pub fn decode(message: &[u8]) -> Result<(u32, Request), DecodeError> {
        let (header, mut body) = Header::decode(message)?;
        if header.request == 0 {
            return Err(DecodeError::BadValue("request"));
        }
        let request = Request::decode_body(header.kind, &mut body)?;
        body.end()?;
        Ok((header.request, request))
    }

    fn decode_body(kind: u16, body: &mut Reader<'_>) -> Result<Request, DecodeError> {
        Ok(match kind {
            0x0001 => Request::Hello(Hello::decode(body)?),
            0x0010 => Request::Listen(Listen::decode(body)?),
            0x0011 => Request::CloseListener {
                listener: body.u64()?,
            },
            0x0012 => Request::Accept {
                listener: body.u64()?,
                nonblocking: body.bool("nonblocking")?,
            },
            0x0013 => Request::CancelAccept {
                request: body.u32()?,
            },
            0x0020 => Request::Connect(Connect::decode(body)?),
            0x0021 => Request::Adopt,
            0x0022 => Request::AdoptHandoff {
                token: body.array()?,
            },
            0x0023 => Request::ErrorStream,
            0x0030 => Request::Shutdown {
                connection: body.u64()?,
                how: ShutdownHow::decode(body)?,
            },
            0x0031 => Request::Close {
                connection: body.u64()?,
                linger_ms: decode_optional(body, "linger")?,
            },
            0x0032 => Request::Abort {
                connection: body.u64()?,
            },
            0x0033 => Request::SetOptions {
                connection: body.u64()?,
                options: StreamOptions::decode(body)?,
            },
            0x0034 => Request::GrowTransmit {
                connection: body.u64()?,
            },
            0x0035 => Request::ConnectionStatus {
                connection: body.u64()?,
            },
            0x0036 => Request::IntoSocket {
                connection: body.u64()?,
            },
            0x0037 => Request::HandOff {
                connection: body.u64()?,
                uid: decode_optional(body, "uid")?,
            },
            0x0040 => Request::Ping,
            0x0041 => Request::List {
                filter: Filter::decode(body)?,
                cursor: body.u64()?,
            },
            0x0042 => Request::Listeners {
                filter: Filter::decode(body)?,
                cursor: body.u64()?,
            },
            0x0043 => Request::Show {
                id: body.text16(MAX_ID, "id")?,
            },
            0x0044 => Request::Stats {
                cursor: body.u64()?,
            },
            0x0045 => Request::Services {
                cursor: body.u64()?,
            },
            0x0046 => Request::Sessions {
                cursor: body.u64()?,
            },
            0x0047 => Request::DaemonStatus,
            0x0048 => Request::ControlClose {
                id: body.text16(MAX_ID, "id")?,
            },
            0x0049 => Request::ControlReset {
                id: body.text16(MAX_ID, "id")?,
            },
            0x004a => Request::Reload,
            0x004b => Request::Drain {
                grace_ms: decode_optional(body, "grace")?,
            },
            0x004c => Request::Users {
                cursor: body.u64()?,
            },
            0x004d => Request::Impair(Impair::decode(body)?),
            0x004e => Request::Impairments {
                cursor: body.u64()?,
            },
            0x004f => Request::ControlSet {
                id: body.text16(MAX_ID, "id")?,
                settings: body.text16(MAX_SETTINGS, "settings")?,
            },
            other => return Err(DecodeError::UnknownKind(other)),
        })
    }
}

/// A number that may be absent: a bool, then a u32 that is 0 without it.
fn encode_optional(number: Option<u32>, out: &mut Writer) {
    out.bool(number.is_some());
    out.u32(number.unwrap_or(0));
}

fn decode_optional(body: &mut Reader<'_>, name: &'static str) -> Result<Option<u32>, DecodeError> {
    match (body.bool(name)?, body.u32()?) {
        (true, number) => Ok(Some(number)),
        (false, 0) => Ok(None),
        (false, _) => Err(DecodeError::Reserved),
    }
}
