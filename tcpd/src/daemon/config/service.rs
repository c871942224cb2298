//! An entry of `[[service]]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use libtcpclient::protocol::CongestionControl;
use serde::{Deserialize, Serialize};

use super::units;
use crate::system::accounts::Account;

/// The words of [`Handler`] in the file; a command is told by its `exec`.
pub(super) const HANDLERS: &[&str] = &["echo", "discard", "daytime", "time", "chargen", "http"];

/// An entry of `[[service]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Unique name: letters, digits, `-` and `_`.
    pub name: String,
    /// Port, from 1.
    pub port: u16,
    /// What the workers do; [`Handler::Exec`] where only `exec` is given.
    #[serde(default = "default_handler")]
    pub handler: Handler,
    /// The program and its arguments, for [`Handler::Exec`]; empty for every other handler.
    #[serde(default)]
    pub exec: Vec<String>,
    /// `NAME=value` each, for [`Handler::Exec`].
    #[serde(default)]
    pub environment: Vec<String>,
    /// tcpd's addresses it listens on; empty: all.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// What [`Handler::Http`] serves (`Some` for every service that is http), or where [`Handler::Exec`] begins.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Who the workers are; `None`: who the daemon is.
    #[serde(default, deserialize_with = "units::unless_none")]
    pub user: Option<String>,
    /// Their group; `None`: the user's own. Only beside `user`.
    #[serde(default, deserialize_with = "units::unless_none")]
    pub group: Option<String>,
    /// Workers at once, from 1.
    #[serde(default = "default_max_workers")]
    pub max_workers: u32,
    /// Of these, how many for peers of one address; 0: as many as there are.
    #[serde(default)]
    pub max_per_source: u32,
    /// Workers forked before there is a connection for them.
    #[serde(default)]
    pub idle_workers: u32,
    /// Accepted connections that wait for a worker.
    #[serde(default = "default_backlog")]
    pub backlog: u32,
    /// Congestion control of its connections; `None`: `tcp.congestion`.
    #[serde(default, deserialize_with = "units::unless_default")]
    pub congestion: Option<CongestionControl>,
    /// For how long no data may move on a connection; zero: for ever.
    #[serde(default, deserialize_with = "units::duration")]
    pub idle_timeout: Duration,
    /// For how long a worker may have its connection; zero: for ever.
    #[serde(default, deserialize_with = "units::duration")]
    pub wall_time: Duration,
    /// How much processor time a worker may use, to the second; zero: any.
    #[serde(default, deserialize_with = "units::duration")]
    pub cpu_time: Duration,
    /// By how much the workers' priority is below the daemon's, 0 to 19.
    #[serde(default)]
    pub nice: u8,
    /// RLIMIT_AS of a command, bytes; 0: the daemon's.
    #[serde(default, deserialize_with = "units::size")]
    pub limit_memory: u64,
    /// RLIMIT_NOFILE of a command; 0: the daemon's.
    #[serde(default)]
    pub limit_files: u32,
    /// RLIMIT_NPROC of a command; 0: the daemon's.
    #[serde(default)]
    pub limit_processes: u32,
    /// RLIMIT_FSIZE of a command, bytes; 0: the daemon's.
    #[serde(default, deserialize_with = "units::size")]
    pub limit_file_size: u64,
    /// What a command may read and execute; empty, and `writable` too: whatever its user may.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
    /// What a command may also write.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// Whether a command may open TCP connections and ports of the kernel's.
    #[serde(default = "yes")]
    pub network: bool,
    /// Whether a command may open sessions of its own with tcpd, as its `user`.
    #[serde(default)]
    pub sessions: bool,
    /// Whether it is there at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `user` and `group` as this machine knows them; filled in where the configuration is checked against the machine.
    #[serde(skip)]
    pub account: Option<Account>,
}

/// What the worker of a service does with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Handler {
    /// RFC 862.
    Echo,
    /// RFC 863.
    Discard,
    /// RFC 867.
    Daytime,
    /// RFC 868.
    Time,
    /// RFC 864.
    Chargen,
    /// A static directory over HTTP/1.1.
    Http,
    /// A command, with the connection as its standard input and output.
    Exec,
}

impl Handler {
    /// The word in the file, or `exec`.
    pub fn name(self) -> &'static str {
        HANDLERS.get(self as usize).copied().unwrap_or("exec")
    }
}

fn default_handler() -> Handler {
    Handler::Exec
}

fn default_max_workers() -> u32 {
    64
}

fn default_backlog() -> u32 {
    128
}

fn yes() -> bool {
    true
}

impl Service {
    /// A service with the defaults of the keys that may be left out.
    pub fn new(name: &str, port: u16, handler: Handler) -> Self {
        Self {
            name: name.to_owned(),
            port,
            handler,
            exec: Vec::new(),
            environment: Vec::new(),
            addresses: Vec::new(),
            directory: None,
            user: None,
            group: None,
            max_workers: default_max_workers(),
            max_per_source: 0,
            idle_workers: 0,
            backlog: default_backlog(),
            congestion: None,
            idle_timeout: Duration::ZERO,
            wall_time: Duration::ZERO,
            cpu_time: Duration::ZERO,
            nice: 0,
            limit_memory: 0,
            limit_files: 0,
            limit_processes: 0,
            limit_file_size: 0,
            readable: Vec::new(),
            writable: Vec::new(),
            network: true,
            sessions: false,
            enabled: true,
            account: None,
        }
    }
}
