//! What is true of a whole stack between any two events, as code: every endpoint stands exactly once in each table that leads to it,
//! and every gauge is the sum of what it counts.
//!
//! | shape | flow table | port table | wheel | gauge |
//! |---|---|---|---|---|
//! | listener | – | listener table | – | – |
//! | active open | yes | yes | yes | connections, orphans |
//! | half-open entry | yes | – | yes | half-open, its listener's |
//! | connection | yes | yes | as its timers say | connections, orphans |
//! | TIME-WAIT | yes | yes | yes | TIME-WAIT |
//! | TIME-WAIT set aside for a half-open entry | – | yes | – | – |
//! | CLOSED, its user has yet to let go | – | – | – | – |
//!
//! [`Connection::assert_invariants`] says what is true of one TCB. Checking a stack costs as much as it has endpoints; so, where
//! assertions are compiled in, every n-th event is followed by a check; after [`Stack::check_every_event`] every one of a small stack.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::stack::demux::PortUse;
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Owner, Pair, State};
use crate::time::Instant;

/// Events between two checks; with many endpoints as many as there are, so that an event costs a look at one of them.
pub(super) const INTERVAL: usize = 16;
/// What is not many.
const FEW: usize = 32;

/// What is counted on the way through all slots, to be compared with what the stack keeps.
#[derive(Default)]
struct Census {
    states: [usize; State::COUNT],
    flows: usize,
    deadlines: usize,
    connections: usize,
    orphans: usize,
    /// Connections and orphans of each.
    accounts: BTreeMap<u32, (usize, usize)>,
    half_open: usize,
    time_wait: usize,
    listeners: usize,
    half_open_of: BTreeMap<EndpointId, u32>,
    ports: BTreeMap<(IpAddr, u16), PortUse>,
    /// Those whose flag says that they stand in the event queue.
    told: Vec<EndpointId>,
    /// Those whose flag says that they stand in the transmit queue.
    queued: Vec<EndpointId>,
}

impl<R: Ring> Stack<R> {
    /// Checks all that is true between two events. For tests: it looks at every endpoint.
    ///
    /// # Panics
    /// With the first thing that is not as it must be.
    pub fn assert_invariants(&self) {
        let mut census = Census::default();
        for (key, slot) in &self.endpoints {
            let id = EndpointId::from(key);
            census.states[slot.state().index()] += 1;
            match slot {
                Slot::Listener(_) => self.check_listener(id, &mut census),
                Slot::HalfOpen(_) => self.check_half_open(id, &mut census),
                Slot::SynSent(_) => self.check_open(id, &mut census),
                Slot::Connection(conn) => self.check_connection(id, conn, &mut census),
                Slot::TimeWait(..) => self.check_time_wait(id, &mut census),
            }
        }
        self.check_tables(&mut census);
        self.check_gauges(&census);
        self.check_queues(census);
        if self.fragments.len() <= FEW {
            self.fragments.assert_invariants();
        }
    }

    /// Has every event followed by a check from now on, as long as there are few endpoints. For tests, where assertions are compiled
    /// in; nothing happens elsewhere.
    pub fn check_every_event(&mut self) {
        (self.check_interval, self.until_check) = (0, 0);
    }

    /// After an event: [`Stack::assert_invariants`], as often as costs little.
    pub(super) fn check_now_and_then(&mut self) {
        match self.until_check.checked_sub(1) {
            Some(rest) => self.until_check = rest,
            None => {
                let endpoints = self.endpoints.len();
                let many = if endpoints > FEW { endpoints } else { 0 };
                self.until_check = self.check_interval.max(many);
                self.assert_invariants();
            }
        }
    }

    fn check_listener(&self, id: EndpointId, census: &mut Census) {
        let Some(Slot::Listener(listener)) = self.endpoints.get(id.key()) else {
            return;
        };
        census.listeners += 1;
        let entries = self.listeners.entries_of(listener.options.port);
        let own = entries.iter().filter(|(_, known)| *known == id).count();
        assert_eq!(own, 1, "listener {id} stands {own} times in its table");
        assert!(listener.backlog > 0, "a listener without a backlog");
        assert!(
            listener.queue.len() <= listener.backlog as usize,
            "{} wait for {id}, whose backlog is {}",
            listener.queue.len(),
            listener.backlog
        );
        for &waiting in &listener.queue {
            let owner = self
                .endpoints
                .get(waiting.key())
                .and_then(Slot::connection)
                .map(|conn| conn.owner);
            assert_eq!(
                owner,
                Some(Owner::Listener(id)),
                "{waiting} in the queue of {id}"
            );
        }
        census.half_open_of.entry(id).or_default();
        if listener.event_queued {
            census.told.push(id);
        }
    }

