//! A connection, in the image of `std::net::TcpStream`.
//!
//! Bytes go through the rings by [`receive`] and [`send`]; everything else is a request ([`options`]).

mod giving;
mod options;
mod readiness;
mod receive;
mod send;

pub(super) use self::giving::Manners;
pub(super) use self::readiness::Watch;

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use self::receive::ReceiveHalf;
use self::send::SendHalf;
use super::builder::{Builder, millis};
use super::error::{
    CloseError, OpenError, OptionError, ReceiveError, SendError, SessionError, SocketError,
    StatusError,
};
use super::session::{Session, UNASKED, lock};
use super::spin::Spin;
use crate::protocol::status::ConnectionStatus;
use crate::protocol::{Opened, Reply, Request, ShutdownHow, StreamOptions};
use crate::shm::ClientSlot;
use crate::socket::Notifier;

/// A connection. Dropping it (and its last clone) closes it: what is written is sent, then FIN; unread data
/// makes that a reset, as everywhere (RFC 2525 §2.17).
///
/// One thread may read while another writes; several threads may do either. After a `fork` the
/// connection stays with the parent; in the child every call is an error.
#[derive(Debug, Clone)]
pub struct TcpStream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    slot: ClientSlot,
    opened: Opened,
    receive: Mutex<ReceiveHalf>,
    send: Mutex<SendHalf>,
    receive_spin: Spin,
    send_spin: Spin,
    nonblocking: AtomicBool,
    /// Nanoseconds; 0 is none.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
    options: Mutex<StreamOptions>,
    linger: Mutex<Option<Duration>>,
    /// The number and the slot were given back: nothing may touch the slot any more. Changes only
    /// under both halves' locks.
    retired: AtomicBool,
    error_taken: AtomicBool,
    /// From the first [`TcpStream::readiness`] on.
    watch: OnceLock<Arc<Watch>>,
}

