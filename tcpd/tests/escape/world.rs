//! A daemon whose workers are in somebody else's hands, and a neighbour who must not notice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use libtcpclient::protocol::Filter;
use libtcpclient::protocol::status::ConnectionRow;

use crate::agent::GO;
use crate::attacker::{self, Outcome, Target};
use crate::attempts::Attempt;
use crate::common::daemon::{Daemon, STACK_V4};
use crate::common::deadline::wait_for;
use crate::raw_session;

/// How long a test waits for the other side.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Ports of the services.
pub(crate) const ECHO: u16 = 7;
pub(crate) const HTTP: u16 = 80;
pub(crate) const RAW: u16 = 70;
/// A command with the daemon's user, one with a user of its own, and one of that user that may have sessions.
pub(crate) const COMMAND: u16 = 71;
pub(crate) const WITH_USER: u16 = 72;
pub(crate) const WITH_SESSIONS: u16 = 73;

/// A running daemon with services, and one connection to it.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    neighbour: TcpStream,
    /// The worker that serves the neighbour.
    pub(crate) worker: i32,
    /// Whether this user has others to become.
    pub(crate) has_users: bool,
}

impl World {
    pub(crate) fn new() -> World {
        let site = site();
        std::fs::create_dir_all(&site).expect("a site");
        std::fs::write(site.join("public"), "for everybody").expect("a file");
        let service = |name: &str, port: u16, more: &str| {
            format!("[[service]]\nname = \"{name}\"\nport = {port}\n{more}\n")
        };
        // For every user, wherever this one is.
        let program = site.join("program");
        let this = std::env::current_exe().expect("this program");
        std::fs::copy(this, &program).expect("a copy");
        let exec = format!("exec = [{program:?}, {:?}]", attacker::COMMAND);
        let nobody = format!("{exec}\nuser = \"nobody\"");
        let map = std::fs::read_to_string("/proc/self/uid_map").expect("a map of users");
        let has_users = map.split_whitespace().nth(2) == Some("4294967295");
        let mut config = vec![
            service("echo", ECHO, "handler = \"echo\""),
            service(
                "http",
                HTTP,
                &format!("handler = \"http\"\ndirectory = {site:?}"),
            ),
            service(raw_session::SERVICE, RAW, "handler = \"echo\""),
            service("command", COMMAND, &exec),
        ];
        if has_users {
            config.push(service("with-user", WITH_USER, &nobody));
            let sessions = format!("{nobody}\nsessions = true");
            config.push(service("with-sessions", WITH_SESSIONS, &sessions));
        }
        let daemon = Daemon::start(&config.concat());
        let mut world = World {
            neighbour: connect(ECHO),
            worker: 0,
            has_users,
            daemon,
        };
        world.nobody_noticed();
        world.worker = world.worker_of(&world.neighbour);
        world
    }

    /// The neighbour's connection still works, the daemon and its spawner are those of the beginning.
    pub(crate) fn nobody_noticed(&mut self) {
        self.neighbour.write_all(b"still there?").expect("send");
        let mut back = [0; 12];
        self.neighbour.read_exact(&mut back).expect("receive");
        assert_eq!(&back, b"still there?");
        let mut control = self.daemon.control();
        let status = control.daemon_status().expect("the daemon lives");
        assert_eq!(status.spawner_restarts, 0);
    }

    /// The connection of this peer, as an operator sees it.
    pub(crate) fn row_of(&self, peer: &TcpStream) -> ConnectionRow {
        let address = peer.local_addr().expect("bound");
        wait_for("connection with its worker", PATIENCE.as_secs(), || {
            let mut control = self.daemon.control();
            let mut rows = control
                .list(&Filter::default())
                .map(|row| row.expect("a row"));
            rows.find(|row| row.peer == address && row.owner.pid.is_some())
        })
    }

    /// The neighbour's connection.
    pub(crate) fn neighbour(&self) -> ConnectionRow {
        self.row_of(&self.neighbour)
    }

    /// The process that serves this peer.
    pub(crate) fn worker_of(&self, peer: &TcpStream) -> i32 {
        let pid = self.row_of(peer).owner.pid.expect("a process");
        i32::try_from(pid).expect("an id")
    }

