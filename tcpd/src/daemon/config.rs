//! The configuration: what the daemon is told, checked before anything believes it.
//!
//! In order: the file goes through a strict pass (`strict`, against the one table of keys in `schema`), the environment and
//! the flags through the same table; then the `config` crate lays the layers over each other (`layers`): built-in
//! defaults (etc/tcpd.toml), file, environment, flags; then checks between keys (`cross`) and, where the configuration is to be used,
//! against what this machine has (`machine`). Every problem found is one
//! message with place, key, value and what is allowed ([`ConfigError`]).

mod change;
mod cross;
mod defaults;
mod impair;
mod layers;
mod machine;
mod problem;
mod schema;
mod service;
mod source;
mod strict;
mod units;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtcpclient::protocol::CongestionControl;
use serde::{Deserialize, Serialize};

pub use change::Change;
pub use impair::Impair;
pub use problem::{ConfigError, Place, Problem};
pub(crate) use schema::{Kind, keys_of};
pub use service::{Handler, Service};
pub use source::Source;
pub use units::{format_duration, format_size, parse_duration, parse_size};

/// The file read when no other is named; it may be missing.
pub const DEFAULT_PATH: &str = "/etc/tcpd/tcpd.toml";

/// etc/tcpd.toml: every key, its default and a comment.
pub const DEFAULTS: &str = include_str!("../../../etc/tcpd.toml");

/// Everything that can be configured. etc/tcpd.toml explains each key.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a stopping daemon lets connections finish.
    #[serde(deserialize_with = "units::duration")]
    pub shutdown_grace: Duration,
    /// The TUN interface.
    pub device: Device,
    /// The stack.
    pub tcp: Tcp,
    /// Limits, of the daemon and per uid.
    pub limits: Limits,
    /// The control socket and its policy.
    pub control: Control,
    /// Logs.
    pub log: Log,
    /// The bad network that is played to packets.
    pub impair: Impair,
    /// The services, `[[service]]` in the file.
    #[serde(rename = "service", default)]
    pub services: Vec<Service>,
}

/// `[device]`: the TUN interface.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Interface name, 1 to 15 bytes.
    pub name: String,
    /// Whether tcpd sets addresses and MTU and brings the interface up.
    pub configure: bool,
    /// The kernel's IPv4 address on the link; `None` exactly when `stack_v4` is.
    #[serde(deserialize_with = "units::unless_none")]
    pub host_v4: Option<Ipv4Addr>,
    /// tcpd's IPv4 address.
    #[serde(deserialize_with = "units::unless_none")]
    pub stack_v4: Option<Ipv4Addr>,
    /// Prefix length, 1 to 31.
    pub prefix_v4: u8,
    /// The kernel's IPv6 address on the link; `None` exactly when `stack_v6` is.
    #[serde(deserialize_with = "units::unless_none")]
    pub host_v6: Option<Ipv6Addr>,
    /// tcpd's IPv6 address.
    #[serde(deserialize_with = "units::unless_none")]
    pub stack_v6: Option<Ipv6Addr>,
    /// Prefix length, 1 to 127.
    pub prefix_v6: u8,
    /// Bytes of an IP packet, 1280 to 65535.
    pub mtu: u16,
    /// TSO and checksum offload.
    pub offload: bool,
    /// TUN queues and stack threads; 1.
    pub queues: u16,
}

impl Device {
    /// tcpd's own addresses with their prefix lengths.
    pub fn stack_addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v4 = self
            .stack_v4
            .map(|address| (IpAddr::V4(address), self.prefix_v4));
        v4.into_iter().chain(
            self.stack_v6
                .map(|address| (IpAddr::V6(address), self.prefix_v6)),
        )
    }

    /// The kernel's addresses with their prefix lengths.
    pub fn host_addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v4 = self
            .host_v4
            .map(|address| (IpAddr::V4(address), self.prefix_v4));
        v4.into_iter().chain(
            self.host_v6
                .map(|address| (IpAddr::V6(address), self.prefix_v6)),
        )
    }
}

/// `[tcp]`: the stack.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "etc/tcpd.toml, embedded in DEFAULTS, has the one explanation of each key"
)]
pub struct Tcp {
    #[serde(deserialize_with = "units::duration")]
    pub msl: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub rto_initial: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub rto_min: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub rto_max: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub syn_timeout: Duration,
    pub syn_cookies: bool,
    pub backlog_full: BacklogFull,
    pub syn_ack_retries: u8,
    pub data_retries: u32,
    pub suspect_retries: u8,
    #[serde(deserialize_with = "units::duration")]
    pub delayed_ack: Duration,
    pub keepalive: bool,
    #[serde(deserialize_with = "units::duration")]
    pub keepalive_idle: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub keepalive_interval: Duration,
    pub keepalive_count: u32,
    #[serde(deserialize_with = "units::duration")]
    pub fin_wait_2_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub orphan_timeout: Duration,
    pub rfc1337: bool,
    pub hop_limit: u8,
    pub mss_floor: u16,
    pub mtu_probing: MtuProbing,
    #[serde(deserialize_with = "units::size_u32")]
    pub receive_initial: u32,
    #[serde(deserialize_with = "units::size_u32")]
    pub receive_max: u32,
    #[serde(deserialize_with = "units::size_u32")]
    pub send_initial: u32,
    #[serde(deserialize_with = "units::size_u32")]
    pub send_max: u32,
    pub window_scale: bool,
    pub timestamps: bool,
    pub sack: bool,
    pub ecn: Ecn,
    pub timestamps_required: bool,
    pub nagle: bool,
    pub tail_loss_probe: bool,
    pub congestion: CongestionControl,
    #[serde(deserialize_with = "port_range")]
    pub ephemeral_ports: PortRange,
    #[serde(deserialize_with = "units::duration")]
    pub quiet_time: Duration,
}

