//! Services: what tcpd itself answers on a port, one process per connection.
//!
//! 1. A connection arrives at a service's listener; the [`supervisor`] in tcpd's control thread accepts it, unless
//!    the service has `max_workers` already: then it waits in the backlog.
//! 2. The supervisor makes a token and orders a worker over the [`link`].
//! 3. The [`spawner`], a small process of its own, forks the worker; or one that was forked before and waits gets the token.
//! 4. The [`worker`] confines itself, opens a session on the daemon's socket like any client, adopts the connection
//!    with the token and runs one of the [`builtin`] handlers, or makes the connection its standard input and output and
//!    becomes the service's command.
//! 5. tcpd sees the worker end through a pidfd, orders it reaped and counts how it ended.

pub mod builtin;
mod line;
pub mod link;
pub mod rights;
pub mod spawner;
pub mod spawner_handle;
pub mod supervisor;
pub mod work;
pub mod worker;
pub mod workforce;

use std::net::IpAddr;
use std::time::Duration;

use libtcpclient::protocol::CongestionControl;

use self::work::{Terms, Work};

/// A service as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// As `ps`, `tcpctl` and logs show it.
    pub name: String,
    /// tcpd's addresses it listens on; empty: all.
    pub addresses: Vec<IpAddr>,
    /// Where it listens, from 1.
    pub port: u16,
    /// What its workers do.
    pub work: Work,
    /// As whom, and how much.
    pub terms: Terms,
    /// Workers at once, from 1. Further connections wait in the backlog.
    pub max_workers: u32,
    /// Connections at once for peers of one IPv4 address or IPv6 /64; more are reset. 0: any number.
    pub max_per_source: u32,
    /// Workers kept ready before there is a connection for them, at most `max_workers`.
    pub idle_workers: u32,
    /// Connections that may wait for a worker.
    pub backlog: u32,
    /// Congestion control of its connections; `None`: `tcp.congestion`.
    pub congestion: Option<CongestionControl>,
    /// For how long no data may move on a connection; zero: for ever.
    pub idle_timeout: Duration,
    /// For how long a worker may have its connection; zero: for ever.
    pub wall_time: Duration,
}

impl Service {
    /// A service with the defaults of etc/tcpd.toml.
    #[must_use]
    pub fn new(name: &str, port: u16, work: impl Into<Work>) -> Self {
        Self {
            name: name.to_owned(),
            addresses: Vec::new(),
            port,
            work: work.into(),
            terms: Terms::default(),
            max_workers: 64,
            max_per_source: 0,
            idle_workers: 0,
            backlog: 128,
            congestion: None,
            idle_timeout: Duration::ZERO,
            wall_time: Duration::ZERO,
        }
    }
}
