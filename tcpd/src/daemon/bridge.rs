//! Joins the clients' arenas to the stack: what a client wrote into a slot becomes a user call, what the stack did
//! becomes a published index.
//!
//! Nothing in an arena is trusted. The truth about every connection is the core's ([`View`]); an index that a client
//! wrote is read once, bounded against that truth, and the copy is used. What cannot be is a violation and ends the
//! session, never the daemon.
//!
//! The life of a slot: taken when a connection is opened for a session, given back when the client has closed it *and*
//! the stack needs its bytes no longer (all of them acknowledged, or the connection at its end).

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
    Arena, DaemonSlot, Direction, SharedRing, SlotState, StartPositions, Violation,
};
use rustix::net::{RecvFlags, SendFlags};
use tcpd_core::stack::{
    Changes, ConnectOptions, EndpointId, Event, KeepAlive, ListenOptions, ListenerId, Stack, State,
    View,
};
use tcpd_core::tcp::buffer::Ring;
use tcpd_core::time::Instant;

use self::words::{close_error, connection_options, end_error, open_error};
use super::channel::ReportSender;
use super::orders::{Credentials, Inspected, Inspection, Owner, Report, ServiceIndex, SessionId};
use super::ring_buffer::ConnectionRing;
use super::stack_loop::LoopCounts;
use crate::device::Statistics;

mod inspect;
mod requests;
mod services;
mod slots;
mod words;

/// The stack as the daemon runs it.
pub(crate) type DaemonStack = Stack<ConnectionRing>;

/// Words of the dirty bitmap (64 slots each) looked at for one session in one turn.
const WORDS_PER_TURN: usize = 4;
/// A client's reader says that it has read when this part of the ring is free, and a writer is woken at this part.
const NOTICE_FRACTION: u32 = 4;
/// A receive ring grows when twice its capacity went through it within this time.
const GROWTH_WINDOW: Duration = Duration::from_millis(250);

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
    listeners: HashSet<ListenerId>,
    /// Looked at every turn, until there is nothing to see when the thread goes to sleep.
    active: bool,
    /// The client is gone; only what still drains is left.
    closed: bool,
    /// It broke the rules and was reported for it: not looked at again, its end is on the way.
    condemned: bool,
}

/// One connection that has a slot.
#[derive(Debug)]
struct Connection {
    session: SessionId,
    slot: DaemonSlot,
    /// Connect's answer is still owed to this request.
    connecting: Option<u32>,
    /// Close's answer is still owed to this request (linger).
    lingering: Option<u32>,
    /// The client has closed it.
    released: bool,
    /// Its own deadline (connect timeout, linger), mirrored in [`Bridge::deadlines`].
    deadline: Option<Instant>,
    receive_maximum: u32,
    transmit_maximum: u32,
    /// For growing the receive ring: where and when the count began.
    growth_from: (u64, Instant),
    /// Where [`Connection::slot`]'s last wake-up of a writer was.
    writer_woken_at: u64,
    /// What the slot says of the state.
    published: (SlotState, Option<EndReason>),
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
    services: HashMap<ServiceIndex, Vec<ListenerId>>,
    /// Connections that a service accepted and no worker has adopted yet.
    unclaimed: HashMap<EndpointId, ServiceIndex>,
    /// Sessions to look at every turn.
    active: Vec<SessionId>,
    /// Deadlines of single connections: connect timeouts, linger.
    deadlines: BTreeSet<(Instant, EndpointId)>,
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
}

impl Bridge {
    /// Without any session.
    pub(crate) fn new(config: BridgeConfig, reports: ReportSender<Report>) -> Bridge {
        Bridge {
            config,
            reports,
            sessions: HashMap::new(),
            connections: HashMap::new(),
            listeners: HashMap::new(),
            services: HashMap::new(),
            unclaimed: HashMap::new(),
            active: Vec::new(),
            deadlines: BTreeSet::new(),
            counts: BridgeCounts::default(),
            draining: false,
        }
    }

    /// A client's arena arrives.
    pub(crate) fn session_opened(
        &mut self,
        session: SessionId,
        arena: Arc<Arena>,
        bell: OwnedFd,
        credentials: Credentials,
        worker: bool,
    ) {
        self.sessions.insert(
            session,
            Session {
                arena,
                bell,
                credentials,
                worker,
                slots: Vec::new(),
                free: Vec::new(),
                listeners: HashSet::new(),
                active: false,
                closed: false,
                condemned: false,
            },
        );
    }

