//! A connection being opened that nobody waits for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use super::builder::Builder;
use super::error::{OpenError, SessionError};
use super::session::{Session, Shared, Told, UNASKED, abort_of, lock};
use super::stream::TcpStream;
use crate::protocol::{ErrorCode, Failure, Reply, Request, StreamOptions};
use crate::socket::Notifier;

/// An active OPEN that is under way: [`Builder::start_connect`]. Its descriptor polls as writable once [`Connecting::finish`]
/// has something to say, and as readable too when that is an error, as a socket of the kernel does. The stream goes on with
/// the same descriptor: what was registered stays registered.
///
/// Dropped before that, the connection is given up: reset when it comes about.
#[derive(Debug)]
pub struct Connecting {
    session: Session,
    options: StreamOptions,
    opening: Arc<Opening>,
}

/// Shared with the session's thread.
#[derive(Debug)]
struct Opening {
    notifier: Arc<Notifier>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting,
    Answered(Reply),
    Over,
    /// The stream was taken, or nobody wants it any more.
    Gone,
}

impl Connecting {
    /// [`Builder::start_connect`] with the daemon's defaults, on the default session.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn to(remote: SocketAddr) -> Result<Connecting, OpenError> {
        Builder::new().start_connect(remote)
    }

    pub(super) fn start(
        session: Session,
        request: &Request,
        options: StreamOptions,
    ) -> Result<Connecting, OpenError> {
        session.check_fork()?;
        let notifier = Notifier::new().map_err(SessionError::Os)?;
        notifier.show_writable(false);
        let opening = Arc::new(Opening {
            notifier: Arc::new(notifier),
            state: Mutex::new(State::Waiting),
        });
        session.ask_for(request, opening.clone())?;
        Ok(Connecting {
            session,
            options,
            opening,
        })
    }

    /// The stream, non-blocking, once the handshake is done.
    ///
    /// # Errors
    /// [`OpenError::WouldBlock`] while it is under way; otherwise as [`Builder::connect`], and once: after the stream, or
    /// after an error, the connection does not exist.
    pub fn finish(&mut self) -> Result<TcpStream, OpenError> {
        self.session.check_fork()?;
        let mut state = lock(&self.opening.state);
        let reply = match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting => {
                *state = State::Waiting;
                return Err(OpenError::WouldBlock(String::new()));
            }
            State::Answered(reply) => reply,
            State::Over => {
                self.session.check()?;
                return Err(UNASKED.into());
            }
            State::Gone => {
                let failure = Failure {
                    code: ErrorCode::NoSuchConnection,
                    detail: "it was taken already".into(),
                };
                return Err(OpenError::Refused(failure));
            }
        };
        drop(state);
        match reply {
            Reply::Connected(opened) => {
                let stream = TcpStream::over(self.session.clone(), opened, self.options)?;
                stream.polled_with(self.opening.notifier.clone());
                stream.set_nonblocking(true).map_err(SessionError::Os)?;
                Ok(stream)
            }
            Reply::Error(failure) => Err(SessionError::Refused(failure).into()),
            _ => Err(UNASKED.into()),
        }
    }

    /// The descriptor, as [`AsFd`] gives it.
    ///
    /// # Errors
    /// When this process is a fork.
    pub fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        self.session.check_fork()?;
        Ok(self.opening.notifier.as_fd())
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opening.notifier.as_fd()
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if self.session.check_fork().is_err() {
            return;
        }
        let mut state = lock(&self.opening.state);
        let before = std::mem::replace(&mut *state, State::Gone);
        drop(state);
        if let State::Answered(reply) = &before
            && let Some(abort) = abort_of(reply)
        {
            self.session.tell(&abort);
        }
    }
}

impl Told for Opening {
    fn answered(&self, session: &Shared, reply: Reply) {
        let mut state = lock(&self.state);
        if matches!(*state, State::Gone) {
            drop(state);
            if let Some(abort) = abort_of(&reply) {
                session.tell(&abort);
            }
            return;
        }
        if !matches!(reply, Reply::Connected(_)) {
            self.notifier.show_readable(true);
        }
        *state = State::Answered(reply);
        self.notifier.show_writable(true);
    }

    fn over(&self) {
        let mut state = lock(&self.state);
        if matches!(*state, State::Waiting) {
            *state = State::Over;
            self.notifier.show_readable(true);
            self.notifier.show_writable(true);
        }
    }
}
