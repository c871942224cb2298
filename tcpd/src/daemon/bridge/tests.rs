//! The bridge driven by hand: one stack, clients with real arenas, no threads, a clock that the test turns. What the clients
//! send each other takes the stack's own loopback; what goes to other hosts is lost.

mod closing;
mod handoffs;
mod liars;
mod memory;
mod opening;
mod quotas;
mod sockets;
mod transfer;

use std::collections::HashMap;
use std::net::SocketAddr;

use libtcpclient::shm::{ClientSlot, Layout};
use libtcpclient::socket::Bell;
use tcpd_core::random::Secret;
use tcpd_core::stack::{IpCidr, StackConfig, TcpConfig};

use super::*;
use crate::daemon::channel::{ReportReceiver, reports};

const RING: u32 = 4096;
const RING_MAX: u32 = 65_536;
const UNLIMITED: Quotas = Quotas {
    connections: u32::MAX,
    orphans: u32::MAX,
    listeners: u32::MAX,
    ring_bytes_per_uid: 1 << 40,
    ring_bytes: 1 << 40,
    root: false,
};

/// One daemon without threads.
struct Daemon {
    stack: DaemonStack,
    bridge: Bridge,
    reports: ReportReceiver<Report>,
    poll: mio::Poll,
    now: Instant,
    replies: HashMap<(SessionId, u32), Reply>,
    /// What answers carried.
    descriptors: Vec<OwnedFd>,
    /// Every other report.
    told: Vec<Report>,
    arenas: HashMap<SessionId, (Arc<Arena>, Bell)>,
    next_request: u32,
    /// Sweeps do not end, as when a client keeps them waiting.
    sweeps_held: bool,
}

/// The client's end of a connection.
struct End {
    session: SessionId,
    id: u64,
    slot: ClientSlot,
    arena: Arc<Arena>,
    read: u64,
    written: u64,
}

impl Daemon {
    fn new() -> Daemon {
        let now = Instant::from_secs(1000);
        let tcp = TcpConfig {
            receive_ring: RING,
            receive_ring_max: RING_MAX,
            send_ring: RING,
            send_ring_max: RING_MAX,
            ..TcpConfig::default()
        };
        let own = IpCidr {
            addr: "198.18.0.2".parse().expect("an address"),
            prefix: 24,
        };
        let config = StackConfig {
            addresses: vec![own],
            tcp,
            ..StackConfig::default()
        };
        let sizes = RingSizes {
            initial: RING,
            maximum: RING_MAX,
        };
        let bridge = BridgeConfig {
            receive: sizes,
            transmit: sizes,
            pending_accepts: 4,
            keepalive: None,
            quotas: UNLIMITED,
        };
        let (sender, reports) = reports().expect("an eventfd");
        let poll = mio::Poll::new().expect("a poll");
        let registry = poll.registry().try_clone().expect("a registry");
        let sweeper = Sweeper::new().expect("an eventfd");
        Daemon {
            stack: Stack::new(config, Secret::new([7; 16]), 1, now),
            bridge: Bridge::new(bridge, sender, registry, sweeper),
            reports,
            poll,
            now,
            replies: HashMap::new(),
            descriptors: Vec::new(),
            told: Vec::new(),
            arenas: HashMap::new(),
            next_request: 1,
            sweeps_held: false,
        }
    }

    /// A client with room for so many connections.
    fn client(&mut self, session: SessionId, slots: u32) -> SessionId {
        self.open_session(session, slots, false)
    }

    /// The same of another user.
    fn client_of(&mut self, uid: u32, session: SessionId, slots: u32) -> SessionId {
        self.open_session_of(uid, session, slots, false)
    }

    fn open_session(&mut self, session: SessionId, slots: u32, worker: bool) -> SessionId {
        self.open_session_of(1000, session, slots, worker)
    }

    fn open_session_of(
        &mut self,
        uid: u32,
        session: SessionId,
        slots: u32,
        worker: bool,
    ) -> SessionId {
        let layout = Layout::new(1, slots, RING_MAX).expect("a layout");
        let arena = Arc::new(Arena::create(layout).expect("a memfd"));
        let (ours, theirs) = Bell::pair().expect("a socketpair");
        let credentials = Credentials { uid, all: false };
        self.bridge.session_opened(
            &mut self.stack,
            session,
            Arc::clone(&arena),
            ours.into(),
            credentials,
            worker,
        );
        self.bridge.hear_bell(session);
        self.arenas.insert(session, (arena, theirs));
        session
    }

