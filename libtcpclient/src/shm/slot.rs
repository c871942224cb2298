//! The two ends of a connection's slot.
//!
//! Every word has one writer ([`SlotHeader`]'s lines say which). A side publishes with `Release`
//! after the bytes are in place, and reads the other's word with `Acquire` before it touches bytes.
//!
//! The daemon's order when data comes: bytes, geometry if it changed, `receive.write`, `state`, then
//! [`DaemonSlot::wake_reader`]. The client's when it writes: bytes, `transmit.write`, then the doorbell.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use super::arena::Arena;
use super::doorbell::{self, WAITING_FUTEX, WAITING_READY};
use super::layout::{Geometry, SlotHeader};
use crate::protocol::EndReason;

/// What a client broke in shared memory: counted per session by name, and the end of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// `transmit.write` moved back.
    #[error("transmit.write moved back")]
    TransmitWriteBack,
    /// `transmit.write` is beyond the ring's free space.
    #[error("transmit.write is beyond the free space")]
    TransmitWriteBeyond,
    /// `receive.read` moved back.
    #[error("receive.read moved back")]
    ReceiveReadBack,
    /// `receive.read` is beyond what was received.
    #[error("receive.read is beyond what was received")]
    ReceiveReadBeyond,
}

impl Violation {
    /// All of them.
    pub const ALL: [Violation; 4] = [
        Violation::TransmitWriteBack,
        Violation::TransmitWriteBeyond,
        Violation::ReceiveReadBack,
        Violation::ReceiveReadBeyond,
    ];

    /// A word in kebab-case, for counters.
    pub fn name(self) -> &'static str {
        match self {
            Violation::TransmitWriteBack => "transmit-write-back",
            Violation::TransmitWriteBeyond => "transmit-write-beyond",
            Violation::ReceiveReadBack => "receive-read-back",
            Violation::ReceiveReadBeyond => "receive-read-beyond",
        }
    }
}

/// What the daemon says about a connection: bits of the word `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotState(u32);

impl SlotState {
    /// Data may flow. Bit 0.
    pub const CONNECTED: SlotState = SlotState(1);
    /// The peer's FIN is in: nothing follows `receive.write`. Bit 1.
    pub const PEER_CLOSED: SlotState = SlotState(2);
    /// The connection is over; `end_reason` says why. Bit 2.
    pub const ENDED: SlotState = SlotState(4);

    /// Both.
    pub fn with(self, other: SlotState) -> SlotState {
        SlotState(self.0 | other.0)
    }

