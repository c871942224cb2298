//! What follows an event at an endpoint: it is queued for sending and for its owner, its deadline goes into the wheel,
//! and an endpoint whose state is over makes room.

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::{Owner, State};
use crate::time::Instant;

impl<R: Ring> Stack<R> {
    /// Looks after `id` once an event has changed it.
    pub(super) fn settle(&mut self, now: Instant, id: EndpointId) {
        self.bill(id);
        let Some(slot) = self.endpoints.get_mut(id.key()) else {
            return;
        };
        match slot {
            Slot::Connection(conn) => {
                if cfg!(debug_assertions) {
                    conn.assert_invariants();
                }
                match conn.state {
                    State::Closed => return self.settle_closed(id),
                    State::TimeWait => return self.settle_time_wait(now, id),
                    State::Established
                    | State::FinWait1
                    | State::FinWait2
                    | State::CloseWait
                    | State::Closing
                    | State::LastAck
                    | State::Listen
                    | State::SynSent
                    | State::SynReceived => {}
                }
                if !conn.queued {
                    conn.queued = true;
                    self.sendable.push_back(id);
                }
                let earliest = conn.timers.earliest().map(|(_, at)| at);
                let (remote, news) = (conn.pair.remote, conn.path.take_news());
                self.tell(id);
                self.arm(id, earliest);
                if let Some(mtu) = news {
                    self.learn_path_mtu(now, remote, mtu);
                }
            }
            Slot::SynSent(syn_sent) => {
                if syn_sent.end.is_some() {
                    return self.settle_closed(id);
                }
                if (syn_sent.syn_due || syn_sent.fin_due) && !syn_sent.queued {
                    syn_sent.queued = true;
                    self.sendable.push_back(id);
                }
                let retry_at = syn_sent.retry_at;
                self.tell(id);
                self.arm(id, Some(retry_at));
            }
            Slot::HalfOpen(half) => {
                if half.synack_due && !half.queued {
                    half.queued = true;
                    self.sendable.push_back(id);
                }
            }
            Slot::TimeWait(..) => self.tell(id),
            Slot::Listener(_) => {}
        }
    }

    /// Puts `id` into the event queue if its user has something to learn.
    pub(super) fn tell(&mut self, id: EndpointId) {
        let (changes, queued) = match self.endpoints.get_mut(id.key()) {
            Some(Slot::Connection(conn) | Slot::TimeWait(_, Some(conn))) => {
                if matches!(conn.owner, Owner::Listener(_)) {
                    return;
                }
                (conn.changes, &mut conn.event_queued)
            }
            Some(Slot::SynSent(syn_sent)) => (syn_sent.changes, &mut syn_sent.event_queued),
            Some(Slot::Listener(_) | Slot::HalfOpen(_) | Slot::TimeWait(_, None)) | None => return,
        };
        if !changes.is_empty() && !*queued {
            *queued = true;
            self.events.push(id);
        }
    }

    /// Makes sure that the wheel goes off at `at` or earlier. A later deadline is left: it goes off early, finds nothing due, and is
    /// armed again; moving it with every acknowledgment would cost more.
    pub(super) fn arm(&mut self, id: EndpointId, at: Option<Instant>) {
        let Some(at) = at else { return };
        let index = id.index();
        let armed = self.deadlines.deadline(index);
        let is_mine = self.deadline_owners.get(index as usize) == Some(&id);
        if is_mine && armed.is_some_and(|armed| armed <= at) {
            return;
        }
        if self.deadline_owners.len() <= index as usize {
            self.deadline_owners
                .resize(index as usize + 1, EndpointId::from_bits(0));
        }
        self.deadline_owners[index as usize] = id;
        self.deadlines.arm(index, at);
    }

    /// Whether the wheel goes off for `id` at `at` or earlier.
    pub(super) fn is_armed(&self, id: EndpointId, at: Option<Instant>) -> bool {
        let Some(at) = at else { return true };
        self.deadline_owners.get(id.index() as usize) == Some(&id)
            && self
                .deadlines
                .deadline(id.index())
                .is_some_and(|armed| armed <= at)
    }

    /// As [`Stack::arm`], but exactly at `at`.
    pub(super) fn arm_exactly(&mut self, id: EndpointId, at: Instant) {
        self.deadlines.cancel(id.index());
        self.arm(id, Some(at));
    }

    /// A connection in CLOSED: out of the tables; the slot goes when nobody holds it.
    fn settle_closed(&mut self, id: EndpointId) {
        self.leave_tables(id);
        let (owner, changes) = match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn)) => (conn.owner, conn.changes),
            Some(Slot::SynSent(open)) => (open.owner(), open.changes),
            Some(Slot::Listener(_) | Slot::HalfOpen(_) | Slot::TimeWait(..)) | None => return,
        };
        if owner == Owner::Nobody {
            self.endpoints.remove(id.key());
            if !changes.is_empty() {
                self.events.push_gone(id, changes);
            }
        } else {
            self.tell(id);
        }
    }

    /// Takes a connection that has just ended out of flow table, port table and wheel; once only.
    fn leave_tables(&mut self, id: EndpointId) {
        let (pair, reuse, owner, account) = match self.endpoints.get(id.key()) {
            Some(Slot::Connection(conn)) => {
                (conn.pair, conn.reuse, conn.owner, conn.bill.account())
            }
            Some(Slot::SynSent(open)) => (open.pair, open.reuse, open.owner(), open.bill.account()),
            Some(Slot::Listener(_) | Slot::HalfOpen(_) | Slot::TimeWait(..)) | None => return,
        };
        if self.flows.find(&self.endpoints, &pair) != Some(id) {
            return;
        }
        self.flows.remove(id, &pair);
        self.bound.unbind(&pair, reuse);
        self.deadlines.cancel(id.index());
        self.connections -= 1;
        self.accounts.left(account, owner == Owner::Nobody);
        if owner == Owner::Nobody {
            self.orphans.gone();
        }
    }
}