impl TcpStream {
    /// Connects with the daemon's defaults; see [`Builder::connect`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn connect<A: ToSocketAddrs>(remote: A) -> Result<TcpStream, OpenError> {
        Builder::new().connect(remote)
    }

    /// Connects, and gives up after `timeout`.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::TimedOut`].
    pub fn connect_timeout(remote: &SocketAddr, timeout: Duration) -> Result<TcpStream, OpenError> {
        Builder::new().timeout(timeout).connect(remote)
    }

    /// The stream of a connection that the daemon has just opened on `session`.
    pub(super) fn over(
        session: Session,
        opened: Opened,
        options: StreamOptions,
    ) -> Result<TcpStream, SessionError> {
        let slot = session.enter_slot(&opened)?;
        let (read, written) = slot.start();
        let halves = ReceiveHalf::new(&session, &slot, read).zip(SendHalf::new(
            &session,
            &slot,
            written,
            opened.transmit_maximum,
        ));
        let Some((receive, send)) = halves else {
            session.leave_slot(&slot);
            return Err(session.bad_daemon("a ring of impossible geometry"));
        };
        Ok(TcpStream {
            inner: Arc::new(Inner {
                session,
                slot,
                opened,
                receive: Mutex::new(receive),
                send: Mutex::new(send),
                receive_spin: Spin::default(),
                send_spin: Spin::default(),
                nonblocking: AtomicBool::new(false),
                read_timeout: AtomicU64::new(0),
                write_timeout: AtomicU64::new(0),
                options: Mutex::new(options),
                linger: Mutex::new(None),
                retired: AtomicBool::new(false),
                error_taken: AtomicBool::new(false),
                watch: OnceLock::new(),
            }),
        })
    }

    /// Reads into the buffers what is there, waiting for the first byte. 0 is the peer's FIN, or no room in `buffers`.
    ///
    /// # Errors
    /// [`ReceiveError`]. What arrived before a reset is read first.
    pub fn receive(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, ReceiveError> {
        self.inner.receive(buffers, false)
    }

    /// Reads without taking: the next read gives the same bytes again.
    ///
    /// # Errors
    /// As a read.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffers = [IoSliceMut::new(buffer)];
        Ok(self.inner.receive(&mut buffers, true)?)
    }

    /// Writes what finds room, waiting for room for the first byte. The bytes are sent in the background; later
    /// errors show at a later call.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&self, buffers: &[IoSlice<'_>]) -> Result<usize, SendError> {
        self.inner.send(buffers)
    }

    /// Ends one half or both. Writing: FIN after what is written. Reading: what comes is thrown away, reads give 0.
    ///
    /// # Errors
    /// [`CloseError`] as `io::Error`; `NotConnected` when the connection is over.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Ok(self.inner.shutdown(how)?)
    }

    /// Closes, and waits until the daemon has taken note; with a linger time, until everything is
    /// acknowledged. Clones of this stream then say that the connection does not exist.
    ///
    /// # Errors
    /// [`CloseError::TimedOut`] when the linger time passed; the connection is reset then.
    pub fn close(self) -> Result<(), CloseError> {
        self.inner.close()
    }

    /// Resets the connection at once (ABORT, RFC 9293 §3.10.5): the peer sees RST; nothing more is delivered.
    ///
    /// # Errors
    /// [`CloseError`].
    pub fn abort(&self) -> Result<(), CloseError> {
        self.inner.abort()
    }

    /// Turns the connection into an ordinary stream socket, one end of a socketpair into which the daemon copies: for `poll`,
    /// `sendfile`, `dup`, `exec`, and for programs that know nothing of tcpd. Slower than this stream by a copy.
    ///
    /// What is written and not acknowledged, and what is unread, goes along. `shutdown` closes a half; closing the last descriptor, or
    /// shutting both halves at once, closes the connection (a reset when something was unread). The connection is the descriptor's: it outlives this
    /// session. A reset by the peer shows as `ConnectionReset` only while bytes written to the socket were not taken from it
    /// yet, otherwise as the end of file, and as `BrokenPipe` to a write. The socket blocks. Clones of this stream say that the
    /// connection does not exist.
    ///
    /// # Errors
    /// [`SocketError`]; the connection is as it was then, and closes with this, its last stream. Keep a clone to go on with it.
    pub fn into_socket(self) -> Result<UnixStream, SocketError> {
        let given = self.give_away(|session, connection| {
            session.call_for_descriptor(&Request::IntoSocket { connection })
        })?;
        Ok(given.answer.into())
    }

    /// Everything the daemon knows about this connection: an honest `TCP_INFO`.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn status(&self) -> Result<ConnectionStatus, StatusError> {
        self.inner.present()?;
        let connection = self.inner.opened.connection;
        let request = Request::ConnectionStatus { connection };
        match self.inner.session.call(&request)? {
            Reply::Status(json) => serde_json::from_str(json.as_str()).map_err(|_| {
                SessionError::BadDaemon("a status that does not have the documented fields").into()
            }),
            _ => Err(UNASKED.into()),
        }
    }

    /// This side's address and port.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.opened.local)
    }

    /// The other side's address and port.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.opened.remote)
    }

    /// The session it lives on.
    pub fn session(&self) -> &Session {
        &self.inner.session
    }

    /// Another handle to the same connection.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(self.clone())
    }

    /// Why the connection ended, once; `None` while it lives or after an orderly end.
    ///
    /// # Errors
    /// When this process is a fork.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.session.check_fork()?;
        let inner = &self.inner;
        let gone = || inner.session.check().err();
        let ended = match inner.ended() {
            _ if inner.retired.load(Ordering::Acquire) => None,
            Ok(Some(reason)) => reason.kind().map(|kind| io::Error::new(kind, reason)),
            Ok(None) => gone().map(io::Error::from),
            Err(error) => Some(error.into()),
        };
        Ok(ended.filter(|_| !self.inner.error_taken.swap(true, Ordering::Relaxed)))
    }

    /// Whether calls say `WouldBlock` rather than waiting.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// A descriptor for poll and epoll, level- or edge-triggered: readable when a read would return at
    /// once, writable when a write would. Only for that: it is not the connection.
    ///
    /// Made at the first call. [`AsFd`] gives the same one.
    ///
    /// # Errors
    /// When no descriptor can be had; when the session is over or this process is a fork.
    pub fn readiness(&self) -> io::Result<BorrowedFd<'_>> {
        let inner = &self.inner;
        if inner.watch.get().is_none() {
            inner.present()?;
            let fresh = Arc::new(Watch::new(inner.slot.clone())?);
            // Entered before it is shown, so that an end of the session does not pass it by.
            let watch = inner.watch.get_or_init(|| fresh);
            inner.session.watch_slot(&inner.slot, watch);
            let over = inner.retired.load(Ordering::Acquire);
            let (read_over, write_over) = (lock(&inner.receive).shut, lock(&inner.send).shut);
            watch.end(over || read_over, over || write_over);
        }
        match inner.watch.get() {
            Some(watch) => Ok(watch.as_fd()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// [`TcpStream::readiness`] is this descriptor, which shows that it is writable and no more: the connection was opened
    /// with it.
    pub(super) fn polled_with(&self, notifier: Arc<Notifier>) {
        let inner = &self.inner;
        let watch = Arc::new(Watch::with(inner.slot.clone(), notifier));
        let watch = inner.watch.get_or_init(|| watch);
        inner.session.watch_slot(&inner.slot, watch);
        watch.refresh();
    }

    /// How long a read waits; `None` is for ever. It fails with `WouldBlock` then, as `std` has it on Unix.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.inner.read_timeout, timeout)
    }

    /// How long a write waits for room; `None` is for ever. It fails with `WouldBlock` then, as `std` has it on Unix.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.inner.write_timeout, timeout)
    }

    /// See [`TcpStream::set_read_timeout`].
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(timeout(&self.inner.read_timeout))
    }

    /// See [`TcpStream::set_write_timeout`].
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(timeout(&self.inner.write_timeout))
    }

    /// What closing does (`SO_LINGER`): `None`, return at once and send the rest in the
    /// background; zero, reset; else wait until everything is acknowledged, reset if that takes longer.
    ///
    /// # Errors
    /// None.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        *lock(&self.inner.linger) = linger;
        Ok(())
    }

    /// See [`TcpStream::set_linger`].
    ///
    /// # Errors
    /// None.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(*lock(&self.inner.linger))
    }
}

