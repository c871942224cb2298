//! Orders of the control thread: each a call of the bridge, or a change of the loop's own.

use std::sync::Arc;

use libtcpclient::shm::Arena;

use super::*;
use crate::daemon::orders::Credentials;

/// Orders handled in one turn.
const ORDER_BATCH: usize = 64;

impl StackLoop {
    /// Carries out what was ordered, a bounded batch; true when there was something.
    pub(super) fn take_orders(&mut self, now: Instant) -> bool {
        for taken in 0..ORDER_BATCH {
            let Ok(order) = self.orders.try_recv() else {
                return taken > 0;
            };
            self.carry_out(now, order);
        }
        true
    }

    fn carry_out(&mut self, now: Instant, order: Order) {
        let (bridge, stack) = (&mut self.bridge, &mut self.stack);
        match order {
            Order::SessionOpened {
                session,
                arena,
                bell,
                credentials,
                worker,
            } => self.open_session(session, arena, bell, credentials, worker),
            Order::SessionClosed { session } => self.close_session(now, session),
            Order::Request {
                session,
                request_id,
                request,
            } => bridge.on_request(stack, now, session, request_id, request),
            Order::Adopt {
                session,
                request_id,
                endpoint,
            } => bridge.adopt(stack, now, session, request_id, endpoint),
            Order::AdoptHandoff {
                session,
                request_id,
                endpoint,
            } => bridge.adopt_handoff(stack, now, session, request_id, endpoint),
            Order::AbortHandoff { endpoint } => bridge.abort_handoff(stack, now, endpoint),
            Order::AbortUnclaimed { endpoint } => bridge.abort_unclaimed(stack, now, endpoint),
            Order::Service(service, what) => bridge.service_order(stack, now, service, what),
            Order::Quotas(quotas) => bridge.set_quotas(stack, now, quotas),
            Order::Inspect { ticket, what } => {
                bridge.inspect(stack, ticket, what, &self.counts, &self.device.statistics());
            }
            Order::EndConnection {
                ticket,
                endpoint,
                reset,
                credentials,
            } => bridge.end_connection(stack, now, ticket, endpoint, reset, credentials),
            Order::SetConnection {
                ticket,
                endpoint,
                change,
                credentials,
            } => bridge.set_connection(stack, now, ticket, endpoint, change, credentials),
            Order::Impair { ticket, change } => self.change_impairment(ticket, change),
            Order::InspectImpairments { ticket } => self.tell_impairments(ticket),
            Order::ConfigureImpairment(rules) => self.configure_impairment(&rules),
            Order::Heartbeat => bridge.report(Report::Heartbeat),
            Order::Stop { grace } => self.begin_to_stop(now, grace),
        }
    }

    fn open_session(
        &mut self,
        session: SessionId,
        arena: Arc<Arena>,
        bell: OwnedFd,
        credentials: Credentials,
        worker: bool,
    ) {
        let fd = bell.as_raw_fd();
        let (bridge, stack) = (&mut self.bridge, &mut self.stack);
        bridge.session_opened(stack, session, arena, bell, credentials, worker);
        let registered = self.poll.registry().register(
            &mut SourceFd(&fd),
            bell_token(session),
            Interest::READABLE,
        );
        if let Err(error) = registered {
            tracing::error!(session, %error, "the session's bell cannot be polled");
        }
        // It may have rung before it was registered.
        bridge.hear_bell(session);
    }

    fn close_session(&mut self, now: Instant, session: SessionId) {
        if let Some(bell) = self.bridge.bell(session) {
            let registry = self.poll.registry();
            registry.deregister(&mut SourceFd(&bell.as_raw_fd())).ok();
        }
        self.bridge.session_closed(&mut self.stack, now, session);
    }

    /// A second order can make the time shorter, not longer.
    fn begin_to_stop(&mut self, now: Instant, grace: Duration) {
        self.bridge.drain(&mut self.stack, now);
        let at = now + grace;
        let at = self.stop.map_or(at, |earlier| earlier.at.min(at));
        self.stop = Some(Stop { at, count_at: now });
    }
}
