//! Joins the clients' arenas to the stack: what a client wrote into a slot becomes a user call, what the stack did
//! becomes a published index.
//!
//! Nothing in an arena is trusted. The truth about every connection is the core's ([`View`]); an index that a client
//! wrote is read once, bounded against that truth, and the copy is used. What cannot be is a violation and ends the
//! session, never the daemon.
//!
//! The life of a slot: taken when a connection is opened for a session, given back when the client has closed it *and*
//! the stack needs its bytes no longer (all of them acknowledged, or the connection at its end), or when the connection goes on
//! elsewhere: in a socket ([`endpoints`]), or with another session ([`handoffs`]).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use libtcpclient::protocol::{
    Connect, EndReason, ErrorCode, Listen, Opened, Reply, Request, ShutdownHow, StreamOptions,
};
use libtcpclient::shm::layout::MIN_RING;
use libtcpclient::shm::{
    Arena, DaemonSlot, Direction, Marked, SharedRing, SlotState, StartPositions, Violation,
};
use rustix::net::{RecvFlags, SendFlags};
use tcpd_core::stack::{
    Changes, CloseError, ConnectOptions, EndReason as CoreEnd, EndpointId, Event, KeepAlive,
    ListenOptions, ListenerId, Stack, State, View,
};
use tcpd_core::tcp::buffer::Ring;
use tcpd_core::time::Instant;

use self::endpoints::Endpoints;
pub(super) use self::endpoints::is_endpoint;
use self::exchange::slot_state;
use self::handoffs::HandedOff;
pub(crate) use self::quotas::SERVICES;
use self::quotas::Users;
use self::services::ServiceListener;
use self::sweeping::Sweeping;
pub(in crate::daemon) use self::words::congestion_control;
pub(super) use self::words::end_reason;
use self::words::{close_error, connection_options, end_error, open_error};
use super::channel::ReportSender;
use super::orders::{
    Credentials, Inspected, Inspection, Owner, Quotas, Report, ServiceIndex, SessionId,
};
use super::ring_buffer::ConnectionRing;
use super::stack_loop::LoopCounts;
use super::sweeper::{Sweep, Sweeper};
use crate::device::Statistics;

mod endpoints;
mod exchange;
mod handoffs;
mod idle;
mod inspect;
mod listening;
mod quotas;
mod requests;
mod services;
mod sessions;
mod slots;
mod sweeping;
mod words;

#[cfg(test)]
mod tests;

/// The stack as the daemon runs it.
pub(crate) type DaemonStack = Stack<ConnectionRing>;

/// A client's reader says that it has read when this part of the ring is free, and a writer is woken at this part.
const NOTICE_FRACTION: u32 = 4;

/// One client's arena and what stands in it.
#[derive(Debug)]
struct Session {
    arena: Arc<Arena>,
    bell: OwnedFd,
    credentials: Credentials,
    /// Opened by a worker's token.
    worker: bool,
    /// Whose connection each slot is; grows with use.
    slots: Vec<Option<EndpointId>>,
    free: Vec<u32>,
    /// What of its memory goes back to the system: [`sweeping`].
    sweeping: Sweeping,
    listeners: HashSet<ListenerId>,
    /// Looked at every turn, until there is nothing to see when the thread goes to sleep.
    active: bool,
    /// The word of the dirty bitmap to look at next.
    next_word: u32,
    /// It broke the rules and was reported for it: not looked at again, its end is on the way.
    condemned: bool,
    /// The client is gone; only what still drains is left.
    closed: bool,
    /// What its arena occupied when it was asked last, bytes.
    measured: u64,
}

/// One connection that has a slot.
#[derive(Debug)]
struct Connection {
    session: SessionId,
    /// Of the stack; its user.
    account: u32,
    slot: DaemonSlot,
    /// Connect's answer is still owed to this request.
    connecting: Option<u32>,
    /// Close's answer is still owed to this request (linger).
    lingering: Option<u32>,
    /// The client has closed it.
    released: bool,
    /// The client has shut its reading side: its word of what it has read means nothing any more.
    reading_closed: bool,
    /// Its own deadline (connect timeout, linger), mirrored in [`Bridge::deadlines`].
    deadline: Option<Instant>,
    receive_maximum: u32,
    transmit_maximum: u32,
    /// The receive ring may be let grow once so much was read.
    grow_from: u64,
    /// What the slot says of the transmit ring's size.
    transmit_wanted: u32,
    /// Where [`Connection::slot`]'s last wake-up of a writer was.
    writer_woken_at: u64,
    /// What the slot says of the state.
    published: (SlotState, Option<EndReason>),
    /// How far the slot says that data has arrived.
    received: u64,
    /// What that was when the receive ring began to be watched: [`idle`].
    received_at_look: u64,
    /// How far data had arrived when its pages were last given back, or looked at for that.
    dragged_from: u64,
    /// It stands in [`Bridge::idle`].
    watched: bool,
    /// The reader is asked to tell when it has read everything.
    tell_when_empty: bool,
    /// The receive ring, while its pages go back to the system and what arrives stands in private memory.
    aside: Option<ConnectionRing>,
    /// Its window is held: [`quotas`].
    held: bool,
    /// Its ring has given its pages back since, and how far had been read then.
    relieved: bool,
    relieved_at: u64,
}

/// Who a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListenerOwner {
    Session(SessionId),
    Service(ServiceIndex),
}

