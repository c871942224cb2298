//! Half-open entries and active opens: made, retried, given up.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::stack::slot::Slot;
use crate::stack::{ConnectionOptions, EndpointId, Stack, TcpConfig};
use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn::EcnMode;
use crate::tcp::endpoint::half_open::{Agreed, HalfOpen, Ours};
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::endpoint::{Cause, Changes, EndReason, Pair, State};
use crate::tcp::segment::Segment;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::Reply;
use crate::time::Instant;
use crate::wire::{MAX_WINDOW_SCALE, SequenceNumber, TcpSegment};

/// The shift to offer, so that a window of the largest receive ring fits into 16 bits (RFC 7323 §2.3); `None` when
/// scaling is off.
pub(super) fn offered_shift(options: &ConnectionOptions, config: &TcpConfig) -> Option<u8> {
    let largest = if options.receive_ring_max == 0 {
        config.receive_ring_max
    } else {
        options.receive_ring_max
    };
    config.window_scale.then(|| {
        (0..MAX_WINDOW_SCALE)
            .find(|shift| largest >> shift <= u32::from(u16::MAX))
            .unwrap_or(MAX_WINDOW_SCALE)
    })
}

/// How many half-open entries' worth of memory is kept for new ones.
const SPARE_HALF_OPEN: usize = 1024;

/// The timeout of the `n`th try of a SYN or SYN-ACK, counted from 0 (RFC 6298 §5.5).
pub(super) fn handshake_timeout(n: u8, config: &TcpConfig) -> Duration {
    config
        .rto_initial
        .saturating_mul(1 << n.min(16))
        .min(config.rto_max)
}

impl<R: Ring> Stack<R> {
    /// During the quiet time after the start nothing is opened (RFC 9293 §3.4.3): until when.
    pub(super) fn quiet_until(&self, now: Instant) -> Option<Instant> {
        let until = self.started + self.config.quiet_time?;
        (now < until).then_some(until)
    }

    /// A SYN for a listener, which [`crate::tcp::arrives::listen`] let pass: a half-open entry, and SYN-ACK. `reopened` is the
    /// TIME-WAIT entry it takes the place of.
    pub(super) fn open_passively(
        &mut self,
        now: Instant,
        listener_id: EndpointId,
        pair: Pair,
        tcp: &TcpSegment<'_>,
        seg: &Segment<'_>,
        reopened: Option<TimeWait>,
    ) -> Step {
        let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener_id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        if listener.is_full() {
            listener.refused += 1;
            return ControlFlow::Break(DropReason::ListenQueueFull);
        }
        if !self.accounts.admits(listener.options.account) {
            listener.refused += 1;
            return ControlFlow::Break(DropReason::AccountLimit);
        }
        if reopened.is_none() && self.quiet_until(now).is_some() {
            return ControlFlow::Break(DropReason::QuietTime);
        }
        // RFC 4987 §3.6. A pair that leaves TIME-WAIT gets an entry in any case: its ISS has to follow the old connection's (RFC 6191).
        if reopened.is_none() && self.config.tcp.syn_cookies && self.is_flooded(listener_id) {
            return self.answer_with_cookie(now, listener_id, pair, tcp);
        }
        let iss = match reopened {
            Some(old) => self.initial.isn_after(now, &pair.flow(), old.snd_nxt),
            None => self.passive_iss(now, listener_id, &pair, tcp),
        };
        let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener_id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        listener.half_open += 1;
        let shift = offered_shift(&listener.options.connection, &self.config.tcp);
        let mut half = self.half_open_for(now, listener_id, pair, tcp, shift, iss);
        half.agreed.ecn = EcnMode::of_syn(seg, self.config.tcp.ecn);
        self.evict_half_open(now);
        self.insert_half_open(now, half);
        ControlFlow::Continue(())
    }

