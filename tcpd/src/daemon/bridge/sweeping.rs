//! Memory of arenas that nobody needs goes back to the system: receive rings that were idle, and slots given back a while ago.
//!
//! The [`Sweeper`]'s threads do it, for a client can make them wait. So nothing else may happen in those places meanwhile:
//!
//! 1. A receive ring stands aside: what arrives goes into private memory, and the client is told of nothing. A slot that is free is
//!    not given out.
//! 2. When it is done, what arrived moves into the ring, the client is told, and the slots are free again.
//!
//! What finds no sweeper waits for one, and is looked at again when there is one.
//!
//! A client that holds the lock keeps its own connections waiting, and nobody else's.

use super::*;

/// How long a slot is free before its memory goes back.
const REST: Duration = Duration::from_secs(1);

/// Of one session.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    /// Free slots with pages that nobody needs.
    pub(super) bare: HashSet<u32>,
    /// It stands in [`Bridge::sweeps`].
    due: bool,
    /// It is to be swept as soon as it can be.
    wanted: bool,
    /// It waits for a sweeper.
    waits: bool,
    /// Receive rings that were bare when they were looked at, and wait too.
    rings: BTreeSet<EndpointId>,
    /// The slots of the sweep under way; `None` while there is none.
    under_way: Option<HashSet<u32>>,
    /// Slots that will be free when it is done.
    held: Vec<u32>,
}

impl Bridge {
    /// The slot's connection needs it no longer.
    pub(super) fn give_back(&mut self, now: Instant, id: SessionId, slot: u32) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.slots[slot as usize] = None;
        let sweeping = &mut session.sweeping;
        let swept = sweeping.under_way.as_ref();
        if swept.is_some_and(|slots| slots.contains(&slot)) {
            sweeping.held.push(slot);
        } else {
            session.free.push(slot);
        }
        sweeping.bare.insert(slot);
        self.sweep_later(now, id);
    }

    fn sweep_later(&mut self, now: Instant, id: SessionId) {
        let session = self.sessions.get_mut(&id).filter(|s| s.is_served());
        if let Some(session) = session
            && !std::mem::replace(&mut session.sweeping.due, true)
        {
            self.sweeps.push_back((now + REST, id));
        }
    }

    /// When the next session's slots may be swept.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.front().map(|(at, _)| *at)
    }

    /// The sessions whose slots may be swept by now.
    pub(super) fn sweeps_due(&mut self, now: Instant) -> Vec<SessionId> {
        let mut due = Vec::new();
        while let Some(&(at, id)) = self.sweeps.front()
            && at <= now
        {
            self.sweeps.pop_front();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.sweeping.due = false;
                due.push(id);
            }
        }
        due
    }

    /// Gives back the memory of these receive rings, which are bare, and of the session's free slots; as soon as that can be, if not now.
    pub(super) fn sweep(
        &mut self,
        stack: &mut DaemonStack,
        id: SessionId,
        endpoints: &[EndpointId],
    ) {
        let Some(session) = self.sessions.get_mut(&id).filter(|s| s.is_served()) else {
            // Nothing of it is looked at any more, and all of it goes soon.
            return;
        };
        let user = (!session.worker).then_some(session.credentials.uid);
        let sweeping = &mut session.sweeping;
        if sweeping.under_way.is_some() {
            // When that is done.
            sweeping.wanted = true;
            sweeping.rings.extend(endpoints);
            return;
        }
        if !self.sweeper.has_room(user) {
            sweeping.rings.extend(endpoints);
            if !std::mem::replace(&mut sweeping.waits, true) {
                self.sweeper.wait(user, id);
            }
            return;
        }
        let slots = session.slots_to_sweep();
        let both = slots
            .iter()
            .flat_map(|slot| [Direction::Receive, Direction::Transmit].map(|way| (*slot, way)));
        let mut places: Vec<(u32, Direction)> = both.collect();
        session.sweeping.held = slots;
        let arena = Arc::clone(&session.arena);
        for endpoint in endpoints {
            if let Some(connection) = self.connections.get_mut(endpoint)
                && let Some(ring) = stack.receive_ring(*endpoint)
            {
                let instead = <ConnectionRing as Ring>::private(ring.capacity());
                connection.aside = stack.exchange_receive(*endpoint, instead);
                if connection.aside.is_some() {
                    places.push((connection.slot.slot(), Direction::Receive));
                }
            }
        }
        if places.is_empty() {
            return;
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.sweeping.under_way = Some(places.iter().map(|(slot, _)| *slot).collect());
        }
        self.sweeper.sweep(Sweep {
            session: id,
            user,
            arena,
            places,
            punched: 0,
        });
    }

    /// Goes on with what was swept.
    pub(crate) fn take_swept(&mut self, stack: &mut DaemonStack, now: Instant) {
        self.sweeper.silence();
        while let Some(sweep) = self.sweeper.next_done() {
            self.counts.punched += sweep.punched;
            let id = sweep.session;
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            session.sweeping.under_way = None;
            let again = std::mem::take(&mut session.sweeping.wanted);
            session.free.append(&mut session.sweeping.held);
            let slots = sweep.places.iter().map(|(slot, _)| *slot as usize);
            let live = slots.filter_map(|slot| session.slots[slot]);
            for endpoint in live.collect::<Vec<_>>() {
                self.take_back_ring(stack, now, endpoint);
            }
            self.release_if_empty(id);
            if again {
                self.sweep_waiting(stack, now, id);
            }
        }
        while let Some(id) = self.sweeper.next_waiting() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.sweeping.waits = false;
                self.sweep_waiting(stack, now, id);
            }
        }
    }

    /// Sweeps a session that had to wait, if there still is something to sweep.
    fn sweep_waiting(&mut self, stack: &mut DaemonStack, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut rings: Vec<EndpointId> = std::mem::take(&mut session.sweeping.rings)
            .into_iter()
            .collect();
        rings.retain(|endpoint| {
            // It may have passed to another session.
            let connection = self.connections.get(endpoint);
            connection.is_some_and(|connection| connection.session == id)
                && self.look_at(stack, now, *endpoint)
        });
        self.sweep(stack, id, &rings);
    }

    /// The receive ring is where it belongs again, with what has arrived meanwhile.
    fn take_back_ring(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        let connection = self.connections.get_mut(&endpoint);
        let Some(ring) = connection.and_then(|connection| connection.aside.take()) else {
            return;
        };
        stack.exchange_receive(endpoint, ring);
        if let Some(view) = stack.view(endpoint) {
            self.publish(now, endpoint, &view);
        }
    }
}

impl Session {
    /// Takes the bare slots out of the free ones; one stays when there would be none left to give out.
    fn slots_to_sweep(&mut self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.sweeping.bare.drain().collect();
        let can_grow = (self.slots.len() as u32) < self.arena.layout().slots();
        if !can_grow && slots.len() >= self.free.len() {
            self.sweeping.bare.extend(slots.pop());
        }
        let swept: HashSet<u32> = slots.iter().copied().collect();
        self.free.retain(|slot| !swept.contains(slot));
        slots
    }
}
