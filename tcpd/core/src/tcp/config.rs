//! How TCP behaves, how much of everything there may be, and what a user may say about one connection.
//!
//! Defaults are those of the design's table; RFC paragraphs where one binds.

use std::time::Duration;

/// How TCP behaves.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// The maximum segment lifetime; TIME-WAIT lasts twice that (RFC 9293 §3.4.2 says 2 minutes).
    pub msl: Duration,
    /// The first retransmission timeout (RFC 6298 §2.1).
    pub rto_initial: Duration,
    /// The least retransmission timeout (RFC 6298 §2.4 says 1 s); and what it lies beyond SRTT at least, up to 200 ms of it.
    pub rto_min: Duration,
    /// The largest retransmission timeout (RFC 6298 §2.5: at least 60 s).
    pub rto_max: Duration,
    /// R2 of the handshake: for how long SYN is sent again before an active open gives up (§3.8.3: at least 180 s).
    pub syn_time: Duration,
    /// How often SYN-ACK is sent again before a half-open entry is given up.
    pub syn_ack_retries: u8,
    /// Whether SYNs that find no room for a half-open entry are answered with SYN cookies (RFC 4987 §3.6); otherwise the oldest entry makes way.
    pub syn_cookies: bool,
    /// What becomes of a handshake whose last ACK finds the listener's queue full.
    pub backlog_full: BacklogFull,
    /// R1: after how many retransmissions the path is suspected (RFC 9293 §3.8.3 SHLD-10: at least 3).
    pub r1: u8,
    /// R2 of data: after how many retransmissions the connection is given up (RFC 9293 §3.8.3 SHLD-11: at least 100 s).
    pub r2: u8,
    /// For how long an acknowledgment may be delayed (§3.8.6.3: less than 500 ms).
    pub delayed_ack: Duration,
    /// What keepalive means where it is on and nothing else was said.
    pub keepalive: KeepAlive,
    /// Capacity of a new receive ring, bytes, a power of two.
    pub receive_ring: u32,
    /// Largest receive ring, bytes, a power of two: it decides the window scale that is offered.
    pub receive_ring_max: u32,
    /// Capacity of a new send ring, bytes, a power of two.
    pub send_ring: u32,
    /// Largest send ring, bytes, a power of two.
    pub send_ring_max: u32,
    /// The least MSS that a peer's option can bring about, bytes.
    pub mss_floor: u16,
    /// Whether larger packets than known to pass are tried, and small ones where large ones vanish (RFC 4821).
    pub mtu_probing: MtuProbing,
    /// Whether window scaling is offered and accepted (RFC 7323 §2).
    pub window_scale: bool,
    /// Whether timestamps are offered and accepted (RFC 7323 §3).
    pub timestamps: bool,
    /// Whether SACK is offered and accepted (RFC 2018): the receiver reports blocks beyond holes and duplicates (RFC 2883).
    pub sack: bool,
    /// Whether the end of a flight that stays unanswered is probed for before the retransmission timer goes off (RFC 8985 §7); with SACK only.
    pub tail_loss_probe: bool,
    /// Explicit congestion notification (RFC 3168): for whom.
    pub ecn: EcnPolicy,
    /// Whether a segment without the agreed timestamps is dropped (RFC 7323 §3.2: SHOULD).
    pub timestamps_required: bool,
    /// Nagle's algorithm for new connections (§3.7.4); a connection's own `nodelay` turns it off.
    pub nagle: Nagle,
    /// Congestion control of new connections (§3.8.2 MUST-19).
    pub congestion: CongestionControl,
    /// For how long an orphan stays in FIN-WAIT-2.
    pub fin_wait_2_timeout: Duration,
    /// For how long an orphan may try to get rid of its data while the peer makes no progress.
    pub orphan_timeout: Duration,
    /// Whether a RST in TIME-WAIT is ignored (RFC 1337).
    pub time_wait_ignores_reset: bool,
    /// The time to live of packets sent (RFC 1122 §3.2.1.7).
    pub hop_limit: u8,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            msl: Duration::from_secs(30),
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(60),
            syn_time: Duration::from_secs(180),
            syn_ack_retries: 5,
            syn_cookies: true,
            backlog_full: BacklogFull::Drop,
            r1: 3,
            r2: 15,
            delayed_ack: Duration::from_millis(40),
            keepalive: KeepAlive::default(),
            receive_ring: 64 << 10,
            receive_ring_max: 4 << 20,
            send_ring: 64 << 10,
            send_ring_max: 4 << 20,
            mss_floor: 88,
            mtu_probing: MtuProbing::BlackHole,
            window_scale: true,
            timestamps: true,
            sack: true,
            tail_loss_probe: true,
            ecn: EcnPolicy::Passive,
            timestamps_required: true,
            nagle: Nagle::Minshall,
            congestion: CongestionControl::Cubic,
            fin_wait_2_timeout: Duration::from_secs(60),
            orphan_timeout: Duration::from_secs(60),
            time_wait_ignores_reset: true,
            hop_limit: 64,
        }
    }
}

/// When the path's MTU is found out by segments of text that are longer than the others (RFC 4821).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuProbing {
    /// Never: only packet-too-big messages count, and what they said holds while the connection lives.
    Off,
    /// Once large packets have vanished without a word, and where a message is ten minutes old.
    BlackHole,
    /// From the beginning: packets are small (1064 bytes, 1280 in IPv6) until larger ones have got through.
    On,
}

