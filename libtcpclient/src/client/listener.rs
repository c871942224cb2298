//! Accepting connections, in the image of `std::net::TcpListener`.
//!
//! * [`TcpListener::accept`] asks the daemon and waits for its answer.
//! * Once somebody polls the listener ([`TcpListener::readiness`]), accepts are asked for ahead, and accept takes what is
//!   there: [`queue`].
//! * After a restart of the daemon it registers itself again: [`registration`].

mod queue;
mod registration;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use self::queue::Queue;
use self::registration::{Others, Registration};
use super::builder::Builder;
use super::clock;
use super::error::{AcceptError, ListenError, SessionError};
use super::session::{Session, UNASKED, lock};
use super::stream::TcpStream;
use crate::protocol::{self, ErrorCode, Reply, Request};
use crate::shm::process::generation;

/// A socket in LISTEN. Dropping it resets the connections nobody accepted yet.
///
/// Several threads may accept at once.
///
/// When the daemon was restarted, the next accept, or one that waits, registers the listener again, at the same address
/// and port with the same options, on [`Session::reopened`]. If no daemon is there, and none comes within the time
/// to wait ([`Builder::wait_for_daemon`], [`$TCPD_WAIT`](super::patience)), it fails with [`SessionError::DaemonGone`]; the next
/// accept tries again.
#[derive(Debug, Clone)]
pub struct TcpListener {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What holds now.
    registration: Mutex<Arc<Registration>>,
    /// Held while it is registered again, which may take long.
    registering: Mutex<()>,
    /// How it is registered again.
    listen: protocol::Listen,
    /// How long that waits for a daemon.
    wait: Duration,
    /// [`generation`] of the process that made it.
    generation: u64,
    local: SocketAddr,
    nonblocking: AtomicBool,
    /// From the first [`TcpListener::readiness`] on.
    queue: OnceLock<Arc<Queue>>,
}

impl TcpListener {
    /// Listens at `local` with the daemon's defaults; see [`Builder::listen`].
    ///
    /// # Errors
    /// [`ListenError`]; `AddrInUse` as the kernel has it.
    pub fn bind<A: ToSocketAddrs>(local: A) -> Result<TcpListener, ListenError> {
        Builder::new().listen(local)
    }

    /// The listener that the daemon has just opened on `session`, as `listen` asked.
    pub(super) fn over(
        session: Session,
        listener: u64,
        local: SocketAddr,
        listen: protocol::Listen,
        wait: Duration,
    ) -> TcpListener {
        let listen = protocol::Listen {
            port: local.port(),
            ..listen
        };
        TcpListener {
            inner: Arc::new(Inner {
                registration: Mutex::new(Arc::new(Registration::new(session, listener))),
                registering: Mutex::default(),
                listen,
                wait,
                generation: generation(),
                local,
                nonblocking: AtomicBool::new(false),
                queue: OnceLock::new(),
            }),
        }
    }

