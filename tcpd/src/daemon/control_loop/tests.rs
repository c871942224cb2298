//! The control loop with a stack thread that is only a queue of orders, and clients that are only sockets.

mod fuzz;
mod handoffs;
mod hostile;
mod inspections;
mod reload;
mod sessions;
mod stopping;
mod users;
mod workers;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;

use libtcpclient::protocol::{
    Connect, Event, FromDaemon, Hello, Listen, Opened, Reply, StreamOptions, VERSION,
};
use libtcpclient::socket::{Received, Seqpacket};

use super::*;
use crate::daemon::channel::{self, ReportSender};
use crate::daemon::configured_services;
use crate::ipc::credentials::Identity;
use crate::services::link::{Assignment, JobId, Ticket};
use crate::services::workforce::{Event as WorkerEvent, Workforce};

/// Turns a test waits for something before it fails; each waits at most [`TICK`].
const PATIENCE: u32 = 5000;
const TICK: Duration = Duration::from_millis(1);

/// Makes workers by remembering what was ordered.
#[derive(Debug)]
struct FakeSpawner {
    bell: OwnedFd,
    ordered: Vec<Assignment>,
    killed: Vec<JobId>,
    events: RefCell<VecDeque<WorkerEvent>>,
}

impl Workforce for FakeSpawner {
    fn room(&self) -> usize {
        8
    }

    fn spawn(&mut self, _now: Instant, assignment: Assignment) {
        self.ordered.push(assignment);
    }

    fn watch(&mut self, _job: JobId, _pid: i32) {}

    fn room_to_assign(&self) -> usize {
        8
    }

    fn assign(&mut self, _now: Instant, job: JobId, _ticket: Ticket) {
        let given = true;
        self.events
            .get_mut()
            .push_back(WorkerEvent::Assigned { job, given });
    }

    fn kill(&mut self, _now: Instant, job: JobId) {
        self.killed.push(job);
    }

    fn poll_event(&mut self, _now: Instant) -> Option<WorkerEvent> {
        self.events.get_mut().pop_front()
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant) {}
}

impl AsRawFd for FakeSpawner {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

impl Spawner for FakeSpawner {
    fn process(&self) -> Option<u32> {
        Some(4711)
    }

