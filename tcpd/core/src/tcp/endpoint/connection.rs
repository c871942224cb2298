//! A connection in a synchronised state: the TCB of RFC 9293 §3.3.1.

use std::time::Duration;

use crate::tcp::bill::Bill;
use crate::tcp::buffer::{MAX_CAPACITY, Ring};
use crate::tcp::config::{ConnectionOptions, TcpConfig};
use crate::tcp::congestion::Congestion;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn::EcnState;
use crate::tcp::endpoint::half_open::Agreed;
use crate::tcp::endpoint::limiters::{AnswerLimiter, ChallengeLimiter};
use crate::tcp::endpoint::{Changes, EndReason, Owner, Pair, State, TimestampState};
use crate::tcp::path_mtu::{self, Path};
use crate::tcp::receive_space::ReceiveSpace;
use crate::tcp::recovery::Recovery;
use crate::tcp::rtt::{RtoBounds, RttEstimator};
use crate::tcp::send_space::SendSpace;
use crate::tcp::timers::Timers;
use crate::tcp::transmit::limit::SendLimit;
use crate::time::Instant;
use crate::wire::{SequenceNumber, UserTimeout};

mod endings;
mod invariants;

/// Where the bytes are.
#[derive(Debug)]
pub(crate) struct Rings<R> {
    pub(crate) receive: R,
    pub(crate) send: R,
}

impl<R: Ring> Rings<R> {
    /// Private rings for a connection nobody has claimed; nothing is allocated before a byte is written.
    pub(crate) fn private(options: &ConnectionOptions, config: &TcpConfig) -> Self {
        let or = |wish: u32, default: u32| if wish == 0 { default } else { wish };
        Self {
            receive: R::private(or(options.receive_ring, config.receive_ring)),
            send: R::private(or(options.send_ring, config.send_ring)),
        }
    }
}

/// What calls, arrivals and timeouts want sent; only [`crate::tcp::transmit`] builds segments, so intents merge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Intents {
    /// An acknowledgment is due now.
    pub(crate) ack: bool,
    /// How many duplicate acknowledgments are due, one for each segment that came out of order (RFC 5681 §4.2).
    pub(crate) duplicate_acks: u8,
    /// The segment at SND.UNA is to be sent again, whatever CWND says (after a timeout).
    pub(crate) retransmit_first: bool,
    /// A probe for the end of the flight is due.
    pub(crate) tail_probe: bool,
    /// A zero-window probe is due, or silly-window avoidance is overridden.
    pub(crate) probe: bool,
    /// A keepalive probe is due.
    pub(crate) keep_alive: bool,
}

/// What a connection counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) segments_in: u64,
    pub(crate) segments_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) retransmissions: u64,
    pub(crate) duplicate_acks_in: u64,
    pub(crate) timeouts: u64,
    pub(crate) fast_retransmits: u64,
    /// Segments with text beyond a hole.
    pub(crate) out_of_order_in: u64,
    pub(crate) zero_window_probes: u64,
    pub(crate) keep_alive_probes: u64,
    pub(crate) challenge_acks: u64,
}

