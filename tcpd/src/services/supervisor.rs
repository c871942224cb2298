//! The supervisor: which connection gets a worker, and what became of each worker. It lives in the control thread.
//!
//! For every service it keeps the same short cycle:
//! 1. [`Supervisor::incoming`]: connections wait in the backlog. If a worker may be made, one is asked for.
//! 2. [`Supervisor::connection`]: here it is. A token is made and a worker ordered.
//! 3. [`Supervisor::hello_with_token`]: the worker has come for its connection.
//! 4. The worker ends and is counted. Back to 1.
//!
//! What goes wrong has its place: a worker that ends or dawdles before step 3 costs its connection (reset); a
//! spawner that dies between 2 and 3 has its unanswered orders given again to the next; at `max_workers`, and
//! while there is no spawner, connections stay in the stack's backlog.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use libtcpclient::protocol::status::{Exits, ServiceRow, Usage};
use tcpd_core::time::Instant;

use super::Service;
use super::link::{Assignment, End, EndStatus, JobId, Token};
use super::spawner_handle::{Event, Workforce};
pub use crate::tokens::Refusal;
use crate::tokens::{FailedAttempts, Tokens};

mod accounts;

#[cfg(test)]
mod tests;

use self::accounts::Accounts;

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
    next_job: u64,
    /// The daemon's socket, as workers are told.
    socket: PathBuf,
    /// The user that workers run as.
    uid: u32,
    accepting: bool,
}

#[derive(Debug)]
struct Entry {
    service: Service,
    /// Connections wait in the backlog.
    waiting: bool,
    /// The daemon has been asked for one and has not answered.
    asked: bool,
    /// Workers alive or ordered, and connections that wait for a spawner.
    busy: u32,
    /// It is configured no more; its workers alive go on.
    retired: bool,
    accounts: Accounts,
}

