//! A daemon in a thread: the real protocol, the real arena, the daemon's end of the slots; no TCP.
//!
//! What a connection does is chosen by the port it connects to (see [`Behaviour`]).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use libtcpclient::protocol::status::{
    CongestionStatus, ConnectionCounters, ConnectionRow, ConnectionStatus, CounterRow, EcnStatus,
    OptionsStatus, Owner, RingsStatus, RttStatus, SendSequence, TcpState,
};
use libtcpclient::protocol::{
    EndReason, ErrorCode, Event, Failure, Json, Opened, Page, Reply, Request, VERSION, Welcome,
};
use libtcpclient::shm::{
    Arena, DaemonSlot, Direction, Geometry, Layout, SharedRing, SlotState, StartPositions,
};
use libtcpclient::socket::{Bell, Received, Seqpacket};
use rustix::event::{PollFd, PollFlags};

/// What the other side of a connection is like, by port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// 7: sends everything back, FIN after FIN.
    Echo,
    /// 9: reads nothing at all.
    Stall,
    /// 10: the same, and wants a transmit ring of a quarter of the maximum.
    Stingy,
    /// 13: sends "daytime\n" and FIN.
    Daytime,
    /// 19: sends "last words" and RST.
    Reset,
}

/// The small and the large capacity of a ring.
pub(crate) const RING: u32 = 16 * 1024;
pub(crate) const RING_MAXIMUM: u32 = 256 * 1024;
const SLOTS: u32 = 64;

/// The requests that came, in order.
pub(crate) type Log = Arc<Mutex<Vec<Request>>>;

pub(crate) struct FakeDaemon {
    pub(crate) log: Log,
    /// The test's own line: a message makes a connection come in, its end is a kill.
    strings: Seqpacket,
    thread: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    /// Serves one client at the other end of the socket returned.
    pub(crate) fn start() -> (FakeDaemon, Seqpacket) {
        let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
        (FakeDaemon::serve(ours), theirs)
    }

    pub(crate) fn serve(socket: Seqpacket) -> FakeDaemon {
        let (strings, held) = Seqpacket::pair().expect("a socketpair");
        let log = Log::default();
        let for_thread = log.clone();
        let thread = thread::spawn(move || Server::run(socket, &held, for_thread));
        FakeDaemon {
            log,
            strings,
            thread: Some(thread),
        }
    }

    /// A connection comes in for every accept that waits, and every connect that waits is done.
    pub(crate) fn arrive(&self) {
        self.strings.send(b"arrive").expect("send");
    }

    /// Ends it between two instructions, as far as the client can see.
    pub(crate) fn kill(&mut self) {
        self.strings.shutdown().expect("shutdown");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake daemon did not panic");
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().expect("log").clone()
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.kill();
        }
    }
}

struct Server {
    socket: Seqpacket,
    arena: Arc<Arena>,
    bell: Arc<Bell>,
    log: Log,
    connections: HashMap<u64, Connection>,
    next: u64,
    /// Accepts that wait: request numbers.
    accepts: Vec<u32>,
    /// Connects to port 21 that wait.
    connects: Vec<(u32, SocketAddr)>,
    /// Connections handed off, by token.
    handed: HashMap<[u8; 16], (Connection, SocketAddr)>,
}

struct Connection {
    slot: DaemonSlot,
    behaviour: Behaviour,
    transmit: SharedRing,
    receive: SharedRing,
    written: u64,
    acknowledged: u64,
    received: u64,
    read: u64,
    fin_received: bool,
    peer_closed: bool,
    bell: Arc<Bell>,
}