    /// The entry for a SYN: what it offers, what we answer.
    pub(super) fn half_open_for(
        &self,
        now: Instant,
        listener: EndpointId,
        pair: Pair,
        tcp: &TcpSegment<'_>,
        shift: Option<u8>,
        iss: SequenceNumber,
    ) -> HalfOpen {
        let ours = Ours {
            shift,
            timestamps: self.config.tcp.timestamps,
            sack: self.config.tcp.sack,
        };
        HalfOpen {
            pair,
            iss,
            irs: tcp.seq,
            window: tcp.window,
            // MUST-15: the default for a peer that names none.
            peer_mss: tcp.options.mss.unwrap_or(pair.default_mss()),
            agreed: Agreed::of(&tcp.options, ours),
            retransmissions: 0,
            answered_again: false,
            synack_due: true,
            queued: false,
            fin_sent: false,
            ts_recent: tcp
                .options
                .timestamps
                .map_or(0, |timestamps| timestamps.value),
            ts_offset: self.initial.timestamp_offset(&pair.flow()),
            challenge_after: 0,
            sent_at: now,
            listener,
        }
    }

    fn insert_half_open(&mut self, now: Instant, half: HalfOpen) {
        let half = self.room_for_half_open(half);
        let id = EndpointId::from(self.endpoints.insert(Slot::HalfOpen(half)));
        self.flows.insert(&self.endpoints, id);
        let endpoints = &self.endpoints;
        self.half_open.push(id, |id| {
            matches!(endpoints.get(id.key()), Some(Slot::HalfOpen(_)))
        });
        self.counters.passive_opens += 1;
        if let Some((_, mut cx)) = self.at(now, id) {
            let mut state = State::Listen;
            cx.transition(&mut state, State::SynReceived, Cause::SynArrived);
        }
        self.arm_exactly(id, now + handshake_timeout(0, &self.config.tcp));
        self.settle(now, id);
    }

    /// Without cookies, or for a pair that leaves TIME-WAIT, the oldest make way: a flood costs its own entries first.
    fn evict_half_open(&mut self, now: Instant) {
        while self.half_open.len() >= self.config.limits.half_open.max(1) {
            let endpoints = &self.endpoints;
            let oldest = self
                .half_open
                .oldest(|id| matches!(endpoints.get(id.key()), Some(Slot::HalfOpen(_))));
            let Some(oldest) = oldest else { return };
            self.counters.half_open_evicted += 1;
            self.remove_half_open(now, oldest, State::Closed, Cause::Evicted);
        }
    }

    /// Back to LISTEN, or gone.
    pub(super) fn remove_half_open(&mut self, now: Instant, id: EndpointId, to: State, why: Cause) {
        if let Some((Slot::HalfOpen(_), mut cx)) = self.at(now, id) {
            let mut state = State::SynReceived;
            cx.transition(&mut state, to, why);
        }
        if let Some(half) = self.take_half_open(id) {
            self.flows.remove(id, &half.pair);
            if let Some(Slot::HalfOpen(room)) = self.endpoints.remove(id.key()) {
                self.spare_half_open(room);
            }
            self.return_to_time_wait(now, id);
        }
    }

    /// Puts an entry where another one was, if there is such room.
    pub(super) fn room_for_half_open(&mut self, half: HalfOpen) -> Box<HalfOpen> {
        match self.spare_half_open.pop() {
            Some(mut room) => {
                *room = half;
                room
            }
            None => Box::new(half),
        }
    }

    /// Keeps the room of an entry that is gone, for a flood's next one.
    pub(super) fn spare_half_open(&mut self, room: Box<HalfOpen>) {
        if self.spare_half_open.len() < SPARE_HALF_OPEN {
            self.spare_half_open.push(room);
        }
    }

