//! The control thread: sessions, policy, signals, services; never a packet.
//!
//! One turn, in this order:
//!
//! 1. wait until something happens, for ever when nothing is due;
//! 2. signals;
//! 3. new clients, a bounded batch;
//! 4. messages of sessions, at most `limits.messages_per_turn` of each, in turn;
//! 5. reports of the stack thread, and tables it has sent, a bounded number of rows;
//! 6. news of the spawner, and what commands say on standard error;
//! 7. what is due by now;
//! 8. the orders of this turn wake the stack thread, once.
//!
//! Nothing here waits for a client, and what a client can make this thread do in one turn is bounded.

mod answers;
mod clients;
mod counts;
mod error_streams;
mod handoffs;
mod hello;
mod impairments;
mod inspection;
mod memory;
mod refusals;
mod reload;
mod reports;
mod requests;
mod services;
mod settings;
mod sockets;
mod stop;
mod tables;
mod tally;
mod unread;
mod users;
mod waiting;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use libtcpclient::protocol::{MAX_MESSAGE, Request};
use libtcpclient::shm::Layout;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tcpd_core::time::Instant;

use self::clients::{Clients, End};
use self::counts::Counts;
use self::error_streams::ErrorStreams;
use self::handoffs::Handoffs;
use self::refusals::Refusals;
use self::reload::Reload;
pub use self::services::Spawner;
use self::stop::Stop;
use self::tables::Inspections;
use super::channel::{Disconnected, OrderSender, ReportReceiver};
use super::clock;
use super::config::{Config, Source};
use super::control_socket::ControlSocket;
use super::notify;
use super::orders::{Order, Report, SessionId};
use super::signals::{Asked, Signals};
use crate::exit_code::{Exit, Failure};
use crate::ipc::arena::Memory;
use crate::ipc::credentials::group_id;
use crate::ipc::policy::Policy;
use crate::ipc::session::{EndedBy, Incoming};
use crate::services::supervisor::Supervisor;
use crate::tokens::FailedAttempts;

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const REPORTS: Token = Token(2);
const SPAWNER: Token = Token(3);
/// Each session has two tokens from here on: its socket and its connector's pidfd.
const FIRST_SESSION: usize = 16;

/// Clients accepted in one turn.
const ACCEPT_BATCH: usize = 64;
/// Reports handled in one turn.
const REPORT_BATCH: usize = 4096;
/// What the loop is given.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Where it came from.
    pub source: Source,
    /// Where clients connect.
    pub socket: ControlSocket,
    /// To the stack thread.
    pub orders: OrderSender<Order>,
    /// From the stack thread.
    pub reports: ReportReceiver<Report>,
    /// The device's name, as it is.
    pub interface: String,
    /// Whether the kernel segments and checksums for it.
    pub offload: bool,
    /// When the daemon started.
    pub started: Instant,
    /// Whether workers can have another user than the daemon.
    pub may_switch_users: bool,
}

/// The control thread's state.
pub struct ControlLoop<W> {
    poll: Poll,
    config: Config,
    source: Source,
    interface: String,
    offload: bool,
    started: Instant,
    policy: Policy,
    layout: Layout,
    /// Who the daemon runs as: its workers are not limited by their user's quota.
    own_uid: u32,
    socket: ControlSocket,
    /// The listening socket is edge-triggered: it may have more.
    accepting: bool,
    /// Reports were left for the next turn.
    more_reports: bool,
    /// Given up for a moment when there is no descriptor left, to turn a client away rather than leave it waiting.
    spare: Option<OwnedFd>,
    signals: Signals,
    orders: OrderSender<Order>,
    reports: ReportReceiver<Report>,
    clients: Clients,
    memory: Memory,
    memory_check: Option<Instant>,
    inspections: Inspections,
    services: Supervisor<W>,
    handoffs: Handoffs,
    /// Of workers and of those who adopt what was handed off.
    failed_tokens: FailedAttempts,
    error_streams: ErrorStreams,
    /// Whether workers can have another user than the daemon.
    may_switch_users: bool,
    /// Services' listeners that were ordered and not yet reported.
    listeners_awaited: usize,
    /// Readiness was announced.
    ready: bool,
    counts: Counts,
    refusals: Refusals,
    reload: Option<Reload>,
    stop: Option<Stop>,
    watchdog: Option<(Duration, Instant)>,
    buffer: Vec<u8>,
}

