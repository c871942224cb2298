//! Between the slots' words and the stack: what a client wrote is taken over, what the stack knows is published.

use super::*;

/// Looks at one slot before the turn goes on. A reader that is truthful needs four: each time it has read a quarter more.
const LOOKS: usize = 8;

impl Bridge {
    /// Takes over what the client wrote into the slot of `endpoint`: bytes to send, bytes it has read.
    pub(super) fn pull(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> Result<(), Violation> {
        self.hold_or_let_go(stack, now, endpoint);
        let Some(connection) = self.connections.get(&endpoint) else {
            return Ok(());
        };
        let Some(view) = stack.view(endpoint) else {
            return Ok(());
        };
        let (slot, reading_closed) = (connection.slot.clone(), connection.reading_closed);
        let account = connection.account;
        let written = slot.take_written(
            view.send.written,
            view.send.acknowledged,
            view.send.capacity,
        )?;
        if written != view.send.written {
            // Refused after a shutdown or an end: the client learns that from the slot's state.
            stack.committed(now, endpoint, written).ok();
            self.users.moved(now, account, written - view.send.written);
        }
        if reading_closed {
            // The stack reads for itself now; the client's word stays where it was.
            return Ok(());
        }
        let mut known = view.receive.read;
        for _ in 0..LOOKS {
            let read = slot.take_read(known, view.receive.next)?;
            if read != known {
                stack.consumed(now, endpoint, read).ok();
                self.maybe_grow_receive(stack, now, endpoint, read);
                known = read;
            }
            let notice = self.notice(now, endpoint, read, &view);
            if !slot.ask_notice(notice) {
                break;
            }
        }
        if known == view.receive.next && known != view.receive.read {
            self.relieve(stack, endpoint, known);
        }
        Ok(())
    }

    /// The same where nobody waits for an answer.
    pub(super) fn pull_or_report(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) {
        let session = self.connections.get(&endpoint).map(|found| found.session);
        if let (Some(session), Err(violation)) = (session, self.pull(stack, now, endpoint)) {
            self.violation(session, violation);
        }
    }

    /// Where the reader is to tell that it has read. Below that the window does not need it.
    fn notice(&mut self, now: Instant, endpoint: EndpointId, read: u64, view: &View) -> u64 {
        let offered = view.receive.offered;
        let mut quarter = read + u64::from(offered / NOTICE_FRACTION);
        if offered < view.receive.capacity {
            // Held: the window does not open before little more than this is unread.
            let nearly = view.receive.next.saturating_sub(u64::from(offered / 2));
            quarter = quarter.max(nearly);
        }
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return quarter;
        };
        if !connection.tell_when_empty {
            return quarter;
        }
        if read < view.receive.next {
            return quarter.min(view.receive.next);
        }
        connection.tell_when_empty = false;
        self.watch_idle(now, endpoint);
        quarter
    }

