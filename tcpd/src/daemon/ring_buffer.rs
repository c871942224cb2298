//! The rings of a connection as the core sees them: private memory until a client claims the connection, then a slot of
//! the client's arena.
//!
//! The geometry (capacity, base) is the daemon's own truth: what the client reads of it in the slot's header is a copy.

use libtcpclient::shm::{Geometry, RawSlice, SharedRing};
use tcpd_core::tcp::buffer::{HeapRing, Ring};

/// Where the bytes of one direction of a connection are.
#[derive(Debug)]
pub(crate) enum ConnectionRing {
    /// In this process.
    Private(HeapRing),
    /// In a client's arena; it may grow up to so many bytes.
    Arena(SharedRing, u32),
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

    /// Where the `length` bytes from `position` stand; `None` for private memory, where they have no fixed place.
    pub(crate) fn places(&self, position: u64, length: u32) -> Option<[RawSlice; 2]> {
        match self {
            ConnectionRing::Arena(ring, _) => Some(ring.slices(position, length as usize)),
            ConnectionRing::Private(_) => None,
        }
    }

    /// For the slot's words; `None` for private memory.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        match self {
            ConnectionRing::Arena(ring, _) => Some(ring.geometry()),
            ConnectionRing::Private(_) => None,
        }
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
        }
    }

    fn write_at(&mut self, position: u64, bytes: &[u8]) {
        match self {
            ConnectionRing::Private(ring) => ring.write_at(position, bytes),
            ConnectionRing::Arena(ring, _) => ring.copy_in(position, bytes),
        }
    }

    fn read_at(&self, position: u64, out: &mut [u8]) {
        match self {
            ConnectionRing::Private(ring) => ring.read_at(position, out),
            ConnectionRing::Arena(ring, _) => ring.copy_out(position, out),
        }
    }

    fn private_bytes(&self) -> u64 {
        match self {
            ConnectionRing::Private(ring) => ring.private_bytes(),
            ConnectionRing::Arena(..) => 0,
        }
    }

    /// Bytes in an arena never move: such a ring grows only while what is occupied lies in one piece.
    fn grow(&mut self, capacity: u32, start: u64, end: u64) -> bool {
        match self {
            ConnectionRing::Private(ring) => ring.grow(capacity, start, end),
            ConnectionRing::Arena(ring, _) if capacity <= ring.capacity() => true,
            ConnectionRing::Arena(ring, maximum) => {
                capacity <= *maximum && ring.grow(capacity.next_power_of_two(), start, end)
            }
        }
    }
}