    /// Whether every bit of `other` is set.
    pub fn contains(self, other: SlotState) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a slot begins: [`DaemonSlot::open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartPositions {
    /// Bytes the owner has read already: 0, except after a hand-off.
    pub receive_read: u64,
    /// Bytes that stand in the receive ring, in order.
    pub receive_write: u64,
    /// Bytes acknowledged already.
    pub transmit_acknowledged: u64,
    /// Bytes that stand in the transmit ring.
    pub transmit_write: u64,
    /// Of the receive ring.
    pub receive: Geometry,
    /// Of the transmit ring.
    pub transmit: Geometry,
    /// To begin with.
    pub state: SlotState,
}

/// The daemon's end of a slot. Holds no truth: the caller does, and passes it to be bounded against.
#[derive(Debug, Clone)]
pub struct DaemonSlot {
    arena: Arc<Arena>,
    slot: u32,
    thread: u16,
}

impl DaemonSlot {
    /// `slot` of `arena`, whose connection lives in stack thread `thread`.
    ///
    /// # Panics
    /// When the arena has no such slot or thread: the daemon chose both.
    pub fn new(arena: Arc<Arena>, slot: u32, thread: u16) -> DaemonSlot {
        let layout = arena.layout();
        assert!(slot < layout.slots() && thread < layout.stack_threads());
        DaemonSlot {
            arena,
            slot,
            thread,
        }
    }

    /// Which slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The arena it belongs to.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Initialises every word. Before the client is told of the slot.
    pub fn open(&self, start: StartPositions) {
        let header = self.header();
        let word = Ordering::Relaxed;
        header
            .transmit_client
            .write
            .store(start.transmit_write, word);
        header.transmit_client.waiting.store(0, word);
        header.receive_client.read.store(start.receive_read, word);
        header.receive_client.waiting.store(0, word);
        let receive = &header.receive_daemon;
        receive.write.store(start.receive_write, word);
        receive.geometry.store(start.receive.to_word(), word);
        receive.notify.store(0, word);
        receive.end_reason.store(0, word);
        let transmit = &header.transmit_daemon;
        transmit
            .acknowledged
            .store(start.transmit_acknowledged, word);
        transmit.geometry.store(start.transmit.to_word(), word);
        transmit.wanted.store(0, word);
        receive.state.store(start.state.0, Ordering::Release);
    }

    /// Takes `transmit.write`: how far the client wrote. Reads it once.
    ///
    /// `before` is what this gave last; `acknowledged` and `capacity` are the daemon's truth.
    ///
    /// # Errors
    /// [`Violation`] unless `before ≤ write ≤ acknowledged + capacity`.
    pub fn take_written(
        &self,
        before: u64,
        acknowledged: u64,
        capacity: u32,
    ) -> Result<u64, Violation> {
        let write = self.header().transmit_client.write.load(Ordering::Acquire);
        if write < before {
            return Err(Violation::TransmitWriteBack);
        }
        // Counted from `acknowledged`, so that nothing overflows.
        if write.saturating_sub(acknowledged) > u64::from(capacity) {
            return Err(Violation::TransmitWriteBeyond);
        }
        Ok(write)
    }

    /// Takes `receive.read`: how far the client read. Reads it once.
    ///
    /// `before` is what this gave last; `received` is what was published last.
    ///
    /// # Errors
    /// [`Violation`] unless `before ≤ read ≤ received`.
    pub fn take_read(&self, before: u64, received: u64) -> Result<u64, Violation> {
        let read = self.header().receive_client.read.load(Ordering::Acquire);
        if read < before {
            return Err(Violation::ReceiveReadBack);
        }
        if read > received {
            return Err(Violation::ReceiveReadBeyond);
        }
        Ok(read)
    }

    /// Bytes up to `position` stand in the receive ring. Then [`DaemonSlot::wake_reader`].
    pub fn publish_received(&self, position: u64) {
        self.header()
            .receive_daemon
            .write
            .store(position, Ordering::Release);
    }

    /// Bytes up to `position` are acknowledged. Then [`DaemonSlot::wake_writer`], best only when a
    /// good part of the ring (a quarter) is free or all is acknowledged: a wake-up per segment costs more than it gives.
    pub fn publish_acknowledged(&self, position: u64) {
        self.header()
            .transmit_daemon
            .acknowledged
            .store(position, Ordering::Release);
    }

    /// The receive ring changed while empty or linear. Before the next [`DaemonSlot::publish_received`].
    pub fn publish_receive_geometry(&self, geometry: Geometry) {
        self.header()
            .receive_daemon
            .geometry
            .store(geometry.to_word(), Ordering::Release);
    }

    /// The transmit ring grew, on the client's request. Before the answer.
    pub fn publish_transmit_geometry(&self, geometry: Geometry) {
        self.header()
            .transmit_daemon
            .geometry
            .store(geometry.to_word(), Ordering::Release);
    }

    /// The transmit ring should hold so many bytes: the client may ask for them.
    pub fn publish_transmit_wanted(&self, capacity: u32) {
        self.header()
            .transmit_daemon
            .wanted
            .store(capacity, Ordering::Relaxed);
    }

    /// The client is to mark the slot when it has read up to `position`. 0, the beginning, means
    /// after every read. True when it is there already, and did perhaps not mark.
    ///
    /// A good value is a quarter of the window beyond what was read last: then a reader of
    /// small pieces does not wake the daemon for each, and no window update comes too late.
    #[must_use = "when true, take what was read again"]
    pub fn ask_notice(&self, position: u64) -> bool {
        let header = self.header();
        let (notify, read) = (&header.receive_daemon.notify, &header.receive_client.read);
        doorbell::publish_and_look(notify, position, read) >= position
    }

    /// Publishes a change of state; the reason first when it has ended. After the last
    /// [`DaemonSlot::publish_received`]. Then wake both.
    pub fn publish_state(&self, state: SlotState, end: Option<EndReason>) {
        let receive = &self.header().receive_daemon;
        let reason = end.map_or(0, EndReason::code);
        receive.end_reason.store(reason, Ordering::Relaxed);
        receive.state.store(state.0, Ordering::Release);
    }

    /// Wakes who waits for data. True when the client's bell must be rung.
    #[must_use = "when true, ring the client's bell"]
    pub fn wake_reader(&self) -> bool {
        let header = self.header();
        self.wake(&header.receive_client.waiting, &header.receive_daemon.event)
    }

    /// Wakes who waits for space. True when the client's bell must be rung.
    #[must_use = "when true, ring the client's bell"]
    pub fn wake_writer(&self) -> bool {
        let header = self.header();
        self.wake(
            &header.transmit_client.waiting,
            &header.transmit_daemon.event,
        )
    }

    fn wake(&self, waiting: &AtomicU32, event: &AtomicU32) -> bool {
        let how = doorbell::take_waiters(waiting, event);
        if how & WAITING_FUTEX != 0 {
            futex_wake(event);
        }
        how & WAITING_READY != 0 && self.arena.doorbells(self.thread).to_client.mark(self.slot)
    }

    fn header(&self) -> &SlotHeader {
        self.arena.header(self.slot)
    }
}

/// The client's end of a slot.
#[derive(Debug, Clone)]
pub struct ClientSlot {
    arena: Arc<Arena>,
    slot: u32,
    thread: u16,
}

impl ClientSlot {
    /// `slot` of `arena`, whose doorbells are those of stack thread `thread`. `None` when there is no such slot or thread.
    pub fn new(arena: Arc<Arena>, slot: u32, thread: u16) -> Option<ClientSlot> {
        let layout = arena.layout();
        let fits = slot < layout.slots() && thread < layout.stack_threads();
        fits.then_some(ClientSlot {
            arena,
            slot,
            thread,
        })
    }

    /// Which slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Which stack thread, hence which bell.
    pub fn thread(&self) -> u16 {
        self.thread
    }

    /// How far data stands in the receive ring. Before [`ClientSlot::receive_geometry`].
    pub fn received(&self) -> u64 {
        self.header().receive_daemon.write.load(Ordering::Acquire)
    }

    /// The receive ring's geometry; `None` when it does not fit the place.
    pub fn receive_geometry(&self) -> Option<Geometry> {
        let word = self
            .header()
            .receive_daemon
            .geometry
            .load(Ordering::Acquire);
        Geometry::from_word(word, self.arena.layout().ring_maximum())
    }

    /// The transmit ring's geometry; `None` when it does not fit the place.
    pub fn transmit_geometry(&self) -> Option<Geometry> {
        let word = self
            .header()
            .transmit_daemon
            .geometry
            .load(Ordering::Acquire);
        Geometry::from_word(word, self.arena.layout().ring_maximum())
    }

    /// How many bytes the transmit ring should hold: to ask for a larger one is worth it while it holds less. A hint.
    pub fn transmit_wanted(&self) -> u32 {
        self.header().transmit_daemon.wanted.load(Ordering::Relaxed)
    }

    /// How far the peer has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.header()
            .transmit_daemon
            .acknowledged
            .load(Ordering::Acquire)
    }

    /// Where reading and writing begin: this side's own words, as the daemon initialised them.
    pub fn start(&self) -> (u64, u64) {
        let header = self.header();
        (
            header.receive_client.read.load(Ordering::Acquire),
            header.transmit_client.write.load(Ordering::Acquire),
        )
    }

    /// The state, and why it ended. A number that is not a reason is `None` though it ended.
    pub fn state(&self) -> (SlotState, Option<EndReason>) {
        let receive = &self.header().receive_daemon;
        let state = SlotState(receive.state.load(Ordering::Acquire));
        let reason = receive.end_reason.load(Ordering::Relaxed);
        (state, EndReason::from_code(reason))
    }

    /// Bytes up to `position` stand in the transmit ring. True when the daemon's bell must be rung.
    #[must_use = "when true, ring the daemon's bell"]
    pub fn publish_written(&self, position: u64) -> bool {
        self.header()
            .transmit_client
            .write
            .store(position, Ordering::Release);
        self.mark()
    }

    /// Bytes up to `position` were read. True when the daemon's bell must be rung; the daemon is
    /// told only when it asked to be ([`DaemonSlot::ask_notice`]).
    #[must_use = "when true, ring the daemon's bell"]
    pub fn publish_read(&self, position: u64) -> bool {
        let header = self.header();
        let (read, notify) = (&header.receive_client.read, &header.receive_daemon.notify);
        position >= doorbell::publish_and_look(read, position, notify) && self.mark()
    }

    fn mark(&self) -> bool {
        self.arena.doorbells(self.thread).to_daemon.mark(self.slot)
    }

    /// Says that a thread will wait for data; look once more, then [`ClientSlot::wait_received`].
    pub fn prepare_wait_received(&self) -> u32 {
        let header = self.header();
        doorbell::prepare_wait(
            &header.receive_client.waiting,
            &header.receive_daemon.event,
            WAITING_FUTEX,
        )
    }

    /// Waits until the receive event moved on from `seen`, or for `timeout`. May return early.
    ///
    /// # Errors
    /// `TimedOut`.
    pub fn wait_received(&self, seen: u32, timeout: Option<Duration>) -> io::Result<()> {
        futex_wait(&self.header().receive_daemon.event, seen, timeout)
    }

    /// Says that a thread will wait for space; look once more, then [`ClientSlot::wait_acknowledged`].
    pub fn prepare_wait_acknowledged(&self) -> u32 {
        let header = self.header();
        doorbell::prepare_wait(
            &header.transmit_client.waiting,
            &header.transmit_daemon.event,
            WAITING_FUTEX,
        )
    }

    /// Waits until the transmit event moved on from `seen`, or for `timeout`. May return early.
    ///
    /// # Errors
    /// `TimedOut`.
    pub fn wait_acknowledged(&self, seen: u32, timeout: Option<Duration>) -> io::Result<()> {
        futex_wait(&self.header().transmit_daemon.event, seen, timeout)
    }

    /// Asks for the slot's bit in the ready bitmap when data comes; look once more afterwards.
    pub fn prepare_poll_received(&self) {
        let header = self.header();
        let (waiting, event) = (&header.receive_client.waiting, &header.receive_daemon.event);
        doorbell::prepare_wait(waiting, event, WAITING_READY);
    }

    /// Asks for the slot's bit in the ready bitmap when space comes; look once more afterwards.
    pub fn prepare_poll_acknowledged(&self) {
        let header = self.header();
        let (waiting, event) = (
            &header.transmit_client.waiting,
            &header.transmit_daemon.event,
        );
        doorbell::prepare_wait(waiting, event, WAITING_READY);
    }

    /// Whether a read would return at once: data, or an end.
    pub fn is_readable(&self) -> bool {
        let over = SlotState::PEER_CLOSED.with(SlotState::ENDED);
        let (state, _) = self.state();
        state.0 & over.0 != 0 || self.received() != self.start().0
    }

    /// Whether a write would return at once: room, or an end.
    pub fn is_writable(&self) -> bool {
        let capacity = self
            .transmit_geometry()
            .map_or(0, |geometry| geometry.capacity);
        let used = self.start().1.wrapping_sub(self.acknowledged());
        used < u64::from(capacity) || self.state().0.contains(SlotState::ENDED)
    }

    /// Wakes every thread of this process that waits here: the session is over, or a half was shut.
    pub fn wake_all(&self) {
        let header = self.header();
        for event in [&header.receive_daemon.event, &header.transmit_daemon.event] {
            event.fetch_add(1, Ordering::Release);
            futex_wake(event);
        }
    }

    fn header(&self) -> &SlotHeader {
        self.arena.header(self.slot)
    }
}

/// Not PRIVATE: the other side is another process.
fn futex_wake(event: &AtomicU32) {
    // It fails only for an address that is none.
    let _ = futex::wake(event, futex::Flags::empty(), i32::MAX as u32);
}

fn futex_wait(event: &AtomicU32, seen: u32, timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.and_then(|timeout| futex::Timespec::try_from(timeout).ok());
    match futex::wait(event, futex::Flags::empty(), seen, timeout.as_ref()) {
        // Moved on already, or a signal came: look again.
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