impl Server {
    fn run(socket: Seqpacket, strings: &Seqpacket, log: Log) {
        let mut buffer = vec![0; 65536];
        let Ok(Received::Message(len)) = socket.recv(&mut buffer) else {
            return;
        };
        let (number, hello) = Request::decode(&buffer[..len]).expect("a request");
        let Request::Hello(hello) = &hello else {
            panic!("Hello comes first");
        };
        let layout = Layout::new(1, SLOTS, RING_MAXIMUM).expect("a layout");
        let arena = Arc::new(Arena::create(layout).expect("an arena"));
        let (bell, theirs) = Bell::pair().expect("a bell");
        let welcome = Welcome {
            version: VERSION,
            stack_threads: u16::from(hello.arena),
            slots: if hello.arena { SLOTS } else { 0 },
            ring_maximum: if hello.arena { RING_MAXIMUM } else { 0 },
            session: 1,
            daemon_version: "fake".into(),
        };
        let all: [BorrowedFd<'_>; 2] = [arena.as_fd(), theirs.as_fd()];
        let fds = if hello.arena { &all[..] } else { &[] };
        socket
            .try_send_with_fds(&Reply::Welcome(welcome).encode(number), fds)
            .expect("send");
        drop(theirs);
        let mut server = Server {
            socket,
            arena,
            bell: Arc::new(bell),
            log,
            connections: HashMap::new(),
            next: 100,
            accepts: Vec::new(),
            connects: Vec::new(),
            handed: HashMap::new(),
        };
        while server.turn(strings, &mut buffer) {}
    }

    /// Sleeps until there is something to do, and does it. False at the end.
    fn turn(&mut self, strings: &Seqpacket, buffer: &mut [u8]) -> bool {
        let arena = self.arena.clone();
        let doorbell = &arena.doorbells(0).to_daemon;
        if doorbell.prepare_sleep() {
            let mut fds = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&*self.bell, PollFlags::IN),
                PollFd::new(strings, PollFlags::IN),
            ];
            rustix::event::poll(&mut fds, None).expect("poll");
            let [socket, bell, pulled] = fds.map(|fd| !fd.revents().is_empty());
            doorbell.awake();
            if pulled {
                match strings.recv(buffer).expect("recv") {
                    Received::Message(_) => self.arrive(),
                    Received::End => return false,
                }
            }
            if bell {
                self.bell.silence().expect("silence");
            }
            if socket && !self.request(buffer) {
                return false;
            }
        }
        while let Some(marked) = doorbell.take() {
            for slot in marked {
                let found = self
                    .connections
                    .values_mut()
                    .find(|connection| connection.slot.slot() == slot);
                if let Some(connection) = found {
                    connection.pump();
                }
            }
        }
        true
    }

    fn request(&mut self, buffer: &mut [u8]) -> bool {
        let Ok(Received::Message(len)) = self.socket.recv(buffer) else {
            return false;
        };
        let (number, request) = Request::decode(&buffer[..len]).expect("a good client");
        self.log.lock().expect("log").push(request.clone());
        for (number, reply) in self.answer(number, request) {
            if self.socket.try_send(&reply.encode(number)).is_err() {
                return false;
            }
        }
        true
    }

    fn answer(&mut self, number: u32, request: Request) -> Vec<(u32, Reply)> {
        let refused = |code| Reply::error(code, "as the test wants it");
        let mut more = Vec::new();
        let reply = match request {
            Request::Connect(connect) => match connect.remote.port() {
                1 => refused(ErrorCode::ConnectionRefused),
                2 => refused(ErrorCode::NotPermitted),
                3 => Reply::Done,
                4 => {
                    let reason = Failure {
                        code: ErrorCode::QuotaExceeded,
                        detail: "too much".into(),
                    };
                    let _ = self.socket.try_send(&Event::SessionEnding(reason).encode());
                    let _ = self.socket.shutdown();
                    return more;
                }
                21 => {
                    self.connects.push((number, connect.remote));
                    return more;
                }
                port => Reply::Connected(self.open(behaviour(port), connect.remote)),
            },
            Request::Listen(listen) if listen.port == 80 => refused(ErrorCode::AddressInUse),
            Request::Listen(listen) => Reply::Listening {
                listener: 5,
                local: ([198, 18, 0, 2], listen.port.max(40000)).into(),
            },
            Request::Accept { nonblocking, .. } if nonblocking => refused(ErrorCode::WouldBlock),
            Request::Accept { .. } => {
                self.accepts.push(number);
                return more;
            }
            Request::CancelAccept { request } => {
                self.accepts.retain(|&waiting| waiting != request);
                more.push((request, refused(ErrorCode::Cancelled)));
                Reply::Done
            }
            Request::Shutdown { connection, how } => {
                let connection = self.connections.get_mut(&connection).expect("it is open");
                if how != libtcpclient::protocol::ShutdownHow::Read {
                    connection.fin_received = true;
                    connection.pump();
                }
                Reply::Done
            }
            Request::Close { connection, .. } | Request::Abort { connection } => {
                self.connections.remove(&connection).expect("it is open");
                Reply::Done
            }
            Request::GrowTransmit { connection } => {
                let connection = self.connections.get_mut(&connection).expect("it is open");
                let geometry = connection.grow();
                Reply::Grown {
                    capacity: geometry.capacity,
                    base: geometry.base,
                }
            }
            Request::HandOff { connection, uid } => match uid {
                Some(99) => refused(ErrorCode::QuotaExceeded),
                _ => self.hand_off(connection),
            },
            Request::AdoptHandoff { token } => match self.handed.remove(&token) {
                Some((connection, remote)) => Reply::Adopted(self.adopt(connection, remote)),
                None => refused(ErrorCode::BadToken),
            },
            Request::ConnectionStatus { .. } | Request::Show { .. } => {
                Reply::Status(Json::of(&status()).expect("fits"))
            }
            Request::Stats { cursor } => Reply::Rows(counters(cursor)),
            Request::SetOptions { .. } | Request::CloseListener { .. } => Reply::Done,
            Request::Ping => Reply::Pong {
                version: "fake".into(),
                pid: std::process::id(),
                uptime_ms: 1234,
            },
            other => panic!("the fake daemon does not know {other:?}"),
        };
        more.push((number, reply));
        more
    }

    fn arrive(&mut self) {
        for number in std::mem::take(&mut self.accepts) {
            let peer = ([198, 18, 0, 1], 50000).into();
            let reply = Reply::Accepted(self.open(Behaviour::Echo, peer));
            self.socket.try_send(&reply.encode(number)).expect("send");
        }
        for (number, remote) in std::mem::take(&mut self.connects) {
            let reply = Reply::Connected(self.open(Behaviour::Echo, remote));
            self.socket.try_send(&reply.encode(number)).expect("send");
        }
    }

    fn free_slot(&self) -> u32 {
        let used: Vec<u32> = self.connections.values().map(|c| c.slot.slot()).collect();
        (0..SLOTS)
            .find(|slot| !used.contains(slot))
            .expect("a slot")
    }

    fn open(&mut self, behaviour: Behaviour, remote: SocketAddr) -> Opened {
        let slot = self.free_slot();
        // Positions that do not begin at 0, and not at a multiple of the capacity.
        let ring = |direction| {
            SharedRing::new(self.arena.clone(), slot, direction, RING, 1000).expect("fits")
        };
        let connection = Connection {
            slot: DaemonSlot::new(self.arena.clone(), slot, 0),
            behaviour,
            transmit: ring(Direction::Transmit),
            receive: ring(Direction::Receive),
            written: 1000,
            acknowledged: 1000,
            received: 1000,
            read: 1000,
            fin_received: false,
            peer_closed: false,
            bell: self.bell.clone(),
        };
        let mut opened = self.enter(connection, remote);
        let connection = self
            .connections
            .get_mut(&opened.connection)
            .expect("just entered");
        match behaviour {
            Behaviour::Daytime => {
                connection.deliver(b"daytime\n");
                connection.end(SlotState::PEER_CLOSED, None);
            }
            Behaviour::Reset => {
                connection.deliver(b"last words");
                connection.end(SlotState::ENDED, Some(EndReason::Reset));
            }
            Behaviour::Echo | Behaviour::Stall | Behaviour::Stingy => {}
        }
        opened.remote = remote;
        opened
    }

    /// Tells the slot's words, and what the client is to know.
    fn enter(&mut self, connection: Connection, remote: SocketAddr) -> Opened {
        let state = match connection.peer_closed {
            true => SlotState::CONNECTED.with(SlotState::PEER_CLOSED),
            false => SlotState::CONNECTED,
        };
        connection.slot.open(StartPositions {
            receive_read: connection.read,
            receive_write: connection.received,
            transmit_acknowledged: connection.acknowledged,
            transmit_write: connection.written,
            receive: connection.receive.geometry(),
            transmit: connection.transmit.geometry(),
            state,
        });
        let wanted = match connection.behaviour {
            Behaviour::Stingy => RING_MAXIMUM / 4,
            _ => RING_MAXIMUM,
        };
        connection.slot.publish_transmit_wanted(wanted);
        let slot = connection.slot.slot();
        self.next += 1;
        self.connections.insert(self.next, connection);
        Opened {
            connection: self.next,
            slot,
            stack_thread: 0,
            local: ([198, 18, 0, 2], 40000).into(),
            remote,
            receive_maximum: RING_MAXIMUM,
            transmit_maximum: RING_MAXIMUM,
        }
    }

    /// Takes a connection out of its slot.
    fn hand_off(&mut self, connection: u64) -> Reply {
        let mut token = [7; 16];
        token[..8].copy_from_slice(&connection.to_le_bytes());
        let mut taken = self.connections.remove(&connection).expect("it is open");
        taken.take_over();
        let remote = ([198, 18, 0, 1], 7).into();
        self.handed.insert(token, (taken, remote));
        Reply::HandedOff {
            token,
            life_ms: 10_000,
        }
    }

    /// Gives it another slot, and moves its bytes there.
    fn adopt(&mut self, mut connection: Connection, remote: SocketAddr) -> Opened {
        let slot = self.free_slot();
        let moved = |old: &SharedRing, direction, from: u64, to: u64| {
            let base = from - 3;
            let ring = SharedRing::new(self.arena.clone(), slot, direction, old.capacity(), base);
            let ring = ring.expect("fits");
            let mut bytes = vec![0; (to - from) as usize];
            old.copy_out(from, &mut bytes);
            ring.copy_in(from, &bytes);
            ring
        };
        connection.receive = moved(
            &connection.receive,
            Direction::Receive,
            connection.read,
            connection.received,
        );
        connection.transmit = moved(
            &connection.transmit,
            Direction::Transmit,
            connection.acknowledged,
            connection.written,
        );
        connection.slot = DaemonSlot::new(self.arena.clone(), slot, 0);
        self.enter(connection, remote)
    }
}

