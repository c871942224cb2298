//! What the daemon tells about itself and its connections: JSON, one object a line.
//!
//! Field names are RFC 9293's in snake_case; a name ends in its unit (`_us`, `_ms`, `_bytes`)
//! where it has one. A field that means nothing in a connection's state is absent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

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
    /// Closed by its owner; the stack finishes it.
    Orphan,
    /// The stack alone (half-open, TIME-WAIT).
    #[default]
    None,
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
    /// The session's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
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

/// The send sequence space: RFC 9293 §3.3.1, figure 3.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SendSequence {
    /// SND.UNA
    pub una: u32,
    /// SND.NXT
    pub nxt: u32,
    /// SND.WND, scaled, in bytes.
    pub wnd_bytes: u64,
    /// Max(SND.WND), the largest window seen, in bytes.
    pub max_wnd_bytes: u64,
    /// SND.UP
    pub up: u32,
    /// SND.WL1
    pub wl1: u32,
    /// SND.WL2
    pub wl2: u32,
    /// ISS
    pub iss: u32,
}

/// The receive sequence space: RFC 9293 §3.3.1, figure 4.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiveSequence {
    /// RCV.NXT
    pub nxt: u32,
    /// RCV.WND, in bytes.
    pub wnd_bytes: u64,
    /// RCV.NXT + RCV.WND as last announced: the right edge that never moves left.
    pub adv: u32,
    /// RCV.UP
    pub up: u32,
    /// IRS
    pub irs: u32,
}

/// Congestion control.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CongestionStatus {
    /// `new-reno`, …
    pub algorithm: String,
    /// `slow-start`, `congestion-avoidance`, `fast-recovery`, `loss`.
    pub phase: String,
    /// The congestion window.
    pub cwnd_bytes: u64,
    /// The slow start threshold; absent before the first loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssthresh_bytes: Option<u64>,
    /// Sent and neither acknowledged nor believed lost.
    pub in_flight_bytes: u64,
    /// Duplicate acknowledgments in a row.
    pub duplicate_acks: u32,
}

/// Round-trip time and retransmission timeout (RFC 6298).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RttStatus {
    /// SRTT; absent before the first measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtt_us: Option<u64>,
    /// RTTVAR; absent before the first measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rttvar_us: Option<u64>,
    /// The smallest seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_us: Option<u64>,
    /// The last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_us: Option<u64>,
    /// RTO with its backoff.
    pub rto_us: u64,
    /// How often RTO was doubled since the last acknowledgment.
    pub backoff: u32,
}

/// What both sides agreed on, and what the owner set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OptionsStatus {
    /// Send MSS, in bytes: what the peer announced, at most what the path takes.
    pub mss_send_bytes: u16,
    /// The MSS we announced.
    pub mss_receive_bytes: u16,
    /// The path's MTU as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_mtu_bytes: Option<u16>,
    /// Snd.Wind.Shift (RFC 7323); absent when not negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_scale_send: Option<u8>,
    /// Rcv.Wind.Shift (RFC 7323); absent when not negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_scale_receive: Option<u8>,
    /// Timestamps (RFC 7323).
    pub timestamps: bool,
    /// Selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Nagle's algorithm is off.
    pub nodelay: bool,
    /// Silence before a keepalive probe; absent when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_idle_s: Option<u32>,
    /// Time between probes; absent when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_interval_s: Option<u32>,
    /// Probes before giving up; absent when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_count: Option<u32>,
    /// The user timeout; absent when the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timeout_ms: Option<u64>,
}

/// The two byte stores of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RingsStatus {
    /// Of the transmit ring, now.
    pub transmit_capacity_bytes: u32,
    /// How far it may grow.
    pub transmit_maximum_bytes: u32,
    /// Written and not acknowledged.
    pub transmit_used_bytes: u64,
    /// Written and never sent.
    pub transmit_unsent_bytes: u64,
    /// Of the receive ring, now.
    pub receive_capacity_bytes: u32,
    /// How far it may grow.
    pub receive_maximum_bytes: u32,
    /// In order and not read.
    pub receive_unread_bytes: u64,
    /// Beyond a hole.
    pub out_of_order_bytes: u64,
    /// In how many ranges.
    pub out_of_order_ranges: u32,
}

/// What happened on a connection so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectionCounters {
    /// In order, delivered to the ring.
    pub bytes_in: u64,
    /// Acknowledged by the peer.
    pub bytes_out: u64,
    /// Segments received.
    pub segments_in: u64,
    /// Segments sent.
    pub segments_out: u64,
    /// Sent again.
    pub retransmitted_segments: u64,
    /// Sent again.
    pub retransmitted_bytes: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Fast retransmits.
    pub fast_retransmits: u64,
    /// Duplicate acknowledgments received.
    pub duplicate_acks_in: u64,
    /// Segments received out of order.
    pub out_of_order_in: u64,
    /// Zero-window probes sent.
    pub zero_window_probes: u64,
    /// Keepalive probes sent.
    pub keepalive_probes: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub challenge_acks: u64,
    /// Segments dropped, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
}

/// Everything about one connection: STATUS of RFC 9293 §3.10.6, and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// What the list shows.
    #[serde(flatten)]
    pub row: ConnectionRow,
    /// True when the peer opened it.
    pub passive: bool,
    /// Since it was created.
    pub age_ms: u64,
    /// Since the last segment came; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_received_ms: Option<u64>,
    /// Since the last segment went; absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_ms: Option<u64>,
    /// SND.*
    pub snd: SendSequence,
    /// RCV.*; absent before the peer's SYN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcv: Option<ReceiveSequence>,
    /// Congestion control.
    pub congestion: CongestionStatus,
    /// Round-trip time.
    pub rtt: RttStatus,
    /// Options.
    pub options: OptionsStatus,
    /// Byte stores.
    pub rings: RingsStatus,
    /// Counters.
    pub counters: ConnectionCounters,
    /// Every timer that runs, the next first.
    pub timers: Vec<TimerRow>,
    /// Why nothing is sent at the moment, in the core's word: `nothing-to-send`, `peer-window`,
    /// `congestion-window`, `nagle`, …; absent when sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_sending: Option<String>,
    /// The peer's FIN is in, in order.
    pub peer_closed: bool,
    /// We sent FIN, or will after what is queued.
    pub send_closed: bool,
    /// Why it ended ([`super::EndReason::name`]); absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
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
    /// `echo`, `http`, a command, …
    pub handler: String,
    /// Workers alive.
    pub workers: u32,
    /// How many may be.
    pub max_workers: u32,
    /// Connections waiting in the backlog for a worker.
    pub waiting: u32,
    /// Workers started since the daemon started.
    pub started: u64,
    /// Workers that could not be started.
    pub failed: u64,
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
