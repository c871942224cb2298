//! The session with the daemon: requests and their answers, and the end of it.
//!
//! One thread per session reads what the daemon sends and hands each answer to who waits for it. At
//! end of file it says so to everybody who waits for anything, so nothing hangs on a dead daemon.
//! Data does not pass here: it goes through the rings.
//!
//! 1. [`opening`]: Hello and its answer.
//! 2. [`thread`]: what the daemon says, and the end.
//! 3. [`again`]: the session after the session, when the daemon was started again; the default one.

mod again;
mod opening;
mod thread;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::control::{connect_socket, socket_path};
use super::error::{OpenError, SessionError};
use super::patience::{patience, patiently};
use super::stream::{TcpStream, Watch};
use crate::protocol::{DecodeError, Failure, Opened, Reply, Request, Welcome};
use crate::shm::process::{generation, without_signals};
use crate::shm::{Arena, ClientSlot};
use crate::socket::{Bell, Seqpacket};

/// How long the daemon may take to answer Hello.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session with the daemon. Cloning it is cheap; it ends when the last clone, stream and
/// listener of it is gone.
///
/// Streams and listeners use [`Session::default_session`] unless told otherwise
/// ([`super::builder::Builder::session`]).
#[derive(Debug, Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// Owned by the users; the thread owns only what is in `shared`.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    /// The session that took its place after the daemon was started again.
    successor: Mutex<Option<Session>>,
}

/// What the session's thread knows of it.
#[derive(Debug)]
pub(super) struct Shared {
    socket: Seqpacket,
    /// Where the daemon is; `None` for a session over a socket that was given.
    path: Option<PathBuf>,
    arena: Arc<Arena>,
    bells: Vec<Bell>,
    welcome: Welcome,
    /// [`generation`] of the process that opened it.
    generation: u64,
    /// Set after `table.ended`; read without the lock.
    dead: AtomicBool,
    table: Mutex<Table>,
    /// The session is over.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    request: u32,
    /// Who waits for the answer to which request.
    pending: HashMap<u32, Waiter>,
    /// Who is told of the end of the session, by listener.
    listeners: HashMap<u64, Arc<dyn Told>>,
    /// Slots in use, to wake their threads at the end, and who polls for them.
    slots: HashMap<u32, Option<Arc<Watch>>>,
    /// What the daemon said before it closes.
    ending: Option<Failure>,
    ended: Option<Ended>,
}

/// An answer, and the descriptor that came with it ([`Reply::Stream`] has one, nothing else has).
pub(super) type Answer = (Reply, Option<OwnedFd>);

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiter {
    /// Nobody: the request was sent in passing.
    Nobody,
    /// A call.
    Call(SyncSender<Answer>),
    /// Who does not wait in a call.
    Told(Arc<dyn Told>),
}

/// Who is told of answers by the session's thread. Calls here are short and never wait for anybody.
pub(super) trait Told: std::fmt::Debug + Send + Sync {
    /// An answer is there.
    fn answered(&self, session: &Shared, reply: Reply);
    /// The session is over: there will be no answer.
    fn over(&self);
}

/// How to be rid of a connection that an answer brought and nobody wants.
pub(super) fn abort_of(reply: &Reply) -> Option<Request> {
    match reply {
        Reply::Accepted(opened) | Reply::Connected(opened) => Some(Request::Abort {
            connection: opened.connection,
        }),
        _ => None,
    }
}

/// How a session ended; becomes a [`SessionError`] for everybody who asks.
#[derive(Debug, Clone)]
enum Ended {
    Gone,
    BadMessage(DecodeError),
    BadDaemon(&'static str),
}

impl Session {
    /// Opens a session at [`socket_path`].
    ///
    /// # Errors
    /// See [`Session::open_at`].
    pub fn open() -> Result<Session, SessionError> {
        Session::open_at(&socket_path())
    }

    /// Opens a session with the daemon that listens at `path`. While there is none it waits as long as
    /// [`$TCPD_WAIT`](super::patience) says, by default not at all.
    ///
    /// # Errors
    /// [`SessionError::DaemonNotThere`], [`SessionError::NotPermitted`],
    /// [`SessionError::Refused`] (another version, a quota), [`SessionError::Silent`], or a daemon that breaks the protocol.
    pub fn open_at(path: &Path) -> Result<Session, SessionError> {
        Session::open_within(path, patience()?)
    }

    /// As [`Session::open_at`]; waits so long, whatever the environment says, for a daemon that is not there yet or is
    /// about to go.
    ///
    /// # Errors
    /// As [`Session::open_at`].
    pub fn open_within(path: &Path, wait: Duration) -> Result<Session, SessionError> {
        patiently(wait, || {
            Session::start(connect_socket(path)?, None, Some(path.to_owned()))
        })
    }

