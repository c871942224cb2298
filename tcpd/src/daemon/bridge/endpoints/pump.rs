//! Bytes between a pair and the rings of its connection.
//!
//! One step of [`Bridge::pump`], whatever has happened:
//!
//! 1. what the holder wrote goes into the transmit ring;
//! 2. what has arrived goes into the pair;
//! 3. what has ended on one side ends on the other.

use super::super::quotas::HELD_WINDOW;
use super::pair::{Given, Taken};
use super::*;

/// Bytes moved in each direction in one step; then the others have their turn.
const STEP: usize = 512 << 10;
/// Bytes taken from a pair ahead of what can be sent. What waits does so better in the pair than in a ring that outgrows the
/// processor's cache.
const AHEAD: u64 = 512 << 10;
/// How far a transmit ring grows where acknowledgments come at once, in bytes.
const SHORT_WAY_RING: u32 = 512 << 10;

impl Bridge {
    /// One step for one endpoint; how many bytes it moved.
    pub(in crate::daemon::bridge) fn pump(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> usize {
        if !self.endpoints.all.contains_key(&endpoint) {
            return 0;
        }
        if stack.view(endpoint).is_none() {
            self.socket_vanished(stack, now, endpoint);
            return 0;
        }
        self.hold_socket(stack, now, endpoint);
        let taken = self.take_in(stack, now, endpoint);
        let given = self.give_out(stack, now, endpoint);
        self.count_moved(now, endpoint, taken + given);
        self.watch_socket(now, endpoint, taken + given > 0);
        if self.conclude(stack, now, endpoint) && (taken >= STEP || given >= STEP) {
            self.endpoints.enqueue(endpoint);
        }
        self.settle_socket(stack, now, endpoint);
        taken + given
    }

    /// From the pair into the transmit ring, as much as has room; how many bytes.
    fn take_in(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) -> usize {
        let mut total = 0;
        while total < STEP {
            let Some(room) = self.transmit_room(stack, now, endpoint) else {
                break;
            };
            let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
                break;
            };
            let Some(pair) = entry
                .pair
                .as_ref()
                .filter(|_| entry.input && entry.readable)
            else {
                break;
            };
            match pair.take(room.slices) {
                Taken::Bytes { count, last } => {
                    total += count;
                    // The end of what the holder writes comes next and rings no bell of its own.
                    entry.readable = !last || entry.ends;
                    if let Some(ring) = stack.send_ring(endpoint).and_then(ConnectionRing::as_own) {
                        ring.touched(room.written, count);
                    }
                    stack
                        .committed(now, endpoint, room.written + count as u64)
                        .ok();
                }
                Taken::Nothing => entry.readable = false,
                Taken::End => {
                    entry.input = false;
                    entry.hung_up |= pair.is_hung_up();
                }
                Taken::Discarded => {
                    entry.input = false;
                    self.end_of_socket(stack, now, endpoint, End::Abort);
                }
            }
        }
        total
    }

