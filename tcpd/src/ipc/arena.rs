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
/// An arena counts until the stack needs no byte of it any more, which may be after its session's end. Its account is a user, or
/// `None`: a service's worker.
#[derive(Debug, Default)]
pub struct Memory {
    arenas: HashMap<u64, (Option<u32>, Arc<Arena>)>,
}

impl Memory {
    /// The arena of a session.
    pub fn add(&mut self, session: u64, account: Option<u32>, arena: Arc<Arena>) {
        self.arenas.insert(session, (account, arena));
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

    /// Bytes that the arenas of an account occupy.
    pub fn of_account(&self, account: Option<u32>) -> u64 {
        let own = self.arenas.values().filter(|(whose, _)| *whose == account);
        own.map(|(_, arena)| allocated(arena)).sum()
    }

    /// Bytes that all arenas occupy.
    pub fn of_all(&self) -> u64 {
        self.arenas
            .values()
            .map(|(_, arena)| allocated(arena))
            .sum()
    }

    /// Arenas alive.
    pub fn count(&self) -> usize {
        self.arenas.len()
    }

    /// Whether any account that is `limited` has an arena: only then is there something to watch.
    pub fn any(&self, limited: impl Fn(Option<u32>) -> bool) -> bool {
        self.arenas.values().any(|(account, _)| limited(*account))
    }

    /// The session with the largest arena of each `limited` account that occupies more than `limit` bytes in all, and those bytes.
    pub fn beyond(&self, limit: u64, limited: impl Fn(Option<u32>) -> bool) -> Vec<(u64, u64)> {
        let sums = self.sums(limited);
        sums.into_iter()
            .filter(|sum| sum.bytes > limit)
            .map(|sum| (sum.session, sum.bytes))
            .collect()
    }

    /// The session with the largest arena of the `limited` account that occupies most.
    pub fn largest(&self, limited: impl Fn(Option<u32>) -> bool) -> Option<u64> {
        let sums = self.sums(limited);
        let most = sums.into_iter().max_by_key(|sum| sum.bytes);
        most.map(|sum| sum.session)
    }

    fn sums(&self, limited: impl Fn(Option<u32>) -> bool) -> Vec<Sum> {
        let mut sums: HashMap<Option<u32>, Sum> = HashMap::new();
        let counted = self
            .arenas
            .iter()
            .filter(|(_, (account, _))| limited(*account));
        for (session, (account, arena)) in counted {
            let bytes = allocated(arena);
            let sum = sums.entry(*account).or_default();
            sum.bytes += bytes;
            if bytes >= sum.largest {
                (sum.largest, sum.session) = (bytes, *session);
            }
        }
        sums.into_values().collect()
    }
}

/// What one account occupies.
#[derive(Debug, Default)]
struct Sum {
    bytes: u64,
    largest: u64,
    /// Whose the largest is.
    session: u64,
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
    fn who_occupies_too_much_is_found_by_the_largest_arena_and_who_has_no_limit_is_not() {
        use rustix::fs::{FallocateFlags, fallocate};
        let limited = |account: Option<u32>| account.is_some_and(|uid| uid != 0);
        let mut memory = Memory::default();
        for (session, account) in [(1, Some(1000)), (2, Some(1000)), (3, Some(0)), (4, None)] {
            memory.add(session, account, make(layout()).expect("descriptors").arena);
        }
        assert!(memory.any(limited));
        assert!(memory.beyond(1 << 20, limited).is_empty());
        for session in [2, 3, 4] {
            let arena = &memory.arenas[&session].1;
            fallocate(arena.as_fd(), FallocateFlags::empty(), 0, 128 << 10).expect("room");
        }
        assert!(memory.of_session(2) >= 128 << 10);
        assert_eq!(
            memory.of_account(Some(1000)),
            memory.of_session(2) + memory.of_session(1)
        );
        let [(session, bytes)] = memory.beyond(100 << 10, limited)[..] else {
            panic!("one is beyond")
        };
        assert_eq!((session, bytes), (2, memory.of_account(Some(1000))));
        assert_eq!(memory.largest(limited), Some(2));
        assert!(memory.of_all() >= 3 * (128 << 10));
        memory.remove(2);
        assert!(memory.beyond(100 << 10, limited).is_empty());
        assert_eq!(memory.count(), 3);
    }
}
