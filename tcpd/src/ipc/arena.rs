//! The shared memory of a session: made here, handed to the client once, its use held against the user's budget.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use libtcpclient::shm::{Arena, Layout};
use libtcpclient::socket::{Bell, refuse_descriptors};

/// An arena and the doorbells of its stack threads, with what goes to the client.
#[derive(Debug)]
pub struct Made {
    /// Mapped; the stack threads share it.
    pub arena: Arc<Arena>,
    /// Our ends, one for each stack thread.
    pub bells: Vec<OwnedFd>,
    /// For the client: the memfd, then its ends of the bells.
    pub for_client: Vec<OwnedFd>,
}

/// Makes an arena.
///
/// # Errors
/// As memfd_create(2), mmap(2), socketpair(2): no descriptor or no address space left.
pub fn make(layout: Layout) -> io::Result<Made> {
    let arena = Arc::new(Arena::create(layout)?);
    let mut for_client = vec![arena.as_fd().try_clone_to_owned()?];
    let mut bells = Vec::new();
    for _ in 0..layout.stack_threads() {
        let (ours, theirs) = Bell::pair()?;
        // Before Linux 6.16 they can come, and are thrown away when the bell is silenced.
        refuse_descriptors(&ours).ok();
        bells.push(ours.into());
        for_client.push(theirs.into());
    }
    Ok(Made {
        arena,
        bells,
        for_client,
    })
}

/// The arenas alive and whose they are, to see what memory each user really occupies.
///
/// An arena counts until the stack needs no byte of it any more, which may be after its session's end.
#[derive(Debug, Default)]
pub struct Memory {
    arenas: HashMap<u64, (u32, Arc<Arena>)>,
}

impl Memory {
    /// The arena of a session of `uid`.
    pub fn add(&mut self, session: u64, uid: u32, arena: Arc<Arena>) {
        self.arenas.insert(session, (uid, arena));
    }

    /// The session's arena is needed no more.
    pub fn remove(&mut self, session: u64) {
        self.arenas.remove(&session);
    }

    /// Bytes that the session's arena occupies; 0 without one.
    pub fn of_session(&self, session: u64) -> u64 {
        self.arenas
            .get(&session)
            .map_or(0, |(_, arena)| allocated(arena))
    }

    /// Arenas alive.
    pub fn count(&self) -> usize {
        self.arenas.len()
    }

    /// Whether anybody but root has an arena: only then is there something to watch.
    pub fn is_limited(&self) -> bool {
        self.arenas.values().any(|(uid, _)| *uid != 0)
    }

    /// The session with the largest arena of each user (but root) that occupies more than `limit` bytes in all.
    pub fn beyond(&self, limit: u64) -> Vec<u64> {
        let mut users: HashMap<u32, (u64, u64, u64)> = HashMap::new();
        for (session, (uid, arena)) in self.arenas.iter().filter(|(_, (uid, _))| *uid != 0) {
            let bytes = allocated(arena);
            let (sum, largest, whose) = users.entry(*uid).or_default();
            *sum += bytes;
            if bytes >= *largest {
                (*largest, *whose) = (bytes, *session);
            }
        }
        users
            .values()
            .filter(|(sum, ..)| *sum > limit)
            .map(|(_, _, session)| *session)
            .collect()
    }
}

/// An arena that cannot be asked counts as nothing: fstat of a memfd we hold does not fail.
fn allocated(arena: &Arena) -> u64 {
    arena.allocated_bytes().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new(2, 4, 64 << 10).expect("a good layout")
    }

    #[test]
    fn an_arena_comes_with_a_bell_for_each_stack_thread() {
        let made = make(layout()).expect("descriptors");
        assert_eq!((made.bells.len(), made.for_client.len()), (2, 3));
    }

    #[test]
    fn who_occupies_too_much_is_found_by_the_largest_arena_and_root_is_not() {
        let mut memory = Memory::default();
        for (session, uid) in [(1, 1000), (2, 1000), (3, 0)] {
            memory.add(session, uid, make(layout()).expect("descriptors").arena);
        }
        assert!(memory.is_limited());
        assert!(memory.beyond(1 << 20).is_empty());
        for session in [2, 3] {
            use rustix::fs::{FallocateFlags, fallocate};
            let arena = &memory.arenas[&session].1;
            fallocate(arena.as_fd(), FallocateFlags::empty(), 0, 128 << 10).expect("room");
        }
        assert!(memory.of_session(2) >= 128 << 10);
        assert_eq!(memory.beyond(100 << 10), [2]);
        memory.remove(2);
        assert!(memory.beyond(100 << 10).is_empty());
        assert_eq!(memory.count(), 2);
    }
}
