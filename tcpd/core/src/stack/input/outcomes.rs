//! What the compact shapes and SYN-SENT make of a segment, carried out: they decide, the stack exchanges one shape for another.

use std::ops::ControlFlow;

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::arrives::{Step, half_open, syn_sent, time_wait};
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::{Cause, EndReason, State, timestamp_value};
use crate::tcp::segment::Segment;
use crate::tcp::transmit::Reply;
use crate::time::Instant;
use crate::wire::TcpSegment;

impl<R: Ring> Stack<R> {
    pub(super) fn after_syn_sent(
        &mut self,
        now: Instant,
        id: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
        outcome: ControlFlow<DropReason, syn_sent::Outcome>,
    ) -> Step {
        match outcome {
            ControlFlow::Continue(syn_sent::Outcome::Established) => {
                self.establish_active(now, id, tcp, seg)
            }
            ControlFlow::Continue(syn_sent::Outcome::Refused) => {
                self.counters.resets_in += 1;
                if self.asks_without_ecn(now, id) {
                    self.settle(now, id);
                    return ControlFlow::Continue(());
                }
                self.fail_open(now, id, EndReason::Refused, Cause::ResetArrived);
                ControlFlow::Continue(())
            }
            ControlFlow::Continue(syn_sent::Outcome::Crossed) => {
                self.syns_crossed(now, id, tcp, &seg);
                ControlFlow::Continue(())
            }
            ControlFlow::Break(reason) => {
                self.settle(now, id);
                ControlFlow::Break(reason)
            }
        }
    }

    /// RFC 3168 §6.1.1.1: there are boxes that refuse SYNs with ECN, so RST is believed only when one without is refused as well.
    fn asks_without_ecn(&mut self, now: Instant, id: EndpointId) -> bool {
        let Some(Slot::SynSent(open)) = self.endpoints.get_mut(id.key()) else {
            return false;
        };
        let withdrawn = open.ecn.withdraw();
        if withdrawn {
            open.syn_due = true;
            // What is timed is the next one: RST has answered this one.
            open.sent_at = Some(now);
        }
        self.counters.ecn_withdrawn += u64::from(withdrawn);
        withdrawn
    }

    /// Simultaneous open (RFC 9293 §3.5 MUST-10, figure 7): SYN-RECEIVED, SYN-ACK with the same ISS.
    fn syns_crossed(
        &mut self,
        now: Instant,
        id: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: &Segment<'_>,
    ) {
        let Some(Slot::SynSent(open)) = self.endpoints.get(id.key()) else {
            return;
        };
        let (pair, shift, iss) = (open.pair, open.shift, open.iss);
        let nobody = EndpointId::from_bits(0);
        let mut half = self.half_open_for(now, nobody, pair, tcp, shift, iss);
        half.synack_due = false;
        let Some((Slot::SynSent(open), mut cx)) = self.at(now, id) else {
            return;
        };
        let mut state = open.state();
        cx.transition(&mut state, State::SynReceived, Cause::SynArrived);
        half.agreed.timestamps &= open.timestamps;
        half.agreed.sack &= open.sack;
        half.agreed.ecn = open.ecn.crossed_by(seg);
        half.ts_offset = open.ts_offset;
        open.crossed = Some(half);
        open.syn_due = true;
        self.settle(now, id);
    }

    pub(super) fn after_crossed(
        &mut self,
        now: Instant,
        id: EndpointId,
        seg: Segment<'_>,
        outcome: ControlFlow<DropReason, half_open::Outcome>,
    ) -> Step {
        match outcome {
            ControlFlow::Continue(half_open::Outcome::Established) => {
                self.establish_crossed(now, id, seg)
            }
            ControlFlow::Continue(half_open::Outcome::Reset) => {
                // MUST-11: an active open is refused, it does not go back to LISTEN. In FIN-WAIT-1 it was no open any more.
                let finishing = matches!(self.endpoints.get(id.key()), Some(Slot::SynSent(open)) if open.finishing);
                let reason = if finishing {
                    EndReason::Reset
                } else {
                    EndReason::Refused
                };
                self.counters.resets_in += 1;
                self.fail_open(now, id, reason, Cause::ResetArrived);
                ControlFlow::Continue(())
            }
            ControlFlow::Break(reason) => {
                self.settle(now, id);
                ControlFlow::Break(reason)
            }
        }
    }

    pub(super) fn after_half_open(
        &mut self,
        now: Instant,
        id: EndpointId,
        seg: Segment<'_>,
        outcome: ControlFlow<DropReason, half_open::Outcome>,
    ) -> Step {
        match outcome {
            ControlFlow::Continue(half_open::Outcome::Established) => {
                self.establish_passive(now, id, seg)
            }
            ControlFlow::Continue(half_open::Outcome::Reset) => {
                // MUST-11: a passive open goes back to LISTEN, and its user hears nothing of it.
                self.counters.resets_in += 1;
                self.remove_half_open(now, id, State::Listen, Cause::ResetArrived);
                ControlFlow::Continue(())
            }
            ControlFlow::Break(reason) => {
                self.settle(now, id);
                ControlFlow::Break(reason)
            }
        }
    }

    pub(super) fn after_time_wait(
        &mut self,
        now: Instant,
        id: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: &Segment<'_>,
        outcome: time_wait::Outcome,
    ) -> Step {
        match outcome {
            time_wait::Outcome::Again => {
                self.acknowledge_in_time_wait(now, id);
                self.arm_exactly(id, now + self.config.tcp.msl * 2);
                ControlFlow::Continue(())
            }
            time_wait::Outcome::Acknowledge(reason) => {
                self.acknowledge_in_time_wait(now, id);
                ControlFlow::Break(reason)
            }
            time_wait::Outcome::Drop(reason) => ControlFlow::Break(reason),
            time_wait::Outcome::Close => {
                self.counters.resets_in += 1;
                self.end_time_wait(now, id, Cause::ResetArrived);
                ControlFlow::Continue(())
            }
            time_wait::Outcome::Reopen => {
                let Some(Slot::TimeWait(old, _)) = self.endpoints.get(id.key()) else {
                    return ControlFlow::Break(DropReason::NoConnection);
                };
                let pair = self.addresses.expand(&old.pair);
                let Some(listener) = self.listeners.find(pair.local, pair.local_port) else {
                    self.acknowledge_in_time_wait(now, id);
                    return ControlFlow::Break(DropReason::SynChallenged);
                };
                if self.turns_away(listener) {
                    return ControlFlow::Break(DropReason::ListenQueueFull);
                }
                self.reopen(now, id, listener, tcp, seg)
            }
        }
    }

    /// Whether the queue of a listener is full; it counts whom it turns away.
    fn turns_away(&mut self, id: EndpointId) -> bool {
        match self.endpoints.get_mut(id.key()) {
            Some(Slot::Listener(listener)) if listener.is_full() => {
                listener.refused += 1;
                true
            }
            _ => false,
        }
    }

    fn acknowledge_in_time_wait(&mut self, now: Instant, id: EndpointId) {
        let Some(Slot::TimeWait(old, _)) = self.endpoints.get(id.key()) else {
            return;
        };
        let pair = self.addresses.expand(&old.pair);
        let offset = if old.timestamps {
            self.initial.timestamp_offset(&pair.flow())
        } else {
            0
        };
        let clock = timestamp_value(offset, now);
        self.replies.push(Reply::of_time_wait(old, pair, clock));
    }
}
