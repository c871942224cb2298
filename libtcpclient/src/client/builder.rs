//! What to say before a connection or a listener exists.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::connecting::Connecting;
use super::error::{ListenError, OpenError, SessionError};
use super::listener::TcpListener;
use super::patience::patience;
use super::session::Session;
use super::stream::TcpStream;
use crate::protocol::{self, CongestionControl, KeepAlive, Reply, Request, StreamOptions};

/// Options for [`Builder::connect`] and [`Builder::listen`].
///
/// ```no_run
/// use std::time::Duration;
/// use libtcpclient::Builder;
///
/// # fn main() -> std::io::Result<()> {
/// let stream = Builder::new()
///     .timeout(Duration::from_secs(3))
///     .nodelay(true)
///     .connect("198.18.0.1:80")?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    session: Option<Session>,
    wait: Option<Duration>,
    local: Option<SocketAddr>,
    timeout: Option<Duration>,
    backlog: u32,
    reuse: bool,
    options: StreamOptions,
}

impl Builder {
    /// The daemon's defaults, on the default session.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// On this session instead of the default one. When its daemon has ended, so has this: [`Session::reopened`] gives the next.
    pub fn session(mut self, session: &Session) -> Builder {
        self.session = Some(session.clone());
        self
    }

    /// How long to wait for a daemon that is not there: for the default session, and whenever a listener registers itself
    /// again after the daemon's end. Without this, as [`$TCPD_WAIT`](super::patience) says.
    pub fn wait_for_daemon(mut self, wait: Duration) -> Builder {
        self.wait = Some(wait);
        self
    }

    /// Connect from this address. An unspecified address, or port 0, leaves that part to the daemon.
    pub fn local(mut self, local: SocketAddr) -> Builder {
        self.local = Some(local);
        self
    }

    /// Give up connecting after this time, 1 ms to 49 days in whole milliseconds; otherwise as long as the stack tries (180 s or more). The error
    /// is [`OpenError::TimedOut`] then, or what a router said stands in the way.
    pub fn timeout(mut self, timeout: Duration) -> Builder {
        self.timeout = Some(timeout);
        self
    }

    /// Connections that may wait for accept; 0, or without this, what the daemon's configuration says, which also bounds it.
    pub fn backlog(mut self, backlog: u32) -> Builder {
        self.backlog = backlog;
        self
    }

    /// Take the local port although connections on it, also in TIME-WAIT, exist, and leave it to others
    /// later: as with `SO_REUSEADDR`, all users of a port must say so. A [`Builder::connect`] then also takes
    /// over a pair that has been in TIME-WAIT for a second, if it had timestamps (RFC 6191).
    pub fn reuse(mut self, reuse: bool) -> Builder {
        self.reuse = reuse;
        self
    }

    /// Send small segments at once: no Nagle's algorithm (RFC 9293 §3.7.4).
    pub fn nodelay(mut self, nodelay: bool) -> Builder {
        self.options.nodelay = nodelay;
        self
    }

    /// Probe a silent peer (RFC 9293 §3.8.4).
    pub fn keepalive(mut self, keepalive: Option<KeepAlive>) -> Builder {
        self.options.keepalive = keepalive;
        self
    }

    /// How long sent data may stay unacknowledged (RFC 9293 §3.9.1 "timeout"); 1 ms to 49 days in whole milliseconds.
    /// `None`: as often as the stack sends again (R2).
    pub fn user_timeout(mut self, timeout: Option<Duration>) -> Builder {
        self.options.user_timeout_ms = timeout.map_or(0, millis);
        self
    }