    /// Where the holder's next bytes go; `None` when there is no room, or none is wanted.
    fn transmit_room(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> Option<Room> {
        let view = stack.view(endpoint)?;
        let entry = self.endpoints.all.get_mut(&endpoint)?;
        if !entry.input {
            return None;
        }
        if !matches!(view.state, State::Established | State::CloseWait) {
            // Somebody else has ended this direction: what the holder writes is refused, as what is in the pair is lost.
            entry.input = false;
            entry.pair.as_ref()?.refuse_input();
            return None;
        }
        if !entry.readable {
            return None;
        }
        let used = view.send.written - view.send.acknowledged;
        let mut capacity = view.send.capacity;
        let at_the_end = |stack: &DaemonStack| {
            let geometry = stack.send_ring(endpoint)?.geometry()?;
            let offset =
                view.send.written.wrapping_sub(geometry.base) % u64::from(geometry.capacity);
            Some(u64::from(geometry.capacity) - offset)
        };
        // As a client does it: before it would go around the end, while what is used stands in one piece. On a short way a large
        // ring is of no use, and outgrows the processor's cache.
        let (account, most) = (entry.account, entry.transmit_maximum);
        if view.send.wanted.min(most) > capacity
            && used >= u64::from(capacity) / 2
            && at_the_end(stack) == Some(u64::from(capacity))
            && let wanted = view.send.wanted.min(most_on_the_way(stack, endpoint, most))
            && wanted > capacity
            && let Some(size) = self.affordable(stack, account, capacity, wanted)
            && stack.grow_send(now, endpoint, size)
        {
            self.has_grown(account, size - capacity);
            self.counts.transmit_growths += 1;
            capacity = size;
        }
        let unsent = view.send.written - view.send.sent;
        let entry = self.endpoints.all.get(&endpoint)?;
        let mut free = u64::from(capacity) - used;
        // In pieces that are worth it: what is in flight will be acknowledged, and then there is more room.
        if used > 0 && (free < u64::from(capacity / NOTICE_FRACTION) || unsent >= AHEAD / 2) {
            return None;
        }
        free = free.min(AHEAD - unsent.min(AHEAD));
        if capacity < entry.transmit_maximum {
            free = free.min(at_the_end(stack)?);
        }
        if free == 0 {
            return None;
        }
        let ring = stack.send_ring(endpoint)?.as_own()?;
        Some(Room {
            slices: ring.places(view.send.written, free as u32),
            written: view.send.written,
        })
    }

    /// From the receive ring into the pair, as much as it takes; how many bytes.
    fn give_out(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) -> usize {
        let mut total = 0;
        while total < STEP {
            let Some(view) = stack.view(endpoint) else {
                break;
            };
            let (read, unread) = (view.receive.read, view.receive.next - view.receive.read);
            let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
                break;
            };
            if !(entry.output && entry.writable && unread > 0) {
                break;
            }
            let length = entry.may_be_given(unread.min(STEP as u64)) as u32;
            if length == 0 {
                self.ask_for_room(now, endpoint);
                break;
            }
            let Some(pair) = &entry.pair else {
                break;
            };
            let ring = stack.receive_ring(endpoint);
            let Some(ring) = ring.and_then(ConnectionRing::as_own) else {
                break;
            };
            match pair.give(ring.places(read, length)) {
                Given::Bytes(count) => {
                    total += count;
                    let end = read + count as u64;
                    stack.consumed(now, endpoint, end).ok();
                    self.maybe_grow_socket(stack, now, endpoint, end);
                    if count < length as usize {
                        self.ask_for_room(now, endpoint);
                    }
                }
                Given::Full => self.ask_for_room(now, endpoint),
                Given::Later => {
                    entry.writable = false;
                    self.watch_socket(now, endpoint, true);
                }
                Given::Closed => {
                    entry.output = false;
                    entry.hung_up |= pair.is_hung_up();
                    if !entry.hung_up {
                        // The holder reads no more, and may still write.
                        stack.shutdown_read(now, endpoint).ok();
                    }
                }
            }
        }
        if total > 0 {
            self.forget_room(endpoint);
        }
        total
    }

