//! Events towards the owner: coalesced, so that the queue never holds more than one a living endpoint, and one for each
//! that is gone since the last poll.

use std::collections::VecDeque;

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, ListenerId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Changes;

/// Something the owner should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection changed since its last event.
    Changed {
        /// Which. An orphan that has ended names nothing any more.
        endpoint: EndpointId,
        /// How.
        changes: Changes,
    },
    /// A listener's queue holds connections to accept. Raised for all that have come since the last such event, and
    /// again after an accept that leaves more.
    Incoming {
        /// Which.
        listener: ListenerId,
    },
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    queue: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    /// What changed stands at the endpoint.
    Endpoint(EndpointId),
    /// The endpoint is gone.
    Gone(EndpointId, Changes),
}

impl EventQueue {
    pub(crate) fn push(&mut self, id: EndpointId) {
        self.queue.push_back(Entry::Endpoint(id));
    }

    /// The endpoints that stand in it, in turn.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = EndpointId> + '_ {
        self.queue.iter().filter_map(|entry| match entry {
            Entry::Endpoint(id) => Some(*id),
            Entry::Gone(..) => None,
        })
    }

    pub(crate) fn push_gone(&mut self, id: EndpointId, changes: Changes) {
        self.queue.push_back(Entry::Gone(id, changes));
    }
}

impl<R: Ring> Stack<R> {
    /// What the owner should look at next.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            match self.events.queue.pop_front()? {
                Entry::Gone(endpoint, changes) => {
                    return Some(Event::Changed { endpoint, changes });
                }
                Entry::Endpoint(id) => {
                    if let Some(event) = self.event_of(id) {
                        return Some(event);
                    }
                }
            }
        }
    }

    fn event_of(&mut self, id: EndpointId) -> Option<Event> {
        let (changes, queued) = match self.endpoints.get_mut(id.key())? {
            Slot::Listener(listener) => {
                listener.event_queued = false;
                let waiting = !listener.queue.is_empty();
                return waiting.then_some(Event::Incoming {
                    listener: ListenerId(id),
                });
            }
            Slot::SynSent(syn_sent) => (&mut syn_sent.changes, &mut syn_sent.event_queued),
            Slot::Connection(conn) | Slot::TimeWait(_, Some(conn)) => {
                (&mut conn.changes, &mut conn.event_queued)
            }
            Slot::HalfOpen(_) | Slot::TimeWait(_, None) => return None,
        };
        *queued = false;
        let changes = std::mem::take(changes);
        (!changes.is_empty()).then_some(Event::Changed {
            endpoint: id,
            changes,
        })
    }
}
