//! The session with the daemon: requests and their answers, and the end of it.
//!
//! One thread per session reads what the daemon sends and hands each answer to who waits for it. At
//! end of file it says so to everybody who waits for anything, so nothing hangs on a dead daemon.
//! Data does not pass here: it goes through the rings.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::control::{connect_socket, program_name, socket_path};
use super::error::{OpenError, SessionError};
use super::stream::{TcpStream, Watch};
use crate::protocol::{
    DecodeError, Event, Failure, FromDaemon, Hello, MAX_MESSAGE, Opened, Reply, Request, VERSION,
    Welcome,
};
use crate::shm::process::{PerProcess, generation, without_signals};
use crate::shm::{Arena, ClientSlot, Layout};
use crate::socket::{Bell, Heard, MAX_FDS, Received, Seqpacket};

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
}

#[derive(Debug)]
struct Shared {
    socket: Seqpacket,
    arena: Arc<Arena>,
    bells: Vec<Bell>,
    welcome: Welcome,
    /// [`generation`] of the process that opened it.
    generation: u64,
    /// Set after `table.ended`; read without the lock.
    dead: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    request: u32,
    /// Who waits for the answer to which request; `None`: nobody, it was sent in passing.
    pending: HashMap<u32, Option<SyncSender<Answer>>>,
    /// Slots in use, to wake their threads at the end, and who polls for them.
    slots: HashMap<u32, Option<Arc<Watch>>>,
    /// What the daemon said before it closes.
    ending: Option<Failure>,
    ended: Option<Ended>,
}

