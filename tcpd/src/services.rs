//! Services: what tcpd itself answers on a port, one process per connection.
//!
//! 1. A connection arrives at a service's listener; the [`supervisor`] in tcpd's control thread accepts it, unless
//!    the service has `max_workers` already: then it waits in the backlog.
//! 2. The supervisor makes a token and orders a worker over the [`link`].
//! 3. The [`spawner`], a small process of its own, forks the worker.
//! 4. The [`worker`] confines itself, opens a session on the daemon's socket like any client, adopts the connection
//!    with the token and runs one of the [`builtin`] handlers.
//! 5. tcpd sees the worker end through a pidfd, orders it reaped and counts how it ended.

pub mod builtin;
pub mod link;
pub mod spawner;
pub mod spawner_handle;
pub mod supervisor;
pub mod worker;

use std::net::IpAddr;
use std::time::Duration;

use self::builtin::Handler;

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
    pub handler: Handler,
    /// Workers at once, from 1. Further connections wait in the backlog.
    pub max_workers: u32,
    /// Connections that may wait for a worker.
    pub backlog: u32,
    /// For how long no data may move on a connection; zero: for ever.
    pub idle_timeout: Duration,
}
