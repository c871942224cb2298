//! STATUS (§3.10.6): everything a TCB holds, in the RFC's words.

use std::net::SocketAddr;
use std::time::Duration;

use crate::tcp::buffer::Ring;
use crate::tcp::config::ConnectionOptions;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn::EcnMode;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{EndReason, Owner, State};
use crate::tcp::id::EndpointId;
use crate::tcp::receive_space::ranges::Range;
use crate::tcp::recovery::{Phase, reaction};
use crate::tcp::timers::Timer;
use crate::tcp::transmit::limit::SendLimit;
use crate::time::Instant;
use crate::wire::{SequenceNumber, UserTimeout};

/// A snapshot of one endpoint. What an endpoint's shape does not have is zero or `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its name.
    pub id: EndpointId,
    /// Its state.
    pub state: State,
    /// Whether the peer opened it; `None` where that is no longer known (a TIME-WAIT entry without a user).
    pub passive: Option<bool>,
    /// The own address and port.
    pub local: SocketAddr,
    /// The peer's; unspecified for a listener.
    pub remote: SocketAddr,
    /// The owner's cookie.
    pub tag: u64,
    /// Whether its user has let go.
    pub orphan: bool,
    /// Whether it waits in a listener's queue.
    pub unaccepted: bool,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// What ICMP said last; told if the connection fails.
    pub soft_error: Option<EndReason>,
    /// Initial send sequence number.
    pub iss: SequenceNumber,
    /// Oldest unacknowledged sequence number.
    pub snd_una: SequenceNumber,
    /// Next sequence number to send.
    pub snd_nxt: SequenceNumber,
    /// Window the peer offers, bytes.
    pub snd_wnd: u32,
    /// Sequence number of the last window update.
    pub snd_wl1: SequenceNumber,
    /// Acknowledgment number of the last window update.
    pub snd_wl2: SequenceNumber,
    /// Largest window ever offered by the peer, bytes.
    pub max_snd_wnd: u32,
    /// Initial receive sequence number.
    pub irs: SequenceNumber,
    /// Next sequence number expected.
    pub rcv_nxt: SequenceNumber,
    /// Window offered to the peer, bytes.
    pub rcv_wnd: u32,
    /// Right edge of that window.
    pub rcv_adv: SequenceNumber,
    /// After the latest urgent byte, if there was one.
    pub rcv_up: Option<SequenceNumber>,
    /// Bytes that arrived in order and are unread.
    pub recv_q: u32,
    /// Bytes written and not acknowledged.
    pub send_q: u32,
    /// Bytes the receive ring holds.
    pub receive_capacity: u32,
    /// Bytes the send ring holds.
    pub send_capacity: u32,
    /// What the receive ring would hold by what was read in a round trip, bytes.
    pub receive_wanted: u32,
    /// What the send ring would hold by CWND, bytes.
    pub send_wanted: u32,
    /// Round-trip time as the receiver measures it.
    pub receive_rtt: Option<Duration>,
    /// Why no more is being sent; `None` while sending.
    pub send_limit: Option<SendLimit>,
    /// The controller's name; empty where there is none.
    pub congestion: &'static str,
    /// Congestion window, bytes.
    pub cwnd: u32,
    /// Slow start threshold, bytes; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// Bytes in flight: sent, and neither acknowledged, reported by SACK nor believed lost (`pipe` of RFC 6675).
    pub in_flight: u32,
    /// What was delivered in a round trip lately, bytes a second; `None` before the first measurement.
    pub delivery_rate: Option<u64>,
    /// What the pacer lets out, bytes a second; `None` when nothing is paced.
    pub pacing_rate: Option<u64>,
    /// Segments are known to overtake each other on the path (RFC 8985 §6.2).
    pub reordering_seen: bool,
    /// How much later than a segment sent after it one may arrive before it counts as lost (RACK.reo_wnd); `None` where nothing
    /// was measured.
    pub reordering_window: Option<Duration>,
    /// Whether fast recovery is under way.
    pub in_recovery: bool,
    /// Bytes marked to be sent again.
    pub to_resend: u32,
    /// Smoothed round-trip time.
    pub srtt: Option<Duration>,
    /// Round-trip time variation.
    pub rttvar: Option<Duration>,
    /// Least round-trip time seen.
    pub min_rtt: Option<Duration>,
    /// Latest round-trip time.
    pub latest_rtt: Option<Duration>,
    /// Retransmission timeout, with backoff.
    pub rto: Duration,
    /// How often it was doubled.
    pub backoff: u8,
    /// Timeouts in a row without progress.
    pub retries: u8,
    /// Zero-window probes since the window was open.
    pub probes: u8,
    /// Largest payload of a segment we send, bytes.
    pub mss_send: u32,
    /// The largest IP packet that the path is taken to carry, bytes (RFC 1191, RFC 4821); 0 before the handshake.
    pub path_mtu: u16,
    /// The peer's MSS option, or its default, bytes.
    pub mss_peer: u16,
    /// The user timeout that the peer has told of its own (RFC 5482): known, not acted upon.
    pub user_timeout_peer: Option<Duration>,
    /// The MSS we announced, bytes.
    pub mss_own: u16,
    /// Shift of the windows we receive; `None`: no scaling.
    pub window_scale_peer: Option<u8>,
    /// Shift of the windows we send; `None`: no scaling.
    pub window_scale_own: Option<u8>,
    /// Whether timestamps were agreed.
    pub timestamps: bool,
    /// Whether SACK was agreed.
    pub sack: bool,
    /// What of ECN was agreed on (RFC 3168).
    pub ecn: EcnMode,
    /// TS.Recent.
    pub ts_recent: u32,
    /// Timers that run, and when they go off.
    pub timers: Vec<(Timer, Instant)>,
    /// Ranges of stream positions that arrived out of order.
    pub out_of_order: Vec<Range>,
    /// Duplicate acknowledgments in a row.
    pub duplicate_acks: u32,
    /// Whether the counts that follow are kept: only from the synchronised states on, and not for a TIME-WAIT entry without a user.
    pub counted: bool,
    /// Segments in.
    pub segments_in: u64,
    /// Segments and super-segments out.
    pub segments_out: u64,
    /// Bytes of text that arrived.
    pub bytes_in: u64,
    /// Bytes of text sent, those sent again included.
    pub bytes_out: u64,
    /// Bytes of text sent again.
    pub bytes_retransmitted: u64,
    /// Segments sent again.
    pub retransmissions: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Fast retransmits.
    pub fast_retransmits: u64,
    /// Segments that were declared lost.
    pub lost: u64,
    /// Of these, segments that turned out to have arrived.
    pub spurious: u64,
    /// Times that a reduction of CWND was taken back.
    pub undone: u64,
    /// D-SACKs in: the peer says that something came twice (RFC 2883).
    pub duplicate_sacks_in: u64,
    /// Tail loss probes out (RFC 8985 §7).
    pub tail_loss_probes: u64,
    /// Duplicate ACKs in (RFC 5681 §2).
    pub duplicate_acks_in: u64,
    /// Segments in with text beyond a hole.
    pub out_of_order_in: u64,
    /// Stretches of what is outstanding that are told apart by when they were sent and what became of them.
    pub stretches: u64,
    /// Such stretches looked at since the start: the work that acknowledgments cause.
    pub recovery_steps: u64,
    /// Zero-window probes out.
    pub zero_window_probes: u64,
    /// Keepalive probes out.
    pub keep_alive_probes: u64,
    /// Challenge ACKs out (RFC 5961).
    pub challenge_acks: u64,
    /// Segments with text that a router had marked (CE).
    pub ce_in: u64,
    /// Acknowledgments that echoed a mark of ours (ECE).
    pub ece_in: u64,
    /// Reductions of the congestion window for ECE.
    pub ecn_reductions: u64,
    /// Segments refused, by reason.
    pub dropped: Vec<(DropReason, u64)>,
    /// Whether our FIN was queued.
    pub fin_queued: bool,
    /// Whether the peer's FIN was reached.
    pub fin_received: bool,
    /// What it was opened with, or told since.
    pub options: ConnectionOptions,
    /// When it was made.
    pub created: Instant,
    /// When a segment last came.
    pub last_heard: Instant,
    /// When text was last sent.
    pub last_sent: Instant,
    /// When text last passed, either way: RCV.NXT or SND.UNA moved over a byte. The idle timer counts from here.
    pub last_text: Instant,
}

