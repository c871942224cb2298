//! Workers that wait for a connection: forked, confined and ready before there is one.

use std::time::Duration;

use tcpd_core::time::Instant;

use super::super::link::JobId;
use super::super::workforce::Workforce;
use super::{JobState, ServiceIndex, Supervisor};

/// After a waiting worker has ended by itself (its site may be gone), how long none is made for its service.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

impl<W: Workforce> Supervisor<W> {
    /// Orders workers that will wait, as many as services want and the spawner takes.
    pub(super) fn replenish(&mut self, now: Instant) {
        if !self.accepting {
            return;
        }
        for index in 0..self.next_index() {
            while self.workforce.room() > 0 && self.wants_idle(now, index) {
                let job = self.new_job(index, JobState::Idle);
                if let Some(assignment) = self.assignment(job, None) {
                    self.workforce.spawn(now, assignment);
                }
            }
        }
    }

    /// Whether one more is to be made now; if so it counts as being made.
    fn wants_idle(&mut self, now: Instant, index: ServiceIndex) -> bool {
        let Some(entry) = self.entry(index) else {
            return false;
        };
        entry.pause.take_if(|until| *until <= now);
        let wanted = entry.pause.is_none() && entry.missing() > 0;
        entry.making += u32::from(wanted);
        wanted
    }

    /// When a pause is over.
    pub(super) fn next_replenishment(&self) -> Option<Instant> {
        let wanting = self.services.iter().filter(|entry| entry.missing() > 0);
        let pauses = wanting.filter_map(|entry| entry.pause);
        pauses.min().filter(|_| self.accepting)
    }

    /// The worker of a service that has waited longest.
    pub(super) fn take_idle(&mut self, service: ServiceIndex) -> Option<JobId> {
        self.entry(service)?.idle.pop_front()
    }

    /// Ends the workers of a service that wait, and those on their way there.
    pub(super) fn dismiss(&mut self, now: Instant, service: ServiceIndex) {
        let waiting = self
            .jobs
            .iter()
            .filter(|(_, job)| job.service == service && job.state == JobState::Idle);
        let waiting: Vec<JobId> = waiting.map(|(&id, _)| id).collect();
        if let Some(entry) = self.entry(service) {
            entry.idle.clear();
            entry.making = 0;
        }
        for job in waiting {
            self.dismiss_one(now, job);
        }
    }

    /// Ends a worker that has no connection and is in no list any more.
    pub(super) fn dismiss_one(&mut self, now: Instant, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = JobState::Dismissed;
            self.workforce.kill(now, id);
        }
    }

    /// The spawner of those that wait is gone: they notice it and end.
    pub(super) fn forget_idle(&mut self) {
        for job in self
            .jobs
            .values_mut()
            .filter(|job| job.state == JobState::Idle)
        {
            job.state = JobState::Dismissed;
        }
        for entry in &mut self.services {
            entry.idle.clear();
            entry.making = 0;
        }
    }
}