    /// Abort a connection that carries no data for this long: [`TcpStream::set_idle_timeout`], from its
    /// first moment. For a listener: each of its connections, also while it waits to be accepted.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Builder {
        self.options.idle_timeout_ms = timeout.map_or(0, millis);
        self
    }

    /// The Differentiated Services codepoint of what is sent, 0…63 (RFC 9293 §3.9.1.9); more is taken for 63.
    pub fn dscp(mut self, dscp: u8) -> Builder {
        self.options.dscp = dscp.min(63);
        self
    }

    /// Congestion control (RFC 9293 §3.8.2); `None`: the daemon's configuration. A name becomes one by [`str::parse`], which says what is
    /// allowed when it does not know it.
    pub fn congestion(mut self, congestion: Option<CongestionControl>) -> Builder {
        self.options.congestion = congestion;
        self
    }

    /// How far the receive ring may grow, in bytes, rounded up to a power of two; 0 for as far as it may. The daemon's configuration bounds it.
    pub fn receive_maximum(mut self, bytes: u32) -> Builder {
        self.options.receive_maximum = bytes;
        self
    }

    /// How far the transmit ring may grow, in bytes, rounded up to a power of two; 0 for as far as it may. The daemon's configuration bounds it.
    pub fn transmit_maximum(mut self, bytes: u32) -> Builder {
        self.options.transmit_maximum = bytes;
        self
    }

    /// Active OPEN (RFC 9293 §3.10.1): connects to the first address that answers.
    ///
    /// # Errors
    /// [`OpenError`] of the last address tried.
    pub fn connect<A: ToSocketAddrs>(&self, remote: A) -> Result<TcpStream, OpenError> {
        let addresses = remote.to_socket_addrs().map_err(OpenError::Resolve)?;
        let session = self.open_session()?;
        let mut last = OpenError::Resolve(no_address());
        for remote in addresses {
            match self.connect_one(&session, remote) {
                Ok(stream) => return Ok(stream),
                // No other address will do better.
                Err(error @ OpenError::Session(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_one(&self, session: &Session, remote: SocketAddr) -> Result<TcpStream, OpenError> {
        match session.call(&self.connect_request(remote))? {
            Reply::Connected(opened) => Ok(TcpStream::over(session.clone(), opened, self.options)?),
            _ => Err(super::session::UNASKED.into()),
        }
    }

    fn connect_request(&self, remote: SocketAddr) -> Request {
        Request::Connect(protocol::Connect {
            local: self.local.and_then(|local| specified(local.ip())),
            local_port: self.local.map_or(0, |local| local.port()),
            reuse: self.reuse,
            remote,
            timeout_ms: self.timeout.map_or(0, millis),
            options: self.options,
        })
    }

    /// Begins to connect, and returns at once. What is returned polls as writable when [`Connecting::finish`] has the stream,
    /// or the reason why there is none.
    ///
    /// # Errors
    /// [`OpenError`] when there is no session, or no descriptor. A refusal, by the daemon or the peer, comes from
    /// [`Connecting::finish`].
    pub fn start_connect(&self, remote: SocketAddr) -> Result<Connecting, OpenError> {
        let session = self.open_session()?;
        Connecting::start(session, &self.connect_request(remote), self.options)
    }

    /// Passive OPEN (RFC 9293 §3.10.1): listens at the first address that can be had.
    ///
    /// An unspecified address listens on every address of the stack, of both families.
    ///
    /// # Errors
    /// [`ListenError`] of the last address tried.
    pub fn listen<A: ToSocketAddrs>(&self, local: A) -> Result<TcpListener, ListenError> {
        let addresses = local.to_socket_addrs().map_err(ListenError::Resolve)?;
        let session = self.open_session()?;
        let mut last = ListenError::Resolve(no_address());
        for local in addresses {
            match self.listen_one(&session, local) {
                Ok(listener) => return Ok(listener),
                Err(error @ ListenError::Session(_)) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn listen_one(&self, session: &Session, local: SocketAddr) -> Result<TcpListener, ListenError> {
        let listen = protocol::Listen {
            address: specified(local.ip()),
            port: local.port(),
            reuse: self.reuse,
            backlog: self.backlog,
            options: self.options,
        };
        let wait = self.patience()?;
        match session.call(&Request::Listen(listen.clone()))? {
            Reply::Listening { listener, local } => Ok(TcpListener::over(
                session.clone(),
                listener,
                local,
                listen,
                wait,
            )),
            _ => Err(super::session::UNASKED.into()),
        }
    }

    fn patience(&self) -> Result<Duration, SessionError> {
        self.wait.map_or_else(patience, Ok)
    }

    pub(super) fn open_session(&self) -> Result<Session, SessionError> {
        match &self.session {
            Some(session) => Ok(session.clone()),
            None => Session::default_within(self.patience()?),
        }
    }
}

fn specified(address: IpAddr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address)
}

/// Whole milliseconds, at least 1 (0 would mean none), at most 49 days.
pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).map_or(u32::MAX, |ms| ms.max(1))
}

fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name stands for no address",
    )
}
