//! TIME-WAIT in the stack: the compact entry takes the connection's place, holds its pair and port for 2MSL, and makes way at the limit.

use std::ops::ControlFlow;

use crate::stack::ip_input::OwnAddresses;
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::time_wait::{CompactPair, TimeWait};
use crate::tcp::endpoint::{Cause, Owner, Pair, State};
use crate::tcp::segment::Segment;
use crate::tcp::transmit::Reply;
use crate::time::Instant;
use crate::wire::TcpSegment;

/// An entry that waits for the end of a handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetAside {
    /// The name it had.
    id: EndpointId,
    old: TimeWait,
    /// When it would have ended.
    ends: Instant,
}

impl SetAside {
    /// Whose pair it is; its port stays bound.
    pub(super) fn pair(&self) -> &CompactPair {
        &self.old.pair
    }

    pub(super) fn reuse(&self) -> bool {
        self.old.reuse
    }
}

impl<R: Ring> Stack<R> {
    /// A connection in TIME-WAIT: the compact entry takes its place. What is unread stays with it for a user who has
    /// not let go.
    pub(super) fn settle_time_wait(&mut self, now: Instant, id: EndpointId) {
        let Some(slot) = self.endpoints.get_mut(id.key()) else {
            return;
        };
        let Slot::Connection(conn) = slot else { return };
        let old = compact(conn, &self.addresses);
        if std::mem::take(&mut conn.intents.ack) {
            let clock = conn.timestamps.map_or(0, |state| state.value(now));
            self.replies
                .push(Reply::of_time_wait(&old, conn.pair, clock));
        }
        let (owner, changes, account) = (conn.owner, conn.changes, conn.bill.account());
        let placeholder = Slot::TimeWait(old, None);
        if let (Slot::Connection(conn), true) =
            (std::mem::replace(slot, placeholder), owner != Owner::Nobody)
        {
            *slot = Slot::TimeWait(old, Some(conn));
        }
        self.connections -= 1;
        self.accounts.left(account, owner == Owner::Nobody);
        if owner == Owner::Nobody {
            self.orphans.gone();
            if !changes.is_empty() {
                self.events.push_gone(id, changes);
            }
        }
        // RFC 9293 §3.6.1 MUST-13: 2MSL, and no less but at the limit.
        self.enter_time_wait(now, id, now + self.config.tcp.msl * 2);
        self.tell(id);
    }

    /// The entry stands in its slot, the flow table and the port table: from now on it ages.
    fn enter_time_wait(&mut self, now: Instant, id: EndpointId, ends: Instant) {
        let endpoints = &self.endpoints;
        self.time_wait.push(id, |id| {
            matches!(endpoints.get(id.key()), Some(Slot::TimeWait(..)))
        });
        self.arm_exactly(id, ends);
        self.evict_time_wait(now);
    }

    /// Design: the oldest entry makes way, a new one is never refused.
    fn evict_time_wait(&mut self, now: Instant) {
        while self.time_wait.len() > self.config.limits.time_wait {
            let endpoints = &self.endpoints;
            let oldest = self
                .time_wait
                .oldest(|id| matches!(endpoints.get(id.key()), Some(Slot::TimeWait(..))));
            let Some(oldest) = oldest else { return };
            self.counters.time_wait_evicted += 1;
            self.end_time_wait(now, oldest, Cause::Evicted);
        }
    }

    /// TIME-WAIT is over. A user who has not let go keeps the rest, in CLOSED.
    pub(super) fn end_time_wait(&mut self, now: Instant, id: EndpointId, why: Cause) {
        if let Some(old) = self.take_time_wait(id) {
            self.time_wait_is_over(now, id, &old, why);
        }
    }