    fn check_half_open(&self, id: EndpointId, census: &mut Census) {
        let Some(Slot::HalfOpen(half)) = self.endpoints.get(id.key()) else {
            return;
        };
        census.half_open += 1;
        *census.half_open_of.entry(half.listener).or_default() += 1;
        assert!(
            matches!(
                self.endpoints.get(half.listener.key()),
                Some(Slot::Listener(_))
            ),
            "half-open {id} without its listener"
        );
        assert!(
            !half.synack_due || half.queued,
            "half-open {id} never gets to send its SYN-ACK"
        );
        assert!(half.peer_mss > 0 || self.config.tcp.mss_floor > 0);
        if half.queued {
            census.queued.push(id);
        }
        self.check_reachable(id, &half.pair, census);
        assert!(
            self.armed(id).is_some(),
            "half-open {id} that nothing ends (§3.8.3)"
        );
    }

    fn check_open(&self, id: EndpointId, census: &mut Census) {
        let Some(Slot::SynSent(open)) = self.endpoints.get(id.key()) else {
            return;
        };
        if open.event_queued {
            census.told.push(id);
        }
        assert!(
            open.changes.is_empty() || open.event_queued,
            "{id} has {:?} to tell, and nobody hears of it",
            open.changes
        );
        if open.queued {
            census.queued.push(id);
        }
        assert!(
            open.written <= u64::from(open.rings.send.capacity()),
            "more written than the ring holds"
        );
        assert!(
            !open.released || open.fin_queued,
            "let go without a FIN to follow"
        );
        if open.end.is_some() {
            assert!(!open.released, "{id}: a failed open that nobody holds");
            return self.check_closed(id, &open.pair);
        }
        assert!(
            !open.syn_due || open.queued,
            "{id} never gets to send its SYN"
        );
        assert!(
            open.retry_at <= open.give_up_at,
            "{id} is given up before it is tried again"
        );
        assert!(
            self.is_armed(id, Some(open.retry_at)),
            "the wheel forgot {id}"
        );
        census.connections += 1;
        census.orphans += usize::from(open.released);
        census.count(open.bill.account(), open.released);
        self.check_reachable(id, &open.pair, census);
        census.bind(&open.pair, open.reuse);
    }

    fn check_connection(&self, id: EndpointId, conn: &Connection<R>, census: &mut Census) {
        conn.assert_invariants();
        census.flags_of(id, conn);
        match conn.owner {
            Owner::Listener(listener) => {
                let Some(Slot::Listener(listener)) = self.endpoints.get(listener.key()) else {
                    panic!("{id} waits for a listener that is gone");
                };
                let places = listener.queue.iter().filter(|&&known| known == id).count();
                assert_eq!(places, 1, "{id} waits {places} times");
            }
            Owner::User | Owner::Nobody => assert!(
                conn.changes.is_empty() || conn.event_queued || conn.owner == Owner::Nobody,
                "{id} has {:?} to tell, and nobody hears of it",
                conn.changes
            ),
        }
        if conn.state == State::Closed {
            assert!(!conn.is_orphan(), "{id} is CLOSED, and nobody holds it");
            return self.check_closed(id, &conn.pair);
        }
        assert!(
            conn.state != State::TimeWait,
            "{id} did not shrink to a TIME-WAIT entry"
        );
        if !conn.queued {
            conn.assert_not_stalled();
        }
        let earliest = conn.timers.earliest().map(|(_, at)| at);
        assert!(self.is_armed(id, earliest), "the wheel forgot {id}");
        census.connections += 1;
        census.orphans += usize::from(conn.is_orphan());
        census.count(conn.bill.account(), conn.is_orphan());
        self.check_reachable(id, &conn.pair, census);
        census.bind(&conn.pair, conn.reuse);
    }

    fn check_time_wait(&self, id: EndpointId, census: &mut Census) {
        let Some(Slot::TimeWait(old, rest)) = self.endpoints.get(id.key()) else {
            return;
        };
        census.time_wait += 1;
        if let Some(conn) = rest {
            conn.assert_invariants();
            census.flags_of(id, conn);
            assert_eq!(conn.state, State::TimeWait);
            assert!(
                !conn.is_orphan(),
                "the rest of {id} is kept though nobody holds it"
            );
            assert_eq!(conn.pair, self.addresses.expand(&old.pair));
        }
        assert!(
            self.armed(id).is_some(),
            "{id} stays in TIME-WAIT for ever (MUST-13)"
        );
        let pair = self.addresses.expand(&old.pair);
        self.check_reachable(id, &pair, census);
        census.bind(&pair, old.reuse);
    }

    /// What is over stands in no table.
    fn check_closed(&self, id: EndpointId, pair: &Pair) {
        assert!(
            self.flows.find(&self.endpoints, pair) != Some(id),
            "{id} is CLOSED and still found"
        );
        assert!(
            self.armed(id).is_none(),
            "{id} is CLOSED and still has a deadline"
        );
    }

    fn check_reachable(&self, id: EndpointId, pair: &Pair, census: &mut Census) {
        let found = self.flows.find(&self.endpoints, pair);
        assert_eq!(
            found,
            Some(id),
            "a segment for {id} would go somewhere else"
        );
        census.flows += 1;
        census.deadlines += usize::from(self.armed(id).is_some());
    }

