//! Where everything in an arena stands. Little-endian, 64-byte aligned.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | `stack_threads` × 4096 | a [`DoorbellBlock`] per stack thread |
//! | then | `slots` × 256, rounded up to a page | a [`SlotHeader`] per slot |
//! | then | `slots` × 2 × `ring_maximum` | per slot the transmit ring, then the receive ring |
//!
//! The file is sparse: pages appear when touched. A ring uses the first `capacity` bytes of its place.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::doorbell::{Doorbell, MAX_SLOTS};
use crate::protocol::MAX_STACK_THREADS;

#[cfg(target_endian = "big")]
compile_error!("the arena is little-endian, and this library reads it in place");

const PAGE: usize = 4096;

/// The smallest place for a ring, in bytes: a page.
pub const MIN_RING: u32 = PAGE as u32;
/// The largest place for a ring, in bytes.
pub const MAX_RING: u32 = 1 << 26;

/// One stack thread's doorbells. 4096 bytes.
///
/// | offset | field |
/// |---|---|
/// | 0 | to the daemon: slots with something written, read or closed ("dirty") |
/// | 640 | to the client: slots with news for who polls ("ready") |
#[derive(Debug, Default)]
#[repr(C, align(4096))]
pub struct DoorbellBlock {
    /// The client marks, the daemon takes.
    pub to_daemon: Doorbell<64>,
    /// The daemon marks, the client takes.
    pub to_client: Doorbell<64>,
}

/// One connection's words. 256 bytes, four cache lines; positions count from the first byte of the stream.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SlotHeader {
    /// 0: written by the client when it writes.
    pub transmit_client: TransmitClient,
    /// 64: written by the client when it reads.
    pub receive_client: ReceiveClient,
    /// 128: written by the daemon when data comes.
    pub receive_daemon: ReceiveDaemon,
    /// 192: written by the daemon when data was acknowledged.
    pub transmit_daemon: TransmitDaemon,
}

/// The client's line of the transmit direction.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct TransmitClient {
    /// 0: bytes up to here stand in the transmit ring.
    pub write: AtomicU64,
    /// 8: who waits for space ([`super::doorbell::WAITING_FUTEX`] and so on). The daemon takes it.
    pub waiting: AtomicU32,
}

/// The client's line of the receive direction.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct ReceiveClient {
    /// 0: bytes up to here were read.
    pub read: AtomicU64,
    /// 8: who waits for data. The daemon takes it.
    pub waiting: AtomicU32,
}

/// The daemon's line of the receive direction, and the state.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct ReceiveDaemon {
    /// 0: bytes up to here stand in the receive ring, in order.
    pub write: AtomicU64,
    /// 8: [`Geometry`] of the receive ring. A reader loads `write` first, then this.
    pub geometry: AtomicU64,
    /// 16: when `read` gets here or beyond, the client marks the slot dirty.
    pub notify: AtomicU64,
    /// 24: moves on when data or a change of state came for who waits; futex.
    pub event: AtomicU32,
    /// 28: bits of [`super::slot::SlotState`].
    pub state: AtomicU32,
    /// 32: [`crate::protocol::EndReason`] once `state` has `ENDED`; before, 0.
    pub end_reason: AtomicU32,
}

/// The daemon's line of the transmit direction.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct TransmitDaemon {
    /// 0: bytes up to here were acknowledged, their space is free.
    pub acknowledged: AtomicU64,
    /// 8: [`Geometry`] of the transmit ring. Changes only between `GrowTransmit` and its answer.
    pub geometry: AtomicU64,
    /// 16: moves on when space or a change of state came for who waits; futex.
    pub event: AtomicU32,
    /// 20: bytes that the transmit ring should hold, a power of two. While it holds less, `GrowTransmit` is worth asking.
    pub wanted: AtomicU32,
}