/// An answer, and the descriptor that came with it ([`Reply::Stream`] has one, nothing else has).
pub(super) type Answer = (Reply, Option<OwnedFd>);

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

    /// Opens a session with the daemon that listens at `path`.
    ///
    /// # Errors
    /// [`SessionError::DaemonNotThere`], [`SessionError::NotPermitted`],
    /// [`SessionError::Refused`] (another version, a quota), [`SessionError::Silent`], or a daemon that breaks the protocol.
    pub fn open_at(path: &Path) -> Result<Session, SessionError> {
        Session::over(connect_socket(path)?, None)
    }

    /// Opens a session on a socket that is connected already; with a token, one that has the
    /// right to one accepted connection and to nothing else.
    ///
    /// # Errors
    /// As [`Session::open_at`]; `bad-token`.
    pub fn over(socket: Seqpacket, token: Option<[u8; 16]>) -> Result<Session, SessionError> {
        let (welcome, fds) = hello(&socket, token)?;
        let (arena, bells) = take_over(&welcome, fds)?;
        let shared = Arc::new(Shared {
            socket,
            arena: Arc::new(arena),
            bells,
            welcome,
            generation: generation(),
            dead: AtomicBool::new(false),
            table: Mutex::default(),
        });
        let for_thread = shared.clone();
        without_signals(|| {
            thread::Builder::new()
                .name("tcpd-session".into())
                .stack_size(256 * 1024)
                .spawn(move || for_thread.run())
        })?;
        Ok(Session {
            handle: Arc::new(Handle { shared }),
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

    /// The session that this process uses where none is given: opened at first use, at [`socket_path`]. A new
    /// one is opened when the daemon was restarted, and in a forked child.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn default_session() -> Result<Session, SessionError> {
        let mut session = lock(DEFAULT.get());
        match &*session {
            Some(session) if !session.is_over() => Ok(session.clone()),
            _ => Ok(session.insert(Session::open()?).clone()),
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
    #[expect(
        dead_code,
        reason = "its callers come with socket endpoints and error streams"
    )]
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
        let number = self.send(request, Some(sender))?;
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

    /// Asks in passing: nobody waits for the answer.
    pub(super) fn tell(&self, request: &Request) {
        // If it cannot be sent, the session is over, and with it everything the request was about.
        let _ = self.send(request, None);
    }

    fn send(
        &self,
        request: &Request,
        answer: Option<SyncSender<Answer>>,
    ) -> Result<u32, SessionError> {
        self.check_fork()?;
        let shared = &self.handle.shared;
        let number = {
            let mut table = lock(&shared.table);
            if table.ended.is_some() {
                return Err(table.error());
            }
            let number = table.free_number();
            table.pending.insert(number, answer);
            number
        };
        match shared.socket.send(&request.encode(number)) {
            Ok(()) => Ok(number),
            Err(error) => {
                lock(&shared.table).pending.remove(&number);
                match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                        Err(shared.error())
                    }
                    _ => Err(error.into()),
                }
            }
        }
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

impl Shared {
    /// The session's thread: until end of file or a message that makes no sense.
    fn run(&self) {
        let mut buffer = vec![0; MAX_MESSAGE];
        let ended = loop {
            self.take_marks();
            match self.sleep() {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => break Ended::Gone,
            }
            match self.socket.recv_with_fds(&mut buffer, 1) {
                Ok((Received::Message(len), descriptors)) => {
                    if let Err(ended) = self.dispatch(&buffer[..len], descriptors) {
                        break ended;
                    }
                }
                Ok((Received::End, _)) => break Ended::Gone,
                Err(error) => match error.kind() {
                    io::ErrorKind::InvalidData => {
                        break Ended::BadDaemon(
                            "a message that is empty, too long or with too many descriptors",
                        );
                    }
                    _ => break Ended::Gone,
                },
            }
        };
        self.fail(ended);
    }

    /// Shows what became ready to those who poll.
    fn take_marks(&self) {
        for thread in 0..self.welcome.stack_threads {
            let ready = &self.arena.doorbells(thread).to_client;
            while let Some(marked) = ready.take() {
                for slot in marked {
                    let watch = lock(&self.table).slots.get(&slot).cloned().flatten();
                    if let Some(watch) = watch {
                        watch.refresh();
                    }
                }
            }
        }
    }

    /// Waits for a message or a bell; true for a message (or end of file).
    fn sleep(&self) -> io::Result<bool> {
        let blocks = || (0..self.welcome.stack_threads).map(|n| &self.arena.doorbells(n).to_client);
        let may_sleep = blocks().all(|ready| ready.prepare_sleep());
        let mut fds: Vec<PollFd<'_>> = self
            .bells
            .iter()
            .map(|bell| PollFd::new(bell, PollFlags::IN))
            .chain([PollFd::new(&self.socket, PollFlags::IN)])
            .collect();
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let limit = (!may_sleep).then_some(&now);
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, limit))?;
        blocks().for_each(|ready| ready.awake());
        let heard: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let [bells @ .., message] = &heard[..] else {
            return Ok(false);
        };
        for (bell, heard) in self.bells.iter().zip(bells) {
            if *heard && bell.silence()? == Heard::Closed && !*message {
                // Without its bell nobody would be told of anything.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(*message)
    }

    fn dispatch(&self, message: &[u8], mut descriptors: Vec<OwnedFd>) -> Result<(), Ended> {
        let message = FromDaemon::decode(message).map_err(Ended::BadMessage)?;
        let announced = matches!(message, FromDaemon::Reply(_, Reply::Stream));
        if announced == descriptors.is_empty() {
            return Err(Ended::BadDaemon(
                "another number of descriptors than the message has",
            ));
        }
        match message {
            FromDaemon::Reply(number, reply) => {
                let waiting = lock(&self.table).pending.remove(&number);
                let Some(waiting) = waiting else {
                    return Err(Ended::BadDaemon("an answer to what was not asked"));
                };
                if let Some(sender) = waiting {
                    // It holds one, and gets one; who asked may have been given up.
                    let _ = sender.try_send((reply, descriptors.pop()));
                }
            }
            FromDaemon::Event(Event::SessionEnding(failure)) => {
                lock(&self.table).ending = Some(failure);
            }
            // Accepts of a closed listener are answered; draining shows in refusals.
            FromDaemon::Event(Event::Draining { .. } | Event::ListenerClosed { .. }) => {}
        }
        Ok(())
    }

    /// Ends the session: everybody who waits for an answer, for data or for space is told. The
    /// first reason stays.
    fn fail(&self, ended: Ended) -> SessionError {
        let slots: Vec<(u32, Option<Arc<Watch>>)> = {
            let mut table = lock(&self.table);
            table.ended.get_or_insert(ended);
            table.pending.clear();
            self.dead.store(true, Ordering::SeqCst);
            table
                .slots
                .iter()
                .map(|(slot, watch)| (*slot, watch.clone()))
                .collect()
        };
        let _ = self.socket.shutdown();
        for (slot, watch) in slots {
            if let Some(watch) = watch {
                watch.end(true, true);
            }
            if let Some(slot) = ClientSlot::new(self.arena.clone(), slot, 0) {
                slot.wake_all();
            }
        }
        self.error()
    }

    fn error(&self) -> SessionError {
        lock(&self.table).error()
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

/// Says Hello and waits for the answer, with its descriptors.
fn hello(
    socket: &Seqpacket,
    token: Option<[u8; 16]>,
) -> Result<(Welcome, Vec<OwnedFd>), SessionError> {
    let hello = Request::Hello(Hello {
        version: VERSION,
        arena: true,
        token,
        program: program_name(),
    });
    socket.set_receive_timeout(Some(PATIENCE))?;
    let gone = |reason| SessionError::DaemonGone { reason };
    // A daemon that refuses a client may close before it hears Hello; what it said is there to read.
    let sent = socket.send(&hello.encode(1));
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut reason = None;
    loop {
        let (received, fds) = match socket.recv_with_fds(&mut buffer, MAX_FDS) {
            Ok(received) => received,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Err(SessionError::Silent),
                io::ErrorKind::ConnectionReset => return Err(gone(reason)),
                io::ErrorKind::InvalidData => {
                    return Err(SessionError::BadDaemon(
                        "a message that is empty or too long",
                    ));
                }
                _ => return Err(error.into()),
            },
        };
        let Received::Message(len) = received else {
            return match sent {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Err(gone(reason)),
            };
        };
        match FromDaemon::decode(&buffer[..len])? {
            FromDaemon::Reply(1, Reply::Welcome(welcome)) => {
                socket.set_receive_timeout(None)?;
                return Ok((welcome, fds));
            }
            FromDaemon::Reply(1, Reply::Error(failure)) => {
                return Err(SessionError::Refused(failure));
            }
            FromDaemon::Reply(..) => return Err(UNASKED),
            FromDaemon::Event(Event::SessionEnding(failure)) => reason = Some(failure),
            FromDaemon::Event(_) => {}
        }
    }
}

/// Checks what came with Welcome, and maps it.
fn take_over(welcome: &Welcome, fds: Vec<OwnedFd>) -> Result<(Arena, Vec<Bell>), SessionError> {
    let bad = SessionError::BadDaemon;
    if welcome.version != VERSION {
        return Err(bad("a version that was not asked for"));
    }
    let layout = Layout::new(welcome.stack_threads, welcome.slots, welcome.ring_maximum)
        .map_err(|_| bad("an arena of impossible sizes"))?;
    if fds.len() != 1 + usize::from(welcome.stack_threads) {
        return Err(bad("another number of descriptors than announced"));
    }
    let mut fds = fds.into_iter();
    let memory = fds.next().ok_or(bad("no arena"))?;
    let arena = Arena::map(memory, layout).map_err(|error| match error {
        crate::shm::MapError::Os(error) => SessionError::Os(error),
        _ => bad("an arena that is not sealed or not of the announced size"),
    })?;
    let bells = fds
        .map(|fd| match rustix::net::sockopt::socket_type(&fd) {
            Ok(_) => Ok(Bell::from(fd)),
            Err(_) => Err(bad("a doorbell that is not a socket")),
        })
        .collect::<Result<Vec<Bell>, SessionError>>()?;
    Ok((arena, bells))
}

/// Where this process keeps its default session.
static DEFAULT: PerProcess<Mutex<Option<Session>>> = PerProcess::new();