impl Status {
    /// Everything zero but name, state and addresses: what the compact shapes fill in.
    pub(crate) fn empty(
        id: EndpointId,
        state: State,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Self {
        let zero = SequenceNumber(0);
        Self {
            id,
            state,
            passive: None,
            local,
            remote,
            tag: 0,
            orphan: false,
            unaccepted: false,
            end: None,
            soft_error: None,
            iss: zero,
            snd_una: zero,
            snd_nxt: zero,
            snd_wnd: 0,
            snd_wl1: zero,
            snd_wl2: zero,
            max_snd_wnd: 0,
            irs: zero,
            rcv_nxt: zero,
            rcv_wnd: 0,
            rcv_adv: zero,
            rcv_up: None,
            recv_q: 0,
            send_q: 0,
            receive_capacity: 0,
            send_capacity: 0,
            receive_wanted: 0,
            send_wanted: 0,
            receive_rtt: None,
            send_limit: match state {
                State::SynSent | State::SynReceived => Some(SendLimit::Handshake),
                _ => Some(SendLimit::Closed),
            },
            congestion: "",
            cwnd: 0,
            ssthresh: None,
            in_flight: 0,
            delivery_rate: None,
            pacing_rate: None,
            reordering_seen: false,
            reordering_window: None,
            in_recovery: false,
            to_resend: 0,
            srtt: None,
            rttvar: None,
            min_rtt: None,
            latest_rtt: None,
            rto: Duration::ZERO,
            backoff: 0,
            retries: 0,
            probes: 0,
            mss_send: 0,
            path_mtu: 0,
            mss_peer: 0,
            user_timeout_peer: None,
            mss_own: 0,
            window_scale_peer: None,
            window_scale_own: None,
            timestamps: false,
            sack: false,
            ecn: EcnMode::Off,
            ts_recent: 0,
            timers: Vec::new(),
            out_of_order: Vec::new(),
            duplicate_acks: 0,
            counted: false,
            segments_in: 0,
            segments_out: 0,
            bytes_in: 0,
            bytes_out: 0,
            bytes_retransmitted: 0,
            retransmissions: 0,
            timeouts: 0,
            fast_retransmits: 0,
            lost: 0,
            spurious: 0,
            undone: 0,
            duplicate_sacks_in: 0,
            tail_loss_probes: 0,
            duplicate_acks_in: 0,
            out_of_order_in: 0,
            stretches: 0,
            recovery_steps: 0,
            zero_window_probes: 0,
            keep_alive_probes: 0,
            challenge_acks: 0,
            ce_in: 0,
            ece_in: 0,
            ecn_reductions: 0,
            dropped: Vec::new(),
            fin_queued: false,
            fin_received: false,
            options: ConnectionOptions::default(),
            created: Instant::ZERO,
            last_heard: Instant::ZERO,
            last_sent: Instant::ZERO,
            last_text: Instant::ZERO,
        }
    }

    /// Everything of a TCB.
    pub(crate) fn of<R: Ring>(id: EndpointId, conn: &Connection<R>) -> Self {
        let (send, receive) = (&conn.send, &conn.receive);
        let (ecn, losses) = (conn.ecn.as_deref(), conn.recovery.tally());
        let small = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            passive: Some(conn.passive),
            tag: conn.tag,
            orphan: conn.is_orphan(),
            unaccepted: matches!(conn.owner, Owner::Listener(_)),
            end: conn.end,
            soft_error: conn.soft_error,
            iss: send.iss,
            snd_una: send.sequence_of(send.una),
            snd_nxt: send.sequence_of(send.nxt),
            snd_wnd: send.wnd,
            snd_wl1: send.wl1,
            snd_wl2: send.wl2,
            max_snd_wnd: send.max_wnd,
            irs: receive.irs,
            rcv_nxt: receive.next_sequence(),
            rcv_wnd: small(receive.window()),
            rcv_adv: receive.sequence_of(receive.adv),
            rcv_up: receive.urgent.map(|position| receive.sequence_of(position)),
            recv_q: small(receive.unread()),
            send_q: small(send.written - send.una.min(send.written)),
            receive_capacity: conn.rings.receive.capacity(),
            send_capacity: conn.rings.send.capacity(),
            receive_wanted: receive.wanted(),
            send_wanted: conn.send_wanted(),
            receive_rtt: receive.tuner.as_ref().and_then(|tuner| tuner.rtt()),
            send_limit: match conn.state {
                State::Closed | State::TimeWait => Some(SendLimit::Closed),
                _ => conn.limit,
            },
            congestion: conn.congestion.kind().name(),
            delivery_rate: conn.recovery.rate.latest(),
            pacing_rate: conn
                .congestion
                .pacing(conn.rtt.srtt())
                .map(|pacing| pacing.rate),
            reordering_seen: conn.recovery.rack.reordering_seen(),
            reordering_window: conn.rtt.least().map(|_| reaction::reordering_window(conn)),
            lost: losses.lost,
            spurious: losses.spurious,
            undone: losses.undone,
            duplicate_sacks_in: losses.dsacks,
            tail_loss_probes: losses.tail_probes,
            cwnd: conn.congestion.cwnd(),
            ssthresh: conn.congestion.ssthresh(),
            in_flight: small(conn.recovery.in_flight()),
            in_recovery: conn.recovery.phase() == Phase::Recovery,
            to_resend: small(conn.recovery.board.lost()),
            srtt: conn.rtt.srtt(),
            rttvar: conn.rtt.rttvar(),
            min_rtt: conn.rtt.least(),
            latest_rtt: conn.rtt.latest(),
            rto: conn.rtt.rto(),
            backoff: conn.rtt.backoff(),
            retries: conn.retries,
            probes: conn.probes,
            mss_send: send.mss,
            path_mtu: conn.path.mtu(),
            mss_peer: conn.peer_mss,
            user_timeout_peer: conn.peer_user_timeout.map(UserTimeout::duration),
            mss_own: conn.our_mss,
            window_scale_peer: conn.agreed.send_shift,
            window_scale_own: conn.agreed.send_shift.map(|_| conn.agreed.receive_shift),
            timestamps: conn.timestamps.is_some(),
            sack: conn.agreed.sack,
            ecn: conn.agreed.ecn,
            ts_recent: conn.timestamps.map_or(0, |state| state.recent),
            timers: Timer::ALL
                .into_iter()
                .filter_map(|timer| Some((timer, conn.timers.get(timer)?)))
                .collect(),
            out_of_order: receive.out_of_order.as_slice().to_vec(),
            duplicate_acks: conn.recovery.duplicates(),
            counted: true,
            segments_in: conn.tally.segments_in,
            segments_out: conn.tally.segments_out,
            bytes_in: conn.tally.bytes_in,
            bytes_out: conn.tally.bytes_out,
            bytes_retransmitted: conn.tally.bytes_retransmitted,
            retransmissions: conn.tally.retransmissions,
            timeouts: conn.tally.timeouts,
            fast_retransmits: conn.tally.fast_retransmits,
            duplicate_acks_in: conn.tally.duplicate_acks_in,
            out_of_order_in: conn.tally.out_of_order_in,
            stretches: conn.recovery.board.len() as u64,
            recovery_steps: conn.recovery.board.steps(),
            zero_window_probes: conn.tally.zero_window_probes,
            keep_alive_probes: conn.tally.keep_alive_probes,
            challenge_acks: conn.tally.challenge_acks,
            ce_in: ecn.map_or(0, |ecn| ecn.ce_in),
            ece_in: ecn.map_or(0, |ecn| ecn.ece_in),
            ecn_reductions: ecn.map_or(0, |ecn| ecn.reductions),
            dropped: conn.dropped.clone(),
            fin_queued: send.end() > send.written,
            fin_received: receive.is_finished(),
            options: conn.options,
            created: conn.created,
            last_heard: conn.heard_at,
            last_sent: conn.sent_at,
            last_text: conn.text_at,
            ..Self::empty(
                id,
                conn.state,
                conn.pair.local_socket(),
                conn.pair.remote_socket(),
            )
        }
    }
}
