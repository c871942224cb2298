//! Deadlines: one node per endpoint in a hierarchical timer wheel.
//!
//! Six levels of 256 slots over ticks of 65,536 ns cover all 64 bits of nanoseconds, so nothing ever overflows. A node lies in the level of the
//! highest byte in which its tick differs from the wheel's own: whatever is in a lower level is due earlier than whatever is in a
//! higher one. Time moves from occupied slot to occupied slot, so a leap of hours costs no more than what is due on the way.
//!
//! Deadlines are exact to the nanosecond: the current slot is looked through, never fired whole before its time.
//!
//! [`Deadlines::next_deadline`] reads one number. Each slot keeps a lower bound of its deadlines, exact unless its earliest node was
//! taken from among more than sixteen; then the owner wakes once for nothing, and the bound is put right.

use crate::time::Instant;

/// 2¹⁶ ns a tick.
const TICK_BITS: u32 = 16;
const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;
/// 16 + 6·8 = 64: every instant has its slot.
const LEVELS: usize = 6;
/// The list of what is due, behind all slots.
const DUE: usize = LEVELS * SLOTS;
/// No key, no slot.
const NONE: u32 = u32::MAX;
const UNARMED: u16 = u16::MAX;
/// How many nodes are looked at to find a slot's new earliest deadline when its earliest node goes.
const RESCAN: usize = 16;

/// One deadline per key; a key is the owner's index, best dense from 0. Arm, re-arm, cancel and the next deadline are O(1).
#[derive(Clone, Debug)]
pub struct Deadlines {
    nodes: Vec<Node>,
    slots: Vec<Slot>,
    /// A bit for every slot that is not empty.
    occupied: [[u64; SLOTS / 64]; LEVELS],
    /// The wheel's own tick: nothing in the wheel is before it.
    elapsed: u64,
    armed: usize,
}

/// Lists are doubly linked; the head's `previous` is the tail, the tail's `next` is `NONE`.
#[derive(Clone, Copy, Debug)]
struct Node {
    deadline: u64,
    next: u32,
    previous: u32,
    slot: u16,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    /// No node here is due before this; `u64::MAX` when there is none.
    earliest: u64,
}

impl Deadlines {
    /// An empty wheel. Deadlines before `now` may be armed and are due at once.
    pub fn new(now: Instant) -> Deadlines {
        Deadlines {
            nodes: Vec::new(),
            slots: vec![
                Slot {
                    head: NONE,
                    earliest: u64::MAX
                };
                DUE + 1
            ],
            occupied: [[0; SLOTS / 64]; LEVELS],
            elapsed: tick_of(now.as_nanos()),
            armed: 0,
        }
    }

    /// How many keys have a deadline.
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Whether no key has a deadline.
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// Sets or moves the deadline of `key` (any but `u32::MAX`).
    ///
    /// Whoever arms a key from inside the loop over [`Deadlines::expire`] arms it for later than that loop's `now`, or the loop
    /// does not end.
    pub fn arm(&mut self, key: u32, deadline: Instant) {
        debug_assert!(key != NONE, "the key of no endpoint");
        let index = key as usize;
        if index >= self.nodes.len() {
            let empty = Node {
                deadline: 0,
                next: NONE,
                previous: NONE,
                slot: UNARMED,
            };
            self.nodes.resize(index + 1, empty);
        }
        self.cancel(key);
        self.nodes[index].deadline = deadline.as_nanos();
        let slot = self.slot_for(deadline.as_nanos());
        self.link(key, slot);
        self.armed += 1;
    }

    /// Takes the deadline of `key` away; false when it had none.
    pub fn cancel(&mut self, key: u32) -> bool {
        let armed = self
            .nodes
            .get(key as usize)
            .is_some_and(|node| node.slot != UNARMED);
        if armed {
            self.unlink(key);
            self.armed -= 1;
        }
        armed
    }

    /// When `key` is due.
    pub fn deadline(&self, key: u32) -> Option<Instant> {
        let node = self
            .nodes
            .get(key as usize)
            .filter(|node| node.slot != UNARMED)?;
        Some(Instant::from_nanos(node.deadline))
    }

    /// When to call [`Deadlines::expire`] next: not later than the earliest deadline, and that very deadline but for the exception
    /// in the module's text.
    pub fn next_deadline(&self) -> Option<Instant> {
        let slot = if self.slots[DUE].head != NONE {
            DUE
        } else {
            self.first_occupied()?
        };
        Some(Instant::from_nanos(self.slots[slot].earliest))
    }