    /// Opens a session on a socket that is connected already; with a token, one that has the
    /// right to one accepted connection and to nothing else.
    ///
    /// # Errors
    /// As [`Session::open_at`]; `bad-token`.
    pub fn over(socket: Seqpacket, token: Option<[u8; 16]>) -> Result<Session, SessionError> {
        Session::start(socket, token, None)
    }

    fn start(
        socket: Seqpacket,
        token: Option<[u8; 16]>,
        path: Option<PathBuf>,
    ) -> Result<Session, SessionError> {
        let (welcome, fds) = opening::hello(&socket, token)?;
        let (arena, bells) = opening::take_over(&welcome, fds)?;
        let shared = Arc::new(Shared {
            socket,
            path,
            arena: Arc::new(arena),
            bells,
            welcome,
            generation: generation(),
            dead: AtomicBool::new(false),
            table: Mutex::default(),
            ended: Condvar::new(),
        });
        let for_thread = shared.clone();
        without_signals(|| {
            std::thread::Builder::new()
                .name("tcpd-session".into())
                .stack_size(256 * 1024)
                .spawn(move || for_thread.run())
        })?;
        Ok(Session {
            handle: Arc::new(Handle {
                shared,
                successor: Mutex::default(),
            }),
        })
    }

    /// Takes over the accepted connection that `token` stands for, on a session of its own: what a
    /// worker does. Where the daemon is: [`socket_path`].
    ///
    /// # Errors
    /// As [`Session::open_at`]; `bad-token` when it was used, has expired or is another user's.
    pub fn adopt(token: [u8; 16]) -> Result<TcpStream, OpenError> {
        Session::adopt_at(&socket_path(), token)
    }

    /// As [`Session::adopt`], from the daemon that listens at `path`.
    ///
    /// # Errors
    /// As [`Session::adopt`].
    pub fn adopt_at(path: &Path, token: [u8; 16]) -> Result<TcpStream, OpenError> {
        let session = Session::over(connect_socket(path)?, Some(token))?;
        match session.call(&Request::Adopt)? {
            Reply::Adopted(opened) => Ok(TcpStream::over(session, opened, Default::default())?),
            _ => Err(UNASKED.into()),
        }
    }

    /// What the daemon said when it opened.
    pub fn welcome(&self) -> &Welcome {
        &self.handle.shared.welcome
    }

    /// Whether nothing goes here any more: the daemon closed it, or this process is a fork.
    pub fn is_over(&self) -> bool {
        self.check().is_err()
    }

    /// Nothing shared may be touched before this said yes.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        self.check_fork()?;
        if self.handle.shared.dead.load(Ordering::Acquire) {
            return Err(self.handle.shared.error());
        }
        Ok(())
    }

    /// Waits until it is over, at most so long.
    pub(super) fn wait_until_over(&self, limit: Duration) {
        let shared = &self.handle.shared;
        let table = lock(&shared.table);
        // Poisoned or late: the caller looks for himself.
        let _ = shared
            .ended
            .wait_timeout_while(table, limit, |table| table.ended.is_none());
    }

    /// As [`Session::check`], but a dead daemon is none of its business: what it delivered before
    /// can still be read.
    pub(super) fn check_fork(&self) -> Result<(), SessionError> {
        if self.handle.shared.generation != generation() {
            return Err(SessionError::Forked);
        }
        Ok(())
    }

    /// Asks, and waits for the answer. A refusal is an error.
    pub(super) fn call(&self, request: &Request) -> Result<Reply, SessionError> {
        let (_, answer) = self.ask(request)?;
        self.answer(&answer)
    }

    /// Asks for a descriptor, and waits for it.
    pub(super) fn call_for_descriptor(&self, request: &Request) -> Result<OwnedFd, SessionError> {
        let (_, answer) = self.ask(request)?;
        match self.answer_with_descriptor(&answer)? {
            (Reply::Stream, Some(descriptor)) => Ok(descriptor),
            _ => Err(UNASKED),
        }
    }

    /// Asks; the number of the request, and where the answer comes.
    pub(super) fn ask(&self, request: &Request) -> Result<(u32, Receiver<Answer>), SessionError> {
        let (sender, receiver) = sync_channel(1);
        let number = self.send(request, Waiter::Call(sender))?;
        Ok((number, receiver))
    }

    /// Waits for an answer.
    pub(super) fn answer(&self, answer: &Receiver<Answer>) -> Result<Reply, SessionError> {
        self.answer_with_descriptor(answer).map(|(reply, _)| reply)
    }

