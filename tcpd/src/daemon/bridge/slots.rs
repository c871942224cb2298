//! Taking and giving back slots, and the deadlines of single connections.

use super::*;

impl Bridge {
    /// Gives `endpoint` a slot in the arena of `session` and moves its bytes there.
    ///
    /// # Errors
    /// The refusal to answer with: no such session any more, no slot free, no such connection.
    pub(super) fn open_slot(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        id: SessionId,
        endpoint: EndpointId,
        options: &StreamOptions,
    ) -> Result<(), Reply> {
        let config = self.config;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.closed) else {
            return Err(Reply::error(ErrorCode::Internal, "the session is gone"));
        };
        let Some(view) = stack.view(endpoint) else {
            return Err(Reply::error(ErrorCode::NoSuchConnection, ""));
        };
        let Some(slot) = session.take_slot() else {
            let detail = format!(
                "all {} slots of the session are in use",
                session.arena.layout().slots()
            );
            return Err(Reply::error(ErrorCode::QuotaExceeded, detail));
        };
        let receive_maximum = config.receive.maximum(options.receive_maximum);
        let transmit_maximum = config.transmit.maximum(options.transmit_maximum);
        let ring = |direction, held: u32, initial: u32, maximum: u32, base| {
            let capacity = held.max(initial.min(maximum));
            let ring =
                SharedRing::new(Arc::clone(&session.arena), slot, direction, capacity, base)?;
            Some((ring.geometry(), ConnectionRing::Arena(ring, maximum)))
        };
        let (Some((receive_geometry, receive)), Some((transmit_geometry, transmit))) = (
            ring(
                Direction::Receive,
                view.receive.capacity,
                config.receive.initial,
                receive_maximum,
                view.receive.read,
            ),
            ring(
                Direction::Transmit,
                view.send.capacity,
                config.transmit.initial,
                transmit_maximum,
                view.send.acknowledged,
            ),
        ) else {
            session.free.push(slot);
            return Err(Reply::error(
                ErrorCode::InsufficientResources,
                "no ring of that size fits the arena",
            ));
        };
        if stack.attach(now, endpoint, receive, transmit).is_err() {
            session.free.push(slot);
            return Err(Reply::error(ErrorCode::NoSuchConnection, ""));
        }
        let published = slot_state(&view);
        let slot_words = DaemonSlot::new(Arc::clone(&session.arena), slot, 0);
        slot_words.open(StartPositions {
            receive_read: view.receive.read,
            receive_write: view.receive.next,
            transmit_acknowledged: view.send.acknowledged,
            transmit_write: view.send.written,
            receive: receive_geometry,
            transmit: transmit_geometry,
            state: published.0,
        });
        slot_words.publish_state(published.0, published.1);
        session.slots[slot as usize] = Some(endpoint);
        self.connections.insert(
            endpoint,
            Connection {
                session: id,
                slot: slot_words,
                connecting: None,
                lingering: None,
                released: false,
                deadline: None,
                receive_maximum,
                transmit_maximum,
                growth_from: (view.receive.read, now),
                writer_woken_at: view.send.acknowledged,
                published,
            },
        );
        Ok(())
    }

    /// What the client is told about a connection that has a slot.
    pub(super) fn opened(&self, stack: &DaemonStack, endpoint: EndpointId) -> Option<Opened> {
        let connection = self.connections.get(&endpoint)?;
        let view = stack.view(endpoint)?;
        Some(Opened {
            connection: endpoint.to_bits(),
            slot: connection.slot.slot(),
            stack_thread: 0,
            local: view.local,
            remote: view.remote,
            receive_maximum: connection.receive_maximum,
            transmit_maximum: connection.transmit_maximum,
        })
    }

    /// Gives the slot back once the client has closed the connection and the stack needs none of its bytes.
    pub(super) fn settle(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        let view = stack.view(endpoint);
        let over = view.is_none_or(|view| view.end.is_some());
        let drained = view.is_none_or(|view| view.send.acknowledged == view.send.written);
        if let Some(request_id) = connection.lingering
            && (over || view.is_some_and(|view| view.fin_acknowledged))
        {
            let reply = match view.and_then(|view| view.end).and_then(end_error) {
                Some(code) => Reply::error(code, "while lingering"),
                None => Reply::Done,
            };
            self.reply(connection.session, request_id, reply);
            self.clear_deadline(endpoint);
            if let Some(connection) = self.connections.get_mut(&endpoint) {
                connection.lingering = None;
            }
        }
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        if !connection.released || connection.lingering.is_some() || !(over || drained) {
            return;
        }
        let (id, slot) = (connection.session, connection.slot.slot());
        self.clear_deadline(endpoint);
        self.connections.remove(&endpoint);
        if over {
            // Ended before the client let go: this is the letting go.
            stack.close(now, endpoint).ok();
        } else if let Some(view) = view {
            // Nothing of it is in the arena any more; the rest of its life it spends without.
            let receive = <ConnectionRing as Ring>::private(view.receive.capacity);
            let send = <ConnectionRing as Ring>::private(view.send.capacity);
            stack.attach(now, endpoint, receive, send).ok();
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.slots[slot as usize] = None;
            session.free.push(slot);
            for direction in [Direction::Receive, Direction::Transmit] {
                if session.arena.punch(slot, direction).is_ok() {
                    self.counts.punched += 1;
                }
            }
        }
        self.release_if_empty(id);
    }

    /// Unmaps the arena of a closed session that nothing uses any more.
    pub(super) fn release_if_empty(&mut self, id: SessionId) {
        let gone = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.closed && session.slots.iter().all(Option::is_none));
        if gone {
            self.sessions.remove(&id);
            self.active.retain(|active| *active != id);
            self.report(Report::SessionReleased { session: id });
        }
    }

    pub(super) fn set_deadline(&mut self, endpoint: EndpointId, at: Instant) {
        self.clear_deadline(endpoint);
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.deadline = Some(at);
            self.deadlines.insert((at, endpoint));
        }
    }

    pub(super) fn clear_deadline(&mut self, endpoint: EndpointId) {
        if let Some(connection) = self.connections.get_mut(&endpoint)
            && let Some(at) = connection.deadline.take()
        {
            self.deadlines.remove(&(at, endpoint));
        }
    }

    /// When the bridge next wants [`Bridge::on_deadline`].
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Connect timeouts and lingering closes that are due.
    pub(crate) fn on_deadline(&mut self, stack: &mut DaemonStack, now: Instant) {
        while let Some((at, endpoint)) = self.deadlines.first().copied()
            && at <= now
        {
            self.clear_deadline(endpoint);
            let Some(connection) = self.connections.get_mut(&endpoint) else {
                continue;
            };
            let session = connection.session;
            if let Some(request_id) = connection.connecting.take() {
                connection.released = true;
                self.reply(
                    session,
                    request_id,
                    Reply::error(ErrorCode::TimedOut, "the handshake was not done in time"),
                );
                stack.abort(now, endpoint).ok();
            } else if let Some(request_id) = connection.lingering.take() {
                self.reply(
                    session,
                    request_id,
                    Reply::error(
                        ErrorCode::TimedOut,
                        "not everything was acknowledged in time",
                    ),
                );
            }
            self.settle(stack, now, endpoint);
        }
    }
}

impl Session {
    fn take_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let next = self.slots.len() as u32;
        if next >= self.arena.layout().slots() {
            return None;
        }
        self.slots.push(None);
        Some(next)
    }
}
