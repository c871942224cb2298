//! Our end of the stream socketpair: system calls that never wait, whatever the holder does with the other end.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libtcpclient::shm::RawSlice;
use libtcpclient::socket::refuse_descriptors;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair, sockopt,
};

/// What the kernel is asked to keep for the holder and for us; it takes twice that, overhead included. Where a writer is woken only
/// when three fourths of it were read, more of it means fewer and larger reads; still more would outgrow the processor's cache. This is
/// also the most that a machine with default settings (net.core.wmem_max) grants.
const BUFFER: usize = 208 << 10;

/// Our end.
#[derive(Debug)]
pub(super) struct Pair(OwnedFd);

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// So many bytes; `last`: there were no more.
    Bytes { count: usize, last: bool },
    /// Nothing now.
    Nothing,
    /// The holder writes no more.
    End,
    /// The holder closed its end with bytes in it that it had not read.
    Discarded,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// So many bytes were taken.
    Bytes(usize),
    /// No room now; the poll says when there is.
    Full,
    /// The kernel has no memory for it; nobody says when it has.
    Later,
    /// The holder reads no more.
    Closed,
}

impl Pair {
    /// Both ends: ours, and the holder's, which blocks as a program expects it of its standard input.
    ///
    /// # Errors
    /// As socketpair(2): no descriptor left.
    pub(super) fn open() -> io::Result<(Pair, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Kernels that cannot refuse them go without.
        refuse_descriptors(&ours).ok();
        for end in [&ours, &theirs] {
            // Where less is allowed it is less.
            sockopt::set_socket_send_buffer_size(end, BUFFER).ok();
        }
        Ok((Pair(ours), theirs))
    }

    /// The number of our descriptor: as the kernel gives the lowest that is free, at least so many are in use.
    pub(super) fn number(&self) -> u64 {
        u64::from(self.0.as_raw_fd().unsigned_abs())
    }

    /// Memory of the kernel's that the bytes occupy which the holder has not read, their overhead included.
    pub(super) fn unread_by_holder(&self) -> u64 {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the call writes one int to the address of one.
        let asked = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        if asked < 0 {
            return 0;
        }
        bytes.unsigned_abs().into()
    }

    /// Bytes in the pair, in both directions.
    pub(super) fn held(&self) -> u64 {
        self.unread_by_holder() + rustix::io::ioctl_fionread(&self.0).unwrap_or(0)
    }

    /// Reads into both parts, in this order.
    pub(super) fn take(&self, parts: [RawSlice; 2]) -> Taken {
        let wanted = parts[0].len + parts[1].len;
        let mut parts = parts.map(part);
        let mut message = message(&mut parts);
        loop {
            // SAFETY: the parts are of a ring of this process that the caller holds, and nobody else reads or writes there
            // meanwhile; there is no control buffer, so descriptors that came along are closed by the kernel.
            let read =
                unsafe { libc::recvmsg(self.0.as_raw_fd(), &mut message, libc::MSG_DONTWAIT) };
            return match usize::try_from(read) {
                Ok(0) => Taken::End,
                // A read stops at descriptors that were sent, though more may follow.
                Ok(count) => Taken::Bytes {
                    count,
                    last: count < wanted && message.msg_flags & libc::MSG_CTRUNC == 0,
                },
                Err(_) => match Errno::from_io_error(&io::Error::last_os_error()) {
                    Some(Errno::INTR) => continue,
                    Some(Errno::AGAIN) => Taken::Nothing,
                    Some(Errno::CONNRESET) => Taken::Discarded,
                    _ => Taken::End,
                },
            };
        }
    }

    /// Writes from both parts, in this order.
    pub(super) fn give(&self, parts: [RawSlice; 2]) -> Given {
        let mut parts = parts.map(part);
        let message = message(&mut parts);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        loop {
            // SAFETY: the parts are of a ring of this process that the caller holds; the kernel only reads them.
            let written = unsafe { libc::sendmsg(self.0.as_raw_fd(), &message, flags) };
            return match usize::try_from(written) {
                Ok(count) => Given::Bytes(count),
                Err(_) => match Errno::from_io_error(&io::Error::last_os_error()) {
                    Some(Errno::INTR) => continue,
                    Some(Errno::AGAIN) => Given::Full,
                    Some(Errno::NOMEM | Errno::NOBUFS) => Given::Later,
                    _ => Given::Closed,
                },
            };
        }
    }

    /// The holder reads the end of file after what is there.
    pub(super) fn end_output(&self) {
        // It may have closed its end: then it needs to be told nothing.
        shutdown(&self.0, Shutdown::Write).ok();
    }

    /// The holder's writes fail from now on (EPIPE).
    pub(super) fn refuse_input(&self) {
        shutdown(&self.0, Shutdown::Read).ok();
    }

    /// Whether the holder's end is closed, or shut in both directions, which comes to the same.
    pub(super) fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
    }

    /// Whether the holder's end was closed with bytes in it. The kernel says that once.
    pub(super) fn was_discarded(&self) -> bool {
        matches!(
            sockopt::socket_error(&self.0),
            Ok(Err(Errno::CONNRESET)) | Err(Errno::CONNRESET)
        )
    }
}

impl AsFd for Pair {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn part(slice: RawSlice) -> libc::iovec {
    libc::iovec {
        iov_base: slice.pointer.cast_mut().cast(),
        iov_len: slice.len,
    }
}

fn message(parts: &mut [libc::iovec; 2]) -> libc::msghdr {
    // SAFETY: a struct of integers and pointers, for which zero means "none".
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    message
}
