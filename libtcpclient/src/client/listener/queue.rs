//! Accepts asked for ahead, so that a descriptor can show whether an accept would return at once.
//!
//! [`AHEAD`] accepts wait at the daemon; the session's thread puts each answer here and shows the descriptor readable. An
//! answer taken makes room for the next question. After a refusal nothing is asked until somebody accepts again: what refused
//! it (a quota, say) is as it was.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Inner;
use super::registration::{Others, Registration};
use crate::client::clock;
use crate::client::error::{AcceptError, SessionError};
use crate::client::session::{Session, Shared, Told, abort_of, lock};
use crate::protocol::{ErrorCode, Reply, Request};
use crate::shm::process::without_signals;
use crate::socket::Notifier;

/// Questions and answers together: enough that accepting does not wait for the daemon each time, few enough that
/// connections are not taken from a backlog long before their time.
const AHEAD: usize = 8;

/// So often a thread that waits for a daemon looks whether the listener is still wanted.
const LOOK: Duration = Duration::from_millis(500);

/// The accepts of one listener.
#[derive(Debug)]
pub(super) struct Queue {
    listener: Weak<Inner>,
    /// How long a daemon is waited for.
    wait: Duration,
    notifier: Notifier,
    state: Mutex<State>,
    /// [`State`] has something for who waits in accept.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Of which life of the daemon the rest is: answers to what was asked before are late.
    life: u64,
    /// What nobody took yet, oldest first: connections, then at most one refusal.
    answers: VecDeque<Reply>,
    /// Asked, and not answered.
    asked: usize,
    /// The session is over, and a daemon is waited for.
    waiting: bool,
    /// The session is over, and that is to be seen.
    over: bool,
    /// The descriptor polls as readable.
    shown: bool,
}

/// Who is told of the answers to one life's questions, and of its end.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) queue: Arc<Queue>,
    pub(super) life: u64,
}