/// The TCB.
#[derive(Debug)]
pub(crate) struct Connection<R> {
    pub(crate) pair: Pair,
    pub(crate) state: State,
    /// Of its IPv6 packets (RFC 6437); 0 for IPv4.
    pub(crate) flow_label: u32,
    pub(crate) owner: Owner,
    /// The peer opened it.
    pub(crate) passive: bool,
    pub(crate) end: Option<EndReason>,
    pub(crate) send: SendSpace,
    pub(crate) receive: ReceiveSpace,
    pub(crate) intents: Intents,
    /// Why no more is being sent; `None` while sending.
    pub(crate) limit: Option<SendLimit>,
    /// The position acknowledged by the last segment sent (Last.ACK.sent of RFC 7323 §4.3).
    pub(crate) acked_to: u64,
    pub(crate) timestamps: Option<TimestampState>,
    pub(crate) timers: Timers,
    pub(crate) rtt: RttEstimator,
    pub(crate) congestion: Congestion,
    pub(crate) recovery: Recovery,
    /// Where ECN was agreed on.
    pub(crate) ecn: Option<Box<EcnState>>,
    /// What is known of the path's MTU.
    pub(crate) path: Path,
    /// Timeouts in a row without progress, against R2.
    pub(crate) retries: u8,
    /// Zero-window probes sent since the window was last open; for the backoff.
    pub(crate) probes: u8,
    /// Zero-window probes without any answer, against R2.
    pub(crate) probes_unanswered: u8,
    /// Keepalive probes without any answer.
    pub(crate) keep_alives_unanswered: u8,
    pub(crate) rings: Rings<R>,
    /// What the user has yet to be told.
    pub(crate) changes: Changes,
    /// It stands in the transmit queue.
    pub(crate) queued: bool,
    /// It stands in the event queue.
    pub(crate) event_queued: bool,
    /// The user reads no more: what arrives is acknowledged and thrown away.
    pub(crate) reading_closed: bool,
    /// Whether the port may be shared.
    pub(crate) reuse: bool,
    pub(crate) tag: u64,
    /// Whose it is, and what of its rings is on the bill.
    pub(crate) bill: Bill,
    pub(crate) options: ConnectionOptions,
    pub(crate) agreed: Agreed,
    pub(crate) peer_mss: u16,
    /// The latest that the peer has told of its own.
    pub(crate) peer_user_timeout: Option<UserTimeout>,
    pub(crate) our_mss: u16,
    pub(crate) challenge: ChallengeLimiter,
    /// For ACKs that answer segments outside the window without text.
    pub(crate) outside_window: AnswerLimiter,
    pub(crate) soft_error: Option<EndReason>,
    pub(crate) created: Instant,
    /// When the last segment came.
    pub(crate) heard_at: Instant,
    /// When the last segment with text went.
    pub(crate) sent_at: Instant,
    /// When RCV.NXT or SND.UNA last moved over text, or the idle timer was set.
    pub(crate) text_at: Instant,
    pub(crate) tally: Tally,
    /// Segments refused, by reason: few reasons, if any.
    pub(crate) dropped: Vec<(DropReason, u64)>,
}

/// What a completed handshake knows.
pub(crate) struct Opening<R> {
    pub(crate) pair: Pair,
    /// The state it had: SYN-SENT or SYN-RECEIVED.
    pub(crate) state: State,
    pub(crate) iss: SequenceNumber,
    pub(crate) irs: SequenceNumber,
    pub(crate) agreed: Agreed,
    pub(crate) timestamps: Option<TimestampState>,
    pub(crate) peer_mss: u16,
    pub(crate) rtt: Option<Duration>,
    pub(crate) syn_was_lost: bool,
    pub(crate) owner: Owner,
    pub(crate) tag: u64,
    pub(crate) bill: Bill,
    pub(crate) reuse: bool,
    pub(crate) options: ConnectionOptions,
    pub(crate) rings: Rings<R>,
    /// Of the interface: what we can receive.
    pub(crate) link_mtu: u32,
    /// Of the path, as far as known: what we can send.
    pub(crate) path_mtu: u16,
    pub(crate) flow_label: u32,
}

