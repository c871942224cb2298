//! The rings of a connection as the core sees them: private memory until a client claims the connection, then a slot of
//! the client's arena.
//!
//! The geometry (capacity, base) is the daemon's own truth: what the client reads of it in the slot's header is a copy.

use std::cell::Cell;

use libtcpclient::shm::layout::MIN_RING;
use libtcpclient::shm::{Geometry, RawSlice, SharedRing};
use tcpd_core::tcp::buffer::{HeapRing, Ring};

/// Where the bytes of one direction of a connection are.
#[derive(Debug)]
pub(crate) enum ConnectionRing {
    /// In this process.
    Private(HeapRing),
    /// In a client's arena; it may grow up to so many bytes.
    Arena(SharedRing, u32),
    /// In an arena of this process.
    Own(OwnRing),
}

impl ConnectionRing {
    /// The two parts of `length` bytes at `position`, for a `writev`; `scratch` holds them when they have no fixed place.
    pub(crate) fn slices(
        &self,
        position: u64,
        length: u32,
        scratch: &mut Vec<u8>,
    ) -> [RawSlice; 2] {
        match self {
            ConnectionRing::Arena(ring, _) => ring.slices(position, length as usize),
            ConnectionRing::Own(own) => own.ring.slices(position, length as usize),
            ConnectionRing::Private(ring) => {
                scratch.resize(length as usize, 0);
                ring.read_at(position, scratch);
                let whole = RawSlice {
                    pointer: scratch.as_ptr(),
                    len: scratch.len(),
                };
                [whole, RawSlice::EMPTY]
            }
        }
    }

    /// A ring in an arena that no client sees.
    pub(crate) fn own(ring: SharedRing, maximum: u32) -> ConnectionRing {
        ConnectionRing::Own(OwnRing {
            ring,
            maximum,
            reach: Cell::new(0),
        })
    }

    /// The same ring, if it is one of those.
    pub(crate) fn as_own(&self) -> Option<&OwnRing> {
        match self {
            ConnectionRing::Own(own) => Some(own),
            ConnectionRing::Private(_) | ConnectionRing::Arena(..) => None,
        }
    }

    /// Where stream positions stand in it; `None` for private memory.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        match self {
            ConnectionRing::Arena(ring, _) => Some(ring.geometry()),
            ConnectionRing::Own(own) => Some(own.ring.geometry()),
            ConnectionRing::Private(_) => None,
        }
    }
}

/// A ring in an arena of this process, whose memory the daemon answers for: a socket endpoint's.
#[derive(Debug)]
pub(crate) struct OwnRing {
    ring: SharedRing,
    maximum: u32,
    /// Pages may be allocated up to this offset.
    reach: Cell<u32>,
}

impl OwnRing {
    /// Where the `length` bytes from `position` stand.
    pub(crate) fn places(&self, position: u64, length: u32) -> [RawSlice; 2] {
        self.ring.slices(position, length as usize)
    }

    /// `length` bytes were put at `position`.
    pub(crate) fn touched(&self, position: u64, length: usize) {
        let Geometry { capacity, base } = self.ring.geometry();
        let offset = position.wrapping_sub(base) & u64::from(capacity - 1);
        let end = offset + length as u64;
        // Around the end: all of it.
        let end = u32::try_from(end).unwrap_or(capacity).min(capacity);
        let end = end.next_multiple_of(MIN_RING).min(capacity);
        self.reach.set(self.reach.get().max(end));
    }

    /// Its pages were given back.
    pub(crate) fn punched(&self) {
        self.reach.set(0);
    }
}

impl Ring for ConnectionRing {
    fn private(capacity: u32) -> ConnectionRing {
        ConnectionRing::Private(HeapRing::private(capacity))
    }

    fn capacity(&self) -> u32 {
        match self {
            ConnectionRing::Private(ring) => ring.capacity(),
            ConnectionRing::Arena(ring, _) => ring.capacity(),
            ConnectionRing::Own(own) => own.ring.capacity(),
        }
    }

    fn write_at(&mut self, position: u64, bytes: &[u8]) {
        match self {
            ConnectionRing::Private(ring) => ring.write_at(position, bytes),
            ConnectionRing::Arena(ring, _) => ring.copy_in(position, bytes),
            ConnectionRing::Own(own) => {
                own.ring.copy_in(position, bytes);
                own.touched(position, bytes.len());
            }
        }
    }

    fn read_at(&self, position: u64, out: &mut [u8]) {
        match self {
            ConnectionRing::Private(ring) => ring.read_at(position, out),
            ConnectionRing::Arena(ring, _) => ring.copy_out(position, out),
            ConnectionRing::Own(own) => own.ring.copy_out(position, out),
        }
    }

    fn private_bytes(&self) -> u64 {
        match self {
            ConnectionRing::Private(ring) => ring.private_bytes(),
            ConnectionRing::Arena(..) => 0,
            ConnectionRing::Own(own) => own.reach.get().into(),
        }
    }

    /// Bytes in an arena never move: such a ring grows only while what is occupied lies in one piece.
    fn grow(&mut self, capacity: u32, start: u64, end: u64) -> bool {
        let (ring, maximum) = match self {
            ConnectionRing::Private(ring) => return ring.grow(capacity, start, end),
            ConnectionRing::Arena(ring, maximum) => (ring, *maximum),
            ConnectionRing::Own(own) => (&mut own.ring, own.maximum),
        };
        capacity <= ring.capacity()
            || capacity <= maximum && ring.grow(capacity.next_power_of_two(), start, end)
    }
}

#[cfg(test)]
mod tests;
