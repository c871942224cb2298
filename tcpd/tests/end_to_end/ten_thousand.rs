//! Ten thousand idle connections by ten clients: what they cost, and how fast they are gone.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream as KernelStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use libtcpclient::protocol::status::TcpState;
use libtcpclient::{Builder, Session, TcpStream};
use tcpd::system::clock;

use crate::common::client_process::{client_command, role};
use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{kernel_listener, patient};
use crate::common::resources::{kept_waiting, many_descriptors};
use crate::common::tcp_info::tcp_info;

const CLIENTS: usize = 10;
const CONNECTIONS_OF_EACH: usize = 1_000;
const CONNECTIONS: usize = CLIENTS * CONNECTIONS_OF_EACH;
/// In this time all of them are closed.
const CLOSING: Duration = Duration::from_secs(2);
/// The most that an idle connection may cost the daemon, its share of the arenas not counted; bytes.
const MOST_PRIVATE: u64 = 8 << 10;
/// The most that it may occupy in an arena when it has carried a word each way: a page of either ring and its share of the rest.
const MOST_SHARED: u64 = 3 * 4096;

/// In a client: opens its connections, carries a word over each, and waits for the word to close them.
fn client(role: &str) {
    let peer: SocketAddr = role.parse().expect("an address");
    let session = Session::open().expect("a session");
    let connect = |_| Builder::new().session(&session).connect(peer);
    let streams: Result<Vec<TcpStream>, _> = (0..CONNECTIONS_OF_EACH).map(connect).collect();
    let mut streams = streams.expect("connect through tcpd");
    said(&mut std::io::stdin().lock());
    for stream in &mut streams {
        stream.write_all(b"a").expect("send");
    }
    for stream in &mut streams {
        stream.read_exact(&mut [0]).expect("receive");
    }
    said(&mut std::io::stdin().lock());
    drop(streams);
}

/// Reads a line.
fn said(input: &mut impl BufRead) -> String {
    println!("waiting");
    let mut line = String::new();
    input.read_line(&mut line).expect("a line");
    line
}

/// A client's process, which waits for a line when it says so.
struct Client {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Client {
    fn start(daemon: &Daemon, at: SocketAddr) -> Client {
        let mut command = client_command(daemon, &at.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("start a client");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Client { process, output }
    }

    fn is_waiting(&mut self) {
        let mut lines = (&mut self.output).lines().map_while(Result::ok);
        assert!(
            lines.any(|line| line.ends_with("waiting")),
            "a client ended"
        );
    }

    fn go_on(&mut self) {
        let input = self.process.stdin.as_mut().expect("piped");
        input.write_all(b"go on\n").expect("the client reads");
    }
}

/// What the daemon occupies, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// Its own, resident.
    private: u64,
    /// All of it that is resident: its own, files, and pages of arenas it has looked at.
    resident: u64,
    /// Allocated pages of all arenas.
    shared: u64,
}

impl Memory {
    fn of(daemon: &Daemon) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
        let status = status.expect("the daemon lives");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number: Option<u64> =
                line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            1024 * number.unwrap_or_else(|| panic!("no {name}"))
        };
        let mut control = daemon.control();
        let sessions = control.sessions().map(|row| row.expect("a row"));
        Memory {
            private: field("RssAnon:"),
            resident: field("VmRSS:"),
            shared: sessions.map(|row| row.allocated_bytes).sum(),
        }
    }

    /// What each connection costs more than `before`.
    fn each(self, before: Memory) -> Memory {
        let each = |now: u64, before: u64| now.saturating_sub(before) / CONNECTIONS as u64;
        Memory {
            private: each(self.private, before.private),
            resident: each(self.resident, before.resident),
            shared: each(self.shared, before.shared),
        }
    }
}

/// The kernel's ends, accepted while the clients connect.
fn accept(listener: &TcpListener) -> Vec<KernelStream> {
    let peers = listener.incoming().take(CONNECTIONS);
    peers
        .map(|peer| {
            let peer = peer.expect("the kernel accepts");
            patient(&peer);
            peer
        })
        .collect()
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_are_closed_at_once() {
    in_namespace(|| {
        if let Some(role) = role() {
            return client(&role);
        }
        many_descriptors();
        let daemon = Daemon::start("");
        let (listener, at) = kernel_listener();
        let before = Memory::of(&daemon);
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::start(&daemon, at)).collect();
        let mut peers = accept(&listener);
        clients.iter_mut().for_each(Client::is_waiting);
        let new = Memory::of(&daemon).each(before);
        println!("a connection that never carried a byte costs the daemon, in bytes: {new:?}");

        clients.iter_mut().for_each(Client::go_on);
        // A few at a time: the kernel's queue to tcpd holds 500 packets, and loses what is more.
        for peers in peers.chunks_mut(250) {
            for peer in &mut *peers {
                peer.read_exact(&mut [0]).expect("receive");
                peer.write_all(b"b").expect("send");
            }
            wait_for("acknowledgments", 20, || {
                let mut all = peers.iter();
                all.all(|peer| tcp_info(peer).tcpi_unacked == 0)
                    .then_some(())
            });
        }
        clients.iter_mut().for_each(Client::is_waiting);
        let used = Memory::of(&daemon).each(before);
        println!("an idle one that has carried a word each way costs, in bytes: {used:?}");
        assert!(used.private <= MOST_PRIVATE, "{used:?}");
        assert!(used.shared <= MOST_SHARED, "{used:?}");

        // Half of the clients close in order, the others are killed.
        let watched = [daemon.pid(), std::process::id()];
        let (began, waited) = (clock::now(), kept_waiting(&watched));
        for (number, client) in clients.iter_mut().enumerate() {
            match number % 2 {
                0 => client.go_on(),
                _ => client.process.kill().expect("kill a client"),
            }
        }
        for mut peer in peers {
            match peer.read(&mut [0]) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("neither end nor reset: {other:?}"),
            }
        }
        wait_for("return of all slots", 20, || {
            (daemon.counter("slots") == 0).then_some(())
        });
        let took = clock::now().duration_since(began);
        let waited = kept_waiting(&watched).saturating_sub(waited);
        println!("all closed in {took:?}; for {waited:?} of it others had the processors");
        for (number, mut client) in clients.into_iter().enumerate() {
            let status = client.process.wait().expect("reap a client");
            assert_eq!(status.success(), number % 2 == 0, "{status}");
        }
        assert!(took < CLOSING + waited, "all closed in {took:?}");
        wait_for("end of all connections", 60, || {
            let status = daemon.control().daemon_status().expect("it lives");
            let mut states = status.connections.keys();
            states
                .all(|state| *state == TcpState::TimeWait)
                .then_some(())
        });
    });
}