    /// The bell's descriptor, for the poll.
    pub(crate) fn bell(&self, session: SessionId) -> Option<&OwnedFd> {
        self.sessions.get(&session).map(|session| &session.bell)
    }

    /// The client is gone: its listeners close, its connections close or are reset, its arena goes when the last of
    /// them needs no byte of it.
    pub(crate) fn session_closed(&mut self, stack: &mut DaemonStack, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.closed = true;
        let worker = session.worker;
        let listeners: Vec<ListenerId> = session.listeners.drain().collect();
        let owned: Vec<EndpointId> = session.slots.iter().flatten().copied().collect();
        for listener in listeners {
            self.listeners.remove(&listener);
            stack.close_listener(now, listener);
        }
        for endpoint in owned {
            // The last bytes the client wrote before it went.
            let honest = self.pull(stack, now, endpoint).is_ok();
            let Some(connection) = self.connections.get_mut(&endpoint) else {
                continue;
            };
            connection.connecting = None;
            connection.lingering = None;
            if !connection.released {
                connection.released = true;
                if worker || !honest {
                    stack.abort(now, endpoint).ok();
                } else {
                    stack.close(now, endpoint).ok();
                }
            }
            self.settle(stack, now, endpoint);
        }
        self.release_if_empty(id);
    }

    /// A bell rang: the session is looked at from now on.
    pub(crate) fn hear_bell(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        self.counts.bells_heard += 1;
        if silence(&session.bell) {
            // Not at once: when the client is gone altogether, its socket says so.
            return self.report(Report::BellClosed { session: id });
        }
        session.arena.doorbells(0).to_daemon.awake();
        if !session.active && !session.condemned {
            session.active = true;
            self.active.push(id);
        }
    }

    /// Looks at what active sessions wrote, at most [`WORDS_PER_TURN`] words each. True when there was something.
    pub(crate) fn poll_sessions(&mut self, stack: &mut DaemonStack, now: Instant) -> bool {
        let mut any = false;
        for place in 0..self.active.len() {
            let id = self.active[place];
            let Some(session) = self.sessions.get(&id) else {
                continue;
            };
            if session.condemned {
                continue;
            }
            let arena = Arc::clone(&session.arena);
            for _ in 0..WORDS_PER_TURN {
                let Some(marked) = arena.doorbells(0).to_daemon.take() else {
                    break;
                };
                any = true;
                for slot in marked {
                    if self.is_condemned(id) {
                        break;
                    }
                    let Some(endpoint) = self.endpoint_at(id, slot) else {
                        continue; // A bit for a free slot is a spurious wake-up, nothing more.
                    };
                    if let Err(violation) = self.pull(stack, now, endpoint) {
                        self.violation(id, violation);
                    }
                }
            }
        }
        any
    }

    /// Declares the thread asleep to every active session, then looks once more. True when it may sleep: nothing was
    /// written in between, and every session will ring.
    pub(crate) fn prepare_sleep(&mut self) -> bool {
        let sessions = &mut self.sessions;
        self.active.retain(|id| {
            let Some(session) = sessions.get_mut(id) else {
                return false;
            };
            session.active =
                !session.condemned && !session.arena.doorbells(0).to_daemon.prepare_sleep();
            session.active
        });
        self.active.is_empty()
    }

    fn endpoint_at(&self, session: SessionId, slot: u32) -> Option<EndpointId> {
        *self.sessions.get(&session)?.slots.get(slot as usize)?
    }