    fn answer_with_descriptor(&self, answer: &Receiver<Answer>) -> Result<Answer, SessionError> {
        match answer.recv() {
            Ok((Reply::Error(failure), _)) => Err(SessionError::Refused(failure)),
            Ok(answer) => Ok(answer),
            // The thread dropped the sender: the session is over.
            Err(_) => Err(self.handle.shared.error()),
        }
    }

    /// Asks; `told` hears of the answer.
    pub(super) fn ask_for(
        &self,
        request: &Request,
        told: Arc<dyn Told>,
    ) -> Result<(), SessionError> {
        self.send(request, Waiter::Told(told)).map(|_| ())
    }

    /// From now on `told` hears of the end of the session; at once if it is over.
    pub(super) fn watch_listener(&self, listener: u64, told: Arc<dyn Told>) {
        let shared = &self.handle.shared;
        lock(&shared.table).listeners.insert(listener, told.clone());
        if shared.dead.load(Ordering::SeqCst) {
            told.over();
        }
    }

    /// The end of [`Session::watch_listener`].
    pub(super) fn unwatch_listener(&self, listener: u64) {
        // Dropped outside of the lock.
        let told = lock(&self.handle.shared.table).listeners.remove(&listener);
        drop(told);
    }

    /// Asks in passing: nobody waits for the answer.
    pub(super) fn tell(&self, request: &Request) {
        // If it cannot be sent, the session is over, and with it everything the request was about.
        let _ = self.send(request, Waiter::Nobody);
    }

    fn send(&self, request: &Request, waiter: Waiter) -> Result<u32, SessionError> {
        self.check_fork()?;
        self.handle.shared.send(request, waiter)
    }

    /// The slot of a connection that the daemon has just opened, checked and entered.
    pub(super) fn enter_slot(&self, opened: &Opened) -> Result<ClientSlot, SessionError> {
        let shared = &self.handle.shared;
        let slot = ClientSlot::new(shared.arena.clone(), opened.slot, opened.stack_thread);
        let mut table = lock(&shared.table);
        if let (Some(slot), Entry::Vacant(free)) = (slot, table.slots.entry(opened.slot)) {
            free.insert(None);
            return Ok(slot);
        }
        drop(table);
        Err(shared.fail(Ended::BadDaemon("a slot that does not exist or is in use")))
    }

    /// From now on the session's thread refreshes `watch` when the daemon marks the slot.
    pub(super) fn watch_slot(&self, slot: &ClientSlot, watch: &Arc<Watch>) {
        let shared = &self.handle.shared;
        if let Some(place) = lock(&shared.table).slots.get_mut(&slot.slot()) {
            *place = Some(watch.clone());
        }
        if shared.dead.load(Ordering::SeqCst) {
            watch.end(true, true);
        }
    }

    /// The slot is about to be given back.
    pub(super) fn leave_slot(&self, slot: &ClientSlot) {
        lock(&self.handle.shared.table).slots.remove(&slot.slot());
    }

    /// It was not given back after all.
    pub(super) fn return_to_slot(&self, slot: &ClientSlot, watch: Option<&Arc<Watch>>) {
        let mut table = lock(&self.handle.shared.table);
        table.slots.insert(slot.slot(), watch.cloned());
    }

    /// Ends the session because the daemon said or did what it may not.
    pub(super) fn bad_daemon(&self, what: &'static str) -> SessionError {
        self.handle.shared.fail(Ended::BadDaemon(what))
    }

    /// Rings a stack thread's bell.
    pub(super) fn ring(&self, thread: u16) {
        let shared = &self.handle.shared;
        if let Some(bell) = shared.bells.get(usize::from(thread))
            && bell.ring().is_err()
        {
            // Without its bell the daemon never looks: what waits would wait for ever.
            let _ = shared.socket.shutdown();
        }
    }

    pub(super) fn arena(&self) -> &Arc<Arena> {
        &self.handle.shared.arena
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A forked child has only a copy of the descriptor; the socket is its parent's.
        if self.shared.generation == generation() {
            let _ = self.shared.socket.shutdown();
        }
    }
}

impl Table {
    fn free_number(&mut self) -> u32 {
        loop {
            self.request = self.request.wrapping_add(1).max(1);
            if !self.pending.contains_key(&self.request) {
                return self.request;
            }
        }
    }

    fn error(&self) -> SessionError {
        match &self.ended {
            Some(Ended::BadMessage(error)) => SessionError::BadMessage(*error),
            Some(Ended::BadDaemon(what)) => SessionError::BadDaemon(what),
            Some(Ended::Gone) | None => SessionError::DaemonGone {
                reason: self.ending.clone(),
            },
        }
    }
}

pub(super) const UNASKED: SessionError =
    SessionError::BadDaemon("an answer of a kind that was not asked for");

/// A panic elsewhere leaves these tables whole: every change is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
