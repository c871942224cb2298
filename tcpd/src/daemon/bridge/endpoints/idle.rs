//! Rings of endpoints that rest give their memory back, both of them: nobody but this thread writes there.
//!
//! An endpoint is looked at a second after it moved bytes. Did it move more since, it is looked at again a second later; what is
//! empty is punched; what is not stays, and is looked at again when it moves. So nothing wakes up for what has nothing to give.

use super::super::idle::IDLE;
use super::*;

impl Bridge {
    /// `endpoint` is looked at in a while, if it has something to give back or has `moved` bytes.
    pub(super) fn watch_socket(&mut self, now: Instant, endpoint: EndpointId, moved: bool) {
        let endpoints = &mut self.endpoints;
        if let Some(entry) = endpoints.all.get_mut(&endpoint) {
            entry.moved |= moved;
            entry.touched |= moved;
            if moved && !entry.watched {
                entry.watched = true;
                endpoints.looks.push_back((now + IDLE, endpoint));
            }
        }
    }

    /// When the next endpoint is looked at.
    pub(in crate::daemon::bridge) fn next_look_at_sockets(&self) -> Option<Instant> {
        self.endpoints.looks.front().map(|(at, _)| *at)
    }

    /// Looks at the endpoints whose time has come.
    pub(in crate::daemon::bridge) fn look_at_sockets(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
    ) {
        while let Some(&(at, endpoint)) = self.endpoints.looks.front()
            && at <= now
        {
            self.endpoints.looks.pop_front();
            let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
                continue;
            };
            entry.watched = false;
            let moved = std::mem::take(&mut entry.moved);
            entry.watched = moved;
            let account = entry.account;
            self.weigh_pair(endpoint);
            if moved {
                self.endpoints.looks.push_back((now + IDLE, endpoint));
                if self.users.is_pressed(account) {
                    self.give_memory_back(stack, now, endpoint);
                }
            } else {
                self.give_memory_back(stack, now, endpoint);
            }
            self.try_again(stack, now, endpoint);
        }
    }

    fn give_memory_back(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        let (Some(view), Some(status)) = (stack.view(endpoint), stack.status(endpoint)) else {
            return;
        };
        let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
            return;
        };
        let receives = view.receive.next > view.receive.read || !status.out_of_order.is_empty();
        let sends = view.send.written > view.send.acknowledged;
        let rings = [
            (receives, Direction::Receive, stack.receive_ring(endpoint)),
            (sends, Direction::Transmit, stack.send_ring(endpoint)),
        ];
        for (held, direction, ring) in rings {
            if !held
                && entry.place.punch(direction)
                && let Some(ring) = ring.and_then(ConnectionRing::as_own)
            {
                ring.punched();
                self.counts.punched += 1;
            }
        }
        entry.touched = receives || sends;
        // Nothing was read; the stack looks at its rings again.
        stack.consumed(now, endpoint, view.receive.read).ok();
    }

    /// A pair that the kernel had no memory for: nobody says when it has.
    fn try_again(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        if let Some(entry) = self.endpoints.all.get_mut(&endpoint)
            && !entry.writable
            && !entry.asks_for_room
        {
            entry.writable = true;
            self.pump(stack, now, endpoint);
        }
    }
}