    fn is_condemned(&self, session: SessionId) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|session| session.condemned)
    }

    /// The first one of a session is reported and ends it.
    fn violation(&mut self, session: SessionId, violation: Violation) {
        let Some(liar) = self.sessions.get_mut(&session).filter(|s| !s.condemned) else {
            return;
        };
        liar.condemned = true;
        self.counts.violations += 1;
        self.report(Report::Violation {
            session,
            what: violation.name(),
        });
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
        });
    }

    /// Takes over what the client wrote into the slot of `endpoint`: bytes to send, bytes it has read.
    fn pull(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
    ) -> Result<(), Violation> {
        let Some(connection) = self.connections.get(&endpoint) else {
            return Ok(());
        };
        let Some(view) = stack.view(endpoint) else {
            return Ok(());
        };
        let slot = connection.slot.clone();
        let written = slot.take_written(
            view.send.written,
            view.send.acknowledged,
            view.send.capacity,
        )?;
        if written != view.send.written {
            // Refused after a shutdown or an end: the client learns that from the slot's state.
            stack.committed(now, endpoint, written).ok();
        }
        let mut known = view.receive.read;
        // An honest reader passes a mark for each fraction of what it can read; one that plays with its index stops here.
        for _ in 0..=NOTICE_FRACTION {
            let read = slot.take_read(known, view.receive.next)?;
            if read != known {
                stack.consumed(now, endpoint, read).ok();
                self.maybe_grow_receive(stack, now, endpoint, read);
                known = read;
            }
            let notice = read + u64::from(view.receive.capacity / NOTICE_FRACTION);
            if !slot.ask_notice(notice) {
                break;
            }
        }
        Ok(())
    }

    /// Doubles the receive ring when the connection is fast enough to use it.
    fn maybe_grow_receive(
        &mut self,
        stack: &mut DaemonStack,
        now: Instant,
        endpoint: EndpointId,
        read: u64,
    ) {
        let capacity = stack.receive_ring(endpoint).map_or(0, Ring::capacity);
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return;
        };
        let (from, since) = connection.growth_from;
        if capacity >= connection.receive_maximum || read - from < 2 * u64::from(capacity) {
            return;
        }
        if now.duration_since(since) > GROWTH_WINDOW {
            connection.growth_from = (read, now);
        } else if stack.grow_receive(now, endpoint, capacity * 2) {
            connection.growth_from = (read, now);
            self.counts.receive_growths += 1;
            self.publish_geometry(stack, endpoint);
        }
        // Otherwise it is not linear just now: asked again at the next read.
    }

    /// The rings' geometries, before anything is published that stands in the new one.
    fn publish_geometry(&self, stack: &DaemonStack, endpoint: EndpointId) {
        let Some(connection) = self.connections.get(&endpoint) else {
            return;
        };
        if let Some(geometry) = stack
            .receive_ring(endpoint)
            .and_then(ConnectionRing::geometry)
        {
            connection.slot.publish_receive_geometry(geometry);
        }
        if let Some(geometry) = stack.send_ring(endpoint).and_then(ConnectionRing::geometry) {
            connection.slot.publish_transmit_geometry(geometry);
        }
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
        let Some(view) = stack.view(endpoint) else {
            self.settle(stack, now, endpoint);
            return;
        };
        self.publish(endpoint, &view);
        if changes.contains(Changes::CONNECTED) {
            self.answer_connect(stack, endpoint, &view);
        }
        if view.end.is_some() {
            self.answer_connect(stack, endpoint, &view);
        }
        self.settle(stack, now, endpoint);
    }

    /// Copies what the core knows into the slot's words and wakes who waits for it.
    fn publish(&mut self, endpoint: EndpointId, view: &View) {
        let Some(connection) = self.connections.get_mut(&endpoint) else {
            return;
        };
        let Some(session) = self
            .sessions
            .get(&connection.session)
            .filter(|session| !session.closed)
        else {
            return;
        };
        let slot = &connection.slot;
        slot.publish_received(view.receive.next);
        slot.publish_acknowledged(view.send.acknowledged);
        let state = slot_state(view);
        let changed = state != connection.published;
        if changed {
            connection.published = state;
            slot.publish_state(state.0, state.1);
        }
        let mut ring = slot.wake_reader();
        // A wake-up per segment would cost more than it gives.
        let freed = view.send.acknowledged - connection.writer_woken_at;
        let drained = view.send.acknowledged == view.send.written;
        if changed || drained || freed >= u64::from(view.send.capacity / NOTICE_FRACTION) {
            connection.writer_woken_at = view.send.acknowledged;
            ring |= slot.wake_writer();
        }
        if ring {
            self.counts.bells_rung += 1;
            ring_bell(&session.bell);
        }
    }
}

fn slot_state(view: &View) -> (SlotState, Option<EndReason>) {
    let mut state = SlotState::default();
    if view.connected {
        state = state.with(SlotState::CONNECTED);
    }
    if view.receive.fin_received {
        state = state.with(SlotState::PEER_CLOSED);
    }
    let end = view.end.map(words::end_reason);
    if end.is_some() {
        state = state.with(SlotState::ENDED);
    }
    (state, end)
}

/// Takes from a bell what was rung; true when its other end is closed. One receive of bounded size: what a flood leaves
/// behind rings again with the next byte, and costs nobody else a turn.
fn silence(bell: &OwnedFd) -> bool {
    let mut bytes = [0; 512];
    matches!(
        rustix::net::recv(bell, &mut bytes, RecvFlags::DONTWAIT),
        Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET)
    )
}

/// Rings a client's bell. Full means that it is ringing already; a client that closed it is its own loss.
fn ring_bell(bell: &OwnedFd) {
    rustix::net::send(bell, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
}
