//! Byte stores addressed by stream position.
//!
//! The send buffer is the retransmission buffer, and out-of-order bytes are written where they belong: both need no
//! more than "write here, read there". What is occupied is remembered elsewhere, never in the store.

/// A byte store addressed by stream position; offset = (position − base) % capacity. The store may be memory that a
/// client can write: the core trusts no byte of it and keeps no index in it.
pub trait Ring {
    /// Memory of this process, for a connection that nobody has claimed yet. Allocates nothing until the first write.
    ///
    /// `capacity` in bytes is rounded up to a power of two.
    fn private(capacity: u32) -> Self;

    /// Bytes it holds: a power of two.
    fn capacity(&self) -> u32;

    /// Stores `bytes` from stream position `position` on, over whatever stood there. At most [`Ring::capacity`] bytes.
    fn write_at(&mut self, position: u64, bytes: &[u8]);

    /// Copies the bytes from stream position `position` on into `out`. At most [`Ring::capacity`] bytes; what was
    /// never written reads as anything.
    fn read_at(&self, position: u64, out: &mut [u8]);

    /// Bytes of this process's memory that it occupies: 0 for a store elsewhere, and before the first write.
    fn private_bytes(&self) -> u64;

    /// Doubles until it holds `capacity` bytes, keeping positions `start..end` readable. True when the store holds at
    /// least `capacity` afterwards; false, and nothing changed, when that is not possible now (the occupied part is not linear, or
    /// the store cannot grow).
    fn grow(&mut self, capacity: u32, start: u64, end: u64) -> bool;
}

/// The largest capacity of a [`HeapRing`]: 1 GiB, the largest window TCP can name (RFC 7323 §2.2).
pub const MAX_CAPACITY: u32 = 1 << 30;

/// A ring in this process's own memory: for connections nobody has claimed yet, for tests and simulations.
///
/// The memory is allocated at the first write. It always grows: what is occupied is copied to where it belongs.
#[derive(Clone, Debug)]
pub struct HeapRing {
    /// Empty before the first write, then exactly `capacity` bytes.
    bytes: Vec<u8>,
    capacity: u32,
}

impl HeapRing {
    /// Bytes allocated: 0 before the first write.
    pub fn allocated(&self) -> usize {
        self.bytes.len()
    }

    /// The two linear parts of `length` bytes at `position` in a store of `capacity` bytes: (offset, length) of the first;
    /// the second begins at 0.
    fn split(capacity: u32, position: u64, length: usize) -> (usize, usize) {
        let offset = (position % u64::from(capacity)) as usize;
        (offset, length.min(capacity as usize - offset))
    }

    fn copy_in(store: &mut [u8], position: u64, bytes: &[u8]) {
        let (offset, first) = HeapRing::split(store.len() as u32, position, bytes.len());
        store[offset..offset + first].copy_from_slice(&bytes[..first]);
        let rest = &bytes[first..];
        store[..rest.len()].copy_from_slice(rest);
    }
}

impl Ring for HeapRing {
    fn private(capacity: u32) -> HeapRing {
        let capacity = capacity.clamp(1, MAX_CAPACITY).next_power_of_two();
        HeapRing {
            bytes: Vec::new(),
            capacity,
        }
    }

    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn write_at(&mut self, position: u64, bytes: &[u8]) {
        debug_assert!(
            bytes.len() <= self.capacity as usize,
            "a write larger than the ring"
        );
        if bytes.is_empty() {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; self.capacity as usize];
        }
        HeapRing::copy_in(&mut self.bytes, position, bytes);
    }

    fn read_at(&self, position: u64, out: &mut [u8]) {
        debug_assert!(
            out.len() <= self.capacity as usize,
            "a read larger than the ring"
        );
        if self.bytes.is_empty() {
            out.fill(0);
            return;
        }
        let (offset, first) = HeapRing::split(self.capacity, position, out.len());
        let (head, tail) = out.split_at_mut(first);
        head.copy_from_slice(&self.bytes[offset..offset + first]);
        tail.copy_from_slice(&self.bytes[..tail.len()]);
    }

    fn private_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn grow(&mut self, capacity: u32, start: u64, end: u64) -> bool {
        if capacity > MAX_CAPACITY {
            return false;
        }
        let capacity = capacity.next_power_of_two();
        if capacity <= self.capacity {
            return true;
        }
        if !self.bytes.is_empty() {
            let mut larger = vec![0; capacity as usize];
            let length = usize::try_from(end.saturating_sub(start))
                .unwrap_or(usize::MAX)
                .min(self.bytes.len());
            let (offset, first) = HeapRing::split(self.capacity, start, length);
            HeapRing::copy_in(&mut larger, start, &self.bytes[offset..offset + first]);
            HeapRing::copy_in(
                &mut larger,
                start + first as u64,
                &self.bytes[..length - first],
            );
            self.bytes = larger;
        }
        self.capacity = capacity;
        true
    }
}

#[cfg(test)]
mod tests;
