//! A [`Connection`] over an ordinary stream, for the tests of the handlers.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::{Clock, Connection, Handler};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl Connection for UnixStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        UnixStream::set_read_timeout(self, limit)
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        UnixStream::set_write_timeout(self, limit)
    }

    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.set_nonblocking(true)?;
        let result = self.read(buffer);
        self.set_nonblocking(false)?;
        result
    }
}

/// A clock that stands still.
pub(crate) struct Stopped {
    /// Seconds since 1970.
    pub unix_seconds: u64,
}

impl Clock for Stopped {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.unix_seconds)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// A handler at work in a thread, and the peer's end of its connection.
pub(crate) struct Served {
    /// The peer's end; reads and writes fail after [`PATIENCE`].
    pub peer: UnixStream,
    thread: JoinHandle<io::Result<()>>,
}

impl Served {
    /// Starts `handler` on one end of a socket pair.
    pub(crate) fn start(handler: &Handler) -> Self {
        Self::start_at(handler, 1_000_000_000)
    }

    /// The same with the clock standing at `unix_seconds`.
    pub(crate) fn start_at(handler: &Handler, unix_seconds: u64) -> Self {
        let (peer, mut own) = UnixStream::pair().expect("socket pair");
        peer.set_read_timeout(Some(PATIENCE)).expect("timeout");
        peer.set_write_timeout(Some(PATIENCE)).expect("timeout");
        let prepared = handler.prepare().expect("handler can be prepared");
        let thread =
            std::thread::spawn(move || prepared.serve(&mut own, &Stopped { unix_seconds }));
        Self { peer, thread }
    }

    /// Ends the peer's direction, reads the rest and waits for the handler.
    pub(crate) fn end(mut self) -> (Vec<u8>, io::Result<()>) {
        // A handler that has ended already has closed its end; that is no failure.
        let _ = self.peer.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        self.peer
            .read_to_end(&mut rest)
            .expect("the rest can be read");
        (
            rest,
            self.thread.join().expect("the handler does not panic"),
        )
    }

    /// Sends `bytes` and then behaves as [`Served::end`].
    pub(crate) fn say(mut self, bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
        self.peer.write_all(bytes).expect("bytes can be sent");
        self.end()
    }

    /// Closes the peer's end without reading and waits for the handler.
    pub(crate) fn hang_up(self) -> io::Result<()> {
        drop(self.peer);
        self.thread.join().expect("the handler does not panic")
    }
}
