//! A service, and how busy it is.

use std::collections::VecDeque;
use std::net::IpAddr;

use libtcpclient::protocol::status::ServiceRow;
use tcpd_core::time::Instant;

use super::super::Service;
use super::super::link::JobId;
use super::accounts::Accounts;
use super::sources::Sources;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) service: Service,
    /// Connections wait in the backlog.
    pub(super) waiting: bool,
    /// The daemon has been asked for one and has not answered.
    pub(super) asked: bool,
    /// Connections that have a worker, or wait for one.
    pub(super) busy: u32,
    /// Workers that wait for a connection, the oldest first.
    pub(super) idle: VecDeque<JobId>,
    /// Workers ordered that will wait for a connection.
    pub(super) making: u32,
    /// One that waited has ended by itself: no other one before.
    pub(super) pause: Option<Instant>,
    /// It is configured no more; its workers alive go on.
    pub(super) retired: bool,
    pub(super) accounts: Accounts,
    sources: Sources,
}

impl Entry {
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            waiting: false,
            asked: false,
            busy: 0,
            idle: VecDeque::new(),
            making: 0,
            pause: None,
            retired: false,
            accounts: Accounts::default(),
            sources: Sources::default(),
        }
    }

    /// Whether there is somebody to serve, and a worker for them to be had.
    pub(super) fn wants_connection(&self) -> bool {
        let free = !self.idle.is_empty() || self.workers() < self.service.max_workers;
        self.waiting && !self.asked && !self.retired && free
    }

    /// Workers alive or on their way, with and without a connection.
    pub(super) fn workers(&self) -> u32 {
        let idle = u32::try_from(self.idle.len()).unwrap_or(u32::MAX);
        self.busy.saturating_add(idle).saturating_add(self.making)
    }

    /// Workers to be made so that enough wait.
    pub(super) fn missing(&self) -> u32 {
        let waiting = u32::try_from(self.idle.len()).unwrap_or(u32::MAX) + self.making;
        let wanted = self.service.idle_workers.saturating_sub(waiting);
        let room = self.service.max_workers.saturating_sub(self.workers());
        if self.retired { 0 } else { wanted.min(room) }
    }

    /// A worker that was ordered to wait does so.
    pub(super) fn ready(&mut self, job: JobId) {
        self.making = self.making.saturating_sub(1);
        self.idle.push_back(job);
    }

    /// Takes a connection from this address, unless it has too many.
    pub(super) fn take(&mut self, source: IpAddr) -> bool {
        let most = self.service.max_per_source;
        if most > 0 && self.sources.of(source) >= most {
            self.accounts.refused_per_source += 1;
            tracing::debug!(service = self.service.name, %source, most, "rule max_per_source: a connection is reset");
            return false;
        }
        self.sources.add(source);
        self.busy += 1;
        true
    }

    /// A connection from this address is over, or has no worker.
    pub(super) fn release(&mut self, source: IpAddr) {
        self.sources.remove(source);
        self.busy = self.busy.saturating_sub(1);
    }

    pub(super) fn row(&self, waiting: u32) -> ServiceRow {
        let (exits, usage) = self.accounts.sums();
        ServiceRow {
            name: self.service.name.clone(),
            addresses: self.service.addresses.clone(),
            port: self.service.port,
            handler: self.service.work.name().to_owned(),
            workers: self.busy,
            max_workers: self.service.max_workers,
            idle: u32::try_from(self.idle.len()).unwrap_or(u32::MAX),
            waiting,
            started: self.accounts.started,
            failed: self.accounts.failed,
            refused_per_source: self.accounts.refused_per_source,
            not_executed: self.accounts.not_executed,
            out_of_time: self.accounts.out_of_time,
            exits,
            usage,
        }
    }
}
