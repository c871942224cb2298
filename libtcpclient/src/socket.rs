//! The Unix sockets between a client and the daemon: whole messages, passed descriptors, doorbells.
//!
//! Nothing here knows what a message means. Every descriptor is owned, close-on-exec, and closed on
//! every path.

mod notifier;
mod rights;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

pub(crate) use self::notifier::Notifier;
pub use self::rights::refuse_descriptors;
use crate::protocol::{MAX_MESSAGE, MAX_STACK_THREADS};

/// The most descriptors one message may carry: an arena and the doorbells.
pub const MAX_FDS: usize = 1 + MAX_STACK_THREADS as usize;

/// Who is at the other end, as the kernel recorded it when the peer connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The process; 0 when it is not visible from this pid namespace.
    pub pid: u32,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
}

/// What a receive gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A message of this many bytes (never 0).
    Message(usize),
    /// The peer closed.
    End,
}

/// Whether an error of a send or a receive says that the other end is closed. It is a reset where that end has left something unread, or
/// has closed its listener over a client that waited; the kernel says so once, to whichever call comes first.
pub fn says_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// One end of a `SOCK_SEQPACKET` Unix socket: a datagram is a message.
#[derive(Debug)]
pub struct Seqpacket(OwnedFd);

impl Seqpacket {
    /// Connects to the socket at `path`. The descriptor blocks.
    ///
    /// # Errors
    /// As `connect(2)`: `NotFound`, `ConnectionRefused`, `PermissionDenied`, …
    pub fn connect(path: &Path) -> io::Result<Seqpacket> {
        let fd = seqpacket_socket()?;
        net::connect(&fd, &SocketAddrUnix::new(path)?)?;
        Ok(Seqpacket(fd))
    }

    /// Two ends joined to each other.
    ///
    /// # Errors
    /// As `socketpair(2)`.
    pub fn pair() -> io::Result<(Seqpacket, Seqpacket)> {
        let (a, b) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Seqpacket(a), Seqpacket(b)))
    }

    /// Sends a message whole, or not at all. Waits for room unless the descriptor is non-blocking.
    ///
    /// # Errors
    /// `InvalidInput` for an empty message, `WouldBlock`, `BrokenPipe` (no SIGPIPE) or `ConnectionReset` when the other end is closed, …
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.send_flags(message, &[], SendFlags::NOSIGNAL)
    }

    /// As [`Seqpacket::send`], and never waits.
    ///
    /// # Errors
    /// As `send`; `WouldBlock` when the peer does not read.
    pub fn try_send(&self, message: &[u8]) -> io::Result<()> {
        self.try_send_with_fds(message, &[])
    }

    /// Sends a message with descriptors, and never waits.
    ///
    /// # Errors
    /// As `try_send`; `InvalidInput` for more than [`MAX_FDS`].
    pub fn try_send_with_fds(&self, message: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_flags(message, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_flags(
        &self,
        message: &[u8],
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> io::Result<()> {
        if message.is_empty() || message.len() > MAX_MESSAGE || fds.len() > MAX_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let parts = [IoSlice::new(message)];
        rustix::io::retry_on_intr(|| net::sendmsg(&self.0, &parts, &mut control, flags))?;
        Ok(())
    }

    /// Receives a message. Without a control buffer: descriptors somebody attached are closed by
    /// the kernel and never enter this process.
    ///
    /// `buffer` should have [`MAX_MESSAGE`] bytes.
    ///
    /// # Errors
    /// `InvalidData` for a message longer than `buffer` or empty, `WouldBlock`, …
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = RecvAncillaryBuffer::default();
        self.recv_flags(buffer, &mut control)
    }

    /// Receives a message and at most `max` (≤ [`MAX_FDS`]) descriptors, close-on-exec.
    ///
    /// # Errors
    /// As [`Seqpacket::recv`]; `InvalidData` for more descriptors, all of them are closed then.
    pub fn recv_with_fds(
        &self,
        buffer: &mut [u8],
        max: usize,
    ) -> io::Result<(Received, Vec<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = self.recv_flags(buffer, &mut control);
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let received = received?;
        if fds.len() > max {
            return Err(bad("more descriptors than announced"));
        }
        Ok((received, fds))
    }

    fn recv_flags(
        &self,
        buffer: &mut [u8],
        control: &mut RecvAncillaryBuffer<'_>,
    ) -> io::Result<Received> {
        let with_fds = RecvFlags::CMSG_CLOEXEC;
        let message = rustix::io::retry_on_intr(|| {
            net::recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], control, with_fds)
        })?;
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(bad("a message longer than the protocol allows"));
        }
        match message.bytes {
            0 if self.peer_closed()? => Ok(Received::End),
            0 => Err(bad("an empty message")),
            len => Ok(Received::Message(len)),
        }
    }

    /// A receive of 0 bytes is end of file or an empty message; the kernel knows which.
    fn peer_closed(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&now)))?;
        Ok(fds[0]
            .revents()
            .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR))
    }

    /// Whether calls wait.
    ///
    /// # Errors
    /// As `ioctl(2)`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.0, nonblocking)?)
    }

    /// How long a receive waits; `None` is for ever.
    ///
    /// # Errors
    /// As `setsockopt(2)`.
    pub fn set_receive_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(net::sockopt::set_socket_timeout(
            &self.0,
            net::sockopt::Timeout::Recv,
            timeout,
        )?)
    }

    /// Ends both directions; the peer and every thread blocked here see end of file.
    ///
    /// # Errors
    /// As `shutdown(2)`.
    pub fn shutdown(&self) -> io::Result<()> {
        Ok(net::shutdown(&self.0, net::Shutdown::Both)?)
    }

    /// Who connected (`SO_PEERCRED`).
    ///
    /// # Errors
    /// As `getsockopt(2)`.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        // Not rustix's: it has no place for pid 0, a peer in a pid namespace we cannot see.
        let cred: libc::ucred = socket_option(self.0.as_fd(), libc::SO_PEERCRED)?;
        Ok(Credentials {
            pid: u32::try_from(cred.pid).unwrap_or(0),
            uid: cred.uid,
            gid: cred.gid,
        })
    }

    /// A pidfd of who connected (`SO_PEERPIDFD`, Linux 6.5): readable when that process ended,
    /// though a forked child may still hold the socket open.
    ///
    /// # Errors
    /// As `getsockopt(2)`: `NotFound`-like (ESRCH, ENODATA) when it is gone, ENOPROTOOPT on an older kernel.
    pub fn peer_pidfd(&self) -> io::Result<OwnedFd> {
        let fd: libc::c_int = socket_option(self.0.as_fd(), libc::SO_PEERPIDFD)?;
        if fd < 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl From<OwnedFd> for Seqpacket {
    /// Takes a descriptor that is a `SOCK_SEQPACKET` Unix socket.
    fn from(fd: OwnedFd) -> Seqpacket {
        Seqpacket(fd)
    }
}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Seqpacket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// The daemon's listening socket.
#[derive(Debug)]
pub struct SeqpacketListener(OwnedFd);

impl SeqpacketListener {
    /// Binds `path`, which must not exist, and listens. The descriptor blocks.
    ///
    /// # Errors
    /// As `bind(2)`: `AddrInUse` when `path` exists, …
    pub fn bind(path: &Path) -> io::Result<SeqpacketListener> {
        let fd = seqpacket_socket()?;
        net::bind(&fd, &SocketAddrUnix::new(path)?)?;
        net::listen(&fd, 128)?;
        Ok(SeqpacketListener(fd))
    }

    /// The next client; its descriptor is close-on-exec and blocks.
    ///
    /// # Errors
    /// As `accept4(2)`; `WouldBlock` when this descriptor is non-blocking.
    pub fn accept(&self) -> io::Result<Seqpacket> {
        let fd = rustix::io::retry_on_intr(|| net::accept_with(&self.0, SocketFlags::CLOEXEC))?;
        Ok(Seqpacket(fd))
    }

    /// Whether accept waits.
    ///
    /// # Errors
    /// As `ioctl(2)`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.0, nonblocking)?)
    }
}

