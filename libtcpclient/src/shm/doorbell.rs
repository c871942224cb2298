//! Telling the other side to look, and going to sleep without missing it.
//!
//! * [`Doorbell`]: a bitmap of slots and a sleep flag, for one direction. Setting a bit is
//!   idempotent and cannot overflow; only a sleeper costs a system call, made by the caller.
//! * [`prepare_wait`] / [`take_waiters`]: one thread blocked in a read or write of one connection,
//!   on an event word that a futex can wait for.
//!
//! Both rest on the same argument. The one who waits says so, **then** looks once more; the one who
//! has news publishes it, **then** looks whether somebody waits; a `SeqCst` fence stands between the two
//! steps on both sides, so at least one of them sees the other. tests/loom.rs tries every order.

use super::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Slots that one doorbell can name: 64 words of 64 bits.
pub const MAX_SLOTS: u32 = 64 * 64;

/// A bitmap in two levels and the flag of the side that takes from it.
///
/// | offset | type | field |
/// |---|---|---|
/// | 0 | u32 | asleep: 1 while the taking side wants to be rung |
/// | 64 | u64 | summary: bit n set if word n may hold a bit |
/// | 128 | `WORDS` × u64 | words: bit n of word m is slot 64 m + n |
///
/// In the arena `WORDS` is 64; the loom model is smaller.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Doorbell<const WORDS: usize> {
    asleep: Line<AtomicU32>,
    summary: Line<AtomicU64>,
    words: [AtomicU64; WORDS],
}

/// A cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
struct Line<T>(T);

/// Some slots that were marked: bit n stands for slot `first + n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    first: u32,
    bits: u64,
}

impl Marked {
    /// The word behind this one, for [`Doorbell::take_from`].
    pub fn next_word(&self) -> u32 {
        self.first / 64 + 1
    }
}

impl Iterator for Marked {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.bits == 0 {
            return None;
        }
        let bit = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(self.first + bit)
    }
}

impl<const WORDS: usize> Default for Doorbell<WORDS> {
    fn default() -> Doorbell<WORDS> {
        Doorbell::new()
    }
}

impl<const WORDS: usize> Doorbell<WORDS> {
    /// Nothing marked, awake. In the arena zeroed memory is the same.
    pub fn new() -> Doorbell<WORDS> {
        Doorbell {
            asleep: Line(AtomicU32::new(0)),
            summary: Line(AtomicU64::new(0)),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Marks `slot`: everything this thread published before is seen by who takes the mark. True
    /// when the other side sleeps and its bell must be rung (by this call's caller, and by no other).
    ///
    /// A slot beyond the bitmap is ignored.
    #[must_use = "when true, ring the bell"]
    pub fn mark(&self, slot: u32) -> bool {
        let (word, bit) = (slot / 64, 1u64 << (slot % 64));
        let Some(bits) = self.words.get(word as usize) else {
            return false;
        };
        // A read-modify-write, so it is ordered with the taker's on the same word: either the taker
        // takes this bit and with it sees what we published, or the bit stays for the next take.
        if bits.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            // Whoever set it has yet to set the summary and look at the flag, or did so and
            // nobody took it since: both are awake to it.
            return false;
        }
        self.summary.0.fetch_or(1 << word, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.asleep.0.load(Ordering::Relaxed) == 1 && self.asleep.0.swap(0, Ordering::AcqRel) == 1
    }

    /// Takes the marks of one word, lowest first; `None` when nothing is marked. It may be empty.
    pub fn take(&self) -> Option<Marked> {
        self.take_from(0)
    }

    /// The same, of the first marked word from `first` on, going round: who goes on behind the word it took
    /// last ([`Marked::next_word`]) comes to every word, however busy the others are.
    pub fn take_from(&self, first: u32) -> Option<Marked> {
        let summary = self.summary.0.load(Ordering::Relaxed);
        let behind = summary.rotate_right(first % 64).trailing_zeros();
        let word = (behind + first % 64) % 64;
        let bits = self.words.get(word as usize).filter(|_| summary != 0);
        let Some(bits) = bits else {
            // No bit, or one that stands for no word: only a side that lies sets that.
            if summary != 0 {
                self.summary.0.store(0, Ordering::Relaxed);
            }
            return None;
        };
        // The summary first: a mark that comes between the two sets it again.
        self.summary.0.fetch_and(!(1 << word), Ordering::AcqRel);
        Some(Marked {
            first: word * 64,
            bits: bits.swap(0, Ordering::AcqRel),
        })
    }

    /// Whether something is marked, without taking it.
    pub fn is_marked(&self) -> bool {
        self.summary.0.load(Ordering::Acquire) != 0
    }

    /// Says that the taking side is about to sleep. False when it must not: something is marked.
    /// After true, the next mark rings. [`Doorbell::awake`] afterwards.
    #[must_use = "when false, do not sleep"]
    pub fn prepare_sleep(&self) -> bool {
        // A swap, and not a store, so that it has a place among the swaps of those who ring.
        self.asleep.0.swap(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if self.summary.0.load(Ordering::Relaxed) == 0 {
            return true;
        }
        self.awake();
        false
    }

    /// Says that the taking side is awake: nobody needs to ring.
    pub fn awake(&self) {
        if self.asleep.0.load(Ordering::Relaxed) != 0 {
            self.asleep.0.swap(0, Ordering::AcqRel);
        }
    }
}

/// In a slot's `waiting` word: a thread waits on the event word with a futex.
pub const WAITING_FUTEX: u32 = 1;
/// In a slot's `waiting` word: somebody polls; set the slot's bit in the ready bitmap.
pub const WAITING_READY: u32 = 2;

/// Says that somebody waits (`how`: the constants above), and returns the event word to wait on.
/// After that, look once more whether there is something; only then wait for `event` to differ
/// from the result. Several threads may do it at once: a waker wakes them all.
pub fn prepare_wait(waiting: &AtomicU32, event: &AtomicU32, how: u32) -> u32 {
    let seen = event.load(Ordering::Acquire);
    waiting.fetch_or(how, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    seen
}

/// After publishing news: takes who waits for it (a set of the constants above), having moved the event
/// word on if a thread waits. The caller wakes the futex, or marks the slot.
#[must_use = "wake those who wait"]
pub fn take_waiters(waiting: &AtomicU32, event: &AtomicU32) -> u32 {
    fence(Ordering::SeqCst);
    if waiting.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    let how = waiting.swap(0, Ordering::AcqRel);
    if how & WAITING_FUTEX != 0 {
        event.fetch_add(1, Ordering::Release);
    }
    how
}

/// Publishes `position` in one's own word, then looks at the other side's: of two sides that do
/// this, at least one sees the other's position.
pub fn publish_and_look(own: &AtomicU64, position: u64, other: &AtomicU64) -> u64 {
    own.store(position, Ordering::Release);
    fence(Ordering::SeqCst);
    other.load(Ordering::Relaxed)
}

#[cfg(all(test, not(loom)))]
mod tests;
