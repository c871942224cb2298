//! The options of a connection that are the daemon's to keep: they go to it as a whole at each change.

use std::io;
use std::time::Duration;

use super::TcpStream;
use crate::client::builder::millis;
use crate::client::error::OptionError;
use crate::client::session::{UNASKED, lock};
use crate::protocol::{CongestionControl, KeepAlive, Reply, Request, StreamOptions};

impl TcpStream {
    /// Send small segments at once: no Nagle's algorithm (RFC 9293 §3.7.4).
    ///
    /// # Errors
    /// [`OptionError`] as `io::Error`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Ok(self.set_options(|options| options.nodelay = nodelay)?)
    }

    /// See [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(lock(&self.inner.options).nodelay)
    }

    /// Probe a silent peer (RFC 9293 §3.8.4).
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> Result<(), OptionError> {
        self.set_options(|options| options.keepalive = keepalive)
    }

    /// See [`TcpStream::set_keepalive`].
    pub fn keepalive(&self) -> Option<KeepAlive> {
        lock(&self.inner.options).keepalive
    }

    /// How long sent data may stay unacknowledged (RFC 9293 §3.9.1 "timeout"); `None`: the daemon's configuration.
    ///
    /// # Errors
    /// [`OptionError`]; [`OptionError::ZeroTimeout`].
    pub fn set_user_timeout(&self, timeout: Option<Duration>) -> Result<(), OptionError> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(OptionError::ZeroTimeout);
        }
        self.set_options(|options| options.user_timeout_ms = timeout.map_or(0, millis))
    }

    /// See [`TcpStream::set_user_timeout`].
    pub fn user_timeout(&self) -> Option<Duration> {
        match lock(&self.inner.options).user_timeout_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
        }
    }

    /// Abort the connection when it carries no data for this long (RFC 9293 §3.8.4 leaves that to the
    /// program): the peer sees a reset; reads, once what came before is read, and writes fail with
    /// `TimedOut`, which is [`EndReason::IdleTimeout`](crate::protocol::EndReason::IdleTimeout). `None`, the
    /// default: for ever.
    ///
    /// Data of either side counts: what comes in order, and what the peer acknowledges. Not so what waits to
    /// be acknowledged, bytes that come again, bare acknowledgments and keepalive probes. The time starts
    /// anew when it is set, and is not over earlier when the program reads slowly. Whole milliseconds, at
    /// least 1, at most 49 days.
    ///
    /// # Errors
    /// [`OptionError`]; [`OptionError::ZeroTimeout`].
    pub fn set_idle_timeout(&self, timeout: Option<Duration>) -> Result<(), OptionError> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(OptionError::ZeroTimeout);
        }
        self.set_options(|options| options.idle_timeout_ms = timeout.map_or(0, millis))
    }

    /// See [`TcpStream::set_idle_timeout`].
    pub fn idle_timeout(&self) -> Option<Duration> {
        match lock(&self.inner.options).idle_timeout_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
        }
    }

    /// The Differentiated Services codepoint of what is sent from now on, 0…63 (RFC 9293 §3.9.1.9).
    ///
    /// # Errors
    /// [`OptionError`]; [`OptionError::BadRequest`] for a codepoint of more than six bits.
    pub fn set_dscp(&self, dscp: u8) -> Result<(), OptionError> {
        if dscp > 63 {
            let detail = format!("{dscp} has more than six bits");
            return Err(OptionError::BadRequest(detail));
        }
        self.set_options(|options| options.dscp = dscp)
    }

    /// See [`TcpStream::set_dscp`].
    pub fn dscp(&self) -> u8 {
        lock(&self.inner.options).dscp
    }

    /// Exchanges congestion control, from the next acknowledgment on. What is in flight and the congestion window stay as they are;
    /// [`TcpStream::status`] tells which algorithm is at work, also one that the daemon or `tcpctl set` chose.
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn set_congestion(&self, congestion: CongestionControl) -> Result<(), OptionError> {
        self.set_options(|options| options.congestion = Some(congestion))
    }

    fn set_options(&self, change: impl FnOnce(&mut StreamOptions)) -> Result<(), OptionError> {
        self.inner.present()?;
        // Held over the call, so that two changes at once both stand.
        let mut current = lock(&self.inner.options);
        let mut options = *current;
        // Somebody else may have changed it meanwhile (`tcpctl set`): it is said only when this program changes it.
        options.congestion = None;
        change(&mut options);
        let connection = self.inner.opened.connection;
        let request = Request::SetOptions {
            connection,
            options,
        };
        match self.inner.session.call(&request)? {
            Reply::Done => {
                *current = options;
                Ok(())
            }
            _ => Err(UNASKED.into()),
        }
    }
}
