//! Receive rings that nobody uses give their memory back.
//!
//! A ring is looked at a second after bytes came. Did more come since, it is looked at again a second later; is it
//! empty, its pages are swept ([`super::sweeping`]); is something unread, the reader is asked to tell when it has read all. So nothing
//! wakes up for a ring that has no page to give. One that has grown and through which only little goes by now is swept whenever a
//! quarter of it has gone through: a slow stream would touch all of its pages in the end.
//!
//! Only receive rings: nobody but the daemon writes there. Into a transmit ring the client copies before it says so, at any
//! time; its pages go when the slot is given back.

use std::collections::BTreeMap;

use super::*;

/// How long a receive ring is empty before its pages are given back.
pub(super) const IDLE: Duration = Duration::from_secs(1);

impl Bridge {
    /// The receive ring of `endpoint` is looked at in a while, unless it is going to be.
    pub(super) fn watch_idle(&mut self, now: Instant, endpoint: EndpointId) {
        if let Some(connection) = self.connections.get_mut(&endpoint)
            && !connection.watched
        {
            connection.watched = true;
            connection.received_at_look = connection.received;
            self.idle.push_back((now + IDLE, endpoint));
        }
    }

    /// When the next receive ring is looked at.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.idle.front().map(|(at, _)| *at)
    }

    /// Looks at the receive rings whose time has come, and sweeps what nobody needs.
    pub(super) fn look_at_idle(&mut self, stack: &mut DaemonStack, now: Instant) {
        let mut bare: BTreeMap<SessionId, Vec<EndpointId>> = BTreeMap::new();
        while let Some(&(at, endpoint)) = self.idle.front()
            && at <= now
        {
            self.idle.pop_front();
            if let Some(connection) = self.connections.get_mut(&endpoint) {
                connection.watched = false;
                let session = connection.session;
                if self.look_at(stack, now, endpoint) {
                    bare.entry(session).or_default().push(endpoint);
                }
            }
        }
        for session in self.sweeps_due(now) {
            bare.entry(session).or_default();
        }
        for (session, endpoints) in bare {
            self.sweep(stack, session, &endpoints);
        }
    }

    /// Whether the receive ring's pages are of no use to anybody.
    pub(super) fn look_at(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> bool {
        let Some(connection) = self.connections.get(&endpoint) else {
            return false;
        };
        let id = connection.session;
        if connection.aside.is_some() || !self.is_served(id) {
            return false;
        }
        let moves = connection.received != connection.received_at_look;
        if moves && !self.drags_through(stack, endpoint, connection) {
            self.watch_idle(now, endpoint);
            return false;
        }
        if let Err(violation) = self.pull(stack, now, endpoint) {
            self.violation(id, violation);
            return false;
        }
        let view = stack.view(endpoint);
        let unread = view.is_some_and(|view| view.receive.read < view.receive.next);
        if unread && moves {
            self.watch_idle(now, endpoint);
            return false;
        }
        if unread {
            if let Some(connection) = self.connections.get_mut(&endpoint) {
                connection.tell_when_empty = true;
            }
            // Asks the reader for that; should it have read all by now, the ring is watched again.
            if let Err(violation) = self.pull(stack, now, endpoint) {
                self.violation(id, violation);
            }
            return false;
        }
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.dragged_from = connection.received;
        }
        self.is_bare(stack, endpoint)
    }

    /// Whether a stream that has become slow occupies page after page of a ring that grew when it was fast.
    fn drags_through(
        &self,
        stack: &DaemonStack,
        endpoint: EndpointId,
        connection: &Connection,
    ) -> bool {
        let capacity = stack.receive_ring(endpoint).map_or(0, Ring::capacity);
        let lately = connection.received - connection.received_at_look;
        let passed = connection.received - connection.dragged_from;
        capacity > self.config.receive.initial
            && lately <= u64::from(capacity / 8)
            && passed >= u64::from(capacity / 4)
    }

    /// Whether nothing waits in the receive ring behind a hole either.
    pub(super) fn is_bare(&self, stack: &DaemonStack, endpoint: EndpointId) -> bool {
        stack
            .status(endpoint)
            .is_none_or(|status| status.out_of_order.is_empty())
    }
}
