//! The supervisor: which connection gets a worker, and what became of each worker. It lives in the control thread.
//!
//! For every service it keeps the same short cycle:
//! 1. [`Supervisor::incoming`]: connections wait in the backlog. If a worker may be had, one is asked for.
//! 2. [`Supervisor::connection`]: here it is. If its source has not too many, a token is made, and a worker that waits gets
//!    it, or one is ordered.
//! 3. [`Supervisor::hello_with_token`]: the worker has come for its connection.
//! 4. The worker ends and is counted. Back to 1.
//!
//! Workers that wait for a connection are made beside that ([`prefork`]), as many as the service wants.
//!
//! What goes wrong has its place ([`endings`]): a worker that ends or dawdles before step 3 costs its connection (reset); a
//! spawner that dies between 2 and 3 has its unanswered orders given again to the next; at `max_workers`, and
//! while there is no spawner, connections stay in the stack's backlog.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use libtcpclient::protocol::status::ServiceRow;
use tcpd_core::time::Instant;

use super::Service;
use super::link::{Assignment, JobId, Ticket, Token};
use super::workforce::{Event, Workforce};
pub use crate::tokens::Refusal;
use crate::tokens::{FailedAttempts, Tokens};

mod accounts;
mod endings;
mod entry;
mod prefork;
mod sources;

#[cfg(test)]
mod tests;

use self::entry::Entry;

/// A service, by the number it got when it was first configured; never used again.
pub type ServiceIndex = u32;
/// A connection as the stack knows it: `EndpointId::to_bits`.
pub type ConnectionId = u64;

/// How long a worker's token is good.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10);
/// A connection waits at most so long for a spawner that is being started again.
const LOST_PATIENCE: Duration = TOKEN_LIFE;

/// What the supervisor needs of the daemon.
pub trait Daemon {
    /// Take the next connection from the service's backlog; answered by [`Supervisor::connection`] or
    /// [`Supervisor::no_connection`].
    fn accept_next(&mut self, service: ServiceIndex);
    /// Reset a connection that no session has adopted.
    fn abort(&mut self, connection: ConnectionId);
    /// Reset a connection, whoever holds it.
    fn reset(&mut self, connection: ConnectionId);
}

/// What a token stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The connection to hand over.
    pub connection: ConnectionId,
    /// Whose it is.
    pub service: ServiceIndex,
    /// That service's name.
    pub name: String,
    /// For which job.
    pub job: JobId,
    /// Whether what it becomes is a command.
    pub command: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Supervisor<W> {
    workforce: W,
    services: Vec<Entry>,
    jobs: HashMap<JobId, Job>,
    /// Connections whose order got lost with a spawner, since when.
    lost: VecDeque<(Instant, Accepted)>,
    tokens: Tokens<JobId>,
    /// When jobs have had their connection for as long as their service allows.
    ends: BTreeSet<(Instant, JobId)>,
    next_job: u64,
    /// The daemon's socket, as workers are told.
    socket: PathBuf,
    /// The user that workers run as, unless their service has one.
    uid: u32,
    accepting: bool,
}

/// A connection taken from the backlog.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    service: ServiceIndex,
    connection: ConnectionId,
    local: SocketAddr,
    peer: SocketAddr,
}

#[derive(Debug)]
struct Job {
    service: ServiceIndex,
    /// What the worker is for; `None` while it waits.
    accepted: Option<Accepted>,
    /// The worker, once its start was reported.
    pid: Option<i32>,
    state: JobState,
    /// The worker waited; whether it was there to take its connection is not known yet.
    unsure: bool,
    /// An entry of [`Supervisor::ends`].
    ends: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobState {
    /// The worker waits for a connection, or is ordered to.
    Idle,
    /// The worker has not come for its connection yet.
    Ordered,
    /// The session of this process has the connection.
    Adopted { by: i32 },
    /// The connection is reset; the worker, if there is one, is killed.
    GivenUp,
    /// The worker never had a connection, and will have none.
    Dismissed,
}

impl<W: Workforce> Supervisor<W> {
    /// For these services, in the order of their indices; workers reach the daemon at `socket` and run as `uid` unless their service has a user.
    pub fn new(services: Vec<Service>, workforce: W, socket: PathBuf, uid: u32) -> Self {
        Self {
            workforce,
            services: services.into_iter().map(Entry::new).collect(),
            jobs: HashMap::new(),
            lost: VecDeque::new(),
            tokens: Tokens::default(),
            ends: BTreeSet::new(),
            next_job: 0,
            socket,
            uid,
            accepting: true,
        }
    }

