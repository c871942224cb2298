//! Where the bytes of socket endpoints stand: sparse arenas that never leave this process.
//!
//! A place in one is address space; its pages appear when bytes come and are punched when the rings are empty. So an idle
//! endpoint costs no memory, and one that worked gives all of it back.

use std::io;
use std::sync::Arc;

use libtcpclient::shm::{Arena, Direction, Layout};

/// Places in one arena.
const PLACES: u32 = 1024;

/// The arenas, made when needed and given back when empty.
#[derive(Debug)]
pub(super) struct Store {
    ring_maximum: u32,
    blocks: Vec<Option<Block>>,
}

#[derive(Debug)]
struct Block {
    arena: Arc<Arena>,
    free: Vec<u32>,
}

/// Two rings' room in an arena. Given back by [`Store::give_back`].
#[derive(Debug)]
pub(super) struct Place {
    arena: Arc<Arena>,
    slot: u32,
    block: usize,
}

impl Store {
    /// For rings of at most so many bytes, a power of two.
    pub(super) fn new(ring_maximum: u32) -> Store {
        Store {
            ring_maximum,
            blocks: Vec::new(),
        }
    }

    /// A free place.
    ///
    /// # Errors
    /// No descriptor or no address space for another arena.
    pub(super) fn take(&mut self) -> io::Result<Place> {
        let room =
            |block: &Option<Block>| block.as_ref().is_some_and(|block| !block.free.is_empty());
        let index = match self.blocks.iter().position(room) {
            Some(index) => index,
            None => self.grow()?,
        };
        let block = self.blocks[index].as_mut();
        let (block, slot) = block
            .and_then(|block| block.free.pop().map(|slot| (block, slot)))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Place {
            arena: Arc::clone(&block.arena),
            slot,
            block: index,
        })
    }

    fn grow(&mut self) -> io::Result<usize> {
        let layout = Layout::new(1, PLACES, self.ring_maximum).map_err(io::Error::other)?;
        let block = Block {
            arena: Arc::new(Arena::create(layout)?),
            free: (0..PLACES).rev().collect(),
        };
        if let Some(index) = self.blocks.iter().position(Option::is_none) {
            self.blocks[index] = Some(block);
            return Ok(index);
        }
        self.blocks.push(Some(block));
        Ok(self.blocks.len() - 1)
    }

    /// Nothing of a connection is in it any more. An arena that nobody uses is unmapped, unless it is the only one.
    pub(super) fn give_back(&mut self, place: Place) {
        let mapped = self.blocks.iter().flatten().count();
        let Some(entry) = self.blocks.get_mut(place.block) else {
            return;
        };
        let Some(block) = entry else { return };
        block.free.push(place.slot);
        if block.free.len() == PLACES as usize && mapped > 1 {
            *entry = None;
        }
    }

    /// Bytes of memory really allocated.
    pub(super) fn allocated_bytes(&self) -> u64 {
        let arenas = self.blocks.iter().flatten();
        arenas
            .map(|block| block.arena.allocated_bytes().unwrap_or(0))
            .sum()
    }
}

impl Place {
    pub(super) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// Gives the pages of an empty ring back; true when that was done.
    pub(super) fn punch(&self, direction: Direction) -> bool {
        self.arena.punch(self.slot, direction).is_ok()
    }

    /// Those of both; how many that were.
    pub(super) fn punch_both(&self) -> u64 {
        let both = [Direction::Receive, Direction::Transmit];
        both.map(|direction| u64::from(self.punch(direction)))
            .iter()
            .sum()
    }
}
