//! Accepting connections, in the image of `std::net::TcpListener`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::builder::Builder;
use super::error::{AcceptError, ListenError, SessionError};
use super::session::{Session, UNASKED};
use super::stream::TcpStream;
use crate::protocol::{ErrorCode, Reply, Request, StreamOptions};

/// A socket in LISTEN. Dropping it resets the connections nobody accepted yet.
///
/// Several threads may accept at once.
#[derive(Debug, Clone)]
pub struct TcpListener {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    listener: u64,
    local: SocketAddr,
    options: StreamOptions,
    nonblocking: AtomicBool,
}

impl TcpListener {
    /// Listens at `local` with the daemon's defaults; see [`Builder::listen`].
    ///
    /// # Errors
    /// [`ListenError`]; `AddrInUse` as the kernel has it.
    pub fn bind<A: ToSocketAddrs>(local: A) -> Result<TcpListener, ListenError> {
        Builder::new().listen(local)
    }

    pub(super) fn over(
        session: Session,
        listener: u64,
        local: SocketAddr,
        options: StreamOptions,
    ) -> TcpListener {
        TcpListener {
            inner: Arc::new(Inner {
                session,
                listener,
                local,
                options,
                nonblocking: AtomicBool::new(false),
            }),
        }
    }

    /// Where it listens, with the port that was picked.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.inner.local)
    }

    /// The session it lives on.
    pub fn session(&self) -> &Session {
        &self.inner.session
    }

    /// Whether accept says `WouldBlock` rather than waiting.
    ///
    /// # Errors
    /// None: as `std` has it.
    pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// The next connection and its peer.
    ///
    /// # Errors
    /// [`AcceptError`]; `WouldBlock` when non-blocking and there is none.
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let nonblocking = self.inner.nonblocking.load(Ordering::Relaxed);
        let reply = self.inner.session.call(&self.request(nonblocking))?;
        self.accepted(reply)
    }

    /// The next connection, if one comes in time. Whether the listener is non-blocking does not matter.
    ///
    /// # Errors
    /// [`AcceptError::TimedOut`], and as [`TcpListener::accept`].
    pub fn accept_timeout(
        &self,
        timeout: Duration,
    ) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let session = &self.inner.session;
        let (number, answer) = session.ask(&self.request(false))?;
        let reply = match answer.recv_timeout(timeout) {
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
        self.accepted(reply?)
    }

    fn request(&self, nonblocking: bool) -> Request {
        Request::Accept {
            listener: self.inner.listener,
            nonblocking,
        }
    }

    fn accepted(&self, reply: Reply) -> Result<(TcpStream, SocketAddr), AcceptError> {
        let Reply::Accepted(opened) = reply else {
            return Err(UNASKED.into());
        };
        let session = self.inner.session.clone();
        let stream = TcpStream::over(session, opened, self.inner.options)?;
        Ok((stream, opened.remote))
    }

    /// Connections one after the other, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.session.tell(&Request::CloseListener {
            listener: self.listener,
        });
    }
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
