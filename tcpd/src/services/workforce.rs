//! Those who make workers, as the supervisor sees them.

use tcpd_core::time::Instant;

use super::link::{Assignment, End, JobId, Ticket};

/// What there is to know about workers and their spawner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Workers can be ordered (again).
    Ready,
    /// The spawner is gone. Orders not yet answered are lost; whether they were carried out is not known. Workers go on.
    Lost {
        /// In words, for the log.
        reason: String,
    },
    /// The worker of this job runs.
    Started {
        /// Whose.
        job: JobId,
        /// The process.
        pid: i32,
    },
    /// The worker of this job could not be forked.
    NotStarted {
        /// Whose.
        job: JobId,
        /// In words.
        error: String,
    },
    /// A worker that waited was to get its connection.
    Assigned {
        /// Whose.
        job: JobId,
        /// Whether it has it; one that is gone has taken nothing.
        given: bool,
    },
    /// The worker of this job has ended.
    Ended {
        /// Whose.
        job: JobId,
        /// `None` when its spawner died before it could say.
        end: Option<End>,
    },
}

/// What the supervisor needs of those who make workers.
pub trait Workforce {
    /// How many more orders to spawn may be given now.
    fn room(&self) -> usize;
    /// Orders a worker. Only within [`Workforce::room`].
    fn spawn(&mut self, now: Instant, assignment: Assignment);
    /// How many more waiting workers may be given a connection now.
    fn room_to_assign(&self) -> usize;
    /// Gives a worker that waits its connection. Only within [`Workforce::room_to_assign`].
    fn assign(&mut self, now: Instant, job: JobId, ticket: Ticket);
    /// Watches a worker whose start was never reported, because its spawner died meanwhile.
    fn watch(&mut self, job: JobId, pid: i32);
    /// Kills a worker and what belongs to its process group (SIGKILL). One that has ended already is left alone.
    fn kill(&mut self, now: Instant, job: JobId);
    /// What has happened since, oldest first; `None` when that was all.
    fn poll_event(&mut self, now: Instant) -> Option<Event>;
    /// When [`Workforce::on_deadline`] wants to be called.
    fn next_deadline(&self) -> Option<Instant>;
    /// Does what is due.
    fn on_deadline(&mut self, now: Instant);
}
