//! What operators ask the stack thread.

use super::super::orders::ConnectionChange;
use super::*;

impl Bridge {
    /// Answers an inspection.
    pub(crate) fn inspect(
        &self,
        stack: &DaemonStack,
        ticket: u64,
        what: Inspection,
        counts: &LoopCounts,
        device: &Statistics,
    ) {
        let what = match what {
            Inspection::Endpoints => Inspected::Endpoints(
                stack
                    .endpoints()
                    .filter(|summary| summary.state != State::Listen)
                    .map(|summary| {
                        let owner = self.owner(summary.id);
                        (summary, owner)
                    })
                    .collect(),
            ),
            Inspection::Listeners => Inspected::Listeners(
                self.listeners
                    .iter()
                    .filter_map(|(id, entry)| {
                        Some((*id, stack.listener_status(*id)?, entry.owner.into()))
                    })
                    .collect(),
            ),
            Inspection::Endpoint(id) => match stack.status(id) {
                Some(status) => Inspected::Endpoint(Box::new(status), self.owner(id)),
                None => Inspected::NoSuchEndpoint,
            },
            Inspection::Users => Inspected::Users(self.user_uses(stack)),
            Inspection::Counters => Inspected::Counters(self.counters(stack, counts, device)),
        };
        self.report(Report::Inspected { ticket, what });
    }

    /// Closes or resets any connection, if `credentials` may.
    pub(crate) fn end_connection(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        ticket: u64,
        endpoint: EndpointId,
        reset: bool,
        credentials: Credentials,
    ) {
        let what = if stack.state(endpoint).is_none() {
            Inspected::NoSuchEndpoint
        } else if !self.may_end(endpoint, credentials) {
            Inspected::NotPermitted
        } else {
            let done = match (reset, stack.state(endpoint)) {
                // What has no user yet, or never did, cannot be closed in order.
                (true, _) | (false, Some(State::SynSent | State::SynReceived)) => {
                    stack.abort(now, endpoint).is_ok()
                }
                (false, Some(State::TimeWait)) => true,
                // The owner keeps its handle: it reads to the end and sees its own writes refused.
                (false, _) => matches!(
                    stack.shutdown_write(now, endpoint),
                    Ok(()) | Err(CloseError::Closing | CloseError::Ended(_))
                ),
            };
            if self.endpoints.has(endpoint) {
                self.pump(stack, now, endpoint);
            } else if stack.view(endpoint).is_none() {
                // Not every end of what is forgotten at once is an event.
                self.vanished(endpoint);
                self.settle(stack, now, endpoint);
            }
            match done {
                true => Inspected::Done,
                false => Inspected::NoSuchEndpoint,
            }
        };
        self.report(Report::Inspected { ticket, what });
    }

    /// Changes a live connection for an operator or its user.
    pub(crate) fn set_connection(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        ticket: u64,
        endpoint: EndpointId,
        change: ConnectionChange,
        credentials: Credentials,
    ) {
        let what = if stack.state(endpoint).is_none() {
            Inspected::NoSuchEndpoint
        } else if !self.may_end(endpoint, credentials) {
            Inspected::NotPermitted
        } else {
            let kind = congestion_control(change.congestion);
            match stack.set_congestion(now, endpoint, kind) {
                Ok(()) => Inspected::Done,
                Err(_) => Inspected::NotOpen,
            }
        };
        self.report(Report::Inspected { ticket, what });
    }

    fn may_end(&self, endpoint: EndpointId, credentials: Credentials) -> bool {
        let connection = self.connections.get(&endpoint);
        let session = connection.and_then(|connection| self.sessions.get(&connection.session));
        let owner = match session {
            Some(session) => Some(session.credentials.uid),
            None => self.endpoints.holder(endpoint).map(|(_, uid)| uid),
        };
        let giver = self.handed_off.get(&endpoint).map(|waiting| waiting.uid);
        credentials.all || owner.or(giver) == Some(credentials.uid)
    }