/// When explicit congestion notification is used (RFC 9293 §3.8.2 SHLD-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnPolicy {
    /// Never: a SYN that asks for it is answered without.
    Off,
    /// For connections whose peer asks for it.
    Passive,
    /// Our SYNs ask for it as well.
    On,
}

/// What is made of the last ACK of a handshake while the listener's queue is full. SYNs are dropped in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogFull {
    /// It is dropped: SYN-ACK goes out again by its timer, the peer answers again, and there may be room by then.
    Drop,
    /// RST: the peer learns at once that nobody will serve it.
    Reset,
}

/// When a segment shorter than the MSS has to wait (§3.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagle {
    /// Never.
    Off,
    /// While anything is unacknowledged (RFC 896).
    Classic,
    /// While an earlier short segment is unacknowledged.
    Minshall,
}

/// An algorithm of congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CongestionControl {
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    Cubic,
    /// NewReno (RFC 5681, RFC 6582, RFC 3465).
    NewReno,
}

impl CongestionControl {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Cubic, Self::NewReno];

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How an idle connection is probed (§3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Idle time before the first probe (RFC 9293 §3.8.4 MUST-27), two hours unless the user says otherwise (MUST-28).
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes after which the connection is given up.
    pub count: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            count: 9,
        }
    }
}

/// How much of everything there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Half-open passive entries; beyond it SYNs are answered with cookies, or the oldest goes (`syn_cookies`).
    pub half_open: usize,
    /// Of these the entries that one listener may have before its SYNs are answered with cookies, so that a flood of one port leaves
    /// room for the others. Without cookies it means nothing.
    pub half_open_per_listener: usize,
    /// Entries in TIME-WAIT; beyond it the oldest goes.
    pub time_wait: usize,
    /// Connections (SYN-SENT and synchronised ones, without TIME-WAIT).
    pub connections: usize,
    /// Connections whose user is gone; beyond it the one let go first is given up (RST, but in FIN-WAIT-2).
    pub orphans: usize,
    /// The largest backlog of a listener; a larger wish is cut to it.
    pub backlog_max: u32,
    /// Out-of-order ranges a connection.
    pub out_of_order_ranges: usize,
    /// The least time between two challenge ACKs of one connection; up to as much again is added at random. One held back goes out when
    /// the time has come, unless some other segment has gone meanwhile. A twenty-fifth of it lies between two answers to bare segments
    /// outside the window, three of which are given before SND.UNA or RCV.NXT has moved. Zero: no limit on either.
    pub challenge_ack_interval: Duration,
    /// RSTs for segments without a connection, a second and source prefix.
    pub reset_rate: u32,
    /// What datagrams that are not whole may cost in all, bytes, with what it takes to keep them; a quarter of it for each source prefix.
    /// 0: fragments are refused.
    pub fragment_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            half_open: 65_536,
            half_open_per_listener: 32_768,
            time_wait: 262_144,
            connections: 1 << 20,
            orphans: 8_192,
            backlog_max: 4_096,
            out_of_order_ranges: 128,
            challenge_ack_interval: Duration::from_millis(500),
            reset_rate: 200,
            fragment_bytes: 4 << 20,
        }
    }
}

/// What a user may say about one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ConnectionOptions {
    /// Send short segments at once: Nagle's algorithm off.
    pub nodelay: bool,
    /// Probe the peer when idle: a wish of each connection (RFC 9293 §3.8.4 MUST-24, MAY-5), off unless asked for (MUST-25).
    pub keepalive: Option<KeepAlive>,
    /// For how long sent data may stay unacknowledged before the connection is given up (§3.10.8): R2 of this connection
    /// (RFC 9293 §3.8.3 MUST-21), shorter or longer than [`TcpConfig::r2`], which decides where this is `None`.
    pub user_timeout: Option<Duration>,
    /// The application's own idle timer: for how long a connection may carry no text before it is aborted: RST to the peer, and
    /// [`EndReason::TimedOut`](crate::tcp::EndReason::TimedOut) with [`Timer::Idle`](crate::tcp::Timer::Idle) to the user. `None`
    /// or zero: for ever (RFC 9293 §3.8.4 leaves an idle connection alone). Only text counts, in either direction: RCV.NXT moves
    /// over a byte, or SND.UNA does. What is written and not acknowledged, bytes that come again, FIN, ACKs, window updates and
    /// keepalive do not. It runs from ESTABLISHED until the user lets go, and begins anew when this value is changed.
    pub idle_timeout: Option<Duration>,
    /// Initial capacity of the receive ring, bytes; 0: the stack's.
    pub receive_ring: u32,
    /// The most a receive ring may grow to, bytes; 0: the stack's. Counts only before the handshake for the window scale.
    pub receive_ring_max: u32,
    /// Initial capacity of the send ring, bytes; 0: the stack's.
    pub send_ring: u32,
    /// For how long an active open may take; `None`: the stack's `syn_time`.
    pub open_timeout: Option<Duration>,
    /// The largest MSS to offer and to use, bytes; 0: from the MTU.
    pub mss_max: u16,
    /// The Differentiated Services codepoint of what is sent, 0 to 63 (RFC 9293 §3.9.1.9 MUST-48, SHLD-21); what exceeds six bits is cut
    /// off. ACKs of TIME-WAIT and of half-open entries carry 0.
    pub dscp: u8,
    /// Congestion control; `None`: the stack's.
    pub congestion: Option<CongestionControl>,
}
