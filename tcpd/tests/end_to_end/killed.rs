//! What becomes of connections when a client or the daemon ends: the rest is delivered or reset, and nobody waits for ever.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::thread::{self, ScopedJoinHandle};

use libtcpclient::protocol::status::{TcpState, TimerRow};
use libtcpclient::{Builder, Session, TcpStream};
use rustix::process::Signal;

use crate::common::client_process::{client_command, role};
use crate::common::daemon::{Daemon, HOST_V4, STACK_V4};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, connect};
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};

const MIB: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// A client in a process of its own, whose role is the address it connects to.
struct Client {
    process: Child,
    /// The kernel's end of its connection.
    peer: std::net::TcpStream,
}

impl Client {
    /// Starts it and waits until it has said that it is ready.
    fn start(daemon: &Daemon) -> Client {
        let listener = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let at = listener.local_addr().expect("its address");
        let mut command = client_command(daemon, &at.to_string());
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the client");
        let (peer, _) = listener.accept().expect("the kernel accepts");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // What the client reads before it is ready.
        (&peer).write_all(b"welcome").expect("send");
        let output = process.stdout.take().expect("piped");
        let said = BufReader::new(output).lines();
        let ready = said
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"));
        assert!(ready, "the client ended before it was ready");
        Client { process, peer }
    }