fn behaviour(port: u16) -> Behaviour {
    match port {
        9 => Behaviour::Stall,
        10 => Behaviour::Stingy,
        13 => Behaviour::Daytime,
        19 => Behaviour::Reset,
        _ => Behaviour::Echo,
    }
}

impl Connection {
    /// Takes what the client wrote and read.
    fn take_over(&mut self) {
        self.written = self
            .slot
            .take_written(self.written, self.acknowledged, self.transmit.capacity())
            .expect("an honest client");
        self.read = self
            .slot
            .take_read(self.read, self.received)
            .expect("an honest client");
    }

    /// Moves what the client wrote to where it reads, as far as there is room.
    fn pump(&mut self) {
        if self.behaviour != Behaviour::Echo {
            return;
        }
        loop {
            self.take_over();
            self.grow_receive();
            let waiting = self.written - self.acknowledged;
            let room = u64::from(self.receive.capacity()) - (self.received - self.read);
            let len = waiting.min(room).min(4000) as usize;
            if len == 0 {
                break;
            }
            let mut bytes = vec![0; len];
            self.transmit.copy_out(self.acknowledged, &mut bytes);
            self.acknowledged += len as u64;
            self.slot.publish_acknowledged(self.acknowledged);
            self.ring_if(self.slot.wake_writer());
            self.deliver(&bytes);
            let quarter = u64::from(self.receive.capacity()) / 4;
            if self.slot.ask_notice(self.read + quarter) {
                continue;
            }
        }
        if self.fin_received && self.written == self.acknowledged && !self.peer_closed {
            self.end(SlotState::PEER_CLOSED, None);
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.receive.copy_in(self.received, bytes);
        self.received += bytes.len() as u64;
        self.slot.publish_received(self.received);
        self.ring_if(self.slot.wake_reader());
    }

    fn end(&mut self, state: SlotState, reason: Option<EndReason>) {
        self.peer_closed = true;
        self.slot
            .publish_state(SlotState::CONNECTED.with(state), reason);
        self.ring_if(self.slot.wake_reader());
        self.ring_if(self.slot.wake_writer());
    }

    fn ring_if(&self, asleep: bool) {
        if asleep {
            // The client may be gone.
            let _ = self.bell.ring();
        }
    }

    /// Only while empty or linear.
    fn grow_receive(&mut self) {
        let capacity = self.receive.capacity();
        if self.received - self.read == u64::from(capacity)
            && self.receive.grow(capacity * 2, self.read, self.received)
        {
            self.slot.publish_receive_geometry(self.receive.geometry());
        }
    }

    fn grow(&mut self) -> Geometry {
        self.written = self
            .slot
            .take_written(self.written, self.acknowledged, self.transmit.capacity())
            .expect("an honest client");
        let (start, end) = (self.acknowledged, self.written);
        let capacity = self.transmit.capacity() * 2;
        if self.transmit.grow(capacity, start, end) {
            self.slot
                .publish_transmit_geometry(self.transmit.geometry());
        }
        self.transmit.geometry()
    }
}

pub(crate) fn status() -> ConnectionStatus {
    ConnectionStatus {
        row: ConnectionRow {
            id: "3.1".into(),
            state: TcpState::Established,
            recv_q_bytes: 0,
            send_q_bytes: 12,
            local: ([198, 18, 0, 2], 40000).into(),
            peer: ([198, 18, 0, 1], 7).into(),
            owner: Owner::default(),
            timer: None,
        },
        passive: Some(false),
        age_ms: Some(5),
        last_received_ms: Some(1),
        last_sent_ms: None,
        snd: SendSequence::default(),
        rcv: None,
        congestion: CongestionStatus::default(),
        ecn: EcnStatus::default(),
        rtt: RttStatus::default(),
        options: OptionsStatus::default(),
        rings: RingsStatus::default(),
        counters: Some(ConnectionCounters::default()),
        timers: Vec::new(),
        not_sending: Some("peer-window".into()),
        peer_closed: false,
        send_closed: false,
        soft_error: None,
        end: None,
    }
}

/// Three pages: one row, none, one row.
fn counters(cursor: u64) -> Page {
    let mut page = Page::new();
    if cursor != 1 {
        assert!(page.push(&CounterRow {
            name: format!("counter-{cursor}"),
            value: cursor,
            help: "A counter.".into(),
        }));
    }
    page.next = if cursor < 2 { cursor + 1 } else { 0 };
    page
}
