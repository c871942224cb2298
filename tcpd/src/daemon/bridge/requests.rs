//! The clients' requests that concern the stack.

use super::*;

impl Bridge {
    /// Handles one request that the policy has allowed.
    pub(crate) fn on_request(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        request: Request,
    ) {
        if self
            .sessions
            .get(&session)
            .is_none_or(|session| session.closed)
        {
            return;
        }
        let answer = match request {
            Request::Listen(listen) => Some(self.listen(stack, now, session, &listen)),
            Request::CloseListener { listener } => {
                Some(self.close_listener(stack, now, session, listener))
            }
            Request::Accept {
                listener,
                nonblocking,
            } => self.accept(stack, now, session, request_id, listener, nonblocking),
            Request::CancelAccept { request } => Some(self.cancel_accept(session, request)),
            Request::Connect(connect) => self.connect(stack, now, session, request_id, &connect),
            Request::Shutdown { connection, how } => {
                Some(self.shutdown(stack, now, session, connection, how))
            }
            Request::Close {
                connection,
                linger_ms,
            } => self.close(stack, now, session, request_id, connection, linger_ms),
            Request::Abort { connection } => Some(self.abort(stack, now, session, connection)),
            Request::SetOptions {
                connection,
                options,
            } => Some(self.set_options(stack, now, session, connection, &options)),
            Request::GrowTransmit { connection } => {
                Some(self.grow_transmit(stack, now, session, connection))
            }
            Request::ConnectionStatus { .. }
            | Request::Hello(_)
            | Request::Adopt
            | Request::Ping
            | Request::List { .. }
            | Request::Listeners { .. }
            | Request::Show { .. }
            | Request::Stats { .. }
            | Request::Services { .. }
            | Request::Sessions { .. }
            | Request::DaemonStatus
            | Request::ControlClose { .. }
            | Request::ControlReset { .. } => Some(Reply::error(
                ErrorCode::Internal,
                "this request is the control thread's",
            )),
        };
        if let Some(reply) = answer {
            self.reply(session, request_id, reply);
        }
    }

    /// The connection a client names, if it is its own and not closed by it.
    fn own(&self, session: SessionId, connection: u64) -> Result<EndpointId, Reply> {
        let endpoint = EndpointId::from_bits(connection);
        match self.connections.get(&endpoint) {
            Some(connection) if connection.session == session && !connection.released => {
                Ok(endpoint)
            }
            _ => Err(Reply::error(ErrorCode::NoSuchConnection, "")),
        }
    }

    fn listen(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        id: SessionId,
        listen: &Listen,
    ) -> Reply {
        if self.draining {
            return Reply::error(ErrorCode::Draining, "");
        }
        let options = ListenOptions {
            local: listen.address,
            port: listen.port,
            backlog: listen.backlog,
            reuse: listen.reuse,
            tag: id,
            connection: connection_options(&listen.options, self.config),
            ..ListenOptions::default()
        };
        let listener = match stack.listen(now, options) {
            Ok(listener) => listener,
            Err(error) => return open_error(&error),
        };
        let Some(local) = stack.listener_status(listener).map(|status| status.local) else {
            return Reply::error(ErrorCode::Internal, "the listener vanished");
        };
        self.listeners.insert(
            listener,
            Listener {
                owner: ListenerOwner::Session(id),
                pending: VecDeque::new(),
                options: listen.options,
            },
        );
        if let Some(session) = self.sessions.get_mut(&id) {
            session.listeners.insert(listener);
        }
        Reply::Listening {
            listener: listener.to_bits(),
            local,
        }
    }

    fn own_listener(
        &mut self,
        session: SessionId,
        listener: u64,
    ) -> Result<(ListenerId, &mut Listener), Reply> {
        let id = ListenerId::from_bits(listener);
        match self.listeners.get_mut(&id) {
            Some(listener) if listener.owner == ListenerOwner::Session(session) => {
                Ok((id, listener))
            }
            // It may have been this session's until the daemon began to stop.
            _ if self.draining => Err(Reply::error(ErrorCode::Draining, "")),
            _ => Err(Reply::error(ErrorCode::NoSuchListener, "")),
        }
    }