    /// Orders the first workers that wait. [`Supervisor::on_ready`] does that later.
    pub fn start(&mut self, now: Instant) {
        self.replenish(now);
    }

    /// The workforce, to look at.
    pub fn workforce(&self) -> &W {
        &self.workforce
    }

    /// Services configured, with their numbers.
    pub fn services(&self) -> impl Iterator<Item = (ServiceIndex, &Service)> {
        (0..)
            .zip(&self.services)
            .filter(|(_, entry)| !entry.retired)
            .map(|(index, entry)| (index, &entry.service))
    }

    /// The name of a service, also of one that is configured no more.
    pub fn name(&self, service: ServiceIndex) -> &str {
        self.services
            .get(service as usize)
            .map_or("", |entry| entry.service.name.as_str())
    }

    /// The number that the next service gets.
    pub fn next_index(&self) -> ServiceIndex {
        ServiceIndex::try_from(self.services.len()).unwrap_or(ServiceIndex::MAX)
    }

    /// One more service; its number is [`Supervisor::next_index`].
    pub fn add(&mut self, service: Service) {
        self.services.push(Entry::new(service));
    }

    /// A service is to be different from the next connection on.
    pub fn change(&mut self, now: Instant, index: ServiceIndex, service: Service) {
        // Those that wait are as the service was.
        self.dismiss(now, index);
        if let Some(entry) = self.entry(index) {
            entry.service = service;
        }
    }

    /// A service is configured no more. Its workers alive go on, and so does one that is on its way.
    pub fn retire(&mut self, now: Instant, index: ServiceIndex) {
        self.dismiss(now, index);
        if let Some(entry) = self.entry(index) {
            entry.retired = true;
            entry.waiting = false;
        }
    }

    /// Connections wait in the service's backlog.
    pub fn incoming(&mut self, now: Instant, service: ServiceIndex, daemon: &mut impl Daemon) {
        if let Some(entry) = self.entry(service) {
            entry.waiting = true;
        }
        self.pump(now, daemon);
    }

    /// The connection that [`Daemon::accept_next`] took.
    pub fn connection(
        &mut self,
        now: Instant,
        service: ServiceIndex,
        connection: ConnectionId,
        local: SocketAddr,
        peer: SocketAddr,
        daemon: &mut impl Daemon,
    ) {
        let Some(entry) = self.entry(service) else {
            daemon.abort(connection);
            return;
        };
        entry.asked = false;
        let accepted = Accepted {
            service,
            connection,
            local,
            peer,
        };
        if entry.take(peer.ip()) {
            self.place(now, accepted, daemon);
        } else {
            daemon.abort(connection);
        }
        self.pump(now, daemon);
    }

    /// [`Daemon::accept_next`] found none waiting: it was reset meanwhile.
    pub fn no_connection(&mut self, now: Instant, service: ServiceIndex, daemon: &mut impl Daemon) {
        if let Some(entry) = self.entry(service) {
            entry.asked = false;
        }
        self.pump(now, daemon);
    }

    /// A session says Hello with a token. On success the session may adopt that connection and do nothing else.
    ///
    /// # Errors
    /// Why the token stands for nothing. That is counted in `failed`.
    pub fn hello_with_token(
        &mut self,
        now: Instant,
        token: [u8; 16],
        uid: u32,
        pid: i32,
        failed: &mut FailedAttempts,
    ) -> Result<Adopted, Refusal> {
        let job_id = self.tokens.redeem(now, token, uid, failed)?;
        let job = self.jobs.get_mut(&job_id).ok_or(Refusal::Unknown)?;
        let accepted = job.accepted.ok_or(Refusal::Unknown)?;
        job.state = JobState::Adopted { by: pid };
        let entry = self.services.get(accepted.service as usize);
        let service = &entry.ok_or(Refusal::Unknown)?.service;
        Ok(Adopted {
            connection: accepted.connection,
            service: accepted.service,
            name: service.name.clone(),
            job: job_id,
            command: matches!(service.work, super::work::Work::Exec(_)),
        })
    }

    /// The workforce has something to say: call when its descriptor is readable.
    pub fn on_ready(&mut self, now: Instant, daemon: &mut impl Daemon) {
        while let Some(event) = self.workforce.poll_event(now) {
            self.worker_event(now, event, daemon);
        }
        self.pump(now, daemon);
    }

