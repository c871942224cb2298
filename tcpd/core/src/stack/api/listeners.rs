//! Passive OPEN, accept, and the end of a listener.

use super::*;

impl<R: Ring> Stack<R> {
    /// A passive OPEN (§3.10.1): a listener, or an error; nothing that exists is touched (RFC 9293 §3.9.1.1 MUST-41).
    ///
    /// # Errors
    /// [`OpenError::AddressInUse`] as the kernel has it: another listener covers the address and port, or, without
    /// `reuse`, a connection still uses them, be it in TIME-WAIT; [`OpenError::AddressNotAvailable`];
    /// [`OpenError::NoFreePort`] for port 0.
    pub fn listen(
        &mut self,
        now: Instant,
        mut options: ListenOptions,
    ) -> Result<ListenerId, OpenError> {
        let own: Vec<IpAddr> = self.addresses.iter().map(|own| own.addr).collect();
        check_local(&options, &own)?;
        if options.port == 0 {
            options.port = self.free_port_to_listen(&options, &own)?;
        }
        if self.is_taken(&options, &own) {
            return Err(OpenError::AddressInUse);
        }
        let listener = Listener {
            options,
            backlog: options
                .backlog
                .clamp(1, self.config.limits.backlog_max.max(1)),
            queue: std::collections::VecDeque::new(),
            half_open: 0,
            accepted: 0,
            refused: 0,
            cookie_sent_at: None,
            event_queued: false,
        };
        let id = EndpointId::from(self.endpoints.insert(Slot::Listener(Box::new(listener))));
        self.listeners.insert(options, id);
        self.transition(now, id, State::Closed, State::Listen, Cause::PassiveOpen);
        Ok(ListenerId(id))
    }

    /// Whether the address and port of a passive OPEN are taken: by a listener in any case, by connections unless both share, so that a
    /// port whose connections are still being opened can be listened on (RFC 9293 §3.9.1.1 MUST-42).
    fn is_taken(&self, options: &ListenOptions, own: &[IpAddr]) -> bool {
        self.listeners.conflicts(options, own)
            || own
                .iter()
                .filter(|&&address| options.covers(address))
                .any(|&address| {
                    let used = self.bound.get(address, options.port);
                    if options.reuse {
                        used.exclusive > 0
                    } else {
                        used.all > 0
                    }
                })
    }

    fn free_port_to_listen(
        &mut self,
        options: &ListenOptions,
        own: &[IpAddr],
    ) -> Result<u16, OpenError> {
        let (listeners, bound) = (&self.listeners, &self.bound);
        let local = options.local;
        let taken = |port: u16| {
            let options = ListenOptions { port, ..*options };
            listeners.conflicts(&options, own)
                || own
                    .iter()
                    .filter(|&&address| options.covers(address))
                    .any(|&a| bound.get(a, port).all > 0)
        };
        self.ports
            .pick(local, None, taken)
            .ok_or(OpenError::NoFreePort)
    }

    /// Counts and reports a transition that happens outside of a connection.
    pub(in crate::stack) fn transition(
        &mut self,
        now: Instant,
        id: EndpointId,
        from: State,
        to: State,
        why: Cause,
    ) {
        if let Some((_, mut cx)) = self.at(now, id) {
            let mut state = from;
            cx.transition(&mut state, to, why);
        }
    }

    /// How many established connections may wait from now on, at least 1, at most the stack's limit; those that wait go on
    /// waiting. Nothing happens for a name that is none.
    pub fn set_backlog(&mut self, listener: ListenerId, backlog: u32) {
        let most = self.config.limits.backlog_max.max(1);
        if let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener.0.key()) {
            listener.backlog = backlog.clamp(1, most);
        }
    }

    /// The options of connections that come from now on. Nothing happens for a name that is none.
    pub fn set_listener_options(&mut self, listener: ListenerId, options: ConnectionOptions) {
        if let Some(Slot::Listener(listener)) = self.endpoints.get_mut(listener.0.key()) {
            listener.options.connection = options;
        }
    }

    /// Closes a listener; half-open and unaccepted connections of it are reset. Nothing happens for a name that is none.
    pub fn close_listener(&mut self, now: Instant, listener: ListenerId) {
        let Some(Slot::Listener(closing)) = self.endpoints.get_mut(listener.0.key()) else {
            return;
        };
        let port = closing.options.port;
        let waiting = std::mem::take(&mut closing.queue);
        self.listeners.remove(port, listener.0);
        for id in waiting {
            self.discard_unaccepted(now, id);
        }
        let half_open: Vec<EndpointId> = self
            .endpoints
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::HalfOpen(half) if half.listener == listener.0))
            .map(|(key, _)| EndpointId::from(key))
            .collect();
        for id in half_open {
            if let Some((Slot::HalfOpen(half), cx)) = self.at(now, id) {
                cx.replies.push(crate::tcp::transmit::Reply::reset(
                    half.pair,
                    half.snd_nxt(),
                ));
            }
            self.remove_half_open(now, id, State::Closed, Cause::ListenerClosed);
        }
        self.transition(
            now,
            listener.0,
            State::Listen,
            State::Closed,
            Cause::ListenerClosed,
        );
        self.endpoints.remove(listener.0.key());
    }

    fn discard_unaccepted(&mut self, now: Instant, id: EndpointId) {
        let mut orphaned = false;
        if let Some((slot, mut cx)) = self.at(now, id)
            && let Some(conn) = slot.connection_mut()
        {
            orphaned = !matches!(conn.state, State::Closed | State::TimeWait);
            conn.owner = Owner::Nobody;
            conn.changes = Changes::NONE;
            calls::abort(conn, &mut cx);
            conn.changes = Changes::NONE;
        }
        self.release(now, id, orphaned);
    }

    /// Takes the next established connection out of a listener's queue.
    pub fn accept(&mut self, now: Instant, listener: ListenerId) -> Option<EndpointId> {
        let Some(Slot::Listener(waiting)) = self.endpoints.get_mut(listener.0.key()) else {
            return None;
        };
        let id = waiting.queue.pop_front()?;
        waiting.accepted += 1;
        if !waiting.queue.is_empty() && !waiting.event_queued {
            waiting.event_queued = true;
            self.events.push(listener.0);
        }
        if let Some(conn) = self
            .endpoints
            .get_mut(id.key())
            .and_then(Slot::connection_mut)
        {
            conn.owner = Owner::User;
        }
        self.settle(now, id);
        Some(id)
    }

    /// A listener's state; `None` for a name that is none.
    #[must_use]
    pub fn listener_status(&self, listener: ListenerId) -> Option<ListenerStatus> {
        match self.endpoints.get(listener.0.key()) {
            Some(Slot::Listener(found)) => Some(found.status(listener)),
            Some(
                Slot::SynSent(_) | Slot::HalfOpen(_) | Slot::Connection(_) | Slot::TimeWait(..),
            )
            | None => None,
        }
    }
}
