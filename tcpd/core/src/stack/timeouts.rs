//! Deadlines that have come: whose they are, and what that one's timers say.

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Cause;
use crate::tcp::timeouts;
use crate::time::Instant;

impl<R: Ring> Stack<R> {
    /// Does what has come due by `now`.
    pub fn on_deadline(&mut self, now: Instant) {
        if cfg!(debug_assertions) {
            // What the user called last.
            self.check_now_and_then();
        }
        while let Some(index) = self.deadlines.expire(now) {
            if let Some(&id) = self.deadline_owners.get(index as usize) {
                self.expire(now, id);
            }
        }
        self.expire_fragments(now);
        self.run_loopback(now);
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
    }

    fn expire(&mut self, now: Instant, id: EndpointId) {
        let Some((slot, mut cx)) = self.at(now, id) else {
            return;
        };
        match slot {
            Slot::Connection(conn) => {
                while let Some(timer) = conn.timers.take_due(now) {
                    timeouts::dispatch(conn, timer, &mut cx);
                }
                self.settle(now, id);
            }
            Slot::SynSent(_) => self.expire_syn_sent(now, id),
            Slot::HalfOpen(_) => self.expire_half_open(now, id),
            Slot::TimeWait(..) => self.end_time_wait(now, id, Cause::TwoMslOver),
            Slot::Listener(_) => {}
        }
    }
}
