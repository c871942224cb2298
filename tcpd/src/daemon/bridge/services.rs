//! Listeners of services, and connections on their way to a worker.

use super::*;

impl Bridge {
    /// Opens a service's listener and reports it.
    pub(crate) fn service_listen(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        service: ServiceIndex,
        address: Option<IpAddr>,
        port: u16,
        backlog: u32,
    ) {
        let options = ListenOptions {
            local: address,
            port,
            backlog,
            reuse: true, // as every server since 4.2BSD: pairs in TIME-WAIT must not keep it from starting
            ..ListenOptions::default()
        };
        let result = match stack.listen(now, options) {
            Ok(listener) => {
                self.listeners.insert(
                    listener,
                    Listener {
                        owner: ListenerOwner::Service(service),
                        pending: VecDeque::new(),
                        options: StreamOptions::default(),
                    },
                );
                self.services.entry(service).or_default().push(listener);
                stack
                    .listener_status(listener)
                    .map(|status| status.local)
                    .ok_or_else(|| "the listener vanished".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        self.report(Report::ServiceListening { service, result });
    }

    /// Takes the next waiting connection of a service and reports it.
    pub(crate) fn service_accept(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        service: ServiceIndex,
    ) {
        let listeners = self.services.get(&service).cloned().unwrap_or_default();
        let connection = listeners.iter().find_map(|listener| {
            let endpoint = stack.accept(now, *listener)?;
            let view = stack.view(endpoint)?;
            Some((endpoint, view.local, view.remote))
        });
        if let Some((endpoint, _, _)) = connection {
            self.unclaimed.insert(endpoint, service);
        }
        self.report(Report::ServiceAccepted {
            service,
            connection,
        });
        if connection.is_some()
            && listeners.iter().any(|listener| {
                stack
                    .listener_status(*listener)
                    .is_some_and(|status| status.queued > 0)
            })
        {
            self.report(Report::ServiceIncoming { service });
        }
    }

    /// The listener of a service or of a client has a connection to give.
    pub(super) fn on_incoming(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        listener: ListenerId,
    ) {
        match self.listeners.get(&listener).map(|entry| entry.owner) {
            Some(ListenerOwner::Service(service)) => {
                self.report(Report::ServiceIncoming { service })
            }
            Some(ListenerOwner::Session(_)) => self.serve_accepts(stack, now, listener),
            None => {}
        }
    }

    /// A worker came with the token of `endpoint`.
    pub(crate) fn adopt(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        endpoint: EndpointId,
    ) {
        self.unclaimed.remove(&endpoint);
        let reply = match self.open_slot(stack, now, session, endpoint, &StreamOptions::default()) {
            Ok(()) => match self.opened(stack, endpoint) {
                Some(opened) => Reply::Adopted(opened),
                None => Reply::error(ErrorCode::Internal, "the connection vanished"),
            },
            Err(reply) => {
                stack.abort(now, endpoint).ok();
                reply
            }
        };
        self.reply(session, request_id, reply);
    }

    /// No worker will come for `endpoint`.
    pub(crate) fn abort_unclaimed(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) {
        if self.unclaimed.remove(&endpoint).is_some() {
            stack.abort(now, endpoint).ok();
        }
    }

    /// The daemon stops: every listener closes, clients and services alike, and nothing new is taken.
    pub(crate) fn drain(&mut self, stack: &mut DaemonStack, now: Instant) {
        self.draining = true;
        for (id, listener) in std::mem::take(&mut self.listeners) {
            if let ListenerOwner::Session(session) = listener.owner {
                for request_id in listener.pending {
                    self.reply(session, request_id, Reply::error(ErrorCode::Draining, ""));
                }
            }
            stack.close_listener(now, id);
        }
        for session in self.sessions.values_mut() {
            session.listeners.clear();
        }
        self.services.clear();
    }

    /// Connections that still have something to do: everything but TIME-WAIT and what has ended.
    pub(crate) fn unfinished(&self, stack: &DaemonStack) -> usize {
        stack
            .endpoints()
            .filter(|summary| !matches!(summary.state, State::TimeWait | State::Closed))
            .count()
    }

    /// Resets what is left; how many that were.
    pub(crate) fn reset_all(&mut self, stack: &mut DaemonStack, now: Instant) -> u64 {
        let left: Vec<EndpointId> = stack
            .endpoints()
            .filter(|summary| !matches!(summary.state, State::TimeWait | State::Closed))
            .map(|summary| summary.id)
            .collect();
        left.into_iter()
            .filter(|endpoint| stack.abort(now, *endpoint).is_ok())
            .count() as u64
    }
}
