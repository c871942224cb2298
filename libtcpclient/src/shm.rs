//! The shared memory of a session: one arena of rings, slot headers and doorbell blocks.
//!
//! 1. [`layout`]: where everything stands, and the structs that stand there.
//! 2. [`arena`]: making, mapping, punching and measuring the memfd.
//! 3. [`ring`]: copying in and out of a ring by stream position.
//! 4. [`slot`]: the two ends of a connection's slot: what each side publishes, and how the daemon
//!    takes what the client published.
//! 5. [`doorbell`]: bitmaps with a sleep flag, and waiting on an event word. Checked with loom.
//!
//! # Trust
//!
//! **The whole arena counts as writable by the client** (a read-only descriptor can be reopened),
//! so the daemon trusts nothing in it. Its truth (positions, capacity, base) is private; it reads
//! a shared index once, bounds the copy against that truth ([`slot::DaemonSlot`]) and uses the
//! copy. What does not fit is a [`Violation`]. The client trusts the daemon for what it says, but a
//! broken daemon cannot make this code touch memory outside the arena either: every offset is masked.
//!
//! No reference to plain memory (`&[u8]`) is ever made to the arena: indices are atomics, bytes are
//! copied through raw pointers.

#[cfg(not(loom))]
pub mod arena;
pub mod doorbell;
#[cfg(not(loom))]
pub mod layout;
#[cfg(not(loom))]
pub(crate) mod process;
#[cfg(not(loom))]
pub mod ring;
#[cfg(not(loom))]
pub mod slot;

#[cfg(not(loom))]
pub use self::{
    arena::{Arena, MapError},
    doorbell::Marked,
    layout::{Direction, Geometry, Layout, LayoutError},
    ring::{RawSlice, SharedRing},
    slot::{ClientSlot, DaemonSlot, SlotState, StartPositions, Violation},
};

/// The atomics, which loom replaces by its own.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}
