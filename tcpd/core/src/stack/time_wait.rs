//! TIME-WAIT in the stack: the compact entry takes the connection's place, holds its pair and port for 2MSL, and makes way at the limit.

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::endpoint::{Cause, Owner, Pair, State};
use crate::tcp::transmit::Reply;
use crate::time::Instant;

impl<R: Ring> Stack<R> {
    /// A connection in TIME-WAIT: the compact entry takes its place. What is unread stays with it for a user who has
    /// not let go.
    pub(super) fn settle_time_wait(&mut self, now: Instant, id: EndpointId) {
        let Some(slot) = self.endpoints.get_mut(id.key()) else {
            return;
        };
        let Slot::Connection(conn) = slot else { return };
        let old = compact(conn);
        if std::mem::take(&mut conn.intents.ack) {
            let clock = conn.timestamps.map_or(0, |state| state.value(now));
            self.replies.push(Reply::of_time_wait(&old, clock));
        }
        let (owner, changes) = (conn.owner, conn.changes);
        let placeholder = Slot::TimeWait(old, None);
        if let (Slot::Connection(conn), true) =
            (std::mem::replace(slot, placeholder), owner != Owner::Nobody)
        {
            *slot = Slot::TimeWait(old, Some(conn));
        }
        self.connections -= 1;
        if owner == Owner::Nobody {
            self.orphans -= 1;
            if !changes.is_empty() {
                self.events.push_gone(id, changes);
            }
        }
        let endpoints = &self.endpoints;
        self.time_wait.push(id, |id| {
            matches!(endpoints.get(id.key()), Some(Slot::TimeWait(..)))
        });
        // RFC 9293 §3.6.1 MUST-13: 2MSL, and no less but at the limit.
        self.arm_exactly(id, now + self.config.tcp.msl * 2);
        self.tell(id);
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
        let Some((slot, mut cx)) = self.at(now, id) else {
            return;
        };
        let Slot::TimeWait(old, rest) = slot else {
            return;
        };
        let (pair, reuse) = (old.pair, old.reuse);
        let mut state = State::TimeWait;
        cx.transition(&mut state, State::Closed, why);
        let rest = rest.take();
        self.flows.remove(id, &pair);
        self.bound.unbind(&pair, reuse);
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

fn compact<R: Ring>(conn: &mut Connection<R>) -> TimeWait {
    TimeWait {
        pair: conn.pair,
        snd_nxt: conn.send.sequence_of(conn.send.nxt),
        rcv_nxt: conn.receive.next_sequence(),
        ts_recent: conn.timestamps.map_or(0, |state| state.recent),
        window: conn.receive.take_window(),
        timestamps: conn.timestamps.is_some(),
        reuse: conn.reuse,
    }
}