    /// Grows the receive ring as far as the stack would have it, and memory allows.
    fn maybe_grow_receive(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        read: u64,
    ) {
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        // Aside, what is the ring now stands elsewhere for a moment.
        if connection.aside.is_some() || read < connection.grow_from {
            return;
        }
        let (session, account) = (connection.session, connection.account);
        let Some(growth) = receive_growth(stack, endpoint, connection.receive_maximum) else {
            return;
        };
        // So that nothing old counts.
        self.measure(session);
        let grow_from = self.grow_receive(stack, now, endpoint, account, growth, read);
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.grow_from = grow_from;
        }
        self.publish_geometry(stack, endpoint);
    }

    /// Does it; tells how far must have been read before it is tried again.
    pub(super) fn grow_receive(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        account: u32,
        (capacity, wanted): (u32, u32),
        read: u64,
    ) -> u64 {
        let Some(size) = self.affordable(stack, account, capacity, wanted) else {
            return read + 2 * u64::from(capacity);
        };
        // Else it is not linear just now: tried again at the next read.
        if stack.grow_receive(now, endpoint, size) {
            self.has_grown(account, size - capacity);
            self.counts.receive_growths += 1;
        }
        read
    }

    /// The rings' geometries, before anything is published that stands in the new one.
    pub(super) fn publish_geometry(&self, stack: &DaemonStack, endpoint: EndpointId) {
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        if let Some(geometry) = stack
            .receive_ring(endpoint)
            .and_then(ConnectionRing::geometry)
        {
            connection.slot.publish_receive_geometry(geometry);
        }
        if let Some(geometry) = stack.send_ring(endpoint).and_then(ConnectionRing::geometry) {
            connection.slot.publish_transmit_geometry(geometry);
        }
    }

    /// Copies what the core knows into the slot's words and wakes who waits for it.
    pub(super) fn publish(&mut self, now: Instant, endpoint: EndpointId, view: &View) {
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return;
        };
        let session = self.sessions.get(&connection.session);
        let Some(session) = session.filter(|session| session.is_served()) else {
            return;
        };
        if connection.aside.is_some() {
            // The bytes are not where the client would read them: all of it is told when they are.
            return;
        }
        let slot = &connection.slot;
        slot.publish_received(view.receive.next);
        let wanted = view.send.wanted.min(connection.transmit_maximum);
        if wanted != connection.transmit_wanted {
            connection.transmit_wanted = wanted;
            slot.publish_transmit_wanted(wanted);
        }
        slot.publish_acknowledged(view.send.acknowledged);
        let state = slot_state(view);
        let changed = state != connection.published;
        if changed {
            connection.published = state;
            slot.publish_state(state.0, state.1);
        }
        let arrived = view.receive.next != connection.received;
        if arrived {
            let bytes = view.receive.next - connection.received;
            self.users.moved(now, connection.account, bytes);
        }
        connection.received = view.receive.next;
        let mut ring = (arrived || changed) && slot.wake_reader();
        // A wake-up per segment would cost more than it gives.
        let freed = view.send.acknowledged - connection.writer_woken_at;
        let drained = view.send.acknowledged == view.send.written;
        if changed || drained || freed >= u64::from(view.send.capacity / NOTICE_FRACTION) {
            connection.writer_woken_at = view.send.acknowledged;
            ring |= slot.wake_writer();
        }
        if ring {
            self.counts.bells_rung += 1;
            ring_bell(&session.bell);
        }
        if arrived {
            self.watch_idle(now, endpoint);
        }
    }

    /// The stack has forgotten a connection that its client holds (an operator reset it): the client is told of the end.
    pub(super) fn vanished(&mut self, endpoint: EndpointId) {
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return;
        };
        if connection.published.1.is_some() {
            return;
        }
        let state = connection.published.0.with(SlotState::ENDED);
        connection.published = (state, Some(EndReason::Aborted));
        if connection.released && connection.lingering.is_none() {
            return;
        }
        let session = connection.session;
        if let Some(request_id) = connection.connecting.take() {
            connection.released = true;
            let code = ErrorCode::ConnectionAborted;
            self.reply(session, request_id, Reply::error(code, ""));
            return;
        }
        let Some(found) = self.sessions.get(&session).filter(|s| s.is_served()) else {
            return;
        };
        connection
            .slot
            .publish_state(state, Some(EndReason::Aborted));
        let ring = connection.slot.wake_reader() | connection.slot.wake_writer();
        if ring {
            self.counts.bells_rung += 1;
            ring_bell(&found.bell);
        }
    }
}

/// What a receive ring holds and what it should hold, at most `maximum`, when that is more.
pub(super) fn receive_growth(
    stack: &DaemonStack,
    endpoint: EndpointId,
    maximum: u32,
) -> Option<(u32, u32)> {
    let receive = stack.view(endpoint)?.receive;
    let wanted = receive.wanted.min(maximum);
    (wanted > receive.capacity).then_some((receive.capacity, wanted))
}

pub(super) fn slot_state(view: &View) -> (SlotState, Option<EndReason>) {
    let mut state = SlotState::default();
    if view.connected {
        state = state.with(SlotState::CONNECTED);
    }
    if view.receive.fin_received {
        state = state.with(SlotState::PEER_CLOSED);
    }
    let end = view.end.map(words::end_reason);
    if end.is_some() {
        state = state.with(SlotState::ENDED);
    }
    (state, end)
}

/// Rings a client's bell. Full means that it is ringing already; a client that closed it is its own loss.
fn ring_bell(bell: &OwnedFd) {
    rustix::net::send(bell, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
}