    /// When [`Supervisor::on_deadline`] wants to be called; `None`: not before something else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let lost = self.lost.front().map(|&(since, _)| since + LOST_PATIENCE);
        [
            self.tokens.next_deadline(),
            self.workforce.next_deadline(),
            self.ends.first().map(|(at, _)| *at),
            self.next_replenishment(),
            lost,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due: tokens grow old, the spawner is started again.
    pub fn on_deadline(&mut self, now: Instant, daemon: &mut impl Daemon) {
        while let Some(job) = self.tokens.expire(now) {
            self.give_up(
                now,
                job,
                "it did not come for its connection in time",
                daemon,
            );
        }
        while let Some(&(at, job)) = self.ends.first()
            && at <= now
        {
            self.out_of_time(now, job, daemon);
        }
        while let Some(&(since, accepted)) = self.lost.front()
            && now >= since + LOST_PATIENCE
        {
            self.lost.pop_front();
            self.not_started(accepted, "there is no spawner", daemon);
        }
        self.workforce.on_deadline(now);
        self.on_ready(now, daemon);
    }

    /// Accepts no more. Workers that have a connection go on.
    pub fn stop_accepting(&mut self, now: Instant) {
        self.accepting = false;
        for index in 0..self.next_index() {
            self.dismiss(now, index);
        }
    }

    /// Workers alive or ordered.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// Kills every worker.
    pub fn kill_all(&mut self, now: Instant) {
        for &job in self.jobs.keys() {
            self.workforce.kill(now, job);
        }
    }

    /// Connections that have a worker: service and, when known, the worker's process.
    pub fn owners(&self) -> impl Iterator<Item = (ConnectionId, &str, Option<i32>)> {
        self.jobs.values().filter_map(|job| {
            let name = &self.services.get(job.service as usize)?.service.name;
            let adopter = match job.state {
                JobState::Adopted { by } => Some(by),
                JobState::Idle | JobState::Ordered | JobState::GivenUp | JobState::Dismissed => {
                    None
                }
            };
            let connection = job.accepted?.connection;
            Some((connection, name.as_str(), job.pid.or(adopter)))
        })
    }

    /// Whether the job's worker has not ended yet.
    pub fn has_job(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// One row a service, and one for each that still has workers; `waiting` says how many connections its backlog holds.
    pub fn rows(&self, waiting: impl Fn(ServiceIndex) -> u32) -> Vec<ServiceRow> {
        (0..)
            .zip(&self.services)
            .filter(|(_, entry)| !entry.retired || entry.busy > 0)
            .map(|(index, entry)| entry.row(waiting(index)))
            .collect()
    }

    /// Tokens that are good now.
    pub fn tokens(&self) -> usize {
        self.tokens.count()
    }

    fn entry(&mut self, service: ServiceIndex) -> Option<&mut Entry> {
        self.services.get_mut(service as usize)
    }

    /// Gives lost orders again, asks for new connections, and makes workers that wait, as far as there are any to be had.
    fn pump(&mut self, now: Instant, daemon: &mut impl Daemon) {
        while self.workforce.room() > 0
            && let Some((_, accepted)) = self.lost.pop_front()
        {
            self.place(now, accepted, daemon);
        }
        let asked = self.services.iter().filter(|entry| entry.asked).count();
        let mut room = self.workforce.room().saturating_sub(asked);
        for (index, entry) in (0..).zip(&mut self.services) {
            if self.accepting && room > 0 && entry.wants_connection() {
                entry.waiting = false;
                entry.asked = true;
                room -= 1;
                daemon.accept_next(index);
            }
        }
        self.replenish(now);
    }

    /// Gives a connection to a worker that waits, or orders one for it, or lets it wait for a spawner.
    fn place(&mut self, now: Instant, accepted: Accepted, daemon: &mut impl Daemon) {
        if self.workforce.room_to_assign() > 0
            && let Some(job) = self.take_idle(accepted.service)
        {
            self.assign(now, job, accepted, daemon);
        } else if self.workforce.room() > 0 {
            self.order(now, accepted, daemon);
        } else {
            self.lost.push_back((now, accepted));
        }
    }

    /// Orders a worker for a connection.
    fn order(&mut self, now: Instant, accepted: Accepted, daemon: &mut impl Daemon) {
        let job = self.new_job(accepted.service, JobState::Ordered);
        if let Some(ticket) = self.ticket(now, job, accepted, daemon)
            && let Some(assignment) = self.assignment(job, Some(ticket))
        {
            self.workforce.spawn(now, assignment);
        } else {
            self.jobs.remove(&job);
        }
    }

    /// Gives a connection to a worker that waits.
    fn assign(&mut self, now: Instant, job: JobId, accepted: Accepted, daemon: &mut impl Daemon) {
        if let Some(ticket) = self.ticket(now, job, accepted, daemon) {
            if let Some(job) = self.jobs.get_mut(&job) {
                job.unsure = true;
            }
            self.workforce.assign(now, job, ticket);
        } else {
            self.dismiss_one(now, job);
        }
    }

    /// The right to the connection, which is the job's from now on. Without one the connection is given up.
    fn ticket(
        &mut self,
        now: Instant,
        id: JobId,
        accepted: Accepted,
        daemon: &mut impl Daemon,
    ) -> Option<Ticket> {
        let (entry, job) = (
            self.services.get(accepted.service as usize)?,
            self.jobs.get_mut(&id)?,
        );
        let account = entry.service.terms.account.as_ref();
        let uid = account.map_or(self.uid, |account| account.uid);
        let token = match self.tokens.issue(now + TOKEN_LIFE, id, uid) {
            Ok(token) => Token(token),
            Err(error) => {
                self.not_started(accepted, &error.to_string(), daemon);
                return None;
            }
        };
        job.state = JobState::Ordered;
        job.accepted = Some(accepted);
        if !entry.service.wall_time.is_zero() {
            let at = now + entry.service.wall_time;
            job.ends = Some(at);
            self.ends.insert((at, id));
        }
        Some(Ticket {
            token,
            peer: accepted.peer,
            local: accepted.local,
        })
    }

    fn new_job(&mut self, service: ServiceIndex, state: JobState) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        let job = Job {
            service,
            accepted: None,
            pid: None,
            state,
            unsure: false,
            ends: None,
        };
        self.jobs.insert(id, job);
        id
    }

    fn assignment(&self, job: JobId, ticket: Option<Ticket>) -> Option<Assignment> {
        let service = self.jobs.get(&job)?.service;
        let service = &self.services.get(service as usize)?.service;
        Some(Assignment {
            job,
            service: service.name.clone(),
            work: service.work.clone(),
            terms: service.terms.clone(),
            socket: self.socket.clone(),
            ticket,
        })
    }

    fn worker_event(&mut self, now: Instant, event: Event, daemon: &mut impl Daemon) {
        match event {
            Event::Ready => tracing::info!("the spawner is ready"),
            Event::Lost { reason } => {
                tracing::warn!(%reason, "the spawner is gone and will be started again");
                self.spawner_lost(now);
            }
            Event::Started { job, pid } => self.started(now, job, pid),
            Event::NotStarted { job, error } => self.no_worker(now, job, &error, daemon),
            Event::Assigned { job, given } => self.assigned(now, job, given, daemon),
            Event::Ended { job, end } => self.ended(now, job, end, daemon),
        }
    }

    fn started(&mut self, now: Instant, id: JobId, pid: i32) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.pid = Some(pid);
        let (service, state) = (job.service, job.state);
        let Some(entry) = self.services.get_mut(service as usize) else {
            return;
        };
        match state {
            JobState::Idle => entry.ready(id),
            JobState::Ordered | JobState::Adopted { .. } => entry.accounts.started(),
            JobState::GivenUp => {
                entry.accounts.started();
                self.workforce.kill(now, id);
            }
            JobState::Dismissed => self.workforce.kill(now, id),
        }
    }

    fn assigned(&mut self, now: Instant, id: JobId, given: bool, daemon: &mut impl Daemon) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if given {
            job.unsure = false;
            let service = job.service;
            if let Some(entry) = self.entry(service) {
                entry.accounts.started();
            }
            return;
        }
        if job.state != JobState::Ordered {
            return; // Given up meanwhile: its end takes it off the books.
        }
        // That worker is gone and has taken nothing: the connection is for another one.
        let accepted = job.accepted.take();
        job.state = JobState::Dismissed;
        self.tokens.revoke(id);
        self.forget_end(id);
        if let Some(accepted) = accepted {
            self.place(now, accepted, daemon);
        }
    }
}

impl<W: AsRawFd> AsRawFd for Supervisor<W> {
    /// Readable when [`Supervisor::on_ready`] is to be called.
    fn as_raw_fd(&self) -> RawFd {
        self.workforce.as_raw_fd()
    }
}