    fn close_listener(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        listener: u64,
    ) -> Reply {
        let id = match self.own_listener(session, listener) {
            Ok((id, _)) => id,
            Err(reply) => return reply,
        };
        let pending = self
            .listeners
            .remove(&id)
            .map(|listener| listener.pending)
            .unwrap_or_default();
        for request_id in pending {
            self.reply(
                session,
                request_id,
                Reply::error(ErrorCode::ListenerClosed, ""),
            );
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            session.listeners.remove(&id);
        }
        stack.close_listener(now, id);
        Reply::Done
    }

    fn accept(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        listener: u64,
        nonblocking: bool,
    ) -> Option<Reply> {
        let limit = self.config.pending_accepts;
        let (id, entry) = match self.own_listener(session, listener) {
            Ok(found) => found,
            Err(reply) => return Some(reply),
        };
        if entry.pending.len() >= limit {
            return Some(Reply::error(
                ErrorCode::TooManyRequests,
                format!("{limit} accepts wait already"),
            ));
        }
        entry.pending.push_back(request_id);
        self.serve_accepts(stack, now, id);
        let entry = self.listeners.get_mut(&id)?;
        if nonblocking && entry.pending.back() == Some(&request_id) {
            entry.pending.pop_back();
            return Some(Reply::error(ErrorCode::WouldBlock, ""));
        }
        None
    }

    fn cancel_accept(&mut self, session: SessionId, request: u32) -> Reply {
        let mine = self
            .sessions
            .get(&session)
            .map(|session| session.listeners.clone())
            .unwrap_or_default();
        for listener in mine {
            if let Some(entry) = self.listeners.get_mut(&listener)
                && let Some(place) = entry.pending.iter().position(|pending| *pending == request)
            {
                entry.pending.remove(place);
                self.reply(session, request, Reply::error(ErrorCode::Cancelled, ""));
                break;
            }
        }
        // Also when it was answered in the meantime: that answer is on its way.
        Reply::Done
    }

    /// Gives waiting connections to waiting accepts.
    pub(super) fn serve_accepts(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        listener: ListenerId,
    ) {
        loop {
            let Some(entry) = self.listeners.get_mut(&listener) else {
                return;
            };
            let ListenerOwner::Session(session) = entry.owner else {
                return;
            };
            if entry.pending.is_empty() {
                return;
            }
            let Some(endpoint) = stack.accept(now, listener) else {
                return;
            };
            let options = entry.options;
            let Some(request_id) = entry.pending.pop_front() else {
                return;
            };
            match self.open_slot(stack, now, session, endpoint, &options) {
                Ok(()) => match self.opened(stack, endpoint) {
                    Some(opened) => self.reply(session, request_id, Reply::Accepted(opened)),
                    None => self.reply(session, request_id, Reply::error(ErrorCode::Internal, "")),
                },
                Err(reply) => {
                    stack.abort(now, endpoint).ok();
                    self.reply(session, request_id, reply);
                }
            }
        }
    }