    pub(crate) fn spawner(&self) -> i32 {
        let status = self.daemon.control().daemon_status();
        let pid = status.expect("the daemon lives").spawner_pid;
        i32::try_from(pid.expect("a spawner")).expect("an id")
    }

    /// Daemon, spawner and the neighbour's worker, by name.
    pub(crate) fn targets(&self) -> [(&'static str, Target); 3] {
        let daemon = i32::try_from(self.daemon.pid()).expect("an id");
        [
            ("the daemon", target(daemon)),
            ("the spawner", target(self.spawner())),
            ("another worker", target(self.worker)),
        ]
    }

    /// Workers of a service that a signal has killed.
    fn killed(&self, service: &str, signal: i32) -> u64 {
        let mut control = self.daemon.control();
        let mut rows = control.services().map(|row| row.expect("a row"));
        let row = rows.find(|row| row.name == service).expect("the service");
        let signal = u8::try_from(signal).expect("a signal");
        row.exits
            .by_signal
            .get(&signal.into())
            .copied()
            .unwrap_or(0)
    }

    /// Lets a new worker of a service try.
    pub(crate) fn outcome(&self, port: u16, attempt: &Attempt) -> Outcome {
        let (service, threads) = match port {
            HTTP => ("http", 2),
            COMMAND => ("command", 1),
            WITH_USER => ("with-user", 1),
            WITH_SESSIONS => ("with-sessions", 1),
            _ => ("echo", 2), // Its own thread and its session's.
        };
        let killed = self.killed(service, libc::SIGSYS);
        let mut stream = connect(port);
        let words = serde_json::to_string(attempt).expect("JSON") + "\n";
        stream.write_all(words.as_bytes()).expect("send");
        let mut lines = BufReader::new(stream.try_clone().expect("clone"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("the worker's word");
        assert_eq!(line, "trying\n", "{attempt:?}");
        assert_confined(self.worker_of(&stream), threads);
        stream.write_all(GO).expect("send");
        line.clear();
        match lines.read_line(&mut line) {
            Ok(length) if length > 0 => Outcome::parse(line.trim_end()),
            // Of a command that ends the peer sees an end.
            Ok(_) | Err(_) => {
                wait_for("worker killed by SIGSYS", PATIENCE.as_secs(), || {
                    (self.killed(service, libc::SIGSYS) > killed).then_some(())
                });
                Outcome::Killed(libc::SIGSYS)
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(site()).ok();
    }
}

/// What http serves.
pub(crate) fn site() -> PathBuf {
    std::env::temp_dir().join(format!("tcpd-escape-site-{}", std::process::id()))
}

/// A connection of the kernel to a service.
pub(crate) fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::new(STACK_V4.parse().expect("an address"), port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream
}

/// Where a process can be reached, as only root with all capabilities can find out.
pub(crate) fn target(pid: i32) -> Target {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let readable = maps.lines().find(|line| line.contains(" r--p "));
    let start = readable.and_then(|line| line.split('-').next());
    let address = usize::from_str_radix(start.expect("a mapping"), 16).expect("an address");
    // An arena is what is most worth having: the memory through which a connection's bytes go. A command has its error stream.
    let holds = |number: &i32, what: &str| {
        let to = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
        to.is_ok_and(|to| to.to_string_lossy().contains(what))
    };
    let find = |what: &str| (0..64).find(|number| holds(number, what));
    let descriptor = find("arena").or_else(|| find("pipe:")).unwrap_or(0);
    Target {
        pid,
        address,
        descriptor,
    }
}

/// Every thread of a worker is under the filter, can gain nothing by exec, and has no capability.
fn assert_confined(pid: i32, expected: usize) {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let mut count = 0;
    for thread in threads {
        let status = thread.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(status).expect("status");
        for line in [
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
        ] {
            assert!(
                status.lines().any(|found| found == line),
                "{line}: {status}"
            );
        }
        count += 1;
    }
    assert_eq!(count, expected, "threads");
}
