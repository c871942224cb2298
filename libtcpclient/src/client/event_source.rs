//! mio's `event::Source`, by the descriptors that show readiness. A stream or listener that is registered is non-blocking from
//! then on, as mio's own are; as with those, read and write until `WouldBlock` before waiting for the next event.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::connecting::Connecting;
use super::listener::TcpListener;
use super::stream::TcpStream;

macro_rules! source {
    ($type:ty, $prepare:expr) => {
        impl Source for $type {
            fn register(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                $prepare(self)?;
                SourceFd(&raw(self.readiness()?)).register(registry, token, interests)
            }

            fn reregister(
                &mut self,
                registry: &Registry,
                token: Token,
                interests: Interest,
            ) -> io::Result<()> {
                SourceFd(&raw(self.readiness()?)).reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                SourceFd(&raw(self.readiness()?)).deregister(registry)
            }
        }
    };
}

source!(TcpStream, |stream: &TcpStream| stream.set_nonblocking(true));
source!(TcpListener, |listener: &TcpListener| listener
    .set_nonblocking(true));
source!(Connecting, |_: &Connecting| Ok::<(), io::Error>(()));

fn raw(fd: BorrowedFd<'_>) -> RawFd {
    fd.as_raw_fd()
}
