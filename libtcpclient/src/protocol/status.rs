//! What the daemon tells about itself and its connections: JSON, one object a line.
//!
//! Field names are RFC 9293's in snake_case; a name ends in its unit (`_us`, `_ms`, `_bytes`)
//! where it has one. A field that means nothing in a connection's state is absent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

mod connection;
mod impairment;

pub use connection::{
    CongestionStatus, ConnectionCounters, ConnectionStatus, EcnStatus, OptionsStatus,
    ReceiveSequence, RingsStatus, RttStatus, SendSequence,
};
pub use impairment::ImpairmentRow;

/// The states of RFC 9293 §3.3.2. Serialised under the RFC's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TcpState {
    /// Also of a connection that ended and whose owner has not closed it yet.
    #[serde(rename = "CLOSED")]
    Closed = 0,
    /// Waiting for a connection request.
    #[serde(rename = "LISTEN")]
    Listen = 1,
    /// SYN sent.
    #[serde(rename = "SYN-SENT")]
    SynSent = 2,
    /// SYN received, ours not yet acknowledged.
    #[serde(rename = "SYN-RECEIVED")]
    SynReceived = 3,
    /// Open.
    #[serde(rename = "ESTABLISHED")]
    Established = 4,
    /// We closed; FIN not yet acknowledged.
    #[serde(rename = "FIN-WAIT-1")]
    FinWait1 = 5,
    /// We closed; the peer has not.
    #[serde(rename = "FIN-WAIT-2")]
    FinWait2 = 6,
    /// The peer closed; we have not.
    #[serde(rename = "CLOSE-WAIT")]
    CloseWait = 7,
    /// Both closed at once.
    #[serde(rename = "CLOSING")]
    Closing = 8,
    /// The peer closed first; our FIN is not yet acknowledged.
    #[serde(rename = "LAST-ACK")]
    LastAck = 9,
    /// Waiting until no segment can be underway any more.
    #[serde(rename = "TIME-WAIT")]
    TimeWait = 10,
}

impl TcpState {
    /// All eleven.
    pub const ALL: [TcpState; 11] = [
        TcpState::Closed,
        TcpState::Listen,
        TcpState::SynSent,
        TcpState::SynReceived,
        TcpState::Established,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::CloseWait,
        TcpState::Closing,
        TcpState::LastAck,
        TcpState::TimeWait,
    ];

    /// The RFC's name.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::Closed => "CLOSED",
            TcpState::Listen => "LISTEN",
            TcpState::SynSent => "SYN-SENT",
            TcpState::SynReceived => "SYN-RECEIVED",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait1 => "FIN-WAIT-1",
            TcpState::FinWait2 => "FIN-WAIT-2",
            TcpState::CloseWait => "CLOSE-WAIT",
            TcpState::Closing => "CLOSING",
            TcpState::LastAck => "LAST-ACK",
            TcpState::TimeWait => "TIME-WAIT",
        }
    }

    /// Its bit in [`super::Filter::states`].
    pub fn bit(self) -> u16 {
        1 << (self as u8)
    }
}

impl std::fmt::Display for TcpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What sort of owner a connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerKind {
    /// A program with a session.
    Client,
    /// A worker of a service, or the service itself while nobody accepted yet.
    Service,
    /// Handed off by a program; no other has adopted it yet. The user is who gave it away.
    HandedOff,
    /// Closed by its owner; the stack finishes it.
    Orphan,
    /// The stack alone (half-open, TIME-WAIT).
    #[default]
    None,
}

/// Where the bytes of an owned connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointKind {
    /// In rings of shared memory.
    Ring,
    /// In an ordinary socketpair, whose descriptor may be passed on.
    Socket,
}

/// Who owns a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// What sort.
    pub kind: OwnerKind,
    /// The client's or the worker's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What that program calls itself, else its command name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The user, as the kernel says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The session's number. A socket outlives the session that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// How it has the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointKind>,
}

/// A timer that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerRow {
    /// The core's name for it, in kebab-case: `retransmission`, `time-wait`, `keep-alive`, …
    pub name: String,
    /// Until it goes off; 0 when it is due.
    pub left_ms: u64,
}

/// One line of `tcpctl list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// What `show`, `close` and `reset` name it by.
    pub id: String,
    /// RFC 9293 §3.3.2.
    pub state: TcpState,
    /// Received and not yet read, in bytes.
    pub recv_q_bytes: u64,
    /// Written and not yet acknowledged, in bytes.
    pub send_q_bytes: u64,
    /// tcpd's side.
    pub local: SocketAddr,
    /// The other side.
    pub peer: SocketAddr,
    /// Whose it is.
    pub owner: Owner,
    /// The next timer to go off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerRow>,
}

/// One line of `tcpctl list --listening`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRow {
    /// What it is named by.
    pub id: String,
    /// Where it listens; an unspecified address when on all.
    pub local: SocketAddr,
    /// Connections waiting to be accepted.
    pub queued: u32,
    /// How many may wait.
    pub backlog: u32,
    /// Handshakes not finished.
    pub half_open: u32,
    /// Accepted since it listens.
    pub accepted: u64,
    /// Turned away since it listens: backlog full, limits.
    pub refused: u64,
    /// Whose it is.
    pub owner: Owner,
}

/// One counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// In kebab-case.
    pub name: String,
    /// Since the daemon started, or now for a gauge.
    pub value: u64,
    /// One sentence.
    pub help: String,
}

/// How workers ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exits {
    /// By exit status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_status: BTreeMap<i32, u64>,
    /// By the signal that killed it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_signal: BTreeMap<i32, u64>,
    /// The spawner died before it could say.
    #[serde(default)]
    pub unknown: u64,
}