impl<W: Spawner> ControlLoop<W> {
    /// Registers everything that can happen. Signals are the loop's from now on.
    pub fn new(setup: Setup, services: Supervisor<W>) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::system("the control loop", &error);
        let poll = Poll::new().map_err(failed)?;
        let mut signals = Signals::take().map_err(failed)?;
        let registry = poll.registry();
        let readable = Interest::READABLE;
        registry
            .register(&mut SourceFd(&setup.socket.as_raw_fd()), LISTENER, readable)
            .map_err(failed)?;
        registry
            .register(&mut signals, SIGNALS, readable)
            .map_err(failed)?;
        registry
            .register(&mut SourceFd(&setup.reports.as_raw_fd()), REPORTS, readable)
            .map_err(failed)?;
        registry
            .register(
                &mut SourceFd(&services.workforce().as_raw_fd()),
                SPAWNER,
                readable,
            )
            .map_err(failed)?;
        let clients = Clients::new(registry.try_clone().map_err(failed)?);
        let config = setup.config;
        let policy = Policy {
            administrators: config.control.group.as_deref().and_then(group_id),
            privileged_ports_below: config.control.privileged_ports_below,
        };
        if let (None, Some(group)) = (policy.administrators, &config.control.group) {
            tracing::info!(
                group,
                "there is no such group: only root may see and act on everything"
            );
        }
        let ring_maximum = config.tcp.receive_max.max(config.tcp.send_max);
        let layout = Layout::new(
            config.device.queues,
            config.limits.slots_per_session,
            ring_maximum,
        )
        .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
        Ok(Self {
            poll,
            source: setup.source,
            interface: setup.interface,
            offload: setup.offload,
            started: setup.started,
            policy,
            layout,
            own_uid: rustix::process::geteuid().as_raw(),
            socket: setup.socket,
            accepting: true,
            more_reports: false,
            spare: spare(),
            signals,
            orders: setup.orders,
            reports: setup.reports,
            clients,
            memory: Memory::default(),
            memory_check: None,
            inspections: Inspections::default(),
            services,
            handoffs: Handoffs::default(),
            failed_tokens: FailedAttempts::default(),
            error_streams: ErrorStreams::default(),
            may_switch_users: setup.may_switch_users,
            listeners_awaited: 0,
            ready: false,
            counts: Counts::default(),
            refusals: Refusals::default(),
            reload: None,
            stop: None,
            watchdog: None,
            buffer: vec![0; MAX_MESSAGE + 1],
            config,
        })
    }

    /// Opens the services' listeners, tells systemd when they are open, and runs until the daemon has stopped.
    /// Returns how many connections had to be reset.
    pub fn run(mut self) -> Result<u64, Failure> {
        let now = clock::now();
        let impaired = self.config.impair.rules();
        if !impaired.is_empty() {
            tracing::warn!(
                rules = impaired.len(),
                "a bad network is played to packets, as [impair] says"
            );
            self.order(Order::ConfigureImpairment(impaired));
        }
        self.open_services();
        self.services.start(now);
        self.watchdog = notify::watchdog_interval().map(|interval| (interval, now));
        self.say_ready();
        let mut events = Events::with_capacity(1024);
        let result = loop {
            match self.turn(&mut events, None) {
                Ok(None) => {}
                Ok(Some(reset)) => break Ok(reset),
                Err(failure) => break Err(failure),
            }
        };
        self.finish(result.as_ref().ok().copied());
        result
    }

    /// One turn, waiting at most `limit`; how many connections were reset, when the daemon has stopped.
    fn turn(
        &mut self,
        events: &mut Events,
        limit: Option<Duration>,
    ) -> Result<Option<u64>, Failure> {
        self.wait(events, limit)
            .map_err(|error| Failure::system("poll", &error))?;
        let now = clock::now();
        let mut spawner = false;
        for event in events.iter() {
            match event.token() {
                LISTENER => self.accepting = true,
                SIGNALS => self.on_signals(now),
                REPORTS => self.reports.wake(),
                SPAWNER => spawner = true,
                Token(token) if token >= error_streams::FIRST => {
                    self.error_streams.on_event(token);
                }
                Token(token) => {
                    self.on_session_event(now, token - FIRST_SESSION, event.is_writable())
                }
            }
        }
        self.accept(now);
        self.take_messages(now);
        let mut stopped = self.take_reports(now)?;
        self.answer_from_tables(now);
        if spawner {
            self.on_spawner(now);
        }
        self.hear_errors(now);
        stopped = self.on_deadlines(now)?.or(stopped);
        self.orders.flush();
        Ok(stopped)
    }

    fn wait(&mut self, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
        let at_once = self.accepting
            || self.more_reports
            || self.clients.any_ready()
            || self.inspections.any_seen()
            || self.error_streams.any_ready();
        let timeout = if at_once {
            Some(Duration::ZERO)
        } else {
            let due = self
                .next_deadline()
                .map(|deadline| deadline.duration_since(clock::now()));
            due.into_iter().chain(limit).min()
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let watchdog = self.watchdog.map(|(_, at)| at);
        let stop = self.stop.as_ref().map(|stop| stop.patience_ends);
        let all = [
            self.clients.next_hello_deadline(),
            self.clients.next_bell_deadline(),
            self.services.next_deadline(),
            self.handoffs.next_deadline(),
            self.error_streams.next_deadline(),
            self.memory_check,
            watchdog,
            stop,
        ];
        all.into_iter().flatten().min()
    }

    /// Does what is due. Says how many connections were reset when the daemon has stopped.
    fn on_deadlines(&mut self, now: Instant) -> Result<Option<u64>, Failure> {
        if let Some((interval, at)) = self.watchdog
            && at <= now
        {
            // The watchdog hears of it when the stack thread has answered: then both threads turn.
            self.order(Order::Heartbeat);
            self.watchdog = Some((interval, now + interval));
        }
        while let Some(id) = self.clients.hello_overdue(now) {
            self.end_session(
                id,
                End::because(EndedBy::HelloTimeout, "Hello did not come in time"),
            );
        }
        self.clients.on_bell_deadline(now);
        if self.services.next_deadline().is_some_and(|at| at <= now) {
            self.on_services_deadline(now);
        }
        self.expire_handoffs(now);
        if self.memory_check.is_some_and(|at| at <= now) {
            self.check_memory(now);
        }
        self.on_stop_deadline(now)
    }

    /// New clients, as many as a turn may take.
    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPT_BATCH {
            if !self.accepting {
                return;
            }
            match self.socket.accept() {
                Ok((socket, identity, pidfd)) => self.welcome(now, socket, identity, pidfd),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accepting = false,
                Err(error) => self.on_accept_error(&error),
            }
        }
    }

    fn on_accept_error(&mut self, error: &io::Error) {
        let exhausted = matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
        );
        if !exhausted {
            // A client that was gone before it was accepted; the next one is not its fault.
            tracing::debug!(%error, "a client could not be accepted");
            return;
        }
        self.counts.turned_away += 1;
        self.counts.complain(
            clock::now(),
            || tracing::error!(%error, "a client is turned away"),
        );
        if self.spare.take().is_some() {
            // Closed at once: the client sees the end of file instead of silence.
            drop(self.socket.accept());
            self.spare = spare();
        } else {
            self.accepting = false;
        }
    }

    /// Something happened to a session's socket or its connector.
    fn on_session_event(&mut self, _now: Instant, token: usize, writable: bool) {
        let id = (token / 2) as SessionId;
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if token % 2 == 1 {
            client.connector_gone = true;
        } else if writable && let Err(by) = client.session.flush() {
            return self.end_session(id, End::silent(by));
        }
        self.clients.mark_ready(id);
    }

    /// Takes messages from the sessions that have some, fairly.
    fn take_messages(&mut self, now: Instant) {
        for _ in 0..self.clients.ready_count() {
            let Some(id) = self.clients.next_ready() else {
                return;
            };
            match self.take_messages_of(now, id) {
                Ok(true) => self.clients.mark_ready(id),
                Ok(false) => {}
                Err(end) => self.end_session(id, end),
            }
        }
    }

    /// At most a turn's messages of one session; true when there may be more.
    fn take_messages_of(&mut self, now: Instant, id: SessionId) -> Result<bool, End> {
        for _ in 0..self.config.limits.messages_per_turn {
            let Some(client) = self.clients.get_mut(id) else {
                return Ok(false);
            };
            let length = match client.session.receive(&mut self.buffer) {
                Incoming::Message(length) => length,
                Incoming::Nothing if client.connector_gone => {
                    return Err(End::silent(EndedBy::ConnectorGone));
                }
                Incoming::Nothing if client.bell_closed => {
                    return Err(End::of(EndedBy::BellClosed));
                }
                Incoming::Nothing => return Ok(false),
                Incoming::Ended(by) => return Err(End::of(by)),
            };
            if client.is_after_its_end() {
                return Err(End::silent(EndedBy::ConnectorGone));
            }
            client.session.requests += 1;
            self.counts.requests += 1;
            if client.session.kind.is_none() {
                self.on_first_message(now, id, length)?;
                continue;
            }
            let (number, request) = Request::decode(&self.buffer[..length])
                .map_err(|error| End::because(error.into(), &error.to_string()))?;
            self.on_request(now, id, number, request)?;
        }
        Ok(true)
    }

    fn on_signals(&mut self, now: Instant) {
        for asked in self.signals.asked() {
            match asked {
                Asked::Stop => self.ask_to_stop(now),
                Asked::Dump => self.dump(),
                Asked::Reload => self.ask_to_reload(now, None),
            }
        }
    }

    /// An order to the stack thread. When that is gone, its last report or the end of the channel says so.
    fn order(&mut self, order: Order) {
        if self.orders.send(order) == Err(Disconnected) {
            self.counts.lost_orders += 1;
        }
    }
}

/// A descriptor to give up when there is no other.
fn spare() -> Option<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}

fn socket_token(id: SessionId) -> Token {
    Token(FIRST_SESSION + 2 * id as usize)
}

fn pidfd_token(id: SessionId) -> Token {
    Token(FIRST_SESSION + 2 * id as usize + 1)
}
