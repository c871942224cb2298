//! Cookies on the stack: SYNs answered without an entry, and the ACKs that bring the cookies back.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{LIFE_NANOS, Offer};
use crate::stack::handshakes::offered_shift;
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::config::EcnPolicy;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn::EcnMode;
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::endpoint::{Cause, Pair, State};
use crate::tcp::segment::Segment;
use crate::time::Instant;
use crate::wire::{Flags, SequenceNumber, TcpOptions, TcpSegment};

impl<R: Ring> Stack<R> {
    /// Whether a SYN for `listener` finds no room for an entry: the table is full, or the listener's share of it.
    pub(in crate::stack) fn is_flooded(&self, listener: EndpointId) -> bool {
        let limits = &self.config.limits;
        let Some(Slot::Listener(listener)) = self.endpoints.get(listener.key()) else {
            return false;
        };
        self.half_open.len() >= limits.half_open.max(1)
            || listener.half_open as usize >= limits.half_open_per_listener.max(1)
    }

    /// Whether a cookie of `listener` may still come back.
    fn sent_cookies_lately(&self, now: Instant, listener: EndpointId) -> bool {
        match self.endpoints.get(listener.key()) {
            Some(Slot::Listener(listener)) => listener
                .cookie_sent_at
                .is_some_and(|at| now.duration_since(at) <= Duration::from_nanos(LIFE_NANOS)),
            _ => false,
        }
    }

    /// Our ISS for a new pair. While cookies are about, entries get theirs as well: a client that sends its SYN again is then told the same
    /// number, whether the first one found room or not.
    pub(in crate::stack) fn passive_iss(
        &self,
        now: Instant,
        listener: EndpointId,
        pair: &Pair,
        tcp: &TcpSegment<'_>,
    ) -> SequenceNumber {
        if self.sent_cookies_lately(now, listener) {
            self.cookie_for(now, pair, tcp)
        } else {
            self.initial.isn(now, &pair.flow())
        }
    }

    fn cookie_for(&self, now: Instant, pair: &Pair, tcp: &TcpSegment<'_>) -> SequenceNumber {
        let offer = Offer::of(&tcp.options, pair.default_mss());
        self.cookies
            .issue(&self.initial, now, &pair.flow(), tcp.seq, offer)
    }

    /// Answers a SYN with SYN-ACK, and forgets it.
    pub(in crate::stack) fn answer_with_cookie(
        &mut self,
        now: Instant,
        listener_id: EndpointId,
        pair: Pair,
        tcp: &TcpSegment<'_>,
    ) -> Step {
        let iss = self.cookie_for(now, &pair, tcp);
        let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener_id.key()) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        listener.cookie_sent_at = Some(now);
        let shift = offered_shift(&listener.options.connection, &self.config.tcp);
        let half = self.half_open_for(now, listener_id, pair, tcp, shift, iss);
        self.counters.syn_cookies_sent += 1;
        self.replies.push_syn_ack(half);
        ControlFlow::Continue(())
    }

    /// An ACK to a listener: it brings a cookie back, or acknowledges nothing of ours.
    pub(in crate::stack) fn acknowledges_listener(
        &mut self,
        now: Instant,
        listener: EndpointId,
        pair: Pair,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
    ) -> Step {
        if seg.has(Flags::SYN) || !self.sent_cookies_lately(now, listener) {
            return self.refuse_with_reset(now, pair, &seg, DropReason::ListenAck);
        }
        let (irs, iss) = (seg.seq - 1, seg.ack - 1);
        let offer = self
            .cookies
            .redeem(&self.initial, now, &pair.flow(), irs, iss);
        match offer {
            Some(offer) => self.redeem_cookie(now, listener, pair, offer, tcp, seg),
            None => {
                self.counters.syn_cookies_refused += 1;
                self.refuse_without_cookie(now, pair, &seg)
            }
        }
    }

    /// RFC 9293 §3.10.7.2: an ACK to a listener is answered with RST. But text or a FIN may be a good client's second segment, which overtook
    /// the one with its cookie: a RST would end what the first one, sent again, will complete.
    fn refuse_without_cookie(&mut self, now: Instant, pair: Pair, seg: &Segment<'_>) -> Step {
        if seg.len() == 0 {
            self.refuse_with_reset(now, pair, seg, DropReason::ListenAck)
        } else {
            ControlFlow::Break(DropReason::NoCookie)
        }
    }

    /// SYN-RECEIVED as it would have been, and from there to ESTABLISHED.
    fn redeem_cookie(
        &mut self,
        now: Instant,
        listener_id: EndpointId,
        pair: Pair,
        offer: Offer,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
    ) -> Step {
        let options = match self.room_at(listener_id) {
            Ok(options) => options,
            Err(reason) => return self.turn_away(pair, seg.ack, reason),
        };
        let syn = TcpSegment {
            seq: seg.seq - 1,
            window: seg.window,
            options: TcpOptions {
                mss: Some(offer.mss),
                window_scale: offer.window_scale,
                sack_permitted: offer.sack_permitted,
                timestamps: tcp.options.timestamps,
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        let shift = offered_shift(&options.connection, &self.config.tcp);
        let mut half = self.half_open_for(now, listener_id, pair, &syn, shift, seg.ack - 1);
        // The SYN-ACK with a cookie did not agree to ECN. But while cookies are about, entries have numbers of the same kind, and one that
        // has timed out since may have.
        if self.config.tcp.ecn != EcnPolicy::Off {
            half.agreed.ecn = EcnMode::EchoOnly;
        }
        let id = self.remember_cookie(now, half);
        self.counters.syn_cookies_accepted += 1;
        // Nothing is known of the SYN-ACK's round trip.
        self.establish_half_open(now, id, &half, &options, None, seg)
    }

    /// The entry that never was, in its slot for the moment in which it becomes a connection.
    fn remember_cookie(&mut self, now: Instant, half: HalfOpen) -> EndpointId {
        let half = self.room_for_half_open(half);
        let id = EndpointId::from(self.endpoints.insert(Slot::HalfOpen(half)));
        self.flows.insert(&self.endpoints, id);
        self.transition(
            now,
            id,
            State::Listen,
            State::SynReceived,
            Cause::CookieReturned,
        );
        id
    }
}
