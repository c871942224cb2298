//! Orphans: connections whose user has let go, bounded in time by their timer and in number here.

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::{Cause, EndReason, Owner, State};
use crate::tcp::timeouts;
use crate::time::Instant;

impl<R: Ring> Stack<R> {
    pub(super) fn became_orphan(&mut self, id: EndpointId) {
        let endpoints = &self.endpoints;
        self.orphans
            .push(id, |id| endpoints.get(id.key()).is_some_and(is_orphan));
        self.orphan_of_account(id);
    }

    /// The one that was let go first makes way: it has had the most time, and a peer that takes nothing (CVE-2008-4609) must not
    /// cost those their last bytes who close after it. Its peer is told by RST, unless it waits in FIN-WAIT-2, where all was delivered.
    pub(super) fn evict_orphans(&mut self, now: Instant) {
        while self.orphans.len() > self.config.limits.orphans {
            let endpoints = &self.endpoints;
            let oldest = self
                .orphans
                .oldest(|id| endpoints.get(id.key()).is_some_and(is_orphan));
            let Some(oldest) = oldest else { return };
            self.counters.orphans_reset += 1;
            self.evict_orphan(now, oldest);
        }
        while let Some(oldest) = self.crowded_out() {
            self.counters.orphans_reset += 1;
            self.evict_orphan(now, oldest);
        }
    }

    fn evict_orphan(&mut self, now: Instant, id: EndpointId) {
        match self.at(now, id) {
            Some((Slot::Connection(conn), mut cx)) => {
                timeouts::give_up_orphan(conn, EndReason::Evicted, Cause::Evicted, &mut cx);
                self.settle(now, id);
            }
            Some((Slot::SynSent(_), _)) => {
                self.reset_crossed(now, id);
                self.fail_open(now, id, EndReason::Evicted, Cause::Evicted);
            }
            Some((Slot::Listener(_) | Slot::HalfOpen(_) | Slot::TimeWait(..), _)) | None => {}
        }
    }
}

pub(super) fn is_orphan<R>(slot: &Slot<R>) -> bool {
    match slot {
        Slot::Connection(conn) => conn.owner == Owner::Nobody && conn.state != State::Closed,
        Slot::SynSent(open) => open.released && open.end.is_none(),
        Slot::Listener(_) | Slot::HalfOpen(_) | Slot::TimeWait(..) => false,
    }
}
