//! Connections on their way from one program to another.
//!
//! Such a connection has no slot. What is unread and what is unacknowledged stands in private rings as large as those it
//! had, for its window was promised; they occupy what they hold.

use super::*;

/// A connection that waits for who adopts it.
#[derive(Debug)]
pub(super) struct HandedOff {
    /// Who gave it away.
    pub(super) uid: u32,
    receive_maximum: u32,
    transmit_maximum: u32,
    reading_closed: bool,
}

impl Bridge {
    /// Takes a connection out of its slot, to be adopted by another session.
    pub(super) fn hand_off(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        endpoint: EndpointId,
        uid: Option<u32>,
    ) -> Option<Reply> {
        if let Some(reply) = self.pull_or_violate(stack, now, session, endpoint) {
            return Some(reply);
        }
        let held = self.connections.get(&endpoint);
        let giver = self.sessions.get(&session);
        let (Some(view), Some(held), Some(giver)) = (stack.view(endpoint), held, giver) else {
            return Some(Reply::error(ErrorCode::NoSuchConnection, ""));
        };
        let waiting = HandedOff {
            uid: giver.credentials.uid,
            receive_maximum: held.receive_maximum,
            transmit_maximum: held.transmit_maximum,
            reading_closed: held.reading_closed,
        };
        let receive = <ConnectionRing as Ring>::private(view.receive.capacity);
        let send = <ConnectionRing as Ring>::private(view.send.capacity);
        if stack.attach(now, endpoint, receive, send).is_err() {
            // The stack has forgotten it, or all but: the slot says so to its owner.
            return Some(Reply::error(ErrorCode::NoSuchConnection, ""));
        }
        self.leave_slot(now, endpoint);
        self.handed_off.insert(endpoint, waiting);
        self.report(Report::HandedOff {
            session,
            request_id,
            endpoint,
            uid,
        });
        None
    }

    /// Somebody came with the token of `endpoint`.
    pub(crate) fn adopt_handoff(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        session: SessionId,
        request_id: u32,
        endpoint: EndpointId,
    ) {
        let reply = match self.handed_off.get(&endpoint) {
            None => Err(Reply::error(ErrorCode::NoSuchConnection, "")),
            // It counts for the giver until now.
            Some(waiting)
                if waiting.uid != self.account_of(session)
                    && let Some(refusal) = self.refuse_connection(stack, session) =>
            {
                Err(refusal)
            }
            Some(waiting) => {
                let options = StreamOptions {
                    receive_maximum: waiting.receive_maximum,
                    transmit_maximum: waiting.transmit_maximum,
                    ..StreamOptions::default()
                };
                let reading_closed = waiting.reading_closed;
                self.open_slot(stack, now, session, endpoint, &options)
                    .map(|()| reading_closed)
            }
        };
        let reply = match reply {
            Ok(reading_closed) => {
                self.handed_off.remove(&endpoint);
                if let Some(connection) = self.connections.get_mut(&endpoint) {
                    connection.reading_closed = reading_closed;
                }
                match self.opened(stack, endpoint) {
                    Some(opened) => Reply::Adopted(opened),
                    None => Reply::error(ErrorCode::Internal, "the connection vanished"),
                }
            }
            Err(reply) => {
                if stack.view(endpoint).is_none() {
                    // An operator has reset it, say: nobody will ever get it.
                    self.handed_off.remove(&endpoint);
                }
                reply
            }
        };
        self.report(Report::HandoffAdopted {
            session,
            request_id,
            endpoint,
            reply,
        });
    }

    /// Nobody has adopted `endpoint` in time.
    pub(crate) fn abort_handoff(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) {
        if self.handed_off.remove(&endpoint).is_some() {
            stack.abort(now, endpoint).ok();
        }
    }
}
