//! From a completed handshake to a connection in ESTABLISHED.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::stack::slot::Slot;
use crate::stack::{BacklogFull, EndpointId, ListenOptions, Stack, TcpConfig};
use crate::tcp::arrives::{self, Step};
use crate::tcp::buffer::Ring;
use crate::tcp::calls;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn::EcnMode;
use crate::tcp::endpoint::connection::{Connection, Opening, Rings};
use crate::tcp::endpoint::half_open::{Agreed, HalfOpen};
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::{Cause, Changes, Owner, Pair, State, TimestampState};
use crate::tcp::segment::Segment;
use crate::tcp::send_space::Fin;
use crate::tcp::timeouts;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::Reply;
use crate::time::Instant;
use crate::wire::{SequenceNumber, TcpSegment};

/// What the SYN of the peer said, whichever way it came.
struct PeerSyn {
    window: u16,
    seq: SequenceNumber,
    mss: u16,
    agreed: Agreed,
    timestamps: Option<TimestampState>,
}

impl PeerSyn {
    fn of_half_open(half: &HalfOpen, now: Instant) -> Self {
        Self {
            window: half.window,
            seq: half.irs,
            mss: half.peer_mss,
            agreed: half.agreed,
            timestamps: half.timestamp_state(now),
        }
    }
}

impl<R: Ring> Stack<R> {
    /// The ACK of our SYN-ACK came to a listener's half-open entry.
    pub(super) fn establish_passive(
        &mut self,
        now: Instant,
        id: EndpointId,
        seg: Segment<'_>,
    ) -> Step {
        let Some(Slot::HalfOpen(half)) = self.endpoints.get(id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let pair = half.pair;
        let options = match self.room_at(half.listener) {
            Ok(options) => options,
            Err(reason) => {
                if self.resets_at(reason) {
                    self.remove_half_open(now, id, State::Closed, Cause::TurnedAway);
                }
                return self.turn_away(pair, seg.ack, reason);
            }
        };
        let Some(half) = self.take_half_open(id) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        self.forget_time_wait(now, id);
        // RFC 9293 §3.8.1 MUST-18 (Karn): of a SYN-ACK that went out more than once nobody knows which one is acknowledged.
        let rtt = (!half.sent_again()).then(|| now.duration_since(half.sent_at));
        self.establish_half_open(now, id, &half, &options, rtt, seg)
    }

    /// What the connections of a listener start with, if there is room for one more.
    pub(super) fn room_at(&mut self, listener: EndpointId) -> Result<ListenOptions, DropReason> {
        let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener.key()) else {
            return Err(DropReason::NoConnection);
        };
        let account = listener.options.account;
        let reason = if listener.is_full() {
            DropReason::AcceptQueueFull
        } else if !self.accounts.admits(account) {
            DropReason::AccountLimit
        } else if self.connections >= self.config.limits.connections {
            DropReason::ConnectionLimit
        } else {
            return Ok(listener.options);
        };
        listener.refused += 1;
        Err(reason)
    }

    fn resets_at(&self, reason: DropReason) -> bool {
        reason == DropReason::AcceptQueueFull && self.config.tcp.backlog_full == BacklogFull::Reset
    }

    /// There is no room for the connection that an ACK of `ack` completes. The ACK is dropped: SYN-ACK goes out again when its timer
    /// says so (a cookie's peer sends its text again), and the peer answers again. Or it hears of it.
    pub(super) fn turn_away(
        &mut self,
        pair: Pair,
        ack: SequenceNumber,
        reason: DropReason,
    ) -> Step {
        if self.resets_at(reason) {
            self.replies.push(Reply::reset(pair, ack));
        }
        ControlFlow::Break(reason)
    }

