//! Gives memory of arenas back to the system, in threads that may be kept waiting.
//!
//! To punch a hole into a file takes the lock of its inode, and a client holds that of its arena as long as it likes: for the
//! length of a large fallocate, or for ever in a write whose bytes stand on a page that does not come (userfaultfd, a file system of its
//! own). So nobody who serves others may punch.
//!
//! 1. [`Sweeper::sweep`] takes what there is to give back of one session; at most one sweep of a session is under way, few of a
//!    user, and no more than there are threads. Who finds no room waits ([`Sweeper::wait`]) for the end of another, users in turn
//!    ([`Sweeper::next_waiting`]): so a user with very many sessions has all of them swept as fast as two threads can, and one that keeps
//!    its two waiting keeps nobody else.
//! 2. A thread does it. The threads have no descriptors but one: one that hangs keeps neither device nor socket from the next daemon.
//! 3. The bell rings, and [`Sweeper::next_done`] gives it back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use libtcpclient::shm::{Arena, Direction};
use rustix::event::{EventfdFlags, eventfd};

use super::orders::SessionId;
use crate::system::process::keep_one_for_this_thread;

/// Sweeps under way at a time.
const THREADS: usize = 8;
/// Of these, how many of one user.
const OF_A_USER: usize = 2;

/// What is given back of one arena.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) session: SessionId,
    /// Who could make it wait; `None` for a worker, whose filter of system calls leaves it no way to.
    pub(crate) user: Option<u32>,
    pub(crate) arena: Arc<Arena>,
    /// Slots and rings: nobody writes there while it lasts.
    pub(crate) places: Vec<(u32, Direction)>,
    /// How many of them it was.
    pub(crate) punched: u64,
}

/// The threads and what they have to do.
#[derive(Debug)]
pub(crate) struct Sweeper {
    work: Sender<Sweep>,
    /// For the threads to take from.
    taken: Arc<Mutex<Receiver<Sweep>>>,
    finished: Sender<Sweep>,
    done: Receiver<Sweep>,
    bell: OwnedFd,
    threads: usize,
    under_way: usize,
    of_user: HashMap<u32, usize>,
    /// Sessions that wait for room, by user.
    waiting: BTreeMap<Option<u32>, VecDeque<SessionId>>,
    /// The user who had its turn last.
    last: Option<u32>,
}

impl Sweeper {
    /// Without a thread: those come with the work.
    ///
    /// # Errors
    /// As eventfd(2).
    pub(crate) fn new() -> io::Result<Sweeper> {
        let (work, taken) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        Ok(Sweeper {
            work,
            taken: Arc::new(Mutex::new(taken)),
            finished,
            done,
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            threads: 0,
            under_way: 0,
            of_user: HashMap::new(),
            waiting: BTreeMap::new(),
            last: None,
        })
    }

    /// Whether a sweep for this user would be done at once.
    pub(crate) fn has_room(&mut self, user: Option<u32>) -> bool {
        let of_user = user.and_then(|uid| self.of_user.get(&uid)).copied();
        of_user.unwrap_or(0) < OF_A_USER && (self.under_way < self.threads || self.start_thread())
    }

    /// There was no room for a session of this user. To be called once until [`Sweeper::next_waiting`] has named it.
    pub(crate) fn wait(&mut self, user: Option<u32>, session: SessionId) {
        self.waiting.entry(user).or_default().push_back(session);
    }

    /// A session that has waited and for which there is room now: of the users that have one, each in its turn.
    pub(crate) fn next_waiting(&mut self) -> Option<SessionId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.waiting.range((Excluded(self.last), Unbounded));
        let turn: Vec<Option<u32>> = after
            .chain(self.waiting.range(..=self.last))
            .map(|(user, _)| *user)
            .collect();
        let user = turn.into_iter().find(|user| self.has_room(*user))?;
        let sessions = self.waiting.get_mut(&user)?;
        let next = sessions.pop_front();
        if sessions.is_empty() {
            self.waiting.remove(&user);
        }
        self.last = user;
        next
    }

    /// Starts a sweep, for which there must be room.
    pub(crate) fn sweep(&mut self, sweep: Sweep) {
        self.under_way += 1;
        if let Some(uid) = sweep.user {
            *self.of_user.entry(uid).or_insert(0) += 1;
        }
        // There is a receiver: we hold it ourselves.
        self.work.send(sweep).ok();
    }

    /// A sweep that is done.
    pub(crate) fn next_done(&mut self) -> Option<Sweep> {
        let sweep = self.done.try_recv().ok()?;
        self.under_way -= 1;
        if let Some(uid) = sweep.user
            && let Some(sweeps) = self.of_user.get_mut(&uid)
        {
            *sweeps -= 1;
            if *sweeps == 0 {
                self.of_user.remove(&uid);
            }
        }
        Some(sweep)
    }

    /// To be called when the bell is readable, before [`Sweeper::next_done`].
    pub(crate) fn silence(&self) {
        // Rung or not, what counts is that it is quiet now.
        rustix::io::read(&self.bell, &mut [0; 8]).ok();
    }

    /// Sweeps that are not done.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    fn start_thread(&mut self) -> bool {
        if self.threads >= THREADS {
            return false;
        }
        let (taken, finished) = (Arc::clone(&self.taken), self.finished.clone());
        let bell = self.bell.as_raw_fd();
        let body = move || work(bell, &taken, &finished);
        let thread = std::thread::Builder::new().name("sweeper".to_owned());
        match thread.spawn(body) {
            Ok(_) => self.threads += 1,
            Err(error) => tracing::warn!(%error, "no thread to give memory back"),
        }
        self.under_way < self.threads
    }
}

/// Readable when a sweep is done.
impl AsRawFd for Sweeper {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

/// A thread's life: until there is nobody to work for.
fn work(bell: RawFd, taken: &Mutex<Receiver<Sweep>>, finished: &Sender<Sweep>) {
    let alone = keep_one_for_this_thread(bell);
    if let Err(error) = &alone {
        tracing::warn!(%error, "a thread that gives memory back keeps the daemon's descriptors");
    }
    loop {
        let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut sweep) = next else {
            return;
        };
        let holes = sweep.places.iter();
        sweep.punched = holes
            .filter(|(slot, direction)| sweep.arena.punch(*slot, *direction).is_ok())
            .count() as u64;
        if let Err(SendError(sweep)) = finished.send(sweep) {
            // The daemon ends. What it holds is not ours to close: in this thread the numbers of its descriptors mean nothing.
            std::mem::forget(sweep);
            return;
        }
        ring(bell);
    }
}

fn ring(bell: RawFd) {
    // SAFETY: the thread kept this descriptor when it let go of all others, and nothing here closes it.
    let bell = unsafe { std::os::fd::BorrowedFd::borrow_raw(bell) };
    // It can only fail when it is rung already.
    rustix::io::write(bell, &1_u64.to_ne_bytes()).ok();
}