    /// Takes the entry out of slot, flow table and wheel; its port stays bound.
    fn take_time_wait(&mut self, id: EndpointId) -> Option<TimeWait> {
        let Some(Slot::TimeWait(old, rest)) = self.endpoints.get_mut(id.key()) else {
            return None;
        };
        let (old, rest) = (*old, rest.take());
        let pair = self.addresses.expand(&old.pair);
        self.flows.remove(id, &pair);
        self.deadlines.cancel(id.index());
        self.time_wait.gone();
        match rest {
            Some(mut conn) => {
                conn.state = State::Closed;
                if let Some(slot) = self.endpoints.get_mut(id.key()) {
                    *slot = Slot::Connection(conn);
                }
            }
            None => {
                self.endpoints.remove(id.key());
            }
        }
        Some(old)
    }

    fn time_wait_is_over(&mut self, now: Instant, id: EndpointId, old: &TimeWait, why: Cause) {
        let pair = self.addresses.expand(&old.pair);
        self.bound.unbind(&pair, old.reuse);
        self.counters.transition(State::TimeWait, State::Closed);
        self.observer
            .transition(now, id, State::TimeWait, State::Closed, why);
    }

    /// A newer SYN for the pair of an entry (RFC 9293 §3.6.1 MAY-2, RFC 6191): a half-open entry takes its place, and it is set aside
    /// until the handshake is over.
    pub(super) fn reopen(
        &mut self,
        now: Instant,
        id: EndpointId,
        listener: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: &Segment<'_>,
    ) -> Step {
        let ends = self.deadlines.deadline(id.index()).unwrap_or(now);
        let Some(old) = self.take_time_wait(id) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        let pair = self.addresses.expand(&old.pair);
        let step = self.open_passively(now, listener, pair, tcp, seg, Some(old));
        let aside = SetAside { id, old, ends };
        match self.flows.find(&self.endpoints, &pair) {
            Some(half) => {
                self.counters.time_wait_reopened += 1;
                self.set_aside.insert(half, aside);
            }
            None => self.resume_time_wait(now, aside),
        }
        step
    }

    /// The handshake of `half` came to nothing. RFC 9293 §3.6.1 MAY-2 (2): "returns to TIME-WAIT state if the SYN turns out to be an
    /// old duplicate"; for as long as it would have lasted.
    pub(super) fn return_to_time_wait(&mut self, now: Instant, half: EndpointId) {
        if let Some(aside) = self.set_aside.remove(&half) {
            self.resume_time_wait(now, aside);
        }
    }

    fn resume_time_wait(&mut self, now: Instant, aside: SetAside) {
        let SetAside { id, old, ends } = aside;
        if ends <= now {
            return self.time_wait_is_over(now, id, &old, Cause::TwoMslOver);
        }
        let id = EndpointId::from(self.endpoints.insert(Slot::TimeWait(old, None)));
        self.flows.insert(&self.endpoints, id);
        self.enter_time_wait(now, id, ends);
    }

    /// The handshake of `half` is complete: the old incarnation is over.
    pub(super) fn forget_time_wait(&mut self, now: Instant, half: EndpointId) {
        if let Some(aside) = self.set_aside.remove(&half) {
            self.time_wait_is_over(now, aside.id, &aside.old, Cause::Reopened);
        }
    }

    /// The compact entry of `pair` that TIME-WAIT holds, if it does.
    pub(super) fn time_wait_of(&self, pair: &Pair) -> Option<(EndpointId, TimeWait)> {
        let id = self.flows.find(&self.endpoints, pair)?;
        match self.endpoints.get(id.key()) {
            Some(Slot::TimeWait(old, _)) => Some((id, *old)),
            Some(
                Slot::Listener(_) | Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::Connection(_),
            )
            | None => None,
        }
    }
}

fn compact<R: Ring>(conn: &mut Connection<R>, own: &OwnAddresses) -> TimeWait {
    let local = own.place_of(conn.pair.local);
    debug_assert!(local.is_some(), "an address that is not ours");
    TimeWait {
        pair: CompactPair::new(&conn.pair, local.unwrap_or(0)),
        snd_nxt: conn.send.sequence_of(conn.send.nxt),
        rcv_nxt: conn.receive.next_sequence(),
        ts_recent: conn.timestamps.map_or(0, |state| state.recent),
        window: conn.receive.take_window(),
        timestamps: conn.timestamps.is_some(),
        reuse: conn.reuse,
    }
}
