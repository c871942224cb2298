//! What a client asks. Field order in a struct is the order on the wire.

use std::net::{IpAddr, SocketAddr};

use super::codec::{Reader, Writer};
use super::{DecodeError, Header};

/// The longest [`Hello::program`], in bytes.
pub const MAX_PROGRAM: usize = 64;
/// The longest id in [`Request::Show`] and its like, in bytes.
pub const MAX_ID: usize = 48;
/// The longest service name in a [`Filter`], in bytes.
pub const MAX_SERVICE: usize = 64;

/// Opens a session; the first message on it. Kind `0x0001`.
///
/// | type | field |
/// |---|---|
/// | u16 | version |
/// | u16 | flags: bit 0 arena wanted, bit 1 token present, the rest zero |
/// | 16 bytes | token, zero if absent |
/// | text16 ≤ 64 | program |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// [`super::VERSION`] of the client. Stays the first field in every version.
    pub version: u16,
    /// Whether the session is to have connections of its own. One that only inspects wants none.
    pub arena: bool,
    /// The right to one accepted connection and to nothing else; see [`Request::Adopt`].
    pub token: Option<[u8; 16]>,
    /// What the program calls itself, for people. Proves nothing.
    pub program: String,
}

/// Keepalive of one connection (RFC 9293 §3.8.4). Three u32 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeepAlive {
    /// Silence before the first probe, in seconds, 1…2,147,483 (0 on the wire only when absent).
    pub idle_s: u32,
    /// Time between probes, in seconds, 1 or more.
    pub interval_s: u32,
    /// Probes without an answer before the connection is given up, 1 or more.
    pub count: u32,
}

impl Default for KeepAlive {
    /// 7200 s, 75 s, 9: what the kernel does.
    fn default() -> KeepAlive {
        KeepAlive {
            idle_s: 7200,
            interval_s: 75,
            count: 9,
        }
    }
}

/// Options of one connection. They replace all options it had. 28 bytes:
///
/// | type | field |
/// |---|---|
/// | u32 | flags: bit 0 nodelay, bit 1 keepalive present, the rest zero |
/// | 3 × u32 | keepalive: idle, interval, count; zero if absent |
/// | u32 | user timeout |
/// | u32 | receive maximum |
/// | u32 | transmit maximum |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct StreamOptions {
    /// Send small segments at once (switches Nagle's algorithm off, RFC 9293 §3.7.4).
    pub nodelay: bool,
    /// Probe a silent peer; `None` is off.
    pub keepalive: Option<KeepAlive>,
    /// How long sent data may stay unacknowledged before the connection is given up, in
    /// milliseconds (RFC 9293 §3.9.1, OPEN and SEND "timeout"); 0 = the daemon's configuration.
    pub user_timeout_ms: u32,
    /// The receive ring grows up to here, in bytes; 0 = the daemon's configuration, which also bounds it.
    pub receive_maximum: u32,
    /// The transmit ring grows up to here, in bytes; 0 = the daemon's configuration, which also bounds it.
    pub transmit_maximum: u32,
}

/// Passive OPEN (RFC 9293 §3.10.1). Kind `0x0010`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `None`: every address of the stack, both families. (address)
    pub address: Option<IpAddr>,
    /// 0: the daemon picks an ephemeral one. (u16)
    pub port: u16,
    /// Accept although connections on this port, also in TIME-WAIT, exist (`SO_REUSEADDR`). (bool)
    pub reuse: bool,
    /// Connections that may wait to be accepted; 0 = the daemon's configuration, which also bounds it. (u32)
    pub backlog: u32,
    /// For each accepted connection. ([`StreamOptions`])
    pub options: StreamOptions,
}

/// Active OPEN (RFC 9293 §3.10.1). Kind `0x0020`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// `None`: the stack's own address of the remote's family. (address)
    pub local: Option<IpAddr>,
    /// 0: the daemon picks an ephemeral one. (u16)
    pub local_port: u16,
    /// Take a port that connections to other peers, also in TIME-WAIT, use. (bool)
    pub reuse: bool,
    /// Where to. (endpoint)
    pub remote: SocketAddr,
    /// Give up after this many milliseconds; 0 = as long as the stack tries. (u32)
    pub timeout_ms: u32,
    /// For the connection. ([`StreamOptions`])
    pub options: StreamOptions,
}

/// Which half of a connection [`Request::Shutdown`] ends. A u8 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ShutdownHow {
    /// Received data is thrown away from now on.
    Read = 1,
    /// FIN after what is written.
    Write = 2,
    /// Both.
    Both = 3,
}

/// Which rows a list shall have. A row must match every field that is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Bit n: [`super::status::TcpState`] number n; 0 = every state. (u16)
    pub states: u16,
    /// On either side; 0 = any. (u16)
    pub port: u16,
    /// On either side. (address)
    pub address: Option<IpAddr>,
    /// How many leading bits of `address` count; 0 with no address, else 1…32 or 1…128. (u8)
    pub prefix: u8,
    /// The owner's process; 0 = any. (u32)
    pub pid: u32,
    /// The service; empty = any. (text16 ≤ 64)
    pub service: String,
}

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
            Shutdown { .. } => 0x0030,
            Close { .. } => 0x0031,
            Abort { .. } => 0x0032,
            SetOptions { .. } => 0x0033,
            GrowTransmit { .. } => 0x0034,
            ConnectionStatus { .. } => 0x0035,
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
        }
    }

    fn encode_body(&self, out: &mut Writer) {
        use Request::*;
        match self {
            Hello(hello) => hello.encode(out),
            Listen(listen) => listen.encode(out),
            Connect(connect) => connect.encode(out),
            Adopt | Ping | DaemonStatus => {}
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
                out.bool(linger_ms.is_some());
                out.u32(linger_ms.unwrap_or(0));
            }
            Abort { connection }
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
            Stats { cursor } | Services { cursor } | Sessions { cursor } => out.u64(*cursor),
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
            0x0030 => Request::Shutdown {
                connection: body.u64()?,
                how: ShutdownHow::decode(body)?,
            },
            0x0031 => Request::Close {
                connection: body.u64()?,
                linger_ms: decode_linger(body)?,
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
            other => return Err(DecodeError::UnknownKind(other)),
        })
    }
}