    /// From SYN-RECEIVED to ESTABLISHED: `half`, which is out of the table of half-open entries, gives its slot `id` to a connection. `rtt`:
    /// of SYN-ACK and its ACK, if that can be told.
    pub(super) fn establish_half_open(
        &mut self,
        now: Instant,
        id: EndpointId,
        half: &HalfOpen,
        options: &ListenOptions,
        rtt: Option<Duration>,
        seg: Segment<'_>,
    ) -> Step {
        let listener_id = half.listener;
        let opening = Opening {
            pair: half.pair,
            state: State::SynReceived,
            iss: half.iss,
            irs: half.irs,
            agreed: half.agreed,
            timestamps: half.timestamp_state(now),
            peer_mss: half.peer_mss,
            rtt,
            syn_was_lost: half.sent_again(),
            owner: Owner::Listener(listener_id),
            tag: options.tag,
            bill: self.accounts.opened(options.account),
            reuse: options.reuse,
            rings: Rings::private(&options.connection, &self.config.tcp),
            options: options.connection,
            link_mtu: u32::from(self.config.mtu),
            path_mtu: self.mtu_towards(now, half.pair.remote),
            flow_label: self.flow_label(&half.pair),
        };
        self.bound.bind(&half.pair, options.reuse);
        self.connections += 1;
        let mut conn = Connection::open(opening, &self.config.tcp, now);
        conn.queued = half.queued;
        let step = self.put_established(now, id, conn, &PeerSyn::of_half_open(half, now), seg);
        self.offer(listener_id, id);
        self.settle(now, id);
        step
    }

