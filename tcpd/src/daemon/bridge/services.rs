//! Listeners of services, and connections on their way to a worker.

use super::super::orders::ServiceOrder;
use super::*;

/// A listener of a service, and what was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceListener {
    listener: ListenerId,
    address: Option<IpAddr>,
    port: u16,
}

impl Bridge {
    /// Does what the control thread wants of a service's listeners.
    pub(crate) fn service_order(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        service: ServiceIndex,
        order: ServiceOrder,
    ) {
        match order {
            ServiceOrder::Listen(listen) => self.service_listen(stack, now, service, &listen),
            ServiceOrder::Terms { backlog, options } => {
                self.service_terms(stack, service, backlog, &options);
            }
            ServiceOrder::Unlisten { address, port } => {
                self.service_unlisten(stack, now, service, address, port);
            }
            ServiceOrder::PassTo { to, address, port } => {
                self.service_pass(service, to, address, port);
            }
            ServiceOrder::Accept => self.service_accept(stack, now, service),
        }
    }

    /// Opens a service's listener and reports it.
    fn service_listen(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        service: ServiceIndex,
        listen: &Listen,
    ) {
        let options = ListenOptions {
            // A reload may take it from all addresses to one, or back: both are open for a moment.
            beside: true,
            ..self.listen_options(listen)
        };
        let result = match stack.listen(now, options) {
            Ok(listener) => {
                self.listeners.insert(
                    listener,
                    Listener {
                        owner: ListenerOwner::Service(service),
                        pending: VecDeque::new(),
                        options: listen.options,
                    },
                );
                let opened = ServiceListener {
                    listener,
                    address: listen.address,
                    port: listen.port,
                };
                self.services.entry(service).or_default().push(opened);
                stack
                    .listener_status(listener)
                    .map(|status| status.local)
                    .ok_or_else(|| "the listener vanished".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        self.report(Report::ServiceListening { service, result });
    }

    /// What holds at each listener of a service from now on.
    fn service_terms(
        &self,
        stack: &mut DaemonStack,
        service: ServiceIndex,
        backlog: u32,
        options: &StreamOptions,
    ) {
        for entry in self.services.get(&service).into_iter().flatten() {
            stack.set_backlog(entry.listener, backlog);
            let options = connection_options(options, self.config);
            stack.set_listener_options(entry.listener, options);
        }
    }

    /// Closes a service's listener: what nobody has accepted is reset.
    fn service_unlisten(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        service: ServiceIndex,
        address: Option<IpAddr>,
        port: u16,
    ) {
        let Some(listeners) = self.services.get_mut(&service) else {
            return;
        };
        let closed = |entry: &mut ServiceListener| (entry.address, entry.port) == (address, port);
        for entry in listeners.extract_if(.., closed) {
            self.listeners.remove(&entry.listener);
            stack.close_listener(now, entry.listener);
        }
        if listeners.is_empty() {
            self.services.remove(&service);
        }
    }

    /// A listener of one service is another's from now on, with whoever waits in it.
    fn service_pass(
        &mut self,
        from: ServiceIndex,
        to: ServiceIndex,
        address: Option<IpAddr>,
        port: u16,
    ) {
        let Some(listeners) = self.services.get_mut(&from) else {
            return;
        };
        let passed = |entry: &mut ServiceListener| (entry.address, entry.port) == (address, port);
        let passed: Vec<_> = listeners.extract_if(.., passed).collect();
        if listeners.is_empty() {
            self.services.remove(&from);
        }
        for entry in &passed {
            if let Some(listener) = self.listeners.get_mut(&entry.listener) {
                listener.owner = ListenerOwner::Service(to);
            }
        }
        self.services.entry(to).or_default().extend(passed);
    }

    /// Takes the next waiting connection of a service and reports it.
    fn service_accept(&mut self, stack: &mut DaemonStack, now: Instant, service: ServiceIndex) {
        let listeners = self.services.get(&service).cloned().unwrap_or_default();
        let connection = listeners.iter().find_map(|entry| {
            let endpoint = stack.accept(now, entry.listener)?;
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
            && listeners.iter().any(|entry| {
                stack
                    .listener_status(entry.listener)
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
        let mut closed = Vec::new();
        for (id, session) in &mut self.sessions {
            closed.extend(session.listeners.drain().map(|_| *id));
        }
        for session in closed {
            self.listener_counts(session, false);
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