impl Entry {
    fn new(service: Service) -> Self {
        Self {
            service,
            waiting: false,
            asked: false,
            busy: 0,
            retired: false,
            accounts: Accounts::default(),
        }
    }
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
    accepted: Accepted,
    /// The worker, once its start was reported.
    pid: Option<i32>,
    state: JobState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobState {
    /// The worker has not come for the connection yet.
    Ordered,
    /// The session of this process has the connection.
    Adopted { by: i32 },
    /// The connection is reset; the worker, if there is one, is killed.
    GivenUp,
}

impl<W: Workforce> Supervisor<W> {
    /// For these services, in the order of their indices; workers reach the daemon at `socket` and run as `uid`.
    pub fn new(services: Vec<Service>, workforce: W, socket: PathBuf, uid: u32) -> Self {
        Self {
            workforce,
            services: services.into_iter().map(Entry::new).collect(),
            jobs: HashMap::new(),
            lost: VecDeque::new(),
            tokens: Tokens::default(),
            next_job: 0,
            socket,
            uid,
            accepting: true,
        }
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
    pub fn change(&mut self, index: ServiceIndex, service: Service) {
        if let Some(entry) = self.entry(index) {
            entry.service = service;
        }
    }

    /// A service is configured no more. Its workers alive go on, and so does one that is on its way.
    pub fn retire(&mut self, index: ServiceIndex) {
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
        entry.busy += 1;
        let accepted = Accepted {
            service,
            connection,
            local,
            peer,
        };
        if self.workforce.room() > 0 {
            self.order(now, accepted, daemon);
        } else {
            self.lost.push_back((now, accepted));
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
        job.state = JobState::Adopted { by: pid };
        let Accepted {
            service,
            connection,
            ..
        } = job.accepted;
        let name = self
            .services
            .get(service as usize)
            .map(|entry| entry.service.name.clone())
            .unwrap_or_default();
        Ok(Adopted {
            connection,
            service,
            name,
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
            lost,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due: tokens grow old, the spawner is started again.
    pub fn on_deadline(&mut self, now: Instant, daemon: &mut impl Daemon) {
        while let Some(job) = self.tokens.expire(now) {
            self.give_up(job, "it did not come for its connection in time", daemon);
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

    /// Accepts no more. Workers alive go on.
    pub fn stop_accepting(&mut self) {
        self.accepting = false;
    }

    /// Workers alive or ordered.
    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    /// Kills every worker.
    pub fn kill_all(&mut self) {
        for &job in self.jobs.keys() {
            self.workforce.kill(job);
        }
    }

    /// Connections that have a worker: service and, when known, the worker's process.
    pub fn owners(&self) -> impl Iterator<Item = (ConnectionId, &str, Option<i32>)> {
        self.jobs.values().filter_map(|job| {
            let name = &self
                .services
                .get(job.accepted.service as usize)?
                .service
                .name;
            let adopter = match job.state {
                JobState::Adopted { by } => Some(by),
                JobState::Ordered | JobState::GivenUp => None,
            };
            Some((job.accepted.connection, name.as_str(), job.pid.or(adopter)))
        })
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

    /// Gives lost orders again and asks for new connections, as far as there are workers to be had.
    fn pump(&mut self, now: Instant, daemon: &mut impl Daemon) {
        while self.workforce.room() > 0
            && let Some((_, accepted)) = self.lost.pop_front()
        {
            self.order(now, accepted, daemon);
        }
        let asked = self.services.iter().filter(|entry| entry.asked).count();
        let mut room = self.workforce.room().saturating_sub(asked);
        for (index, entry) in (0..).zip(&mut self.services) {
            let free = entry.busy < entry.service.max_workers;
            if self.accepting && room > 0 && !entry.retired && entry.waiting && !entry.asked && free
            {
                entry.waiting = false;
                entry.asked = true;
                room -= 1;
                daemon.accept_next(index);
            }
        }
    }

    /// Orders a worker for a connection.
    fn order(&mut self, now: Instant, accepted: Accepted, daemon: &mut impl Daemon) {
        let job = JobId(self.next_job);
        let Some(entry) = self.services.get(accepted.service as usize) else {
            return;
        };
        let token = match self.tokens.issue(now + TOKEN_LIFE, job, self.uid) {
            Ok(token) => Token(token),
            Err(error) => {
                self.not_started(accepted, &error.to_string(), daemon);
                return;
            }
        };
        let assignment = Assignment {
            job,
            service: entry.service.name.clone(),
            handler: entry.service.handler.clone(),
            token,
            socket: self.socket.clone(),
            peer: accepted.peer,
            local: accepted.local,
        };
        self.next_job += 1;
        self.jobs.insert(
            job,
            Job {
                accepted,
                pid: None,
                state: JobState::Ordered,
            },
        );
        self.workforce.spawn(now, assignment);
    }

    fn worker_event(&mut self, now: Instant, event: Event, daemon: &mut impl Daemon) {
        match event {
            Event::Ready => tracing::info!("the spawner is ready"),
            Event::Lost { reason } => {
                tracing::warn!(%reason, "the spawner is gone and will be started again");
                self.spawner_lost(now);
            }
            Event::Started { job, pid } => self.started(job, pid),
            Event::NotStarted { job, error } => {
                self.tokens.revoke(job);
                if let Some(job) = self.jobs.remove(&job) {
                    self.not_started(job.accepted, &error, daemon);
                }
            }
            Event::Ended { job, end } => self.ended(job, end, daemon),
        }
    }

    fn started(&mut self, id: JobId, pid: i32) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.pid = Some(pid);
        let (service, given_up) = (job.accepted.service, job.state == JobState::GivenUp);
        if given_up {
            self.workforce.kill(id);
        }
        if let Some(entry) = self.entry(service) {
            entry.accounts.started();
        }
    }

    /// There is no worker for this connection and none will come.
    fn not_started(&mut self, accepted: Accepted, why: &str, daemon: &mut impl Daemon) {
        daemon.abort(accepted.connection);
        if let Some(entry) = self.entry(accepted.service) {
            tracing::warn!(service = entry.service.name, peer = %accepted.peer, why, "no worker for a connection");
            entry.busy = entry.busy.saturating_sub(1);
            entry.accounts.failed();
        }
    }

    fn ended(&mut self, id: JobId, end: Option<End>, daemon: &mut impl Daemon) {
        self.tokens.revoke(id);
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if job.state == JobState::Ordered {
            daemon.abort(job.accepted.connection);
        }
        let Some(entry) = self.entry(job.accepted.service) else {
            return;
        };
        entry.busy = entry.busy.saturating_sub(1);
        entry.accounts.ended(end);
        let (service, pid) = (&entry.service.name, job.pid.unwrap_or_default());
        match end.map(|end| end.status) {
            Some(EndStatus::Exited(status @ (0 | 1))) => {
                tracing::debug!(service, pid, status, "a worker has ended")
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
    fn give_up(&mut self, id: JobId, why: &str, daemon: &mut impl Daemon) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.state = JobState::GivenUp;
        tracing::warn!(peer = %job.accepted.peer, pid = job.pid, why, "a worker is given up");
        daemon.abort(job.accepted.connection);
        self.workforce.kill(id);
    }

    /// Orders whose answer will never come: whether the worker exists shows only if it has adopted its connection.
    fn spawner_lost(&mut self, now: Instant) {
        let unanswered: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.pid.is_none())
            .map(|(&id, _)| id)
            .collect();
        for id in unanswered {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            match job.state {
                JobState::Adopted { by } => {
                    job.pid = Some(by);
                    let service = job.accepted.service;
                    self.workforce.watch(id, by);
                    if let Some(entry) = self.entry(service) {
                        entry.accounts.started();
                    }
                }
                JobState::Ordered => {
                    let accepted = job.accepted;
                    self.tokens.revoke(id);
                    self.jobs.remove(&id);
                    self.lost.push_back((now, accepted));
                }
                JobState::GivenUp => {
                    let service = job.accepted.service;
                    self.jobs.remove(&id);
                    if let Some(entry) = self.entry(service) {
                        entry.busy = entry.busy.saturating_sub(1);
                        entry.accounts.failed();
                    }
                }
            }
        }
    }
}

impl<W: AsRawFd> AsRawFd for Supervisor<W> {
    /// Readable when [`Supervisor::on_ready`] is to be called.
    fn as_raw_fd(&self) -> RawFd {
        self.workforce.as_raw_fd()
    }
}

impl Entry {
    fn row(&self, waiting: u32) -> ServiceRow {
        let (exits, usage): (Exits, Usage) = self.accounts.sums();
        let addresses: Vec<IpAddr> = self.service.addresses.clone();
        ServiceRow {
            name: self.service.name.clone(),
            addresses,
            port: self.service.port,
            handler: self.service.handler.name().to_owned(),
            workers: self.busy,
            max_workers: self.service.max_workers,
            waiting,
            started: self.accounts.started,
            failed: self.accounts.failed,
            exits,
            usage,
        }
    }
}