impl Queue {
    pub(super) fn new(listener: &Arc<Inner>) -> io::Result<Queue> {
        Ok(Queue {
            listener: Arc::downgrade(listener),
            wait: listener.wait,
            notifier: Notifier::new()?,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Asks for as many connections as there is room for.
    pub(super) fn ask(self: &Arc<Queue>, registration: &Registration) {
        let accept = Request::Accept {
            listener: registration.listener,
            nonblocking: false,
        };
        loop {
            let asker = {
                let mut state = lock(&self.state);
                let ours = registration.life() == Some(state.life);
                if !ours || state.asked + state.answers.len() >= AHEAD {
                    return;
                }
                state.asked += 1;
                Arc::new(Asker {
                    queue: self.clone(),
                    life: state.life,
                })
            };
            if registration.session.ask_for(&accept, asker).is_err() {
                // The session is over, and says so by itself.
                return;
            }
        }
    }

    /// The oldest answer. Waits for one until `deadline` unless `nonblocking`.
    pub(super) fn take(
        self: &Arc<Queue>,
        registration: &Registration,
        nonblocking: bool,
        deadline: Option<Instant>,
    ) -> Result<Reply, AcceptError> {
        let gone = || match registration.session.check() {
            Err(error) => AcceptError::from(error),
            Ok(()) => SessionError::DaemonGone { reason: None }.into(),
        };
        let mut state = lock(&self.state);
        loop {
            if registration.life() != Some(state.life) {
                // Another thread has registered the listener again: what is here is of that session.
                return Err(gone());
            }
            if let Some(reply) = state.answers.pop_front() {
                self.show(&mut state);
                drop(state);
                return match reply {
                    Reply::Error(failure) => Err(SessionError::Refused(failure).into()),
                    reply => {
                        self.ask(registration);
                        Ok(reply)
                    }
                };
            }
            if state.asked == 0 {
                drop(state);
                self.ask(registration);
                state = lock(&self.state);
                if !state.answers.is_empty() {
                    continue;
                }
            }
            registration.session.check()?;
            if nonblocking {
                return Err(AcceptError::WouldBlock(String::new()));
            }
            let poisoned = PoisonError::into_inner;
            state = match deadline.map(clock::left) {
                None => self.changed.wait(state).unwrap_or_else(poisoned),
                Some(Some(left)) => match self.changed.wait_timeout(state, left) {
                    Ok((state, _)) => state,
                    Err(error) => error.into_inner().0,
                },
                Some(None) => return Err(AcceptError::TimedOut),
            };
        }
    }

    /// For another registration: nothing is asked yet, nothing answered. The number of its life.
    pub(super) fn start_anew(&self) -> u64 {
        let mut state = lock(&self.state);
        state.life += 1;
        state.answers.clear();
        state.asked = 0;
        (state.waiting, state.over) = (false, false);
        self.show(&mut state);
        self.changed.notify_all();
        state.life
    }

    /// The listener of this life is closed: connections that nobody asked for are reset, also those on their way.
    pub(super) fn give_back(&self, session: &Session, life: u64) {
        let left = {
            let mut state = lock(&self.state);
            if state.life != life {
                return;
            }
            state.life += 1;
            std::mem::take(&mut state.answers)
        };
        for reply in left {
            if let Some(abort) = abort_of(&reply) {
                session.tell(&abort);
            }
        }
    }

    /// Whether a daemon is waited for in the background.
    pub(super) fn is_waiting(&self) -> bool {
        lock(&self.state).waiting
    }

    /// Readable when there is something to take, be it an error.
    fn show(&self, state: &mut State) {
        let readable = state.over || !state.answers.is_empty();
        if state.shown != readable {
            state.shown = readable;
            self.notifier.show_readable(readable);
        }
    }

    /// The session of this life is over.
    fn over(self: &Arc<Queue>, life: u64) {
        let wanted = self.listener.strong_count() > 0;
        let waiting = {
            let mut state = lock(&self.state);
            // Under the lock, so that it passes nobody by who is about to wait, and sees to it himself.
            self.changed.notify_all();
            if state.life != life || state.waiting || state.over {
                return;
            }
            state.answers.clear();
            state.waiting = !self.wait.is_zero() && wanted;
            state.over = !state.waiting;
            self.show(&mut state);
            state.waiting
        };
        if !waiting {
            return;
        }
        // Waiting is not for the session's thread, still less for a caller's.
        let queue = self.clone();
        let started = without_signals(|| {
            thread::Builder::new()
                .name("tcpd-listener".into())
                .stack_size(256 * 1024)
                .spawn(move || queue.register_again())
        });
        if started.is_err() {
            self.end();
        }
    }

    /// No daemon takes the place of the one that is gone, for now.
    fn end(&self) {
        let mut state = lock(&self.state);
        (state.waiting, state.over) = (false, true);
        self.show(&mut state);
    }

    /// Registers the listener again as soon as a daemon is there; shows it when that cannot be.
    fn register_again(&self) {
        let deadline = clock::deadline(Some(self.wait));
        loop {
            let left = match deadline.map(clock::left) {
                None => LOOK,
                Some(left) => left.unwrap_or_default(),
            };
            let Some(listener) = self.listener.upgrade() else {
                return;
            };
            match listener.registration(left.min(LOOK), Others::Wait) {
                Ok(_) => return,
                Err(AcceptError::Session(SessionError::DaemonGone { .. })) if !left.is_zero() => {}
                Err(_) => return self.end(),
            }
        }
    }
}

impl Told for Asker {
    fn answered(&self, session: &Shared, reply: Reply) {
        let mut state = lock(&self.queue.state);
        if state.life != self.life {
            drop(state);
            if let Some(abort) = abort_of(&reply) {
                session.tell(&abort);
            }
            return;
        }
        if let Reply::Error(failure) = &reply
            && failure.code == ErrorCode::Draining
            && !self.queue.wait.is_zero()
        {
            // It counts as asked: the daemon is about to end, and what follows is waited for.
            return;
        }
        state.asked -= 1;
        let refused = |reply: &Reply| matches!(reply, Reply::Error(_));
        // One refusal stands for all that were asked at once.
        if !(refused(&reply) && state.answers.back().is_some_and(refused)) {
            state.answers.push_back(reply);
        }
        self.queue.show(&mut state);
        drop(state);
        self.queue.changed.notify_one();
    }

    fn over(&self) {
        self.queue.over(self.life);
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}