/// What ended workers used, summed up (getrusage).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// In user mode.
    pub user_us: u64,
    /// In the kernel.
    pub system_us: u64,
    /// The largest of any worker, not a sum.
    pub max_rss_bytes: u64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// Voluntary and involuntary.
    pub context_switches: u64,
}

/// One line of `tcpctl services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// From the configuration.
    pub name: String,
    /// Empty: every address of the stack.
    pub addresses: Vec<IpAddr>,
    /// Where it listens.
    pub port: u16,
    /// `echo`, `http`, the program of a command, …
    pub handler: String,
    /// Workers that have a connection, or are about to.
    pub workers: u32,
    /// How many may be.
    pub max_workers: u32,
    /// Workers that wait for a connection.
    #[serde(default)]
    pub idle: u32,
    /// Connections waiting in the backlog for a worker.
    pub waiting: u32,
    /// Workers started since the daemon started.
    pub started: u64,
    /// Workers that could not be started.
    pub failed: u64,
    /// Connections reset because their source had `max_per_source` already.
    #[serde(default)]
    pub refused_per_source: u64,
    /// Workers whose command could not be executed.
    #[serde(default)]
    pub not_executed: u64,
    /// Workers killed after `wall_time`.
    #[serde(default)]
    pub out_of_time: u64,
    /// How they ended.
    pub exits: Exits,
    /// What they used.
    pub usage: Usage,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its number.
    pub id: u64,
    /// `client`, `worker` (opened by token), `control` (without arena).
    pub kind: String,
    /// The process that connected.
    pub pid: u32,
    /// The user.
    pub uid: u32,
    /// What it calls itself.
    pub program: String,
    /// Connections it has.
    pub connections: u32,
    /// Listeners it has.
    pub listeners: u32,
    /// Memory that its arena really occupies.
    pub allocated_bytes: u64,
    /// Requests so far.
    pub requests: u64,
    /// Violations so far, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub violations: BTreeMap<String, u64>,
    /// Since it opened.
    pub age_ms: u64,
}

/// Whose a [`UserRow`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserKind {
    /// A user's.
    #[default]
    User,
    /// The daemon's services and their workers.
    Services,
    /// Everybody together, against what there is for all.
    All,
}

/// What a user has, and the most it may have. A limit that is absent is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// Whose.
    pub kind: UserKind,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Sessions.
    pub sessions: u32,
    /// `limits.sessions_per_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_limit: Option<u32>,
    /// Connections: SYN-SENT, those that wait to be accepted, and those without a slot among them; orphans and TIME-WAIT not.
    pub connections: u32,
    /// `limits.connections_per_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_limit: Option<u32>,
    /// Connections that it has closed and that are not over.
    pub orphans: u32,
    /// `limits.orphans_per_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans_limit: Option<u32>,
    /// Listeners.
    pub listeners: u32,
    /// `limits.listeners_per_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners_limit: Option<u32>,
    /// Connections handed off that wait for who takes them over; they count as connections too.
    #[serde(default)]
    pub handoffs: u32,
    /// `limits.handoffs_per_uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoffs_limit: Option<u32>,
    /// Memory that its rings really occupy, and what lies in sockets.
    pub ring_bytes: u64,
    /// What they may occupy now: `limits.ring_bytes_per_uid`, or less while all rings together near `limits.ring_bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_bytes_limit: Option<u64>,
    /// The part of [`UserRow::ring_bytes`] that is the daemon's own memory: of connections without a slot.
    pub private_ring_bytes: u64,
    /// The part of [`UserRow::ring_bytes`] that is the kernel's: bytes in the socketpairs of its socket endpoints that one side has written
    /// and the other has not read.
    #[serde(default)]
    pub socket_bytes: u64,
    /// Its rings are near their limit: windows are held, new connections refused.
    pub pressed: bool,
    /// What was refused, by the name of the rule. SYNs to its listeners count with the rule that kept them out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
}

/// The daemon as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Of the program.
    pub version: String,
    /// Of the client protocol.
    pub protocol_version: u16,
    /// Its process.
    pub pid: u32,
    /// Since it started.
    pub uptime_ms: u64,
    /// Of the TUN device.
    pub interface: String,
    /// Of the device.
    pub mtu_bytes: u32,
    /// The kernel segments and checksums for the device.
    pub offload: bool,
    /// tcpd's own.
    pub addresses: Vec<IpAddr>,
    /// Threads with a stack.
    pub stack_threads: u16,
    /// Sessions open.
    pub sessions: u32,
    /// Listeners open.
    pub listeners: u32,
    /// Connections by state.
    pub connections: BTreeMap<TcpState, u64>,
    /// The spawner's process; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawner_pid: Option<u32>,
    /// How often the spawner was started again.
    pub spawner_restarts: u64,
    /// Log lines lost because the log could not keep up.
    pub lost_log_lines: u64,
    /// It is stopping.
    pub draining: bool,
    /// The configuration file; absent when it runs on the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
}

/// What a reload changed: [`super::Request::Reload`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys with a new value, as `limits.sessions_per_uid`.
    pub settings: Vec<String>,
    /// Services that listen from now on.
    pub services_added: Vec<String>,
    /// Services that are different from the next connection on.
    pub services_changed: Vec<String>,
    /// Services that listen no more; their workers alive go on.
    pub services_removed: Vec<String>,
}

/// A daemon that ends when nothing is left: [`super::Request::Drain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// How long it waits at most.
    pub grace_ms: u64,
}
