//! A descriptor whose readiness the library decides: what a stream gives to poll and epoll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

/// A socketpair, because readable and writable of a socket are independent: the user polls one
/// end and never touches its bytes; the library makes it readable by sending to it, and not
/// writable by filling its buffer.
#[derive(Debug)]
pub(crate) struct Notifier {
    user: OwnedFd,
    library: OwnedFd,
}

/// More than a quarter of the smallest send buffer there is: beyond that a socket is not writable.
const FILL: [u8; 2048] = [0; 2048];

impl Notifier {
    /// Not readable, writable.
    pub(crate) fn new() -> io::Result<Notifier> {
        let (user, library) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        // The kernel takes its minimum instead.
        sockopt::set_socket_send_buffer_size(&user, 1)?;
        Ok(Notifier { user, library })
    }

    /// Whether the user's end polls as readable. Call only to change it.
    pub(crate) fn show_readable(&self, readable: bool) {
        match readable {
            true => send(&self.library, &FILL[..1]),
            false => drain(&self.user),
        }
    }

    /// Whether the user's end polls as writable. Call only to change it.
    pub(crate) fn show_writable(&self, writable: bool) {
        match writable {
            true => drain(&self.library),
            false => send(&self.user, &FILL),
        }
    }
}

impl AsFd for Notifier {
    /// The user's end.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.user.as_fd()
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    // It cannot be full: one sending stands against one draining.
    let _ = rustix::io::retry_on_intr(|| net::send(socket, bytes, flags));
}

fn drain(socket: &OwnedFd) {
    let mut sink = [0u8; 4096];
    while let Ok((1.., _)) =
        rustix::io::retry_on_intr(|| net::recv(socket, &mut sink[..], RecvFlags::DONTWAIT))
    {}
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn readable_and_writable_are_shown_independently() {
        let notifier = Notifier::new().expect("a socketpair");
        let shown = || {
            let mut fds = [PollFd::new(&notifier, PollFlags::IN | PollFlags::OUT)];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            poll(&mut fds, Some(&now)).expect("poll");
            let events = fds[0].revents();
            (
                events.contains(PollFlags::IN),
                events.contains(PollFlags::OUT),
            )
        };
        assert_eq!(shown(), (false, true));
        for _ in 0..1000 {
            notifier.show_writable(false);
            assert_eq!(shown(), (false, false));
            notifier.show_readable(true);
            assert_eq!(shown(), (true, false));
            notifier.show_writable(true);
            assert_eq!(shown(), (true, true));
            notifier.show_readable(false);
            assert_eq!(shown(), (false, true));
        }
    }
}
