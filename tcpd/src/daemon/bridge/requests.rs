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
        if !self.is_served(session) {
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
            Request::IntoSocket { connection } => {
                self.give_socket(stack, now, session, request_id, connection)
            }
            Request::HandOff { connection, uid } => match self.own(session, connection) {
                Ok(endpoint) => self.hand_off(stack, now, session, request_id, endpoint, uid),
                Err(reply) => Some(reply),
            },
            Request::ConnectionStatus { .. }
            | Request::Hello(_)
            | Request::Adopt
            | Request::AdoptHandoff { .. }
            | Request::ErrorStream
            | Request::Users { .. }
            | Request::Impair(_)
            | Request::Impairments { .. }
            | Request::Ping
            | Request::List { .. }
            | Request::Listeners { .. }
            | Request::Show { .. }
            | Request::Stats { .. }
            | Request::Services { .. }
            | Request::Sessions { .. }
            | Request::DaemonStatus
            | Request::ControlClose { .. }
            | Request::ControlReset { .. }
            | Request::ControlSet { .. }
            | Request::Reload
            | Request::Drain { .. } => Some(Reply::error(
                ErrorCode::Internal,
                "this request is the control thread's",
            )),
        };
        if let Some(reply) = answer {
            self.reply(session, request_id, reply);
        }
    }

    /// The connection a client names, if it is its own, it knows of it, and has not closed it.
    pub(super) fn own(&self, session: SessionId, connection: u64) -> Result<EndpointId, Reply> {
        let endpoint = EndpointId::from_bits(connection);
        match self.connections.get(&endpoint) {
            Some(connection)
                if connection.session == session
                    && !connection.released
                    && connection.connecting.is_none() =>
            {
                Ok(endpoint)
            }
            _ => Err(Reply::error(ErrorCode::NoSuchConnection, "")),
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
        if let Some(refusal) = self.refuse_connection(stack, session) {
            return Some(refusal);
        }
        let options = ConnectOptions {
            local: connect.local,
            local_port: connect.local_port,
            reuse: connect.reuse,
            tag: session,
            account: self.account_of(session),
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
            let code = |end| end_error(end).unwrap_or(ErrorCode::ConnectionAborted);
            view.end.map(code)
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
            if let Some(connection) = self.connections.get_mut(&endpoint) {
                connection.reading_closed = true;
            }
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
        let unread = stack
            .view(endpoint)
            .filter(|view| view.end.is_none() && view.receive.read < view.receive.next);
        if let Some(connection) = self.connections.get_mut(&endpoint) {
            connection.released = true;
            connection.lingering = linger_ms.filter(|_| unread.is_none()).map(|_| request_id);
        }
        let (Some(ms), None) = (linger_ms, unread) else {
            stack.close(now, endpoint).ok();
            self.settle(stack, now, endpoint);
            let lost = unread.is_some_and(|view| view.send.acknowledged < view.send.written);
            return Some(match linger_ms {
                Some(_) if lost => {
                    let detail = "unread data made it a reset, and not everything was sent";
                    Reply::error(ErrorCode::ConnectionAborted, detail)
                }
                _ => Reply::Done,
            });
        };
        // Only FIN: the bridge holds on to the connection to see how it ends.
        stack.shutdown_write(now, endpoint).ok();
        self.set_deadline(endpoint, now + Duration::from_millis(ms.into()));
        self.settle(stack, now, endpoint);
        None
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
        let (capacity, account) = (view.send.capacity, entry.account);
        let wanted = view.send.wanted.min(entry.transmit_maximum);
        if wanted > capacity {
            // So that nothing old counts.
            self.measure(session);
            if let Some(size) = self.affordable(stack, account, capacity, wanted)
                && stack.grow_send(now, endpoint, size)
            {
                self.has_grown(account, size - capacity);
                self.counts.transmit_growths += 1;
                self.publish_geometry(stack, endpoint);
            }
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
    pub(super) fn pull_or_violate(
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