    /// Turns the loop until nothing moves.
    fn turn(&mut self) {
        for _ in 0..10_000 {
            let mut busy = self.bridge.poll_sessions(&mut self.stack, self.now);
            self.poll_sockets();
            busy |= self.bridge.pump_sockets(&mut self.stack, self.now);
            if self.stack.next_deadline().is_some_and(|at| at <= self.now) {
                self.stack.on_deadline(self.now);
                busy = true;
            }
            self.bridge.on_deadline(&mut self.stack, self.now);
            busy |= self.publish();
            while self.stack.poll_transmit(self.now).is_some() {
                busy = true;
            }
            busy |= self.publish();
            busy |= self.be_swept();
            if !busy {
                return self.take_reports();
            }
        }
        panic!("the daemon does not come to rest");
    }

    fn poll_sockets(&mut self) {
        let mut events = mio::Events::with_capacity(64);
        let now = Some(Duration::ZERO);
        self.poll.poll(&mut events, now).expect("a poll");
        for event in &events {
            self.bridge.on_socket_event(event);
        }
    }

    fn publish(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.stack.poll_event() {
            any = true;
            self.bridge.on_event(&mut self.stack, self.now, event);
        }
        any
    }

    /// Waits until no sweep is under way; true when there was one.
    fn be_swept(&mut self) -> bool {
        let any = self.bridge.sweeper.under_way() > 0;
        if self.sweeps_held {
            return false;
        }
        for _ in 0..1_000_000 {
            self.bridge.take_swept(&mut self.stack, self.now);
            if self.bridge.sweeper.under_way() == 0 {
                return any;
            }
            std::thread::yield_now();
        }
        panic!("a sweep does not end");
    }

    fn take_reports(&mut self) {
        while let Ok(Some(report)) = self.reports.next() {
            match report {
                Report::Reply {
                    session,
                    request_id,
                    reply,
                    descriptor,
                } => {
                    self.descriptors.extend(descriptor);
                    let before = self.replies.insert((session, request_id), reply);
                    assert!(before.is_none(), "a request is answered once");
                }
                other => self.told.push(other),
            }
        }
    }

