//! The session after the session: when the daemon was started again, and the one that is used where none is given.

use std::sync::Mutex;
use std::time::Duration;

use super::{Session, lock};
use crate::client::control::socket_path;
use crate::client::error::SessionError;
use crate::client::patience::patience;
use crate::shm::process::PerProcess;

/// Where this process keeps its default session.
static DEFAULT: PerProcess<Mutex<Option<Session>>> = PerProcess::new();

impl Session {
    /// The session that this process uses where none is given: opened at first use, at [`socket_path`]. A new
    /// one is opened when the daemon was restarted, and in a forked child. While there is no daemon it waits as long as
    /// [`$TCPD_WAIT`](crate::client::patience) says.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn default_session() -> Result<Session, SessionError> {
        Session::default_within(patience()?)
    }

    /// As [`Session::default_session`], and waits so long whatever the environment says. While another thread waits here this one
    /// waits for it first.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn default_within(wait: Duration) -> Result<Session, SessionError> {
        let mut place = lock(DEFAULT.get());
        let session = match &*place {
            Some(session) if !session.is_over() => return Ok(session.clone()),
            Some(session) if session.is_replaceable() => session.reopened_within(wait)?,
            _ => Session::open_within(&socket_path(), wait)?,
        };
        Ok(place.insert(session).clone())
    }

    /// This session, or the one that takes its place: opened at the same path when the daemon has ended this one and runs
    /// again. All who ask get the same. It waits for the daemon as [`Session::open_at`] does.
    ///
    /// Connections do not come along: the daemon's end was theirs. A listener registers itself again.
    ///
    /// # Errors
    /// As [`Session::open_at`]. The error of this session when no daemon takes its place: the session was opened over a socket
    /// ([`Session::over`]), belongs to a process this one was forked from, or was ended for a breach of the protocol.
    pub fn reopened(&self) -> Result<Session, SessionError> {
        self.reopened_within(patience()?)
    }

    /// As [`Session::reopened`], and waits so long whatever the environment says. While another thread waits here this one waits
    /// for it first.
    ///
    /// # Errors
    /// As [`Session::reopened`].
    pub fn reopened_within(&self, wait: Duration) -> Result<Session, SessionError> {
        let Err(ended) = self.check() else {
            return Ok(self.clone());
        };
        let path = match &self.handle.shared.path {
            Some(path) if self.is_replaceable() => path,
            _ => return Err(ended),
        };
        let mut place = lock(&self.handle.successor);
        let session = match &*place {
            Some(session) => session.reopened_within(wait)?,
            None => Session::open_within(path, wait)?,
        };
        Ok(place.insert(session).clone())
    }

    /// Whether the daemon's end was the end of this one, and it is known where another would be.
    fn is_replaceable(&self) -> bool {
        let gone = matches!(self.check(), Err(SessionError::DaemonGone { .. }));
        gone && self.handle.shared.path.is_some()
    }
}