    fn started_again(&self) -> u64 {
        0
    }
}

struct Fixture {
    control: ControlLoop<FakeSpawner>,
    events: Events,
    orders: Receiver<Order>,
    reports: ReportSender<Report>,
    _directory: Directory,
}

/// Removed with the fixture.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("tcpd-control-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        let mut config = Config::default();
        config.control.socket = directory.join("tcpd.sock");
        // A small arena is made faster.
        config.limits.slots_per_session = 4;
        let file = directory.join("tcpd.toml");
        std::fs::write(&file, "").expect("the temporary directory is writable");
        let source = Source {
            file: Some(file),
            flags: vec![
                format!("control.socket={}", config.control.socket.display()),
                "limits.slots_per_session=4".to_owned(),
            ],
            ..Source::default()
        };
        change(&mut config);
        let socket = ControlSocket::open(&config.control).expect("a socket");
        let (orders, receiver, _waiting) = channel::orders().expect("an eventfd");
        let (sender, reports) = channel::reports().expect("an eventfd");
        let spawner = FakeSpawner {
            bell: spare().expect("an eventfd"),
            ordered: Vec::new(),
            killed: Vec::new(),
            events: RefCell::default(),
        };
        let services = configured_services::enabled(&config.services, &config);
        let supervisor = Supervisor::new(services, spawner, config.control.socket.clone(), 0);
        let setup = Setup {
            config,
            source,
            socket,
            orders,
            reports,
            interface: "tcpd0".to_owned(),
            offload: true,
            started: clock::now(),
            may_switch_users: false,
        };
        let control = ControlLoop::new(setup, supervisor).expect("a loop");
        Self {
            control,
            events: Events::with_capacity(64),
            orders: receiver,
            reports: sender,
            _directory: Directory(directory),
        }
    }

    fn turn(&mut self) -> Option<u64> {
        self.control
            .turn(&mut self.events, Some(TICK))
            .expect("the loop goes on")
    }

    /// Turns until `done` says so.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("it never came to this: {what}");
    }

    /// A client that connects as this process.
    fn connect(&mut self) -> Client {
        let socket = Seqpacket::connect(&self.control.config.control.socket).expect("it listens");
        socket.set_nonblocking(true).expect("a socket");
        Client { socket }
    }

    /// A client of another user; who it is, the kernel does not say here but the test.
    fn connect_as(&mut self, uid: u32, pidfd: Option<OwnedFd>) -> Client {
        let (ours, theirs) = Seqpacket::pair().expect("sockets");
        theirs.set_nonblocking(true).expect("a socket");
        let identity = Identity {
            uid,
            gid: uid,
            groups: Vec::new(),
            pid: std::process::id(),
        };
        self.control.welcome(clock::now(), ours, identity, pidfd);
        Client { socket: theirs }
    }

    /// A client that has said Hello and been welcomed.
    fn client(&mut self, uid: u32, arena: bool) -> Client {
        let client = self.connect_as(uid, None);
        client.say(1, &hello(arena, None));
        match self.hear(&client) {
            FromDaemon::Reply(1, Reply::Welcome(_)) => client,
            other => panic!("not welcome: {other:?}"),
        }
    }

    /// The next message for a client.
    fn hear(&mut self, client: &Client) -> FromDaemon {
        self.hear_with_descriptors(client).0
    }

    fn hear_with_descriptors(&mut self, client: &Client) -> (FromDaemon, Vec<OwnedFd>) {
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut heard = None;
        self.until("a message for the client", |_| {
            match client.socket.recv_with_fds(&mut buffer, 16) {
                Ok((Received::Message(length), descriptors)) => {
                    heard = Some((
                        FromDaemon::decode(&buffer[..length]).expect("a good message"),
                        descriptors,
                    ));
                    true
                }
                Ok((Received::End, _)) => panic!("the session has ended"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
                Err(error) => panic!("{error}"),
            }
        });
        heard.expect("until returns when there is one")
    }

    fn answer(&mut self, client: &Client, number: u32, request: &Request) -> Reply {
        client.say(number, request);
        self.answer_to(client, number)
    }

    fn answer_to(&mut self, client: &Client, number: u32) -> Reply {
        match self.hear(client) {
            FromDaemon::Reply(answered, reply) if answered == number => reply,
            other => panic!("not the answer to {number}: {other:?}"),
        }
    }

    /// The session ends; its last word, if it got one.
    fn end_of(&mut self, client: &Client) -> Option<FromDaemon> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut last = None;
        self.until("the end of the session", |_| {
            loop {
                match client.socket.recv(&mut buffer) {
                    Ok(Received::Message(length)) => {
                        last = Some(FromDaemon::decode(&buffer[..length]).expect("a good message"));
                    }
                    Ok(Received::End) => return true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        last
    }

    /// The next order to the stack thread.
    fn order(&mut self) -> Order {
        let mut order = None;
        self.until("an order", |fixture| {
            order = fixture.orders.try_recv().ok();
            order.is_some()
        });
        order.expect("until returns when there is one")
    }

    /// Something happens to a worker.
    fn worker_event(&mut self, event: WorkerEvent) {
        let workforce = self.control.services.workforce();
        workforce.events.borrow_mut().push_back(event);
        self.control.on_spawner(clock::now());
    }

    fn report(&self, report: Report) {
        self.reports.send(report).expect("the loop is there");
    }

    fn ended(&self, by: EndedBy) -> u64 {
        self.control.counts.ended.get(&by).copied().unwrap_or(0)
    }
}

struct Client {
    socket: Seqpacket,
}

impl Client {
    fn say(&self, number: u32, request: &Request) {
        self.say_bytes(&request.encode(number));
    }

    /// Why its session ends, when that is the next it hears from a loop that turns no more.
    fn last_word(&self) -> libtcpclient::protocol::Failure {
        let mut buffer = vec![0; MAX_MESSAGE];
        let Ok(Received::Message(length)) = self.socket.recv(&mut buffer) else {
            panic!("no last word")
        };
        match FromDaemon::decode(&buffer[..length]) {
            Ok(FromDaemon::Event(Event::SessionEnding(failure))) => failure,
            other => panic!("not the last word: {other:?}"),
        }
    }

    fn say_bytes(&self, bytes: &[u8]) {
        self.socket.try_send(bytes).expect("room");
    }
}

fn hello(arena: bool, token: Option<[u8; 16]>) -> Request {
    Request::Hello(Hello {
        version: VERSION,
        arena,
        token,
        program: "test".to_owned(),
    })
}

fn listen(port: u16) -> Request {
    Request::Listen(Listen {
        address: None,
        port,
        reuse: false,
        backlog: 0,
        options: StreamOptions::default(),
    })
}

fn connect() -> Request {
    let remote = "198.18.0.1:80".parse().expect("an address");
    let options = StreamOptions::default();
    Request::Connect(Connect {
        local: None,
        local_port: 0,
        reuse: false,
        remote,
        timeout_ms: 0,
        options,
    })
}

fn opened(connection: u64) -> Opened {
    let (local, remote) = (
        "198.18.0.2:40000".parse().expect("one"),
        "198.18.0.1:80".parse().expect("one"),
    );
    Opened {
        connection,
        slot: 0,
        stack_thread: 0,
        local,
        remote,
        receive_maximum: 0,
        transmit_maximum: 0,
    }
}

fn code(reply: &Reply) -> Option<libtcpclient::protocol::ErrorCode> {
    match reply {
        Reply::Error(failure) => Some(failure.code),
        _ => None,
    }
}
