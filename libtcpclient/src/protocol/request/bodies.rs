//! What the larger requests are made of. Field order in a struct is the order on the wire.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{MAX_PROGRAM, MAX_SERVICE};
use crate::protocol::codec::{Reader, Writer};
use crate::protocol::{CongestionControl, DecodeError, Header};

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
    /// [`crate::protocol::VERSION`] of the client. Stays the first field in every version.
    pub version: u16,
    /// Whether the session is to have connections of its own. One that only inspects wants none.
    pub arena: bool,
    /// The right to one accepted connection and to nothing else; see [`super::Request::Adopt`].
    pub token: Option<[u8; 16]>,
    /// What the program calls itself, for people. Proves nothing.
    pub program: String,
}

/// Keepalive of one connection (RFC 9293 §3.8.4). Three u32 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Options of one connection. They replace all options it had. 40 bytes:
///
/// | type | field |
/// |---|---|
/// | u32 | flags: bit 0 nodelay, bit 1 keepalive present, the rest zero |
/// | 3 × u32 | keepalive: idle, interval, count; zero if absent |
/// | u32 | user timeout |
/// | u32 | receive maximum |
/// | u32 | transmit maximum |
/// | u32 | idle timeout |
/// | u32 | Differentiated Services codepoint |
/// | u32 | congestion control: 0 absent, 1 cubic, 2 newreno |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
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
    /// How long the connection may carry no data, in milliseconds; it is aborted then, and ends with
    /// [`crate::protocol::EndReason::IdleTimeout`]. 0 = for ever. Data that the peer acknowledges and data
    /// that comes in order count; what waits to be acknowledged, bytes that come again, bare
    /// acknowledgments and keepalive probes do not. It runs while the connection is open, also before it is
    /// accepted, and starts anew when it is set.
    pub idle_timeout_ms: u32,
    /// The Differentiated Services codepoint of what is sent, 0…63 (RFC 9293 §3.9.1.9).
    pub dscp: u8,
    /// Congestion control. `None`: the daemon's configuration where a connection is opened, and what it has where it is open.
    pub congestion: Option<CongestionControl>,
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

/// Which half of a connection [`super::Request::Shutdown`] ends. A u8 on the wire.
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
    /// Bit n: [`crate::protocol::status::TcpState`] number n; 0 = every state. (u16)
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

impl Hello {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.u16(self.version);
        out.u16(u16::from(self.arena) | u16::from(self.token.is_some()) << 1);
        out.raw(&self.token.unwrap_or_default());
        out.text16(&self.program, MAX_PROGRAM);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Hello, DecodeError> {
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
    pub(super) fn encode(&self, out: &mut Writer) {
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
        out.u32(self.idle_timeout_ms);
        out.u32(self.dscp.into());
        out.u32(self.congestion.map_or(0, |kind| kind as u32));
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<StreamOptions, DecodeError> {
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
            idle_timeout_ms: body.u32()?,
            dscp: match body.u32()? {
                dscp @ 0..=63 => dscp as u8,
                _ => return Err(DecodeError::BadValue("dscp")),
            },
            congestion: match body.u32()? {
                0 => None,
                number => match CongestionControl::from_number(number) {
                    None => return Err(DecodeError::BadValue("congestion")),
                    known => known,
                },
            },
        })
    }
}

impl Listen {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.address(self.address);
        out.u16(self.port);
        out.bool(self.reuse);
        out.u32(self.backlog);
        self.options.encode(out);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Listen, DecodeError> {
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
    pub(super) fn encode(&self, out: &mut Writer) {
        out.address(self.local);
        out.u16(self.local_port);
        out.bool(self.reuse);
        out.endpoint(self.remote);
        out.u32(self.timeout_ms);
        self.options.encode(out);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Connect, DecodeError> {
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
    pub(super) fn encode(&self, out: &mut Writer) {
        out.u16(self.states);
        out.u16(self.port);
        out.address(self.address);
        out.u8(self.prefix);
        out.u32(self.pid);
        out.text16(&self.service, MAX_SERVICE);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Filter, DecodeError> {
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
    pub(super) fn decode(body: &mut Reader<'_>) -> Result<ShutdownHow, DecodeError> {
        match body.u8()? {
            1 => Ok(ShutdownHow::Read),
            2 => Ok(ShutdownHow::Write),
            3 => Ok(ShutdownHow::Both),
            _ => Err(DecodeError::BadValue("how")),
        }
    }
}
