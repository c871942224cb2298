//! Everything about one connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConnectionRow, TimerRow};

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
    /// `cubic`, `newreno`, …
    pub algorithm: String,
    /// `slow-start`, `congestion-avoidance`, `fast-recovery`, `loss`.
    pub phase: String,
    /// The congestion window.
    pub cwnd_bytes: u64,
    /// The slow start threshold; absent before the first loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssthresh_bytes: Option<u64>,
    /// Sent and neither acknowledged nor believed lost: `pipe` of RFC 6675.
    pub in_flight_bytes: u64,
    /// Duplicate acknowledgments in a row.
    pub duplicate_acks: u32,
    /// What was delivered in a round trip lately, bytes a second; absent before the first measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_rate_bytes_per_s: Option<u64>,
    /// What is let out, bytes a second; absent when nothing is paced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing_rate_bytes_per_s: Option<u64>,
    /// Segments are known to overtake each other on the path.
    #[serde(default)]
    pub reordering_seen: bool,
    /// By how much a segment may be overtaken before it counts as lost (RACK.reo_wnd of RFC 8985); absent before anything was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reordering_window_us: Option<u64>,
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
    /// As this side sees it as the receiver, where that was measured: what the receive ring is tuned by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver_us: Option<u64>,
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
    /// The user timeout that the peer has told of its own (RFC 5482), which changes nothing here; absent when it told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_user_timeout_ms: Option<u64>,
    /// How long the connection may carry no data; absent when for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// The Differentiated Services codepoint of what is sent.
    #[serde(default)]
    pub dscp: u8,
}

/// Explicit congestion notification (RFC 3168).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EcnStatus {
    /// `on`, `off`, or `echo-only`: the peer's marks are echoed, nothing of ours may be marked. Empty where nothing was agreed yet.
    pub state: String,
    /// Packets that came with the mark of congestion (CE).
    #[serde(default)]
    pub ce_in: u64,
    /// Segments in which the peer echoed congestion (ECE).
    #[serde(default)]
    pub ece_in: u64,
    /// Times that CWND was reduced for it.
    #[serde(default)]
    pub reductions: u64,
}

/// The two byte stores of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RingsStatus {
    /// Of the transmit ring, now.
    pub transmit_capacity_bytes: u32,
    /// How far it may grow.
    pub transmit_maximum_bytes: u32,
    /// What it would hold by the congestion window.
    #[serde(default)]
    pub transmit_wanted_bytes: u32,
    /// Written and not acknowledged.
    pub transmit_used_bytes: u64,
    /// Written and never sent.
    pub transmit_unsent_bytes: u64,
    /// Of the receive ring, now.
    pub receive_capacity_bytes: u32,
    /// How far it may grow.
    pub receive_maximum_bytes: u32,
    /// What it would hold by what is read in a round trip.
    #[serde(default)]
    pub receive_wanted_bytes: u32,
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
    /// Segments declared lost.
    #[serde(default)]
    pub lost_segments: u64,
    /// Of these, segments that had arrived after all.
    #[serde(default)]
    pub spurious_segments: u64,
    /// Reductions of the congestion window that were taken back.
    #[serde(default)]
    pub undone_reductions: u64,
    /// Times that the peer reported something that came twice (D-SACK, RFC 2883).
    #[serde(default)]
    pub duplicate_sacks_in: u64,
    /// Tail loss probes sent (RFC 8985).
    #[serde(default)]
    pub tail_loss_probes: u64,
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
    /// True when the peer opened it; absent where that is no longer known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive: Option<bool>,
    /// Since it was created; absent where that is no longer known (TIME-WAIT without a user).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
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
    /// ECN.
    #[serde(default)]
    pub ecn: EcnStatus,
    /// Options.
    pub options: OptionsStatus,
    /// Byte stores.
    pub rings: RingsStatus,
    /// Counters; absent where nothing is counted: before the handshake is done, and in TIME-WAIT without a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<ConnectionCounters>,
    /// Every timer that runs, the next first.
    pub timers: Vec<TimerRow>,
    /// What limits sending at the moment, in the core's word: `handshake`, `closed`, `nothing-to-send`, `acknowledgment`,
    /// `send-ring`, `zero-window`, `peer-window`, `congestion-window`, `recovery`, `pacing`, `silly-window` or `nagle`; absent while
    /// sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_sending: Option<String>,
    /// The peer's FIN is in, in order.
    pub peer_closed: bool,
    /// We sent FIN, or will after what is queued.
    pub send_closed: bool,
    /// What ICMP says stands in the way, which ends nothing (RFC 9293 §3.9.2.2 SHLD-25), in the words of `end`; absent
    /// when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_error: Option<String>,
    /// Why it ended ([`crate::protocol::EndReason::name`]); absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}
