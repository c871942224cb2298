//! Bytes in and out of a ring, by stream position.

use std::ptr;
use std::sync::Arc;

use super::arena::Arena;
use super::layout::{Direction, Geometry, MIN_RING};

/// One ring of one slot, with the geometry this side believes in: for the daemon its private
/// truth, for the client what the daemon said.
///
/// Whatever position and geometry it is given, it touches no byte outside the ring's place.
#[derive(Debug, Clone)]
pub struct SharedRing {
    arena: Arc<Arena>,
    slot: u32,
    direction: Direction,
    geometry: Geometry,
}

/// A stretch of shared memory for `writev(2)` and its like: never a `&[u8]`, since another process may
/// write it at any time. Empty is `len` 0, with a pointer that is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawSlice {
    /// The first byte.
    pub pointer: *const u8,
    /// Bytes.
    pub len: usize,
}

impl RawSlice {
    /// No bytes.
    pub const EMPTY: RawSlice = RawSlice {
        pointer: ptr::null(),
        len: 0,
    };
}

impl SharedRing {
    /// The ring of `slot`, of `capacity` bytes (a power of two of one page up to the layout's maximum), with position `base` at
    /// offset 0. `None` when slot, capacity or base (below 2^56) is out of range.
    pub fn new(
        arena: Arc<Arena>,
        slot: u32,
        direction: Direction,
        capacity: u32,
        base: u64,
    ) -> Option<SharedRing> {
        let geometry = Geometry { capacity, base };
        let fits = slot < arena.layout().slots() && fits(&arena, geometry);
        fits.then_some(SharedRing {
            arena,
            slot,
            direction,
            geometry,
        })
    }

    /// Bytes, a power of two.
    pub fn capacity(&self) -> u32 {
        self.geometry.capacity
    }

    /// How positions map to offsets: what the daemon publishes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// How far it may grow: the bytes of its place.
    pub fn maximum(&self) -> u32 {
        self.arena.layout().ring_maximum()
    }

    /// Takes over a geometry that the other side decided. False, and no change, when it does not fit the place.
    #[must_use = "false means that the other side lies"]
    pub fn set_geometry(&mut self, geometry: Geometry) -> bool {
        let fits = fits(&self.arena, geometry);
        if fits {
            self.geometry = geometry;
        }
        fits
    }

    /// Whether the bytes from `start` to `end` stand in one piece, so that the ring can grow around
    /// them. Also when there are none.
    pub fn is_linear(&self, start: u64, end: u64) -> bool {
        let len = end.wrapping_sub(start);
        len <= u64::from(self.capacity()) - u64::from(self.offset(start)) || len == 0
    }

    /// Grows to `capacity` bytes with the bytes from `start` to `end` where they are. False, and
    /// no change, when they are not linear, or `capacity` is not a larger power of two that fits.
    ///
    /// Everything at other positions is lost.
    pub fn grow(&mut self, capacity: u32, start: u64, end: u64) -> bool {
        if capacity <= self.capacity() || !self.is_linear(start, end) {
            return false;
        }
        // The byte at `start` keeps its offset, unless there is none to keep.
        let offset = if start == end { 0 } else { self.offset(start) };
        let base = start.wrapping_sub(u64::from(offset)) & BASE_MASK;
        self.set_geometry(Geometry { capacity, base })
    }

    /// Copies `bytes` to `position`.
    ///
    /// # Panics
    /// When there are more than the capacity.
    pub fn copy_in(&self, position: u64, bytes: &[u8]) {
        let [first, second] = self.slices(position, bytes.len());
        let (head, tail) = bytes.split_at(first.len);
        // SAFETY: the slices lie inside the mapping, which `self.arena` keeps; `bytes` is ordinary
        // memory of ours and so does not overlap it. Another process may write there meanwhile: then the
        // bytes are arbitrary, and nothing here depends on them.
        unsafe {
            ptr::copy_nonoverlapping(head.as_ptr(), first.pointer.cast_mut(), head.len());
            ptr::copy_nonoverlapping(tail.as_ptr(), second.pointer.cast_mut(), tail.len());
        }
    }

    /// Copies from `position` into all of `out`.
    ///
    /// # Panics
    /// When it is longer than the capacity.
    pub fn copy_out(&self, position: u64, out: &mut [u8]) {
        let [first, second] = self.slices(position, out.len());
        let (head, tail) = out.split_at_mut(first.len);
        // SAFETY: as in `copy_in`, the other way.
        unsafe {
            ptr::copy_nonoverlapping(first.pointer, head.as_mut_ptr(), head.len());
            ptr::copy_nonoverlapping(second.pointer, tail.as_mut_ptr(), tail.len());
        }
    }

    /// Where the `len` bytes from `position` stand: one piece, or two around the end.
    ///
    /// The pointers are good while this ring or another owner of its arena lives.
    ///
    /// # Panics
    /// When `len` is more than the capacity.
    pub fn slices(&self, position: u64, len: usize) -> [RawSlice; 2] {
        let capacity = self.capacity() as usize;
        assert!(len <= capacity, "more than the ring holds");
        let start = self.arena.ring(self.slot, self.direction).as_ptr();
        let offset = self.offset(position) as usize;
        let first = len.min(capacity - offset);
        [
            RawSlice {
                // `offset` is less than the capacity, which fits the ring's place.
                pointer: start.wrapping_add(offset),
                len: first,
            },
            RawSlice {
                pointer: start,
                len: len - first,
            },
        ]
    }

    fn offset(&self, position: u64) -> u32 {
        // The capacity is a power of two, so the mask keeps every offset inside, whatever the base.
        let distance = position.wrapping_sub(self.geometry.base);
        (distance & u64::from(self.geometry.capacity - 1)) as u32
    }
}

/// A base has 56 bits in its word. Positions do not get there: 72 PB.
const BASE_MASK: u64 = (1 << 56) - 1;

fn fits(arena: &Arena, geometry: Geometry) -> bool {
    geometry.capacity.is_power_of_two()
        && (MIN_RING..=arena.layout().ring_maximum()).contains(&geometry.capacity)
        && geometry.base <= BASE_MASK
}
