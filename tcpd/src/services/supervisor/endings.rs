//! How jobs end, well and otherwise.

use tcpd_core::time::Instant;

use super::super::link::{End, EndStatus, JobId};
use super::super::workforce::Workforce;
use super::{Accepted, Daemon, JobState, Supervisor, prefork};

impl<W: Workforce> Supervisor<W> {
    /// The worker of a job could not be made.
    pub(super) fn no_worker(
        &mut self,
        now: Instant,
        id: JobId,
        why: &str,
        daemon: &mut impl Daemon,
    ) {
        self.tokens.revoke(id);
        self.forget_end(id);
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(accepted) = job.accepted {
            return self.not_started(accepted, why, daemon);
        }
        if let Some(entry) = self
            .entry(job.service)
            .filter(|_| job.state == JobState::Idle)
        {
            tracing::warn!(
                service = entry.service.name,
                why,
                "no worker to wait for a connection"
            );
            entry.making = entry.making.saturating_sub(1);
            entry.pause = Some(now + prefork::PAUSE);
        }
    }

    /// There is no worker for this connection and none will come.
    pub(super) fn not_started(&mut self, accepted: Accepted, why: &str, daemon: &mut impl Daemon) {
        daemon.abort(accepted.connection);
        if let Some(entry) = self.entry(accepted.service) {
            tracing::warn!(service = entry.service.name, peer = %accepted.peer, why, "no worker for a connection");
            entry.release(accepted.peer.ip());
            entry.accounts.failed();
        }
    }

    pub(super) fn ended(
        &mut self,
        now: Instant,
        id: JobId,
        end: Option<End>,
        daemon: &mut impl Daemon,
    ) {
        self.tokens.revoke(id);
        self.forget_end(id);
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        let Some(entry) = self.services.get_mut(job.service as usize) else {
            return;
        };
        match job.state {
            // It ended while it waited; or nobody knows how it ended, so its spawner is gone too, and may have had what was
            // meant for the worker.
            JobState::Ordered if job.unsure || end.is_none() => {
                self.lost
                    .extend(job.accepted.map(|accepted| (now, accepted)));
                return;
            }
            JobState::Dismissed => return,
            JobState::Idle => {
                entry.idle.retain(|&idle| idle != id);
                entry.pause = Some(now + prefork::PAUSE);
                // It counts as started with its connection; this one ends without, and what has ended was started.
                entry.accounts.started();
            }
            JobState::Ordered => {
                if let Some(accepted) = job.accepted {
                    daemon.abort(accepted.connection);
                }
            }
            JobState::Adopted { .. } | JobState::GivenUp => {}
        }
        if let Some(accepted) = job.accepted {
            entry.release(accepted.peer.ip());
        }
        entry.accounts.ended(end);
        let (service, pid) = (&entry.service.name, job.pid.unwrap_or_default());
        if let Some(errno) = end.and_then(|end| end.not_executed) {
            let error = std::io::Error::from_raw_os_error(errno);
            tracing::warn!(service, pid, command = entry.service.work.name(), %error, "a command could not be executed");
            return;
        }
        match end.map(|end| end.status) {
            Some(EndStatus::Exited(status @ (0 | 1))) => {
                tracing::debug!(service, pid, status, "a worker has ended");
            }
            Some(status) => tracing::warn!(service, pid, %status, "a worker has ended badly"),
            None => tracing::info!(
                service,
                pid,
                "a worker has ended; its spawner died before, so nobody knows how"
            ),
        }
    }

    /// The token grew too old: reset the connection, end the worker.
    pub(super) fn give_up(&mut self, now: Instant, id: JobId, why: &str, daemon: &mut impl Daemon) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.state = JobState::GivenUp;
        tracing::warn!(pid = job.pid, why, "a worker is given up");
        if let Some(accepted) = job.accepted {
            daemon.abort(accepted.connection);
        }
        self.workforce.kill(now, id);
    }

    /// The job has had its connection for as long as its service allows.
    pub(super) fn out_of_time(&mut self, now: Instant, id: JobId, daemon: &mut impl Daemon) {
        self.forget_end(id);
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let (state, pid) = (job.state, job.pid);
        let (Some(accepted), Some(entry)) =
            (job.accepted, self.services.get_mut(job.service as usize))
        else {
            return;
        };
        entry.accounts.out_of_time += 1;
        tracing::info!(service = entry.service.name, peer = %accepted.peer, pid, "rule wall_time: a worker is killed");
        if state == JobState::Ordered {
            self.tokens.revoke(id);
            return self.give_up(now, id, "its time is over", daemon);
        }
        // What the worker has started may have the connection too.
        daemon.reset(accepted.connection);
        self.workforce.kill(now, id);
    }

    /// The job is over, or has no connection: its time does not run any more.
    pub(super) fn forget_end(&mut self, id: JobId) {
        if let Some(at) = self.jobs.get_mut(&id).and_then(|job| job.ends.take()) {
            self.ends.remove(&(at, id));
        }
    }

    /// Orders whose answer will never come: whether the worker exists shows only if it has adopted its connection.
    pub(super) fn spawner_lost(&mut self, now: Instant) {
        let unanswered = self.jobs.iter().filter(|(_, job)| job.pid.is_none());
        let unanswered: Vec<JobId> = unanswered.map(|(&id, _)| id).collect();
        for id in unanswered {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            let (service, state, accepted) = (job.service, job.state, job.accepted);
            if let JobState::Adopted { by } = state {
                job.pid = Some(by);
                self.workforce.watch(id, by);
                if let Some(entry) = self.entry(service) {
                    entry.accounts.started();
                }
                continue;
            }
            self.tokens.revoke(id);
            self.forget_end(id);
            self.jobs.remove(&id);
            match (state, accepted) {
                (JobState::Ordered, Some(accepted)) => self.lost.push_back((now, accepted)),
                (JobState::GivenUp, Some(accepted)) => {
                    if let Some(entry) = self.entry(service) {
                        entry.release(accepted.peer.ip());
                        entry.accounts.failed();
                    }
                }
                _ => {}
            }
        }
        self.forget_idle();
    }
}
