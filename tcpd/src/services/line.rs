//! The line between the spawner and one of its workers: a ticket goes down, at most one word comes up.
//!
//! A worker has it until it has its ticket, and a command's worker until the command runs. It reaches nothing but that
//! worker's own entry in the spawner's table.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libtcpclient::socket::{Received, Seqpacket};

use super::link::Ticket;

/// Longer than any message on a line.
const MESSAGE: usize = 1024;

/// The spawner's end.
#[derive(Debug)]
pub(super) struct Upper(Seqpacket);

/// The worker's end.
#[derive(Debug)]
pub(super) struct Lower(Seqpacket);

/// Both ends of a new line, close-on-exec.
pub(super) fn line() -> io::Result<(Upper, Lower)> {
    let (upper, lower) = Seqpacket::pair()?;
    Ok((Upper(upper), Lower(lower)))
}

impl Upper {
    /// Gives the worker its connection; false when the worker is gone. Never waits: a line holds one message.
    pub(super) fn give(&self, ticket: &Ticket) -> bool {
        let message = serde_json::to_vec(ticket).unwrap_or_default();
        !message.is_empty() && self.0.try_send(&message).is_ok()
    }

    /// What the worker, which has ended, has said: the errno of its exec.
    pub(super) fn not_executed(&self) -> Option<i32> {
        let mut buffer = [0; MESSAGE];
        self.0.set_nonblocking(true).ok()?;
        match self.0.recv(&mut buffer).ok()? {
            Received::Message(4) => Some(i32::from_ne_bytes(buffer[..4].try_into().ok()?)),
            Received::Message(_) | Received::End => None,
        }
    }
}

impl Lower {
    /// Waits for the ticket; `None` when the spawner is gone.
    pub(super) fn wait(&self) -> io::Result<Option<Ticket>> {
        let mut buffer = [0; MESSAGE];
        match self.0.recv(&mut buffer)? {
            Received::Message(length) => Ok(Some(serde_json::from_slice(&buffer[..length])?)),
            Received::End => Ok(None),
        }
    }

    /// Tells the spawner why the command could not be executed.
    pub(super) fn say_not_executed(&self, error: &io::Error) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        // Without a spawner nobody counts it.
        let _ = self.0.try_send(&errno.to_ne_bytes());
    }
}

impl AsFd for Lower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Lower {
    fn from(end: OwnedFd) -> Self {
        Self(end.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::link::Token;

    fn ticket() -> Ticket {
        Ticket {
            token: Token([7; 16]),
            peer: "[fd00:7463:7064::1]:40112".parse().expect("an address"),
            local: "[fd00:7463:7064::2]:7".parse().expect("an address"),
        }
    }

    #[test]
    fn a_ticket_goes_down_and_an_error_comes_up() {
        let (upper, lower) = line().expect("a line");
        assert!(upper.give(&ticket()));
        assert_eq!(lower.wait().expect("heard"), Some(ticket()));
        assert_eq!(upper.not_executed(), None);
        lower.say_not_executed(&io::Error::from_raw_os_error(libc::ENOENT));
        drop(lower);
        assert_eq!(upper.not_executed(), Some(libc::ENOENT));
        assert_eq!(upper.not_executed(), None);
    }

    #[test]
    fn each_end_notices_that_the_other_is_gone() {
        let (upper, lower) = line().expect("a line");
        drop(lower);
        assert!(!upper.give(&ticket()));
        let (upper, lower) = line().expect("a line");
        drop(upper);
        assert_eq!(lower.wait().expect("the end"), None);
    }
}