/// When larger packets are tried than are known to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MtuProbing {
    /// Never.
    Off,
    /// Where a path has been found narrow, or a black hole.
    BlackHole,
    /// From the beginning.
    On,
}

/// For whom there is explicit congestion notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecn {
    /// Nobody.
    Off,
    /// Whose peer asks for it.
    Passive,
    /// And whose peer agrees when asked.
    On,
}

/// What the last ACK of a handshake gets while the listener's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BacklogFull {
    /// Nothing.
    Drop,
    /// RST.
    Reset,
}

/// `[limits]`: of the daemon, per uid, per session.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "etc/tcpd.toml, embedded in DEFAULTS, has the one explanation of each key"
)]
pub struct Limits {
    pub connections: u32,
    pub half_open: u32,
    pub half_open_per_listener: u32,
    pub time_wait: u32,
    pub orphans: u32,
    pub backlog: u32,
    pub backlog_max: u32,
    pub out_of_order_ranges: u32,
    #[serde(deserialize_with = "units::duration")]
    pub challenge_ack_interval: Duration,
    pub reset_rate: u32,
    #[serde(deserialize_with = "units::size")]
    pub fragment_bytes: u64,
    pub sessions_per_uid: u32,
    pub connections_per_uid: u32,
    pub orphans_per_uid: u32,
    pub listeners_per_uid: u32,
    pub handoffs_per_uid: u32,
    #[serde(deserialize_with = "units::size")]
    pub ring_bytes_per_uid: u64,
    pub root: bool,
    #[serde(deserialize_with = "units::size")]
    pub ring_bytes: u64,
    pub slots_per_session: u32,
    pub requests_per_session: u32,
    #[serde(deserialize_with = "units::size")]
    pub unread_bytes_per_session: u64,
    #[serde(deserialize_with = "units::size")]
    pub unread_bytes_per_uid: u64,
    pub messages_per_turn: u32,
}

/// `[control]`: the socket of sessions, and who may do what.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Path of the SOCK_SEQPACKET socket.
    pub socket: PathBuf,
    /// Its permission bits.
    #[serde(deserialize_with = "units::octal")]
    pub mode: u32,
    /// The group of administrators; `None`: only root.
    #[serde(deserialize_with = "units::unless_none")]
    pub group: Option<String>,
    /// Ports below this one are for administrators.
    pub privileged_ports_below: u16,
    /// Time for a new session to say Hello.
    #[serde(deserialize_with = "units::duration")]
    pub hello_timeout: Duration,
    /// How long a connection that was handed off waits for who adopts it.
    #[serde(deserialize_with = "units::duration")]
    pub handoff_timeout: Duration,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Directives of tracing's `EnvFilter`.
    pub level: String,
    /// Where logs go.
    pub to: LogTarget,
    /// Directory of the files, for [`LogTarget::Files`].
    pub directory: PathBuf,
    /// When a new file begins.
    pub rotation: Rotation,
    /// Files kept.
    pub keep: u32,
}

/// Where logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// The journal when systemd started us with one, otherwise stderr.
    Auto,
    /// The systemd journal.
    Journal,
    /// Standard error.
    Stderr,
    /// Rolling files.
    Files,
}

/// When a new log file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rotation {
    Minutely,
    Hourly,
    Daily,
    Never,
}

/// A range of ports, both ends included; the first is at least 1 and not above the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// Reads `"32768-60999"`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (1 <= first && first <= last).then_some(Self { first, last })
    }
}

fn port_range<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<PortRange, D::Error> {
    let text = String::deserialize(deserializer)?;
    PortRange::parse(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a range of ports")))
}

impl Config {
    /// Reads and checks all layers: built-in defaults, the file, `environment` (variables that begin with `TCPD_` and
    /// name a key), `flags` (`key=value` each).
    ///
    /// Without a `path`, [`DEFAULT_PATH`] is read if it exists; a file named and missing is an error.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        layers::load(path, environment, flags)
    }

    /// The built-in defaults under `flags` (`key=value` each): what does not depend on this machine's file and environment.
    ///
    /// # Errors
    /// Every flag that is no key or whose value is not allowed, and what does not fit together.
    pub fn with_flags(flags: &[String]) -> Result<Self, ConfigError> {
        layers::load_flags(flags)
    }
}
