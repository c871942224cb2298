//! What a listener is to one daemon, and how it is registered with the next.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use super::Inner;
use super::queue::{Asker, Queue};
use crate::client::error::{AcceptError, SessionError};
use crate::client::session::{Session, UNASKED, lock};
use crate::protocol::{Reply, Request};

/// A listener of one session. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) session: Session,
    pub(super) listener: u64,
    /// Where its accepts are asked for ahead, and the number of its life there.
    queue: Mutex<Option<(Arc<Queue>, u64)>>,
}

impl Registration {
    pub(super) fn new(session: Session, listener: u64) -> Registration {
        Registration {
            session,
            listener,
            queue: Mutex::default(),
        }
    }

    /// The end of the session is told to `queue` from now on, and accepts are asked for ahead.
    pub(super) fn watched_by(&self, queue: &Arc<Queue>, life: u64) {
        *lock(&self.queue) = Some((queue.clone(), life));
        let told = Arc::new(Asker {
            queue: queue.clone(),
            life,
        });
        self.session.watch_listener(self.listener, told);
        queue.ask(self);
    }

    /// Which life of the queue it is.
    pub(super) fn life(&self) -> Option<u64> {
        lock(&self.queue).as_ref().map(|(_, life)| *life)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // In a forked child all of this is the parent's, and a lock may be held by a thread that is not here.
        if self.session.check_fork().is_err() {
            return;
        }
        let listener = self.listener;
        self.session.unwatch_listener(listener);
        self.session.tell(&Request::CloseListener { listener });
        let queue = lock(&self.queue).take();
        if let Some((queue, life)) = queue {
            queue.give_back(&self.session, life);
        }
    }
}

/// Whether to wait while another thread registers the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    Wait,
    GoOn,
}

impl Inner {
    /// The registration that holds; a new one when the daemon was restarted, or is within `wait`.
    pub(super) fn registration(
        &self,
        wait: Duration,
        others: Others,
    ) -> Result<Arc<Registration>, AcceptError> {
        let held = lock(&self.registration).clone();
        if held.session.check().is_ok() {
            return Ok(held);
        }
        let _one_at_a_time = match (others, self.registering.try_lock()) {
            (_, Ok(guard)) => guard,
            (_, Err(TryLockError::Poisoned(guard))) => guard.into_inner(),
            (Others::Wait, Err(TryLockError::WouldBlock)) => lock(&self.registering),
            (Others::GoOn, Err(TryLockError::WouldBlock)) => {
                return Err(AcceptError::WouldBlock(String::new()));
            }
        };
        // Perhaps the other thread did it.
        let held = lock(&self.registration).clone();
        let Err(ended) = held.session.check() else {
            return Ok(held);
        };
        let session = match held.session.reopened_within(wait) {
            Ok(session) => session,
            // What happened, rather than what is.
            Err(SessionError::DaemonNotThere { .. }) => return Err(ended.into()),
            Err(error) => return Err(error.into()),
        };
        let listen = Request::Listen(self.listen.clone());
        let Reply::Listening { listener, .. } = session.call(&listen)? else {
            return Err(UNASKED.into());
        };
        let fresh = Arc::new(Registration::new(session, listener));
        *lock(&self.registration) = fresh.clone();
        if let Some(queue) = self.queue.get() {
            fresh.watched_by(queue, queue.start_anew());
        }
        Ok(fresh)
    }
}