impl From<OwnedFd> for SeqpacketListener {
    /// Takes a descriptor that listens already (socket activation).
    fn from(fd: OwnedFd) -> SeqpacketListener {
        SeqpacketListener(fd)
    }
}

impl AsFd for SeqpacketListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SeqpacketListener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// One end of a doorbell: a stream socket whose bytes mean nothing but "look".
///
/// A socket and not an eventfd, because an eventfd shares its file status with the other side,
/// which could make it blocking and full: then a write hangs. Every call here says
/// `MSG_DONTWAIT` itself, so it never waits, whatever was done to the other end.
#[derive(Debug)]
pub struct Bell(OwnedFd);

/// What a doorbell had to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Quiet,
    /// It was rung, once or often.
    Rung,
    /// The other end is closed: it will never ring again.
    Closed,
}

impl Bell {
    /// Two ends; each rings the other.
    ///
    /// # Errors
    /// As `socketpair(2)`.
    pub fn pair() -> io::Result<(Bell, Bell)> {
        let (a, b) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        Ok((Bell(a), Bell(b)))
    }

    /// Rings. A bell that is ringing already (full) is as good.
    ///
    /// # Errors
    /// `BrokenPipe` when the other end is closed (no SIGPIPE).
    pub fn ring(&self) -> io::Result<()> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match rustix::io::retry_on_intr(|| net::send(&self.0, &[1], flags)) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what rings off the socket, by one receive of bounded size: a flood leaves some, so
    /// that a level-triggered poll comes back to it and one that is edge-triggered calls again
    /// until [`Heard::Quiet`], at most as often as it likes.
    ///
    /// # Errors
    /// As `recv(2)`; never `WouldBlock`.
    pub fn silence(&self) -> io::Result<Heard> {
        let mut sink = [0u8; 512];
        match rustix::io::retry_on_intr(|| net::recv(&self.0, &mut sink[..], RecvFlags::DONTWAIT)) {
            Ok((0, _)) => Ok(Heard::Closed),
            Ok(_) => Ok(Heard::Rung),
            Err(Errno::AGAIN) => Ok(Heard::Quiet),
            Err(Errno::CONNRESET) => Ok(Heard::Closed),
            Err(error) => Err(error.into()),
        }
    }
}

impl From<OwnedFd> for Bell {
    fn from(fd: OwnedFd) -> Bell {
        Bell(fd)
    }
}

impl From<Bell> for OwnedFd {
    fn from(bell: Bell) -> OwnedFd {
        bell.0
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

fn seqpacket_socket() -> io::Result<OwnedFd> {
    Ok(net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A `SOL_SOCKET` option that is a plain C value.
fn socket_option<T: Plain>(fd: BorrowedFd<'_>, option: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has `len` writable bytes, and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value.as_mut_ptr().cast(),
            &mut len,
        )
    };
    match result {
        // SAFETY: every bit pattern, all zero too, is a `T`: that is what `Plain` promises.
        0 => Ok(unsafe { value.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// C values of integers only.
///
/// # Safety
/// Every bit pattern must be valid.
unsafe trait Plain {}
// SAFETY: integers.
unsafe impl Plain for libc::c_int {}
// SAFETY: a struct of integers.
unsafe impl Plain for libc::ucred {}

#[cfg(test)]
mod tests;