/// One listener.
#[derive(Debug)]
struct Listener {
    owner: ListenerOwner,
    /// Accepts that wait for a connection, oldest first.
    pending: VecDeque<u32>,
    /// What its connections get.
    options: StreamOptions,
}

/// Limits of the bridge, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BridgeConfig {
    /// Of receive rings.
    pub(crate) receive: RingSizes,
    /// Of transmit rings.
    pub(crate) transmit: RingSizes,
    /// Accepts of one listener that may wait at a time.
    pub(crate) pending_accepts: usize,
    /// What keepalive connections get that say nothing about it.
    pub(crate) keepalive: Option<KeepAlive>,
    /// What users may have at the start; then [`Bridge::set_quotas`] says it.
    pub(crate) quotas: Quotas,
}

/// How large the rings of one direction are: bytes, powers of two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingSizes {
    /// To begin with.
    pub(crate) initial: u32,
    /// At most.
    pub(crate) maximum: u32,
}

impl RingSizes {
    /// How far the ring of a client may grow that asked for `asked` bytes; 0 asks for as much as there is.
    fn maximum(self, asked: u32) -> u32 {
        match asked {
            0 => self.maximum,
            asked if asked >= self.maximum => self.maximum,
            asked => asked.max(MIN_RING).next_power_of_two(),
        }
    }
}

/// Everything the stack thread knows of clients.
#[derive(Debug)]
pub(crate) struct Bridge {
    config: BridgeConfig,
    reports: ReportSender<Report>,
    sessions: HashMap<SessionId, Session>,
    connections: HashMap<EndpointId, Connection>,
    listeners: HashMap<ListenerId, Listener>,
    services: HashMap<ServiceIndex, Vec<ServiceListener>>,
    /// Connections that a service accepted and no worker has adopted yet.
    unclaimed: HashMap<EndpointId, ServiceIndex>,
    /// Connections that live in a socketpair.
    endpoints: Endpoints,
    /// Connections that one program has given away and no other has adopted yet.
    handed_off: HashMap<EndpointId, HandedOff>,
    /// Sessions to look at every turn.
    active: Vec<SessionId>,
    /// Deadlines of single connections: connect timeouts, linger.
    deadlines: BTreeSet<(Instant, EndpointId)>,
    /// Receive rings in use lately, and when to look whether they still are; the earliest first.
    idle: VecDeque<(Instant, EndpointId)>,
    /// Sessions with slots whose memory may go back, and when; the earliest first.
    sweeps: VecDeque<(Instant, SessionId)>,
    sweeper: Sweeper,
    /// Whose all of it is.
    users: Users,
    counts: BridgeCounts,
    /// Nothing new is taken.
    draining: bool,
}

/// What the bridge counts.
#[derive(Debug, Default)]
pub(crate) struct BridgeCounts {
    pub(crate) violations: u64,
    pub(crate) bells_rung: u64,
    pub(crate) bells_heard: u64,
    pub(crate) receive_growths: u64,
    pub(crate) transmit_growths: u64,
    pub(crate) punched: u64,
    pub(crate) growths_refused: u64,
    pub(crate) pressed: u64,
}

impl Bridge {
    /// Without any session. Sockets are registered with `registry`.
    pub(crate) fn new(
        config: BridgeConfig,
        reports: ReportSender<Report>,
        registry: mio::Registry,
        sweeper: Sweeper,
    ) -> Bridge {
        let ring_maximum = config.receive.maximum.max(config.transmit.maximum);
        Bridge {
            endpoints: Endpoints::new(registry, ring_maximum),
            sweeps: VecDeque::new(),
            sweeper,
            config,
            reports,
            sessions: HashMap::new(),
            connections: HashMap::new(),
            listeners: HashMap::new(),
            services: HashMap::new(),
            unclaimed: HashMap::new(),
            handed_off: HashMap::new(),
            active: Vec::new(),
            deadlines: BTreeSet::new(),
            idle: VecDeque::new(),
            users: Users::new(config.quotas),
            counts: BridgeCounts::default(),
            draining: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn counts(&self) -> &BridgeCounts {
        &self.counts
    }

    pub(crate) fn report(&self, report: Report) {
        // The control thread outlives this one; at the very end nobody listens and nothing is lost.
        self.reports.send(report).ok();
    }

    fn reply(&self, session: SessionId, request_id: u32, reply: Reply) {
        self.report(Report::Reply {
            session,
            request_id,
            reply,
            descriptor: None,
        });
    }

    /// Something happened to an endpoint or a listener.
    pub(crate) fn on_event(&mut self, stack: &mut DaemonStack, now: Instant, event: Event) {
        match event {
            Event::Incoming { listener } => self.on_incoming(stack, now, listener),
            Event::Changed { endpoint, changes } => self.on_changed(stack, now, endpoint, changes),
        }
    }

    fn on_changed(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        changes: Changes,
    ) {
        if self.endpoints.has(endpoint) {
            self.pump(stack, now, endpoint);
            return;
        }
        let Some(view) = stack.view(endpoint) else {
            self.vanished(endpoint);
            self.settle(stack, now, endpoint);
            return;
        };
        if self.hold_or_let_go(stack, now, endpoint) {
            // How far the reader may go before it tells is another now.
            self.pull_or_report(stack, now, endpoint);
        }
        self.publish(now, endpoint, &view);
        if changes.contains(Changes::CONNECTED) || view.end.is_some() {
            self.answer_connect(stack, endpoint, &view);
        }
        self.settle(stack, now, endpoint);
    }
}