    /// Lets time pass from deadline to deadline, as the loop does.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.turn();
        while let Some(at) = [self.stack.next_deadline(), self.bridge.next_deadline()]
            .into_iter()
            .flatten()
            .min()
            && at <= end
        {
            self.now = at.max(self.now + Duration::from_nanos(1));
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    /// Asks, and turns.
    fn ask(&mut self, session: SessionId, request: Request) -> u32 {
        let id = self.next_request;
        self.next_request += 1;
        self.bridge
            .on_request(&mut self.stack, self.now, session, id, request);
        self.turn();
        id
    }

    /// The answer, once it has come.
    fn answer(&mut self, session: SessionId, request: u32) -> Option<Reply> {
        self.take_reports();
        self.replies.remove(&(session, request))
    }

    fn call(&mut self, session: SessionId, request: Request) -> Reply {
        let id = self.ask(session, request);
        self.answer(session, id).expect("an answer at once")
    }

    fn listen(&mut self, session: SessionId, port: u16) -> u64 {
        let listen = Listen {
            address: None,
            port,
            reuse: true,
            backlog: 16,
            options: StreamOptions::default(),
        };
        match self.call(session, Request::Listen(listen)) {
            Reply::Listening { listener, .. } => listener,
            other => panic!("{other:?}"),
        }
    }

    fn connect_to(&mut self, session: SessionId, remote: &str, timeout_ms: u32) -> u32 {
        let connect = Connect {
            local: None,
            local_port: 0,
            reuse: false,
            remote: remote.parse::<SocketAddr>().expect("an address"),
            timeout_ms,
            options: StreamOptions::default(),
        };
        self.ask(session, Request::Connect(connect))
    }

    fn accept(&mut self, session: SessionId, listener: u64, nonblocking: bool) -> u32 {
        let accept = Request::Accept {
            listener,
            nonblocking,
        };
        self.ask(session, accept)
    }

    /// A connection from a client to another.
    fn pair(&mut self, from: SessionId, to: SessionId) -> (End, End) {
        let listener = self.listen(to, 7);
        let accepting = self.accept(to, listener, false);
        let connecting = self.connect_to(from, "198.18.0.2:7", 0);
        let ends = (self.end(from, connecting), self.end(to, accepting));
        assert_eq!(
            self.call(to, Request::CloseListener { listener }),
            Reply::Done
        );
        ends
    }

    fn end(&mut self, session: SessionId, request: u32) -> End {
        let opened = match self.answer(session, request) {
            Some(Reply::Connected(opened) | Reply::Accepted(opened) | Reply::Adopted(opened)) => {
                opened
            }
            other => panic!("{other:?}"),
        };
        let arena = Arc::clone(&self.arenas[&session].0);
        let slot = ClientSlot::new(Arc::clone(&arena), opened.slot, 0).expect("a slot");
        let (read, written) = slot.start();
        End {
            session,
            id: opened.connection,
            slot,
            arena,
            read,
            written,
        }
    }

    fn close(&mut self, end: &End, linger_ms: Option<u32>) -> u32 {
        let close = Request::Close {
            connection: end.id,
            linger_ms,
        };
        self.ask(end.session, close)
    }

    fn end_session(&mut self, session: SessionId) {
        self.bridge
            .session_closed(&mut self.stack, self.now, session);
        self.turn();
    }

    fn violations(&self) -> Vec<(SessionId, &'static str)> {
        let of = |report: &Report| match report {
            Report::Violation { session, what } => Some((*session, *what)),
            _ => None,
        };
        self.told.iter().filter_map(of).collect()
    }

    fn is_released(&self, session: SessionId) -> bool {
        self.told.iter().any(
            |report| matches!(report, Report::SessionReleased { session: id } if *id == session),
        )
    }

    /// Slots in use.
    fn slots_of(&self, session: SessionId) -> usize {
        let slots = |session: &Session| session.slots.iter().flatten().count();
        self.bridge.sessions.get(&session).map_or(0, slots)
    }

    /// Nothing of connections is left in the bridge.
    fn assert_nothing_left(&self) {
        assert!(self.bridge.connections.is_empty());
        assert!(self.bridge.deadlines.is_empty());
        for (id, session) in &self.bridge.sessions {
            assert_eq!(self.slots_of(*id), 0);
            assert_eq!(session.free.len(), session.slots.len());
        }
    }
}

impl End {
    fn ring(&self, direction: Direction) -> SharedRing {
        let geometry = match direction {
            Direction::Receive => self.slot.receive_geometry(),
            Direction::Transmit => self.slot.transmit_geometry(),
        };
        let geometry = geometry.expect("a geometry that fits");
        SharedRing::new(
            Arc::clone(&self.arena),
            self.slot.slot(),
            direction,
            geometry.capacity,
            geometry.base,
        )
        .expect("a ring")
    }

    /// As many of the bytes as fit; how many.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let ring = self.ring(Direction::Transmit);
        let used = self.written - self.slot.acknowledged();
        let room = bytes
            .len()
            .min((u64::from(ring.capacity()) - used) as usize);
        ring.copy_in(self.written, &bytes[..room]);
        self.written += room as u64;
        let _ = self.slot.publish_written(self.written);
        room
    }

    /// At most `most` bytes of what is there.
    fn read(&mut self, most: usize) -> Vec<u8> {
        let end = self.slot.received();
        let ring = self.ring(Direction::Receive);
        let mut bytes = vec![0; most.min((end - self.read) as usize)];
        ring.copy_out(self.read, &mut bytes);
        self.read += bytes.len() as u64;
        let _ = self.slot.publish_read(self.read);
        bytes
    }

    fn is_at(&self, state: SlotState) -> bool {
        self.slot.state().0.contains(state)
    }

    fn end_reason(&self) -> Option<EndReason> {
        let (state, reason) = self.slot.state();
        reason.filter(|_| state.contains(SlotState::ENDED))
    }
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn error_of(reply: Option<Reply>) -> ErrorCode {
    match reply {
        Some(Reply::Error(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}