    /// Where it listens, with the port that was picked.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.local)
    }

    /// The session it lives on; another one after a restart of the daemon.
    pub fn session(&self) -> Session {
        lock(&self.inner.registration).session.clone()
    }

    /// Whether accept says `WouldBlock` rather than waiting.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// The next connection and its peer.
    ///
    /// # Errors
    /// [`AcceptError`]; `WouldBlock` when non-blocking and there is none.
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        self.inner.accept(None)
    }

    /// The next connection, if one comes in time. Whether the listener is non-blocking does not matter.
    ///
    /// # Errors
    /// [`AcceptError::TimedOut`], and as [`TcpListener::accept`].
    pub fn accept_timeout(
        &self,
        timeout: Duration,
    ) -> Result<(TcpStream, SocketAddr), AcceptError> {
        self.inner.accept(Some(timeout))
    }

    /// Connections one after the other, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// A descriptor for poll and epoll, level- or edge-triggered: readable when an accept would return at once. Only for
    /// that: it is not the listener.
    ///
    /// Made at the first call. [`AsFd`] gives the same one. From then on a few connections are taken out of the backlog
    /// before accept asks for them; those that it never asks for are reset when the listener is dropped. An accept that
    /// fails stands in the queue as one that succeeds does, so a program that polls sees it too; a restart of the daemon is
    /// waited for in the background.
    ///
    /// # Errors
    /// When no descriptor can be had; when the session is over or this process is a fork.
    pub fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        let inner = &self.inner;
        inner.check_fork()?;
        if inner.queue.get().is_none() {
            inner.registration(Duration::ZERO, Others::Wait)?;
            // Nobody registers it again, and no other thread does this too.
            let _alone = lock(&inner.registering);
            if inner.queue.get().is_none() {
                let queue = Arc::new(Queue::new(inner)?);
                let registration = lock(&inner.registration).clone();
                registration.watched_by(&queue, queue.start_anew());
                inner.queue.get_or_init(|| queue);
            }
        }
        match inner.queue.get() {
            Some(queue) => Ok(queue.as_fd()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl AsFd for TcpListener {
    /// [`TcpListener::readiness`].
    ///
    /// # Panics
    /// When it was not called before and fails.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness().expect("a descriptor for readiness")
    }
}

impl Inner {
    /// Before any lock: a forked child has only a copy, perhaps of one that a thread of its parent holds.
    fn check_fork(&self) -> Result<(), SessionError> {
        match self.generation == generation() {
            true => Ok(()),
            false => Err(SessionError::Forked),
        }
    }

    fn accept(&self, timeout: Option<Duration>) -> Result<(TcpStream, SocketAddr), AcceptError> {
        self.check_fork()?;
        let nonblocking = self.nonblocking.load(Ordering::Relaxed) && timeout.is_none();
        let deadline = clock::deadline(timeout);
        loop {
            let registration = match (nonblocking, self.queue.get()) {
                // A daemon is waited for in the background.
                (true, Some(queue)) if queue.is_waiting() => {
                    return Err(AcceptError::WouldBlock(String::new()));
                }
                (true, _) => self.registration(Duration::ZERO, Others::GoOn)?,
                (false, _) => self.registration(self.wait, Others::Wait)?,
            };
            let answer = match self.queue.get() {
                Some(queue) => queue.take(&registration, nonblocking, deadline),
                None => ask(&registration, nonblocking, deadline),
            };
            match answer {
                Ok(reply) => return self.accepted(&registration, reply),
                // The next round registers it again, or says that this cannot be.
                Err(AcceptError::Session(SessionError::DaemonGone { .. })) => {}
                Err(AcceptError::Draining(_)) if !nonblocking && !self.wait.is_zero() => {
                    registration.session.wait_until_over(self.wait);
                    if !registration.session.is_over() {
                        return Err(AcceptError::Draining(String::new()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn accepted(
        &self,
        registration: &Registration,
        reply: Reply,
    ) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let Reply::Accepted(opened) = reply else {
            return Err(UNASKED.into());
        };
        let session = registration.session.clone();
        let stream = TcpStream::over(session, opened, self.listen.options)?;
        Ok((stream, opened.remote))
    }
}

/// Asks for a connection and waits for the answer.
fn ask(
    registration: &Registration,
    nonblocking: bool,
    deadline: Option<Instant>,
) -> Result<Reply, AcceptError> {
    let session = &registration.session;
    let accept = Request::Accept {
        listener: registration.listener,
        nonblocking,
    };
    let Some(deadline) = deadline else {
        return Ok(session.call(&accept)?);
    };
    let (number, answer) = session.ask(&accept)?;
    let reply = match answer.recv_timeout(clock::left(deadline).unwrap_or_default()) {
        Ok((Reply::Error(failure), _)) => Err(SessionError::Refused(failure)),
        Ok((reply, _)) => Ok(reply),
        Err(RecvTimeoutError::Disconnected) => session.answer(&answer),
        Err(RecvTimeoutError::Timeout) => {
            // The answer to the accept itself decides: a connection may be on its way.
            session.tell(&Request::CancelAccept { request: number });
            match session.answer(&answer) {
                Err(error) if error.code() == Some(ErrorCode::Cancelled) => {
                    return Err(AcceptError::TimedOut);
                }
                other => other,
            }
        }
    };
    Ok(reply?)
}

/// See [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = Result<TcpStream, AcceptError>;

    fn next(&mut self) -> Option<Result<TcpStream, AcceptError>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}