impl Inner {
    /// Whether the connection still has its number.
    fn present(&self) -> Result<(), SessionError> {
        self.session.check()?;
        if self.retired.load(Ordering::Acquire) {
            return Err(SessionError::Refused(crate::protocol::Failure {
                code: crate::protocol::ErrorCode::NoSuchConnection,
                detail: "it was closed".into(),
            }));
        }
        Ok(())
    }

    /// After a read or write that left nothing to read or no room.
    fn refresh(&self) {
        if let Some(watch) = self.watch.get() {
            watch.refresh();
        }
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), CloseError> {
        self.present()?;
        let how = match how {
            Shutdown::Read => ShutdownHow::Read,
            Shutdown::Write => ShutdownHow::Write,
            Shutdown::Both => ShutdownHow::Both,
        };
        if how != ShutdownHow::Write {
            lock(&self.receive).shut = true;
        }
        if how != ShutdownHow::Read {
            // Taking the lock waits for a write that is being copied: it belongs before the FIN.
            lock(&self.send).shut = true;
        }
        self.slot.wake_all();
        if let Some(watch) = self.watch.get() {
            watch.end(how != ShutdownHow::Write, how != ShutdownHow::Read);
        }
        let connection = self.opened.connection;
        match self.session.call(&Request::Shutdown { connection, how })? {
            Reply::Done => Ok(()),
            _ => Err(UNASKED.into()),
        }
    }

    fn close(&self) -> Result<(), CloseError> {
        self.present()?;
        let Some(request) = self.retire() else {
            return Ok(());
        };
        self.done(&request)
    }

    fn abort(&self) -> Result<(), CloseError> {
        self.present()?;
        if self.retire().is_none() {
            return Ok(());
        }
        let connection = self.opened.connection;
        self.done(&Request::Abort { connection })
    }

    fn done(&self, request: &Request) -> Result<(), CloseError> {
        match self.session.call(request)? {
            Reply::Done => Ok(()),
            _ => Err(UNASKED.into()),
        }
    }

    /// Gives up the slot, and says how to close; `None` when somebody did so before.
    ///
    /// No thread touches the slot after this: all do so under a half's lock, having looked at
    /// `retired` under it; those who wait are woken and look again.
    fn retire(&self) -> Option<Request> {
        {
            let _receive = lock(&self.receive);
            let _send = lock(&self.send);
            if self.retired.swap(true, Ordering::AcqRel) {
                return None;
            }
        }
        self.slot.wake_all();
        if let Some(watch) = self.watch.get() {
            watch.end(true, true);
        }
        // Before the request: the daemon may give the slot to another thread's connection at once.
        self.session.leave_slot(&self.slot);
        let connection = self.opened.connection;
        Some(match *lock(&self.linger) {
            Some(Duration::ZERO) => Request::Abort { connection },
            linger => Request::Close {
                connection,
                linger_ms: linger.map(millis),
            },
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In a forked child all of this is the parent's.
        if self.session.check_fork().is_err() {
            return;
        }
        match self.retire() {
            Some(
                request @ Request::Close {
                    linger_ms: Some(_), ..
                },
            ) => {
                // There is nobody to tell that the time passed; the connection is reset then.
                let _ = self.session.call(&request);
            }
            Some(request) => self.session.tell(&request),
            None => {}
        }
    }
}

fn set_timeout(place: &AtomicU64, timeout: Option<Duration>) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) {
        return Err(OptionError::ZeroTimeout.into());
    }
    set_nanos(place, timeout);
    Ok(())
}

fn set_nanos(place: &AtomicU64, timeout: Option<Duration>) {
    let nanos = timeout.map_or(0, |timeout| {
        u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
    });
    place.store(nanos, Ordering::Relaxed);
}

fn timeout(place: &AtomicU64) -> Option<Duration> {
    match place.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Duration::from_nanos(nanos)),
    }
}

impl AsFd for TcpStream {
    /// [`TcpStream::readiness`].
    ///
    /// # Panics
    /// When it was not called before and fails.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness().expect("a descriptor for readiness")
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(&mut [IoSliceMut::new(buffer)])?)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(self.receive(buffers)?)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(self.send(&[IoSlice::new(buffer)])?)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.send(buffers)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