    /// When the wheel goes off for `id`.
    fn armed(&self, id: EndpointId) -> Option<Instant> {
        let owner = self.deadline_owners.get(id.index() as usize)?;
        self.deadlines.deadline(id.index()).filter(|_| *owner == id)
    }

    fn check_tables(&self, census: &mut Census) {
        assert_eq!(
            self.flows.len(),
            census.flows,
            "the flow table holds what is no endpoint"
        );
        assert_eq!(
            self.deadlines.len(),
            census.deadlines,
            "the wheel goes off for what is no endpoint"
        );
        assert_eq!(
            self.listeners.len(),
            census.listeners,
            "the listener table holds what is no listener"
        );
        for (half, aside) in &self.set_aside {
            assert!(
                matches!(self.endpoints.get(half.key()), Some(Slot::HalfOpen(_))),
                "TIME-WAIT set aside for {half}, which is no half-open entry"
            );
            census.states[State::TimeWait.index()] += 1;
            census.bind(&self.addresses.expand(aside.pair()), aside.reuse());
        }
        let ports: BTreeMap<_, _> = self.bound.iter().collect();
        assert_eq!(ports, census.ports, "ports taken and connections differ");
        for (listener, &count) in &census.half_open_of {
            let Some(Slot::Listener(listener)) = self.endpoints.get(listener.key()) else {
                continue;
            };
            assert_eq!(listener.half_open, count, "half-open entries of a listener");
        }
    }

    fn check_gauges(&self, census: &Census) {
        assert_eq!(self.connections, census.connections, "connections");
        assert_eq!(self.orphans.len(), census.orphans, "orphans");
        assert_eq!(self.accounts.counts(), census.accounts, "accounts");
        assert_eq!(self.half_open.len(), census.half_open, "half-open entries");
        assert_eq!(self.time_wait.len(), census.time_wait, "TIME-WAIT entries");
        let limits = &self.config.limits;
        assert!(census.connections <= limits.connections);
        assert!(census.orphans <= limits.orphans);
        assert!(census.half_open <= limits.half_open.max(1));
        assert!(census.time_wait <= limits.time_wait);

        let counters = &self.counters;
        assert_eq!(
            counters.forbidden_transitions, 0,
            "arrows that figure 5 does not have"
        );
        for state in State::ALL {
            // CLOSED is absence, and a SYN leaves its listener in LISTEN.
            if matches!(state, State::Closed | State::Listen) {
                continue;
            }
            let sum = |arrows: &dyn Fn(State) -> u64| State::ALL.into_iter().map(arrows).sum();
            let (into, out): (u64, u64) = (
                sum(&|from| counters.transitions(from, state)),
                sum(&|to| counters.transitions(state, to)),
            );
            assert_eq!(
                into.checked_sub(out),
                Some(census.states[state.index()] as u64),
                "{into} have come to {state}, {out} have left it"
            );
        }
        assert_eq!(
            counters.segments_in,
            counters.segments_accepted + counters.dropped_in_all(),
            "packets in = accepted + dropped"
        );
    }

    /// Flags and queues say the same: who is flagged stands in the queue, once.
    fn check_queues(&self, census: Census) {
        // The name of what is gone, or has nobody to tell any more, may still stand there.
        let has_user = |id: &EndpointId| {
            let slot = self.endpoints.get(id.key());
            slot.is_some_and(|slot| !matches!(slot, Slot::HalfOpen(_) | Slot::TimeWait(_, None)))
        };
        let events = self.events.waiting().filter(has_user).collect();
        assert_same(census.told, events, "the event queue");
        let may_send = |id: &EndpointId| {
            let slot = self.endpoints.get(id.key());
            slot.is_some_and(|slot| !matches!(slot, Slot::TimeWait(_, None)))
        };
        let sendable = self.sendable.iter().copied().filter(may_send).collect();
        assert_same(census.queued, sendable, "the transmit queue");
    }
}

fn assert_same(mut flagged: Vec<EndpointId>, mut queue: Vec<EndpointId>, what: &str) {
    flagged.sort_unstable();
    queue.sort_unstable();
    assert_eq!(flagged, queue, "flags and {what}");
}

impl Census {
    fn count(&mut self, account: u32, orphan: bool) {
        let (connections, orphans) = self.accounts.entry(account).or_default();
        match orphan {
            true => *orphans += 1,
            false => *connections += 1,
        }
    }

    fn bind(&mut self, pair: &Pair, reuse: bool) {
        let used = self.ports.entry((pair.local, pair.local_port)).or_default();
        used.all += 1;
        used.exclusive += u32::from(!reuse);
    }

    fn flags_of<R>(&mut self, id: EndpointId, conn: &Connection<R>) {
        if conn.event_queued {
            self.told.push(id);
        }
        if conn.queued {
            self.queued.push(id);
        }
    }
}

#[cfg(test)]
mod tests;