    fn connect(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        connect: &Connect,
    ) -> Option<Reply> {
        if self.draining {
            return Some(Reply::error(ErrorCode::Draining, ""));
        }
        let options = ConnectOptions {
            local: connect.local,
            local_port: connect.local_port,
            reuse: connect.reuse,
            tag: session,
            connection: connection_options(&connect.options, self.config),
            ..ConnectOptions::to(connect.remote)
        };
        let endpoint = match stack.connect(now, options) {
            Ok(endpoint) => endpoint,
            Err(error) => return Some(open_error(&error)),
        };
        if let Err(reply) = self.open_slot(stack, now, session, endpoint, &connect.options) {
            stack.abort(now, endpoint).ok();
            return Some(reply);
        }
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.connecting = Some(request_id);
        }
        if connect.timeout_ms > 0 {
            self.set_deadline(
                endpoint,
                now + Duration::from_millis(connect.timeout_ms.into()),
            );
        }
        None
    }

    /// Answers Connect when the handshake is done or has failed.
    pub(super) fn answer_connect(
        &mut self,
        stack: &DaemonStack,
        endpoint: EndpointId,
        view: &View,
    ) {
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return;
        };
        let session = connection.session;
        let Some(request_id) = connection.connecting.take() else {
            return;
        };
        let failure = if view.connected {
            None
        } else {
            view.end.and_then(end_error)
        };
        if failure.is_some() {
            // The client never gets to know this connection, so it will not close it.
            connection.released = true;
        }
        self.clear_deadline(endpoint);
        let reply = match failure {
            Some(code) => Reply::error(code, ""),
            None => match self.opened(stack, endpoint) {
                Some(opened) => Reply::Connected(opened),
                None => Reply::error(ErrorCode::Internal, "the connection vanished"),
            },
        };
        self.reply(session, request_id, reply);
    }

    fn shutdown(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        connection: u64,
        how: ShutdownHow,
    ) -> Reply {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return reply,
        };
        if let Some(reply) = self.pull_or_violate(stack, now, session, endpoint) {
            return reply;
        }
        if matches!(how, ShutdownHow::Read | ShutdownHow::Both) {
            stack.shutdown_read(now, endpoint).ok();
        }
        if matches!(how, ShutdownHow::Write | ShutdownHow::Both)
            && let Err(error) = stack.shutdown_write(now, endpoint)
        {
            return close_error(&error);
        }
        Reply::Done
    }

    fn close(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        connection: u64,
        linger_ms: Option<u32>,
    ) -> Option<Reply> {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return Some(reply),
        };
        if linger_ms == Some(0) {
            return Some(self.abort(stack, now, session, connection));
        }
        if let Some(reply) = self.pull_or_violate(stack, now, session, endpoint) {
            return Some(reply);
        }
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.released = true;
            connection.lingering = linger_ms.map(|_| request_id);
        }
        stack.close(now, endpoint).ok();
        if let Some(ms) = linger_ms {
            self.set_deadline(endpoint, now + Duration::from_millis(ms.into()));
        }
        self.settle(stack, now, endpoint);
        linger_ms.is_none().then_some(Reply::Done)
    }

    fn abort(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        connection: u64,
    ) -> Reply {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return reply,
        };
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.released = true;
        }
        stack.abort(now, endpoint).ok();
        self.settle(stack, now, endpoint);
        Reply::Done
    }

    fn set_options(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        connection: u64,
        options: &StreamOptions,
    ) -> Reply {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return reply,
        };
        match stack.set_options(now, endpoint, connection_options(options, self.config)) {
            Ok(()) => Reply::Done,
            Err(_) => Reply::error(ErrorCode::NoSuchConnection, ""),
        }
    }

    fn grow_transmit(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        connection: u64,
    ) -> Reply {
        let endpoint = match self.own(session, connection) {
            Ok(endpoint) => endpoint,
            Err(reply) => return reply,
        };
        if let Some(reply) = self.pull_or_violate(stack, now, session, endpoint) {
            return reply;
        }
        let (Some(view), Some(entry)) = (stack.view(endpoint), self.connections.get(&endpoint))
        else {
            return Reply::error(ErrorCode::NoSuchConnection, "");
        };
        let wanted = view
            .send
            .capacity
            .saturating_mul(2)
            .min(entry.transmit_maximum);
        if wanted > view.send.capacity && stack.grow_send(now, endpoint, wanted) {
            self.counts.transmit_growths += 1;
            self.publish_geometry(stack, endpoint);
        }
        match stack.send_ring(endpoint).and_then(ConnectionRing::geometry) {
            Some(geometry) => Reply::Grown {
                capacity: geometry.capacity,
                base: geometry.base,
            },
            None => Reply::error(ErrorCode::NoSuchConnection, ""),
        }
    }

    /// Takes over what the client wrote before it asked. `Some` answers instead when that was impossible.
    fn pull_or_violate(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        endpoint: EndpointId,
    ) -> Option<Reply> {
        let violation = self.pull(stack, now, endpoint).err()?;
        self.violation(session, violation);
        Some(Reply::error(ErrorCode::BadRequest, violation.name()))
    }
}