impl<R: Ring> Connection<R> {
    /// The TCB after the handshake; still in the state before.
    pub(crate) fn open(opening: Opening<R>, config: &TcpConfig, now: Instant) -> Self {
        let tcp = config;
        let our_mss = offered_mss(&opening.pair, &opening.options, opening.link_mtu);
        let mss = effective_mss(&opening, u32::from(opening.path_mtu), config);
        let widest = effective_mss(&opening, opening.link_mtu, config);
        let most = widest + path_mtu::headers(&opening.pair, opening.timestamps.is_some());
        let mut rtt = RttEstimator::new(RtoBounds {
            initial: tcp.rto_initial,
            min: tcp.rto_min,
            max: tcp.rto_max,
        });
        match opening.rtt {
            Some(sample) => {
                rtt.sample(sample);
                rtt.note(sample, now);
            }
            None if opening.syn_was_lost => rtt.after_lost_syn(),
            None => {}
        }
        let capacity = opening.rings.receive.capacity();
        let shift = opening.agreed.receive_shift();
        let mut receive = ReceiveSpace::new(opening.irs, capacity, shift, syn_window(capacity));
        receive.sack.permitted = opening.agreed.sack;
        let mut conn = Self {
            state: opening.state,
            flow_label: opening.flow_label,
            passive: matches!(opening.owner, Owner::Listener(_)),
            owner: opening.owner,
            end: None,
            send: SendSpace::new(opening.iss, opening.agreed.send_shift.unwrap_or(0), mss),
            receive,
            intents: Intents::default(),
            limit: None,
            acked_to: 0,
            timestamps: opening.timestamps,
            timers: Timers::new(),
            rtt,
            congestion: Congestion::new(
                opening.options.congestion.unwrap_or(tcp.congestion),
                mss,
                opening.syn_was_lost,
            ),
            recovery: Recovery::new(),
            ecn: EcnState::of(opening.agreed.ecn),
            path: Path::new(opening.path_mtu, path_mtu::size(most)),
            retries: 0,
            probes: 0,
            probes_unanswered: 0,
            keep_alives_unanswered: 0,
            rings: opening.rings,
            changes: Changes::NONE,
            queued: false,
            event_queued: false,
            reading_closed: false,
            reuse: opening.reuse,
            tag: opening.tag,
            bill: opening.bill,
            options: opening.options,
            agreed: opening.agreed,
            peer_mss: opening.peer_mss,
            peer_user_timeout: None,
            our_mss,
            challenge: ChallengeLimiter::new(),
            outside_window: AnswerLimiter::new(),
            soft_error: None,
            created: now,
            heard_at: now,
            sent_at: now,
            text_at: now,
            tally: Tally::default(),
            dropped: Vec::new(),
            pair: opening.pair,
        };
        path_mtu::begin(&mut conn, tcp.mtu_probing, now);
        conn
    }

    /// Whether a user holds it or will.
    pub(crate) fn is_orphan(&self) -> bool {
        self.owner == Owner::Nobody
    }

    /// Counts a segment that was refused.
    pub(crate) fn count_dropped(&mut self, reason: DropReason) {
        match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.dropped.push((reason, 1)),
        }
    }

    /// Whether something went out by a timer that the peer has not answered, and that goes out again until it does: text, FIN, a
    /// probe of either kind.
    pub(crate) fn repeats_itself(&self) -> bool {
        self.retries > 0 || self.probes_unanswered > 0 || self.keep_alives_unanswered > 0
    }

    /// The capacity that the send ring should have, bytes, a power of two. What is lost stays in it while as much again is sent, so twice
    /// CWND; and as it grows once in a while only, what slow start makes of CWND until then.
    pub(crate) fn send_wanted(&self) -> u32 {
        let cwnd = self.congestion.cwnd();
        let factor = if self.congestion.in_slow_start() {
            4
        } else {
            2
        };
        // What the peer never offered cannot be on its way.
        cwnd.min(self.send.max_wnd)
            .saturating_mul(factor)
            .min(MAX_CAPACITY)
            .next_power_of_two()
    }

    /// Adds to what the user is to be told.
    pub(crate) fn changed(&mut self, changes: Changes) {
        self.changes |= changes;
    }
}

/// The window field of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2).
pub(crate) fn syn_window(capacity: u32) -> u32 {
    capacity.min(u32::from(u16::MAX))
}

/// The MSS we announce (RFC 9293 §3.7.1 MUST-14, MUST-67): what fits into the MTU, never reduced for options (RFC 6691).
pub(crate) fn offered_mss(pair: &Pair, options: &ConnectionOptions, mtu: u32) -> u16 {
    let mss = mtu
        .saturating_sub(pair.ip_header_len() + 20)
        .clamp(1, 65_535) as u16;
    if options.mss_max == 0 {
        mss
    } else {
        mss.min(options.mss_max)
    }
}

/// Eff.snd.MSS (MUST-16, §3.7.1) less the options that every segment carries.
fn effective_mss<R>(opening: &Opening<R>, mtu: u32, config: &TcpConfig) -> u32 {
    let theirs = opening.peer_mss.max(config.mss_floor);
    let ours = offered_mss(&opening.pair, &opening.options, mtu);
    let option_bytes = if opening.timestamps.is_some() { 12 } else { 0 };
    u32::from(theirs.min(ours))
        .saturating_sub(option_bytes)
        .max(1)
}
