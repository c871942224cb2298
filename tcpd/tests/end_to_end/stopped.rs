//! A client that is stopped (SIGSTOP) and goes on (SIGCONT): its peers see a closed window, and nobody else sees anything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as KernelStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use libtcpclient::{Builder, Session, TcpStream};
use rustix::process::{Pid, Signal, kill_process};
use tcpd::system::clock;

use crate::common::client_process::{client_command, role};
use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{ECHO, PATIENCE, echoes, kernel_listener, ours, patient};
use crate::common::pattern::Pattern;
use crate::common::program::Ended;
use crate::common::tcp_info::tcp_info;
use crate::hostile::neighbour::Neighbour;

const CHUNK: usize = 64 << 10;
/// At least this much goes each way before the client is stopped, and after.
const SOME: u64 = 4 << 20;

/// In the client: gives back all that comes, until it ends.
fn client(role: &str) {
    let peer: SocketAddr = role.parse().expect("an address");
    let session = Session::open().expect("a session");
    let stream = Builder::new().session(&session).connect(peer);
    let mut stream = stream.expect("connect through tcpd");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut pattern = Pattern::new(1);
    let (mut buffer, mut wanted, mut total) = (vec![0; CHUNK], vec![0; CHUNK], 0);
    loop {
        let length = stream.read(&mut buffer).expect("receive");
        if length == 0 {
            break;
        }
        pattern.fill(&mut wanted[..length]);
        assert!(buffer[..length] == wanted[..length], "wrong after {total}");
        stream.write_all(&buffer[..length]).expect("send");
        total += length;
    }
    stream.shutdown(Shutdown::Write).expect("shut");
    TcpStream::close(stream).expect("close");
    println!("received {total}");
}

/// Bytes that the kernel's end has sent and got back so far.
#[derive(Default)]
struct Moved {
    sent: AtomicU64,
    back: AtomicU64,
    over: AtomicBool,
}

impl Moved {
    fn send(&self, mut stream: &KernelStream) {
        let (mut pattern, mut chunk) = (Pattern::new(1), vec![0; CHUNK]);
        while !self.over.load(Relaxed) {
            pattern.fill(&mut chunk);
            stream.write_all(&chunk).expect("the kernel sends");
            self.sent.fetch_add(CHUNK as u64, Relaxed);
        }
        stream.shutdown(Shutdown::Write).expect("shut");
    }

    fn receive(&self, mut stream: &KernelStream) {
        let (mut pattern, mut got, mut wanted) = (Pattern::new(1), vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let length = stream.read(&mut got).expect("the kernel receives");
            if length == 0 {
                return;
            }
            pattern.fill(&mut wanted[..length]);
            assert!(got[..length] == wanted[..length], "other bytes came back");
            self.back.fetch_add(length as u64, Relaxed);
        }
    }

    /// Waits until much more has gone both ways.
    fn goes_on(&self) {
        let before = self.back.load(Relaxed);
        wait_for("bytes both ways", 20, || {
            (self.back.load(Relaxed) >= before + SOME).then_some(())
        });
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("signal the client");
}

/// What tcpd still offers the peer of the client's one connection.
fn window(daemon: &Daemon, client: u32) -> u64 {
    let rows = daemon.connections();
    let row = rows.iter().find(|row| row.owner.pid == Some(client));
    let id = &row.expect("the client's connection").id;
    let status = daemon.control().show(id).expect("a status");
    status.rcv.expect("receive space").wnd_bytes
}

/// The stop lasts until the kernel has probed the closed window a few times; `TCPD_STOP_SECONDS` makes it longer.
#[test]
fn a_stopped_client_closes_its_window_and_goes_on_and_nobody_else_notices() {
    in_namespace(|| {
        if let Some(role) = role() {
            return client(&role);
        }
        let at_least = super::kills::from_environment("TCPD_STOP_SECONDS").unwrap_or(0);
        let daemon = Daemon::start(ECHO);
        let neighbour = Neighbour::start(&daemon);
        let served = KernelStream::connect(ours(7)).expect("connect");
        patient(&served);
        let (listener, at) = kernel_listener();
        let mut command = client_command(&daemon, &at.to_string());
        let client = command.stdout(Stdio::piped()).spawn();
        let client = Ended(client.expect("a client"));
        listener.set_nonblocking(true).expect("a socket");
        let (peer, _) = wait_for("client's connection", 60, || listener.accept().ok());
        // It is stuck for as long as the client is stopped, and not for ever.
        let patience = Some(Duration::from_secs(60 + at_least));
        peer.set_read_timeout(patience).expect("a timeout");
        peer.set_write_timeout(patience).expect("a timeout");
        let moved = Moved::default();
        let mut client = thread::scope(|scope| {
            // In here, so that it is killed when this panics: then the threads end too.
            let client = client;
            scope.spawn(|| moved.send(&peer));
            scope.spawn(|| moved.receive(&peer));
            moved.goes_on();

            signal(&client.0, Signal::STOP);
            let stopped = clock::now();
            wait_for("closed window", 20, || {
                // Less than a segment: the kernel sends no more but probes.
                (window(&daemon, client.0.id()) < 1000).then_some(())
            });
            let stuck = moved.sent.load(Relaxed);
            let mut rounds = 0;
            wait_for("probes of the closed window", 60 + at_least, || {
                neighbour.moves_on();
                echoes(&served);
                rounds += 1;
                let long_enough = clock::now() >= stopped + Duration::from_secs(at_least);
                // It has probed the closed window, each time after twice the time.
                (tcp_info(&peer).tcpi_backoff >= 2 && long_enough).then_some(())
            });
            println!(
                "stopped for {:?}; others did {rounds} rounds meanwhile",
                clock::now().duration_since(stopped)
            );
            // What the peer's own buffers took, and nothing else.
            assert!(moved.sent.load(Relaxed) <= stuck + (16 << 20));
            signal(&client.0, Signal::CONT);
            moved.goes_on();
            moved.over.store(true, Relaxed);
            client
        });
        let (sent, back) = (moved.sent.load(Relaxed), moved.back.load(Relaxed));
        assert_eq!(sent, back);
        let output = BufReader::new(client.0.stdout.take().expect("piped"));
        let wanted = format!("received {sent}");
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with(&wanted)), "{wanted}");
        assert!(client.0.wait().expect("reap the client").success());
        neighbour.finish();
    });
}