    /// Takes out one key whose deadline is `now` or earlier; call until `None`. Earlier deadlines come first, in steps of a tick.
    pub fn expire(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos();
        while self.slots[DUE].head == NONE {
            let slot = self.first_occupied();
            let (start, slot) = match slot {
                Some(slot) if self.start_of(slot) <= tick_of(now) => (self.start_of(slot), slot),
                _ => {
                    self.elapsed = self.elapsed.max(tick_of(now));
                    return None;
                }
            };
            self.elapsed = start;
            if slot >= SLOTS {
                self.cascade(slot);
            } else if !self.collect_due(slot, now) {
                return None;
            }
        }
        let key = self.slots[DUE].head;
        self.cancel(key);
        Some(key)
    }

    /// Deals the nodes of a slot of a higher level out to lower ones; `elapsed` stands at the slot's start.
    fn cascade(&mut self, slot: usize) {
        while self.slots[slot].head != NONE {
            let key = self.slots[slot].head;
            self.detach(key);
            let lower = self.slot_for(self.nodes[key as usize].deadline);
            self.link(key, lower);
        }
    }

    /// Moves what is due in a slot of the lowest level to the list of what is due; false when nothing was.
    fn collect_due(&mut self, slot: usize, now: u64) -> bool {
        if self.slots[slot].earliest > now {
            return false;
        }
        let (mut key, mut remaining) = (self.slots[slot].head, u64::MAX);
        while key != NONE {
            let Node { deadline, next, .. } = self.nodes[key as usize];
            if deadline <= now {
                self.detach(key);
                self.link(key, DUE);
            } else {
                remaining = remaining.min(deadline);
            }
            key = next;
        }
        self.slots[slot].earliest = remaining;
        self.slots[DUE].head != NONE
    }

    /// The slot of a deadline as seen from `elapsed`; what is past lies in the current one.
    fn slot_for(&self, deadline: u64) -> usize {
        let tick = tick_of(deadline).max(self.elapsed);
        let differing = tick ^ self.elapsed;
        let level = (u64::BITS - (differing | 1).leading_zeros() - 1) / SLOT_BITS;
        level as usize * SLOTS + (tick >> (level * SLOT_BITS)) as usize % SLOTS
    }

    /// First tick of an occupied slot.
    fn start_of(&self, slot: usize) -> u64 {
        let shift = (slot / SLOTS) as u32 * SLOT_BITS;
        let above = self.elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        above | ((slot % SLOTS) as u64) << shift
    }

    /// The occupied slot with the earliest deadlines: the first one of the lowest level.
    fn first_occupied(&self) -> Option<usize> {
        for (level, words) in self.occupied.iter().enumerate() {
            for (index, word) in words.iter().enumerate() {
                if *word != 0 {
                    return Some(level * SLOTS + index * 64 + word.trailing_zeros() as usize);
                }
            }
        }
        None
    }

    fn link(&mut self, key: u32, slot: usize) {
        let head = self.slots[slot].head;
        let tail = if head == NONE {
            key
        } else {
            self.nodes[head as usize].previous
        };
        let node = &mut self.nodes[key as usize];
        (node.next, node.previous, node.slot) = (NONE, tail, slot as u16);
        let deadline = node.deadline;
        if head == NONE {
            self.slots[slot].head = key;
            if slot != DUE {
                self.occupied[slot / SLOTS][slot % SLOTS / 64] |= 1 << (slot % 64);
            }
        } else {
            self.nodes[tail as usize].next = key;
            self.nodes[head as usize].previous = key;
        }
        self.slots[slot].earliest = self.slots[slot].earliest.min(deadline);
    }

    /// Takes a node out of its list and keeps the slot's bound as good as a short look allows.
    fn unlink(&mut self, key: u32) {
        let Node { deadline, slot, .. } = self.nodes[key as usize];
        self.detach(key);
        let slot = &mut self.slots[usize::from(slot)];
        if slot.earliest != deadline || slot.head == NONE {
            return;
        }
        let (mut next, mut earliest) = (slot.head, u64::MAX);
        for _ in 0..RESCAN {
            let node = &self.nodes[next as usize];
            (earliest, next) = (earliest.min(node.deadline), node.next);
            if next == NONE {
                slot.earliest = earliest;
                return;
            }
        }
    }

    /// Takes a node out of its list.
    fn detach(&mut self, key: u32) {
        let Node {
            next,
            previous,
            slot,
            ..
        } = self.nodes[key as usize];
        self.nodes[key as usize].slot = UNARMED;
        let slot = usize::from(slot);
        let head = self.slots[slot].head;
        if head == key {
            self.slots[slot].head = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        } else if head != key {
            self.nodes[head as usize].previous = previous;
        }
        if self.slots[slot].head == NONE {
            self.slots[slot].earliest = u64::MAX;
            if slot != DUE {
                self.occupied[slot / SLOTS][slot % SLOTS / 64] &= !(1 << (slot % 64));
            }
        }
    }
}

fn tick_of(nanos: u64) -> u64 {
    nanos >> TICK_BITS
}

#[cfg(test)]
mod tests;
