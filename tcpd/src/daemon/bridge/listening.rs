//! Listeners of clients, and accepts that wait.

use super::*;

impl Bridge {
    pub(super) fn listen(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        id: SessionId,
        listen: &Listen,
    ) -> Reply {
        if self.draining {
            return Reply::error(ErrorCode::Draining, "");
        }
        if let Some(refusal) = self.refuse_listener(id) {
            return refusal;
        }
        let options = ListenOptions {
            tag: id,
            account: self.account_of(id),
            ..self.listen_options(listen)
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
        self.listener_counts(id, true);
        Reply::Listening {
            listener: listener.to_bits(),
            local,
        }
    }

    /// What the stack is told of a listener, a client's or a service's.
    pub(super) fn listen_options(&self, listen: &Listen) -> ListenOptions {
        ListenOptions {
            local: listen.address,
            port: listen.port,
            backlog: listen.backlog,
            reuse: listen.reuse,
            account: SERVICES,
            connection: connection_options(&listen.options, self.config),
            ..ListenOptions::default()
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

    pub(super) fn close_listener(
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
        self.listener_counts(session, false);
        stack.close_listener(now, id);
        Reply::Done
    }

    pub(super) fn accept(
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

    pub(super) fn cancel_accept(&mut self, session: SessionId, request: u32) -> Reply {
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
            let options = entry.options;
            let Some(request_id) = entry.pending.front().copied() else {
                return;
            };
            let waiting = stack.listener_status(listener).map_or(0, |s| s.queued);
            if waiting > 0 && !self.sessions.get(&session).is_some_and(Session::has_slot) {
                // The connection stays in the backlog, for when another was closed.
                entry.pending.pop_front();
                let detail = "all slots of the session are in use";
                self.reply(
                    session,
                    request_id,
                    Reply::error(ErrorCode::QuotaExceeded, detail),
                );
                continue;
            }
            let Some(endpoint) = stack.accept(now, listener) else {
                return;
            };
            entry.pending.pop_front();
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
}