    /// Takes the entry out of all that counts it; the slot and the flow table stay, for a connection in its place.
    pub(super) fn take_half_open(&mut self, id: EndpointId) -> Option<HalfOpen> {
        let Some(Slot::HalfOpen(half)) = self.endpoints.get(id.key()) else {
            return None;
        };
        let half = **half;
        self.deadlines.cancel(id.index());
        self.half_open.gone();
        if let Some(Slot::Listener(listener)) = self.endpoints.get_mut(half.listener.key()) {
            listener.half_open -= 1;
        }
        Some(half)
    }

    /// SYN-ACK was not answered: again, or give up.
    pub(super) fn expire_half_open(&mut self, now: Instant, id: EndpointId) {
        let retries = self.config.tcp.syn_ack_retries;
        let Some(Slot::HalfOpen(half)) = self.endpoints.get_mut(id.key()) else {
            return;
        };
        if half.retransmissions >= retries {
            self.counters.half_open_timeouts += 1;
            return self.remove_half_open(now, id, State::Closed, Cause::TimedOut);
        }
        half.retransmissions += 1;
        half.synack_due = true;
        let timeout = handshake_timeout(half.retransmissions, &self.config.tcp);
        self.arm_exactly(id, now + timeout);
        self.settle(now, id);
    }

    /// SYN was not answered: again, or give up at R2 as with data (RFC 9293 §3.8.3 MUST-22), after three minutes at least (MUST-23).
    pub(super) fn expire_syn_sent(&mut self, now: Instant, id: EndpointId) {
        let Some(Slot::SynSent(syn_sent)) = self.endpoints.get_mut(id.key()) else {
            return;
        };
        if now < syn_sent.retry_at {
            let retry_at = syn_sent.retry_at;
            return self.arm(id, Some(retry_at));
        }
        if now >= syn_sent.give_up_at {
            let reason = syn_sent
                .soft_error
                .unwrap_or(EndReason::TimedOut(Timer::Handshake));
            self.reset_crossed(now, id);
            return self.fail_open(now, id, reason, Cause::TimedOut);
        }
        syn_sent.syn_due = true;
        syn_sent.fin_due = syn_sent.fin_sent();
        // Our RST may have been lost: a bad ACK may be followed by a quick SYN again.
        syn_sent.quick_retry_done = false;
        // The first one may have waited for the end of the quiet time.
        if syn_sent.sent_at.is_some() {
            syn_sent.retransmissions = syn_sent.retransmissions.saturating_add(1);
            // RFC 3168 §6.1.1.1: something on the way may drop SYNs that ask for ECN.
            self.counters.ecn_withdrawn += u64::from(syn_sent.ecn.withdraw());
            if syn_sent.retransmissions == self.config.tcp.r1 {
                syn_sent.changes |= Changes::TROUBLE;
            }
        }
        let timeout = handshake_timeout(syn_sent.retransmissions, &self.config.tcp);
        syn_sent.retry_at = (now + timeout).min(syn_sent.give_up_at);
        self.settle(now, id);
    }

    /// Tells a peer whose SYN has crossed ours that nothing will come of it: <SEQ=SND.NXT><CTL=RST>.
    pub(super) fn reset_crossed(&mut self, now: Instant, id: EndpointId) {
        if let Some((Slot::SynSent(open), cx)) = self.at(now, id)
            && let (Some(half), None) = (&open.crossed, open.end)
        {
            cx.replies.push(Reply::reset(half.pair, half.snd_nxt()));
        }
    }

    /// An active open has failed; its user learns why.
    pub(super) fn fail_open(
        &mut self,
        now: Instant,
        id: EndpointId,
        reason: EndReason,
        why: Cause,
    ) {
        let Some((Slot::SynSent(syn_sent), mut cx)) = self.at(now, id) else {
            return;
        };
        let mut state = syn_sent.state();
        if state == State::Closed {
            return;
        }
        cx.counters.failed_opens += 1;
        cx.transition(&mut state, State::Closed, why);
        syn_sent.end = Some(reason);
        (syn_sent.syn_due, syn_sent.fin_due) = (false, false);
        syn_sent.changes |= Changes::ENDED;
        self.settle(now, id);
    }
}