const _: () = {
    assert!(size_of::<DoorbellBlock>() == 4096);
    assert!(size_of::<Doorbell<64>>() == 640);
    assert!(offset_of!(DoorbellBlock, to_daemon) == 0);
    assert!(offset_of!(DoorbellBlock, to_client) == 640);
    assert!(size_of::<SlotHeader>() == 256);
    assert!(offset_of!(SlotHeader, transmit_client.write) == 0);
    assert!(offset_of!(SlotHeader, transmit_client.waiting) == 8);
    assert!(offset_of!(SlotHeader, receive_client.read) == 64);
    assert!(offset_of!(SlotHeader, receive_client.waiting) == 72);
    assert!(offset_of!(SlotHeader, receive_daemon.write) == 128);
    assert!(offset_of!(SlotHeader, receive_daemon.geometry) == 136);
    assert!(offset_of!(SlotHeader, receive_daemon.notify) == 144);
    assert!(offset_of!(SlotHeader, receive_daemon.event) == 152);
    assert!(offset_of!(SlotHeader, receive_daemon.state) == 156);
    assert!(offset_of!(SlotHeader, receive_daemon.end_reason) == 160);
    assert!(offset_of!(SlotHeader, transmit_daemon.acknowledged) == 192);
    assert!(offset_of!(SlotHeader, transmit_daemon.geometry) == 200);
    assert!(offset_of!(SlotHeader, transmit_daemon.event) == 208);
    assert!(offset_of!(SlotHeader, transmit_daemon.wanted) == 212);
};

/// How stream positions map to offsets: `offset = (position - base) mod capacity`. As one word:
/// log2 of the capacity in the low 8 bits, base in the upper 56.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes, a power of two.
    pub capacity: u32,
    /// The position that stands at offset 0. Below 2^56.
    pub base: u64,
}

impl Geometry {
    /// As one word.
    pub fn to_word(self) -> u64 {
        u64::from(self.capacity.trailing_zeros()) | self.base << 8
    }

    /// From a word, if the capacity in it is at most `maximum` bytes.
    pub fn from_word(word: u64, maximum: u32) -> Option<Geometry> {
        let capacity = 1u32.checked_shl((word & 0xff) as u32)?;
        let base = word >> 8;
        (capacity <= maximum).then_some(Geometry { capacity, base })
    }
}

/// Which of a slot's two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Client to network.
    Transmit,
    /// Network to client.
    Receive,
}

/// An arena's sizes. All else follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    stack_threads: u16,
    slots: u32,
    ring_maximum: u32,
}

/// Sizes that no arena can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an arena has 1 to {MAX_STACK_THREADS} stack threads, 1 to {MAX_SLOTS} slots, and rings of a \
     power of two of {MIN_RING} to {MAX_RING} bytes; not {stack_threads}, {slots}, {ring_maximum}"
)]
pub struct LayoutError {
    stack_threads: u16,
    slots: u32,
    ring_maximum: u32,
}

impl Layout {
    /// Checks the sizes: 1…64 stack threads, 1…4096 slots, rings of a power of two in bytes.
    ///
    /// # Errors
    /// When one is out of its range.
    pub fn new(stack_threads: u16, slots: u32, ring_maximum: u32) -> Result<Layout, LayoutError> {
        let fits = (1..=MAX_STACK_THREADS).contains(&stack_threads)
            && (1..=MAX_SLOTS).contains(&slots)
            && (MIN_RING..=MAX_RING).contains(&ring_maximum)
            && ring_maximum.is_power_of_two();
        if !fits {
            return Err(LayoutError {
                stack_threads,
                slots,
                ring_maximum,
            });
        }
        Ok(Layout {
            stack_threads,
            slots,
            ring_maximum,
        })
    }

    /// Doorbell blocks.
    pub fn stack_threads(&self) -> u16 {
        self.stack_threads
    }

    /// Slots.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Bytes of address space per ring.
    pub fn ring_maximum(&self) -> u32 {
        self.ring_maximum
    }

    /// Bytes of address space in all: at most 512 GiB and a little.
    #[expect(
        clippy::len_without_is_empty,
        reason = "an arena is never empty; `len` is its length in bytes"
    )]
    pub fn len(&self) -> usize {
        self.rings() + self.slots as usize * 2 * self.ring_maximum as usize
    }

    pub(super) fn doorbell_offset(&self, thread: u16) -> usize {
        assert!(thread < self.stack_threads, "no such stack thread");
        usize::from(thread) * PAGE
    }

    pub(super) fn header_offset(&self, slot: u32) -> usize {
        assert!(slot < self.slots, "no such slot");
        self.headers() + slot as usize * size_of::<SlotHeader>()
    }

    pub(super) fn ring_offset(&self, slot: u32, direction: Direction) -> usize {
        assert!(slot < self.slots, "no such slot");
        let ring = slot as usize * 2 + usize::from(direction == Direction::Receive);
        self.rings() + ring * self.ring_maximum as usize
    }

    fn headers(&self) -> usize {
        usize::from(self.stack_threads) * PAGE
    }

    fn rings(&self) -> usize {
        let headers = self.slots as usize * size_of::<SlotHeader>();
        self.headers() + headers.next_multiple_of(PAGE)
    }
}