    fn owner(&self, endpoint: EndpointId) -> Owner {
        if let Some(connection) = self.connections.get(&endpoint) {
            return match connection.released && connection.lingering.is_none() {
                true => Owner::Orphan,
                false => Owner::Session(connection.session),
            };
        }
        if let Some((session, uid)) = self.endpoints.holder(endpoint) {
            return Owner::Socket { session, uid };
        }
        if self.endpoints.has(endpoint) {
            return Owner::Orphan;
        }
        if let Some(waiting) = self.handed_off.get(&endpoint) {
            return Owner::HandedOff(waiting.uid);
        }
        match self.unclaimed.get(&endpoint) {
            Some(service) => Owner::Service(*service),
            None => Owner::Nobody,
        }
    }

    fn counters(
        &self,
        stack: &DaemonStack,
        turns: &LoopCounts,
        device: &Statistics,
    ) -> Vec<(&'static str, &'static str, u64)> {
        let mut all = Vec::new();
        stack
            .counters()
            .each(|name, help, value| all.push((name, help, value)));
        all.extend([
            (
                "device-packets-in",
                "Packets and super-segments read from the device.",
                device.packets_in,
            ),
            (
                "device-bytes-in",
                "Bytes of them, IP headers included.",
                device.bytes_in,
            ),
            (
                "device-malformed",
                "Packets whose offload header contradicted them.",
                device.malformed,
            ),
            (
                "device-packets-out",
                "Packets and super-segments the device took.",
                device.packets_out,
            ),
            (
                "device-bytes-out",
                "Bytes of them, IP headers included.",
                device.bytes_out,
            ),
            (
                "device-lost-out",
                "Packets the device lost while it cut super-segments.",
                device.lost_out,
            ),
            (
                "device-full",
                "Packets the device had no room for; TCP sends them again.",
                turns.device_full,
            ),
            (
                "device-errors",
                "Packets the device failed on otherwise.",
                turns.device_errors,
            ),
            (
                "stack-thread-sleeps",
                "Times the stack thread had nothing to do and slept.",
                turns.sleeps,
            ),
        ]);
        let counts = &self.counts;
        let slots = self.sessions.values().map(Session::slots_taken).sum();
        all.extend([
            (
                "slots",
                "Slots of arenas taken now, those of closed connections that still drain included.",
                slots,
            ),
            (
                "bridge-violations",
                "Impossible values that clients wrote into shared memory.",
                counts.violations,
            ),
            (
                "bridge-bells-heard",
                "Doorbells that clients rang.",
                counts.bells_heard,
            ),
            (
                "bridge-bells-rung",
                "Doorbells rung for clients.",
                counts.bells_rung,
            ),
            (
                "bridge-receive-rings-grown",
                "Receive rings doubled.",
                counts.receive_growths,
            ),
            (
                "bridge-transmit-rings-grown",
                "Transmit rings doubled.",
                counts.transmit_growths,
            ),
            (
                "bridge-sockets",
                "Connections that programs hold as ordinary sockets now.",
                self.endpoints.count(),
            ),
            (
                "bridge-socket-ring-bytes",
                "Memory allocated to the rings of such connections now.",
                self.endpoints.allocated_bytes(),
            ),
            (
                "bridge-rings-punched",
                "Rings whose memory was returned to the system.",
                counts.punched,
            ),
            (
                "bridge-rings-kept-small",
                "Rings that did not grow because their user's memory, or everybody's, nears its limit.",
                counts.growths_refused,
            ),
            (
                "bridge-users-pressed",
                "Times that a user's rings came near what they may occupy: windows are held, new connections refused.",
                counts.pressed,
            ),
        ]);
        all
    }
}

impl From<ListenerOwner> for Owner {
    fn from(owner: ListenerOwner) -> Owner {
        match owner {
            ListenerOwner::Session(session) => Owner::Session(session),
            ListenerOwner::Service(service) => Owner::Service(service),
        }
    }
}