    /// Puts an established connection into its listener's queue.
    fn offer(&mut self, listener_id: EndpointId, id: EndpointId) {
        let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener_id.key()) else {
            return;
        };
        listener.queue.push_back(id);
        if !listener.event_queued {
            listener.event_queued = true;
            self.events.push(listener_id);
        }
    }

    /// SYN and ACK came to SYN-SENT.
    pub(super) fn establish_active(
        &mut self,
        now: Instant,
        id: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
    ) -> Step {
        let Some(Slot::SynSent(syn_sent)) = self.endpoints.get(id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let mut agreed = Agreed::of(&tcp.options, syn_sent.ours());
        agreed.ecn = EcnMode::of_syn_ack(&seg, syn_sent.ecn);
        let timestamps = tcp
            .options
            .timestamps
            .filter(|_| agreed.timestamps)
            .map(|timestamps| TimestampState {
                offset: syn_sent.ts_offset,
                recent: timestamps.value,
                recent_at: now,
                may_be_missing: false,
            });
        let mss = tcp.options.mss.unwrap_or(syn_sent.pair.default_mss());
        let peer = PeerSyn {
            window: tcp.window,
            seq: tcp.seq,
            mss,
            agreed,
            timestamps,
        };
        self.established_from_open(now, id, peer, seg)
    }

    /// Our SYN was acknowledged in the SYN-RECEIVED of a simultaneous open.
    pub(super) fn establish_crossed(
        &mut self,
        now: Instant,
        id: EndpointId,
        seg: Segment<'_>,
    ) -> Step {
        let Some(Slot::SynSent(syn_sent)) = self.endpoints.get(id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let Some(half) = &syn_sent.crossed else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let peer = PeerSyn::of_half_open(half, now);
        self.established_from_open(now, id, peer, seg)
    }

    fn established_from_open(
        &mut self,
        now: Instant,
        id: EndpointId,
        peer: PeerSyn,
        seg: Segment<'_>,
    ) -> Step {
        let Some(Slot::SynSent(syn_sent)) = self.endpoints.get(id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let pair = syn_sent.pair;
        let route = Route {
            link_mtu: u32::from(self.config.mtu),
            path_mtu: self.mtu_towards(now, pair.remote),
            flow_label: self.flow_label(&pair),
        };
        let Some(Slot::SynSent(syn_sent)) = self.endpoints.get_mut(id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let (fin_queued, fin_sent, released) =
            (syn_sent.fin_queued, syn_sent.fin_sent(), syn_sent.released);
        let mut conn = leave_open(syn_sent, &peer, route, &self.config.tcp, now);
        self.deadlines.cancel(id.index());
        let acknowledges_syn_only = seg.ack == conn.send.iss + 1;
        if fin_sent && !acknowledges_syn_only {
            fin_is_out(&mut conn, now);
        }
        let step = self.put_established(now, id, conn, &peer, seg);
        if let Some(Slot::Connection(conn)) = self.endpoints.get_mut(id.key())
            && fin_sent
            && acknowledges_syn_only
            && conn.state != State::Closed
        {
            fin_is_out(conn, now);
        }
        // §3.10.4: a CLOSE before ESTABLISHED was queued until now.
        if let Some((Slot::Connection(conn), mut cx)) = self.at(now, id) {
            if released {
                calls::close(conn, &mut cx);
            } else if fin_queued {
                calls::shutdown_write(conn, &mut cx).ok();
            }
        }
        self.settle(now, id);
        step
    }

    /// Puts the connection into its slot, in ESTABLISHED, and lets the segment that brought it there go on with the fifth step.
    fn put_established(
        &mut self,
        now: Instant,
        id: EndpointId,
        mut conn: Connection<R>,
        peer: &PeerSyn,
        seg: Segment<'_>,
    ) -> Step {
        // The window of a SYN is not scaled (RFC 7323 §2.2).
        let iss = conn.send.iss;
        conn.send
            .update_window(u32::from(peer.window), peer.seq, iss + 1);
        // RFC 7323 §3.2: a segment without the agreed timestamps SHOULD be dropped, but MUST NOT end a connection. A peer, or a box on its
        // path, that leaves them out from the first ACK on would never get one: it is answered with timestamps all the same.
        if let Some(state) = &mut conn.timestamps {
            state.may_be_missing = seg.timestamps.is_none();
        }
        if let Some(slot) = self.endpoints.get_mut(id.key()) {
            let before = std::mem::replace(slot, Slot::Connection(Box::new(conn)));
            if let Slot::HalfOpen(room) = before {
                self.spare_half_open(room);
            }
        }
        let Some((Slot::Connection(conn), mut cx)) = self.at(now, id) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        if conn.state == State::FinWait1 {
            // RFC 9293 §3.10.4: CLOSE in SYN-RECEIVED has led round ESTABLISHED.
            conn.send.fin = Fin::Queued;
        } else {
            let why = if conn.state == State::SynSent {
                Cause::SynAckArrived
            } else {
                Cause::SynAcknowledged
            };
            cx.counters.established += 1;
            cx.counters.ecn_connections += u64::from(conn.agreed.ecn == EcnMode::On);
            cx.transition(&mut conn.state, State::Established, why);
            // The peer waits in SYN-RECEIVED. After a simultaneous open both have sent SYN-ACK, and nothing is owed.
            conn.intents.ack |= why == Cause::SynAckArrived;
        }
        timeouts::start_keep_alive(conn, &mut cx);
        timeouts::start_idle_timeout(conn, &mut cx);
        arrives::completes_handshake(conn, seg, &mut cx)
    }
}

/// The way to the peer, as far as a connection wants to know it.
#[derive(Clone, Copy)]
struct Route {
    link_mtu: u32,
    path_mtu: u16,
    flow_label: u32,
}

/// The connection that an active open becomes: everything its user has done meanwhile goes along, its rings too.
fn leave_open<R: Ring>(
    open: &mut SynSent<R>,
    peer: &PeerSyn,
    route: Route,
    config: &TcpConfig,
    now: Instant,
) -> Connection<R> {
    // MUST-18 (Karn): of a SYN or SYN-ACK that went out more than once nobody knows which one is acknowledged.
    let lost = open.retransmissions > 0
        || open.quick_retry_done
        || open.crossed.is_some_and(|half| half.sent_again());
    let emptied = Rings {
        receive: R::private(1),
        send: R::private(1),
    };
    let opening = Opening {
        pair: open.pair,
        state: open.state(),
        iss: open.iss,
        irs: peer.seq,
        agreed: peer.agreed,
        timestamps: peer.timestamps,
        peer_mss: peer.mss,
        rtt: open
            .sent_at
            .filter(|_| !lost)
            .map(|sent_at| now.duration_since(sent_at)),
        syn_was_lost: lost,
        owner: open.owner(),
        tag: open.tag,
        bill: std::mem::take(&mut open.bill),
        reuse: open.reuse,
        rings: std::mem::replace(&mut open.rings, emptied),
        options: open.options,
        link_mtu: route.link_mtu,
        path_mtu: route.path_mtu,
        flow_label: route.flow_label,
    };
    let mut conn = Connection::open(opening, config, now);
    conn.send.written = open.written;
    conn.send.urgent = open.urgent;
    conn.reading_closed = open.reading_closed;
    conn.changes = open.changes | Changes::CONNECTED;
    conn.event_queued = open.event_queued;
    conn.queued = open.queued;
    conn
}

/// The FIN that was sent beside the SYN-ACK (§3.10.4) counts as sent, and is watched.
fn fin_is_out<R: Ring>(conn: &mut Connection<R>, now: Instant) {
    conn.send.fin = Fin::Queued;
    let mss = conn.send.mss;
    conn.recovery.sent(0, 1, false, None, mss, now);
    conn.send.sent(1);
    conn.timers.set(Timer::Retransmission, now + conn.rtt.rto());
}