    /// The pair is full: the poll tells when it has room.
    fn ask_for_room(&mut self, now: Instant, endpoint: EndpointId) {
        // What it holds now stays for as long as the holder likes.
        self.weigh_pair(endpoint);
        let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
            return;
        };
        entry.writable = false;
        if !entry.asks_for_room {
            let interest = Interest::READABLE | Interest::WRITABLE;
            entry.asks_for_room = entry.watch_for(&self.endpoints.registry, interest);
            if !entry.asks_for_room {
                // Nobody will tell: it is tried again with the idle ones.
                self.watch_socket(now, endpoint, true);
            }
        }
    }

    /// The pair has room again: each byte the holder reads would be news otherwise.
    fn forget_room(&mut self, endpoint: EndpointId) {
        if let Some(entry) = self.endpoints.all.get_mut(&endpoint)
            && entry.asks_for_room
            && entry.writable
        {
            entry.asks_for_room = false;
            entry.watch_for(&self.endpoints.registry, Interest::READABLE);
        }
    }

    /// What ended on one side ends on the other; false when nothing is left to pump.
    fn conclude(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) -> bool {
        let Some(view) = stack.view(endpoint) else {
            self.socket_vanished(stack, now, endpoint);
            return false;
        };
        let Some(entry) = self.endpoints.all.get_mut(&endpoint) else {
            return false;
        };
        let Some(pair) = &entry.pair else {
            return false;
        };
        let unread = view.receive.next > view.receive.read;
        if entry.hung_up && (unread || pair.was_discarded()) {
            self.end_of_socket(stack, now, endpoint, End::Abort);
            return false;
        }
        if entry.hung_up && !entry.input {
            self.end_of_socket(stack, now, endpoint, End::Close);
            return false;
        }
        if !entry.input && matches!(view.state, State::Established | State::CloseWait) {
            stack.shutdown_write(now, endpoint).ok();
        }
        // What came before the end is for the holder, unless this side has ended it.
        let discarded = matches!(view.end, Some(CoreEnd::Aborted | CoreEnd::Evicted));
        if view.end.is_some() && (discarded || !unread || !entry.output) {
            self.end_of_socket(stack, now, endpoint, End::Close);
            return false;
        }
        if view.receive.fin_received && !unread && entry.output {
            entry.output = false;
            pair.end_output();
        }
        true
    }

    /// Grows the receive ring as far as the stack would have it, and memory allows.
    fn maybe_grow_socket(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        read: u64,
    ) {
        let Some(entry) = self.endpoints.all.get(&endpoint) else {
            return;
        };
        if read < entry.grow_from {
            return;
        }
        let account = entry.account;
        if let Some(growth) = receive_growth(stack, endpoint, entry.receive_maximum) {
            let grow_from = self.grow_receive(stack, now, endpoint, account, growth, read);
            if let Some(entry) = self.endpoints.all.get_mut(&endpoint) {
                entry.grow_from = grow_from;
            }
        }
    }

    /// Holds the window of a connection whose user is near its budget, and lets it go when not any more.
    fn hold_socket(&mut self, stack: &mut DaemonStack, now: Instant, endpoint: EndpointId) {
        if let Some(entry) = self.endpoints.all.get_mut(&endpoint)
            && self.users.is_pressed(entry.account) != entry.held
        {
            entry.held = !entry.held;
            stack.hold_window(now, endpoint, entry.held.then_some(HELD_WINDOW));
        }
    }

    /// Bytes have moved: they count towards the next look at their user.
    fn count_moved(&mut self, now: Instant, endpoint: EndpointId, bytes: usize) {
        if bytes > 0
            && let Some(entry) = self.endpoints.all.get(&endpoint)
        {
            self.users.moved(now, entry.account, bytes as u64);
        }
    }
}

/// How large a ring may become, `most` at most: as large as that only where a full one waits longer for its acknowledgments than this
/// thread takes to get them. It asks for the whole status: to be asked last.
fn most_on_the_way(stack: &DaemonStack, endpoint: EndpointId, most: u32) -> u32 {
    let srtt = stack.status(endpoint).and_then(|status| status.srtt);
    match srtt.is_some_and(|srtt| srtt >= Duration::from_millis(1)) {
        true => most,
        false => most.min(SHORT_WAY_RING),
    }
}

/// Where bytes may go, and the position of the first.
struct Room {
    slices: [libtcpclient::shm::RawSlice; 2],
    written: u64,
}

impl Endpoint {
    /// Whether the poll was told.
    fn watch_for(&self, registry: &mio::Registry, interest: Interest) -> bool {
        self.pair.as_ref().is_some_and(|pair| {
            let fd = pair.as_fd().as_raw_fd();
            let told = registry.reregister(&mut SourceFd(&fd), Token(self.number), interest);
            told.is_ok()
        })
    }
}