impl Hello {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.version);
        out.u16(u16::from(self.arena) | u16::from(self.token.is_some()) << 1);
        out.raw(&self.token.unwrap_or_default());
        out.text16(&self.program, MAX_PROGRAM);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Hello, DecodeError> {
        let version = body.u16()?;
        let flags = body.u16()?;
        let token: [u8; 16] = body.array()?;
        let present = flags & 2 != 0;
        if flags & !3 != 0 || (!present && token != [0; 16]) {
            return Err(DecodeError::Reserved);
        }
        Ok(Hello {
            version,
            arena: flags & 1 != 0,
            token: present.then_some(token),
            program: body.text16(MAX_PROGRAM, "program")?,
        })
    }

    /// The version in a message that claims to be a Hello, even if the rest of it is of another
    /// version's making: what a daemon looks at first.
    pub fn peek_version(message: &[u8]) -> Option<u16> {
        let (header, mut body) = Header::decode(message).ok()?;
        (header.kind == 0x0001).then(|| body.u16().ok())?
    }
}

impl StreamOptions {
    fn encode(&self, out: &mut Writer) {
        out.u32(u32::from(self.nodelay) | u32::from(self.keepalive.is_some()) << 1);
        let [idle, interval, count] = self
            .keepalive
            .map_or([0; 3], |k| [k.idle_s, k.interval_s, k.count]);
        out.u32(idle);
        out.u32(interval);
        out.u32(count);
        out.u32(self.user_timeout_ms);
        out.u32(self.receive_maximum);
        out.u32(self.transmit_maximum);
    }

    fn decode(body: &mut Reader<'_>) -> Result<StreamOptions, DecodeError> {
        let flags = body.u32()?;
        let [idle_s, interval_s, count] = [body.u32()?, body.u32()?, body.u32()?];
        let keepalive = match flags & 2 != 0 {
            true => Some(KeepAlive {
                idle_s,
                interval_s,
                count,
            }),
            false if [idle_s, interval_s, count] == [0; 3] => None,
            false => return Err(DecodeError::Reserved),
        };
        if flags & !3 != 0 {
            return Err(DecodeError::Reserved);
        }
        if keepalive.is_some_and(|k| k.idle_s == 0 || k.interval_s == 0 || k.count == 0) {
            return Err(DecodeError::BadValue("keepalive"));
        }
        Ok(StreamOptions {
            nodelay: flags & 1 != 0,
            keepalive,
            user_timeout_ms: body.u32()?,
            receive_maximum: body.u32()?,
            transmit_maximum: body.u32()?,
        })
    }
}

impl Listen {
    fn encode(&self, out: &mut Writer) {
        out.address(self.address);
        out.u16(self.port);
        out.bool(self.reuse);
        out.u32(self.backlog);
        self.options.encode(out);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Listen, DecodeError> {
        Ok(Listen {
            address: body.address("address")?,
            port: body.u16()?,
            reuse: body.bool("reuse")?,
            backlog: body.u32()?,
            options: StreamOptions::decode(body)?,
        })
    }
}

impl Connect {
    fn encode(&self, out: &mut Writer) {
        out.address(self.local);
        out.u16(self.local_port);
        out.bool(self.reuse);
        out.endpoint(self.remote);
        out.u32(self.timeout_ms);
        self.options.encode(out);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Connect, DecodeError> {
        Ok(Connect {
            local: body.address("local")?,
            local_port: body.u16()?,
            reuse: body.bool("reuse")?,
            remote: body.endpoint("remote")?,
            timeout_ms: body.u32()?,
            options: StreamOptions::decode(body)?,
        })
    }
}

impl Filter {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.states);
        out.u16(self.port);
        out.address(self.address);
        out.u8(self.prefix);
        out.u32(self.pid);
        out.text16(&self.service, MAX_SERVICE);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Filter, DecodeError> {
        let filter = Filter {
            states: body.u16()?,
            port: body.u16()?,
            address: body.address("address")?,
            prefix: body.u8()?,
            pid: body.u32()?,
            service: body.text16(MAX_SERVICE, "service")?,
        };
        let fits = match filter.address {
            None => filter.prefix == 0,
            Some(IpAddr::V4(_)) => (1..=32).contains(&filter.prefix),
            Some(IpAddr::V6(_)) => (1..=128).contains(&filter.prefix),
        };
        fits.then_some(filter)
            .ok_or(DecodeError::BadValue("prefix"))
    }
}

impl ShutdownHow {
    fn decode(body: &mut Reader<'_>) -> Result<ShutdownHow, DecodeError> {
        match body.u8()? {
            1 => Ok(ShutdownHow::Read),
            2 => Ok(ShutdownHow::Write),
            3 => Ok(ShutdownHow::Both),
            _ => Err(DecodeError::BadValue("how")),
        }
    }
}

fn decode_linger(body: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
    match (body.bool("linger")?, body.u32()?) {
        (true, ms) => Ok(Some(ms)),
        (false, 0) => Ok(None),
        (false, _) => Err(DecodeError::Reserved),
    }
}
