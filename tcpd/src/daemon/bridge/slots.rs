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
        let account = self.account_of(id);
        let Some(session) = self.sessions.get_mut(&id).filter(|s| s.is_served()) else {
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
            session.put_back(slot);
            return Err(Reply::error(
                ErrorCode::InsufficientResources,
                "no ring of that size fits the arena",
            ));
        };
        if stack.attach(now, endpoint, receive, transmit).is_err() {
            session.put_back(slot);
            return Err(Reply::error(ErrorCode::NoSuchConnection, ""));
        }
        stack.set_account(endpoint, account);
        if view.receive.offered < view.receive.capacity {
            // Whoever had it before was short of memory; whether its new owner is, shows at its next event.
            stack.hold_window(now, endpoint, None);
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
                account,
                slot: slot_words,
                connecting: None,
                lingering: None,
                released: false,
                reading_closed: false,
                deadline: None,
                receive_maximum,
                transmit_maximum,
                grow_from: 0,
                transmit_wanted: 0,
                writer_woken_at: view.send.acknowledged,
                published,
                received: view.receive.next,
                received_at_look: view.receive.next,
                dragged_from: view.receive.next,
                watched: false,
                tell_when_empty: false,
                aside: None,
                held: false,
                relieved: false,
                relieved_at: 0,
            },
        );
        if view.receive.next > view.receive.read {
            self.watch_idle(now, endpoint);
        }
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
            return self.settle_socket(stack, now, endpoint);
        };
        if let Some(request_id) = connection.lingering {
            let view = stack.view(endpoint);
            // The slot knows the reason when the stack has forgotten the connection.
            let end = view.map_or(connection.published.1, |view| {
                view.end.map(words::end_reason)
            });
            if end.is_none() && !view.is_some_and(|view| view.fin_acknowledged) {
                return;
            }
            let reply = match end.and_then(words::reason_error) {
                Some(code) => Reply::error(code, "while lingering"),
                None => Reply::Done,
            };
            self.reply(connection.session, request_id, reply);
            self.let_go(stack, now, endpoint);
        }
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        let view = stack.view(endpoint);
        let over = view.is_none_or(|view| view.end.is_some());
        let drained = view.is_none_or(|view| view.send.acknowledged == view.send.written);
        if !connection.released || !(over || drained) {
            return;
        }
        if over {
            // Ended before the client let go: this is the letting go.
            stack.close(now, endpoint).ok();
        } else if let Some(view) = view {
            detach(stack, now, endpoint, &view);
        }
        self.leave_slot(now, endpoint);
    }

    /// The slot is free for another connection: nothing of this one is in the arena any more.
    pub(super) fn leave_slot(&mut self, now: Instant, endpoint: EndpointId) {
        self.clear_deadline(endpoint);
        let Some(connection) = self.connections.remove(&endpoint) else {
            return;
        };
        let (id, slot) = (connection.session, connection.slot.slot());
        self.give_back(now, id, slot);
        self.release_if_empty(id);
    }

    /// The end of lingering, good or bad: what is left of the connection is the stack's.
    fn let_go(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        self.clear_deadline(endpoint);
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.lingering = None;
        }
        stack.close(now, endpoint).ok();
    }

    /// Unmaps the arena of a closed session that nothing uses any more.
    pub(super) fn release_if_empty(&mut self, id: SessionId) {
        let gone = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.closed && session.slots.len() == session.free.len());
        if gone && let Some(session) = self.sessions.remove(&id) {
            self.session_counts_no_more(&session, id);
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
        let own = self.deadlines.first().map(|(at, _)| *at);
        [
            own,
            self.next_look(),
            self.next_sweep(),
            self.next_look_at_sockets(),
            self.users.next_look(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Connect timeouts, lingering closes and looks at idle rings that are due.
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
                // RFC 5461 §2.2: what ICMP said is told when the time is over.
                let soft = stack.status(endpoint).and_then(|open| open.soft_error);
                let code = soft.and_then(end_error).unwrap_or(ErrorCode::TimedOut);
                let reply = Reply::error(code, "the handshake was not done in time");
                self.reply(session, request_id, reply);
                stack.abort(now, endpoint).ok();
            } else if let Some(request_id) = connection.lingering {
                self.reply(
                    session,
                    request_id,
                    Reply::error(
                        ErrorCode::TimedOut,
                        "not everything was acknowledged in time",
                    ),
                );
                self.let_go(stack, now, endpoint);
            }
            self.settle(stack, now, endpoint);
        }
        self.look_at_idle(stack, now);
        self.look_at_sockets(stack, now);
        self.weigh_users(stack, now);
    }
}

/// Everything written is acknowledged, or nothing comes any more: the rest of its life the connection spends without shared memory.
pub(super) fn detach(stack: &mut DaemonStack, now: Instant, endpoint: EndpointId, view: &View) {
    let receive = <ConnectionRing as Ring>::private(view.receive.capacity);
    let send = <ConnectionRing as Ring>::private(view.send.capacity);
    if stack.attach(now, endpoint, receive, send).is_err() {
        // It must not keep a place that somebody else gets.
        stack.abort(now, endpoint).ok();
    }
}

impl Session {
    /// Whether [`Session::take_slot`] would give one.
    pub(super) fn has_slot(&self) -> bool {
        !self.free.is_empty() || (self.slots.len() as u32) < self.arena.layout().slots()
    }

    /// How many it has given and not got back.
    pub(super) fn slots_taken(&self) -> u64 {
        (self.slots.len() - self.free.len()) as u64
    }

    /// A slot that was taken for nothing; what its pages were is not known.
    fn put_back(&mut self, slot: u32) {
        self.free.push(slot);
        self.sweeping.bare.insert(slot);
    }

    fn take_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            self.sweeping.bare.remove(&slot);
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
