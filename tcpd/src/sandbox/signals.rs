//! Waiting for signals and descriptors in a process with one thread.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// The signals of a process that stands between a terminal and a command.
///
/// SIGTERM and SIGHUP ask it to end. SIGINT and SIGQUIT come from the terminal to the command as well, and are the command's
/// business. SIGCHLD only wakes. What the process was started with as ignored stays ignored, for its children too.
pub(super) struct Signals {
    wake: UnixStream,
    end: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals for this process.
    pub(super) fn take() -> io::Result<Self> {
        let (wake, bell) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let end = Arc::new(AtomicBool::new(false));
        let ignored = ignored_signals();
        for signal in [SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT] {
            if ignored & (1 << (signal - 1)) != 0 && signal != SIGCHLD {
                continue;
            }
            if matches!(signal, SIGTERM | SIGHUP) {
                signal_hook::flag::register(signal, Arc::clone(&end))?;
            }
            signal_hook::low_level::pipe::register(signal, bell.try_clone()?)?;
        }
        Ok(Self { wake, end })
    }

    /// Whether SIGTERM or SIGHUP came since the last call.
    pub(super) fn end_asked(&self) -> bool {
        self.end.swap(false, Ordering::Relaxed)
    }

    /// Returns after a signal, when one of `others` is readable, or after `limit`.
    pub(super) fn wait(
        &self,
        others: &[BorrowedFd<'_>],
        limit: Option<Duration>,
    ) -> io::Result<()> {
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut polled: Vec<_> = others.iter().copied().map(readable).collect();
        polled.push(readable(self.wake.as_fd()));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64];
        while matches!((&self.wake).read(&mut bytes), Ok(1..)) {}
        Ok(())
    }
}

/// The set of ignored signals, bit 0 for signal 1; empty if /proc is not there.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