    fn kill(&mut self) {
        self.process.kill().expect("kill the client");
        self.process.wait().expect("reap the client");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may be dead already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// In a client process: its connection, after the welcome was read.
fn client() -> Option<TcpStream> {
    let peer: SocketAddr = role()?.parse().expect("an address");
    let mut stream = TcpStream::connect(peer).expect("connect through tcpd");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let mut welcome = [0; 7];
    stream.read_exact(&mut welcome).expect("read");
    assert_eq!(&welcome, b"welcome");
    Some(stream)
}

/// In a client process: says that all is done, and waits to be killed.
fn wait_to_be_killed() -> ! {
    println!("ready");
    loop {
        thread::park();
    }
}

#[test]
fn a_client_killed_with_unread_data_is_a_reset_for_its_peer() {
    in_namespace(|| {
        if let Some(_stream) = client() {
            wait_to_be_killed();
        }
        let daemon = Daemon::start("");
        let mut client = Client::start(&daemon);
        client.peer.write_all(&[1; 1000]).expect("send");
        wait_for("unread data", 20, || {
            let rows = daemon.connections();
            rows.iter()
                .any(|row| row.recv_q_bytes == 1000)
                .then_some(())
        });
        client.kill();
        let error = client.peer.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn what_a_client_wrote_before_it_was_killed_arrives_whole_and_then_the_end() {
    // What the first ring and the window that the kernel offers at first hold between them.
    const BYTES: usize = 100 << 10;
    in_namespace(|| {
        if let Some(mut stream) = client() {
            write_pattern(&mut stream, &mut Pattern::new(9), BYTES, CHUNK);
            wait_to_be_killed();
        }
        let daemon = Daemon::start("");
        let mut client = Client::start(&daemon);
        client.kill();
        // The session is over before the first byte is read.
        wait_for("end of the session", 20, || {
            let status = daemon.control().daemon_status().expect("the daemon lives");
            (status.sessions == 1).then_some(())
        });
        expect_pattern(&mut client.peer, &mut Pattern::new(9), BYTES, CHUNK);
        assert_eq!(client.peer.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_stopping_daemon_lets_a_transfer_finish() {
    const BYTES: usize = 50 * MIB;
    in_namespace(|| {
        let mut daemon = Daemon::start_with("", &["shutdown_grace=60s"]);
        let session = daemon.session();
        let (ours, theirs) = connect(&session);
        let (mut sent, mut back) = (Pattern::new(1), Pattern::new(2));
        thread::scope(|scope| {
            let (mut ours_out, mut theirs_out) = (&ours, &theirs);
            let (mut ours_in, mut theirs_in) = (&ours, &theirs);
            scope.spawn(move || {
                write_pattern(&mut ours_out, &mut Pattern::new(1), BYTES, CHUNK);
                ours_out.shutdown(Shutdown::Write).expect("shut");
            });
            scope.spawn(move || {
                write_pattern(&mut theirs_out, &mut Pattern::new(2), BYTES, CHUNK);
                theirs_out.shutdown(Shutdown::Write).expect("shut");
            });
            expect_pattern(&mut theirs_in, &mut sent, 4 * MIB, CHUNK);
            daemon.signal(Signal::TERM);
            wait_for("stopping daemon", 20, || {
                let status = daemon.control().daemon_status().expect("it still answers");
                status.draining.then_some(())
            });
            // Nothing new is taken, from either side.
            Session::open_at(&daemon.socket()).expect_err("no new client");
            let nobody = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
            let at = nobody.local_addr().expect("its address");
            let refused = Builder::new().session(&session).connect(at);
            refused.expect_err("no new connection");
            scope.spawn(move || {
                expect_pattern(&mut ours_in, &mut back, BYTES, CHUNK);
                assert_eq!(ours_in.read(&mut [0]).expect("the end"), 0);
            });
            expect_pattern(&mut theirs_in, &mut sent, BYTES - 4 * MIB, CHUNK);
            assert_eq!(theirs_in.read(&mut [0]).expect("the end"), 0);
        });
        drop((ours, theirs));
        // Well before the grace is over.
        assert!(daemon.ended(20).success());
    });
}

/// Threads that wait for the daemon in every way there is, and what must end them.
fn blocked_calls<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    daemon: &Daemon,
    session: &'scope Session,
) -> (
    Vec<ScopedJoinHandle<'scope, std::io::Error>>,
    Vec<std::net::TcpStream>,
) {
    let (reading, reading_peer) = connect(session);
    let (writing, writing_peer) = connect(session);
    let nowhere: SocketAddr = "198.18.0.77:80".parse().expect("an address");
    let at = SocketAddr::new(STACK_V4.parse().expect("an address"), 0);
    let listener = Builder::new().session(session).listen(at).expect("listen");
    let threads = vec![
        scope.spawn(move || (&reading).read(&mut [0]).expect_err("a reader waits")),
        scope.spawn(move || {
            let much = vec![0; 64 * MIB];
            (&writing).write_all(&much).expect_err("a writer waits")
        }),
        scope.spawn(move || listener.accept().expect_err("an acceptor waits").into()),
        scope.spawn(move || {
            let connecting = Builder::new().session(session).connect(nowhere);
            connecting.expect_err("a connect waits").into()
        }),
    ];
    wait_for("SYN to nowhere and a closed window", 20, || {
        let rows = daemon.connections();
        let connecting = rows.iter().any(|row| row.state == TcpState::SynSent);
        let probing = |timer: &TimerRow| timer.name == "zero-window";
        let writing = rows
            .iter()
            .any(|row| row.timer.as_ref().is_some_and(probing));
        (connecting && writing).then_some(())
    });
    (threads, vec![reading_peer, writing_peer])
}

/// Each thread has ended with an error that says what happened.
fn all_ended(threads: Vec<ScopedJoinHandle<'_, std::io::Error>>) {
    wait_for("end of every blocked call", 10, || {
        threads
            .iter()
            .all(ScopedJoinHandle::is_finished)
            .then_some(())
    });
    for thread in threads {
        let error = thread.join().expect("no panic");
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{:?}: {error}",
            error.kind()
        );
        assert!(!error.to_string().is_empty());
    }
}

/// The kernel's ends are reset.
fn all_reset(peers: Vec<std::net::TcpStream>) {
    for mut peer in peers {
        let mut scrap = vec![0; CHUNK];
        let end = loop {
            match peer.read(&mut scrap) {
                Ok(0) => panic!("an end as if nothing had happened"),
                Ok(_) => {}
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(end, ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_second_sigterm_ends_the_daemon_at_once_and_every_blocked_call() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with("", &["shutdown_grace=600s"]);
        let session = daemon.session();
        thread::scope(|scope| {
            let (threads, peers) = blocked_calls(scope, &daemon, &session);
            daemon.signal(Signal::TERM);
            wait_for("stopping daemon", 20, || {
                let status = daemon.control().daemon_status().expect("it still answers");
                status.draining.then_some(())
            });
            daemon.signal(Signal::TERM);
            assert!(daemon.ended(10).success());
            all_ended(threads);
            all_reset(peers);
        });
    });
}

#[test]
fn what_is_not_done_when_the_grace_is_over_is_reset() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with("", &["shutdown_grace=700ms"]);
        let session = daemon.session();
        thread::scope(|scope| {
            let (threads, peers) = blocked_calls(scope, &daemon, &session);
            daemon.signal(Signal::TERM);
            assert!(daemon.ended(10).success());
            all_ended(threads);
            all_reset(peers);
        });
    });
}
