//! The workers that the handle watches: how they are ended, and how their end is noticed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Token as PollToken};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tcpd_core::time::Instant;

use super::super::link::{CREDITS, JobId, Order};
use super::super::workforce::Event;
use super::{SpawnerHandle, State, launch};
use crate::system::process;

/// Workers killed by one order.
const KILLED_AT_ONCE: usize = 256;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Whether the spawner that runs now is its parent.
    pub(super) ours: bool,
    /// Its end was noticed. A pidfd wakes once more when its process is reaped, which says nothing new.
    ended: bool,
}

impl Worker {
    /// Kills it and its process group; false when that takes rights that only the spawner has.
    pub(super) fn kill(&self) -> bool {
        process::kill_group(&self.pidfd);
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Err(Errno::PERM) => false,
            Err(error) => {
                tracing::debug!(%error, pid = self.pid, "cannot kill a worker");
                true
            }
            Ok(()) => true,
        }
    }

    /// The process, and what tells it from every other one that has or had its number.
    fn identity(&self) -> Option<(i32, u64)> {
        let found = rustix::fs::fstat(&self.pidfd).ok()?;
        Some((self.pid, found.st_ino))
    }
}

impl SpawnerHandle {
    pub(super) fn watch_child(&mut self, job: JobId, pid: i32, ours: bool) {
        let watched = self.open(job, pid);
        // The spawner keeps the id of a child that it has not reaped; but if it has died since, the id may be another's.
        let sure = match &self.state {
            State::Up { spawner, .. } => ours && launch::is_alive(&spawner.pidfd),
            State::Starting | State::Down { .. } => false,
        };
        match watched {
            Ok(pidfd) if sure || !ours => {
                self.workers.insert(
                    job,
                    Worker {
                        pid,
                        pidfd,
                        ours,
                        ended: false,
                    },
                );
            }
            Ok(pidfd) => {
                self.deregister(&pidfd);
                self.events.push_back(Event::Ended { job, end: None });
            }
            Err(error) => {
                tracing::warn!(%error, pid, "cannot watch a worker");
                self.events.push_back(Event::Ended { job, end: None });
            }
        }
    }

    /// A pidfd that names its job when the process ends.
    fn open(&self, job: JobId, pid: i32) -> io::Result<OwnedFd> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let token = PollToken(usize::try_from(job.0).map_err(|_| io::ErrorKind::InvalidInput)?);
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        self.poll.registry().register(
            &mut SourceFd(&pidfd.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(pidfd)
    }

    /// The job's pidfd is readable: its process has ended.
    pub(super) fn worker_ended(&mut self, now: Instant, job: JobId) {
        let Some(worker) = self.workers.get_mut(&job) else {
            return;
        };
        if worker.ended {
            return;
        }
        worker.ended = true;
        if worker.ours {
            self.to_reap.push_back(job);
            self.reap(now);
        } else {
            self.forget(job);
            self.events.push_back(Event::Ended { job, end: None });
        }
    }

    /// Orders the ended workers reaped, as far as credits go.
    pub(super) fn reap(&mut self, now: Instant) {
        while let State::Up { spawner, .. } = &mut self.state
            && spawner.reaping.len() < CREDITS
            && let Some(job) = self.to_reap.pop_front()
        {
            if let Some(worker) = self.workers.get(&job) {
                spawner.reaping.push_back(job);
                spawner.give(now, Order::Reap { pid: worker.pid });
            }
        }
    }

    pub(super) fn forget(&mut self, job: JobId) {
        if let Some(worker) = self.workers.remove(&job) {
            self.deregister(&worker.pidfd);
        }
    }

    /// Of those whose parent is gone: what has ended is reaped by init, and nobody will tell how it ended.
    pub(super) fn forget_ended(&mut self) {
        let workers = self.workers.iter();
        let ended = workers.filter(|(_, worker)| !launch::is_alive(&worker.pidfd));
        let ended: Vec<JobId> = ended.map(|(&job, _)| job).collect();
        for job in ended {
            self.forget(job);
            self.events.push_back(Event::Ended { job, end: None });
        }
    }

    /// Orders those killed that tcpd may not kill itself, as far as credits go.
    pub(super) fn kill_by_spawner(&mut self, now: Instant) {
        while let State::Up { spawner, .. } = &mut self.state
            && spawner.killing < CREDITS
            && !self.to_kill.is_empty()
        {
            let first = self.to_kill.len().saturating_sub(KILLED_AT_ONCE);
            let jobs = self.to_kill.drain(first..);
            let workers = jobs.filter_map(|job| self.workers.get(&job)?.identity());
            let workers = workers.collect();
            spawner.killing += 1;
            spawner.give(now, Order::Kill { workers });
        }
    }

    fn deregister(&self, pidfd: &OwnedFd) {
        if let Err(error) = self
            .poll
            .registry()
            .deregister(&mut SourceFd(&pidfd.as_raw_fd()))
        {
            tracing::debug!(%error, "a pidfd was not watched");
        }
    }
}
