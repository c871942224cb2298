//! What a restarted daemon still knows, and what its predecessor's peers find out (RFC 9293 §3.4.3, §3.5.1; RFC 6528).

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use libtcpclient::{Builder, OpenError, TcpStream};
use rustix::process::Signal;
use tcpd::system::clock;

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, kernel_listener, ours, passes};

/// The local port of every connection here: all of them are of one pair.
const PORT: u16 = 40_001;
/// One tick of the clock in an initial sequence number (RFC 9293 §3.4.1).
const TICK: Duration = Duration::from_micros(4);

fn open(daemon: &Daemon, remote: SocketAddr) -> Result<TcpStream, OpenError> {
    let session = daemon.session();
    Builder::new()
        .session(&session)
        .local(ours(PORT))
        .timeout(Duration::from_secs(20))
        .connect(remote)
}

/// Opens the pair, lets some bytes pass, and gives the initial sequence number.
fn used(daemon: &Daemon, listener: &TcpListener) -> (TcpStream, std::net::TcpStream, u32) {
    let remote = listener.local_addr().expect("its address");
    let mut stream = open(daemon, remote).expect("connect");
    let (mut peer, _) = listener.accept().expect("the kernel accepts");
    passes(&mut stream, &mut peer);
    let iss = stream.status().expect("it is open").snd.iss;
    (stream, peer, iss)
}

/// Both sides close, the kernel first: its side is in TIME-WAIT then, and tcpd has forgotten its own.
fn closed_by_the_kernel(daemon: &Daemon, mut stream: TcpStream, peer: std::net::TcpStream) {
    drop(peer);
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    drop(stream);
    wait_for("end of tcpd's side", 20, || {
        daemon.connections().is_empty().then_some(())
    });
    // Its line in the table: 06 is TIME-WAIT.
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let remote = format!(":{PORT:04X} 06 ");
    assert!(table.contains(&remote), "not in TIME-WAIT:\n{table}");
}

/// RFC 9293 §3.4.1 MUST-8, §3.4.3: over a restart, the numbers of a pair go on growing with the clock. With a new secret the second
/// would be anywhere: one time in tens of thousands it would be where it is looked for here.
fn numbers_go_on_after(signal: Signal) {
    let daemon = Daemon::start("");
    let (listener, _) = kernel_listener();
    let before = clock::now();
    let (stream, peer, first) = used(&daemon, &listener);
    closed_by_the_kernel(&daemon, stream, peer);

    let daemon = daemon.restart(signal);
    let (stream, _peer, second) = used(&daemon, &listener);
    let most = clock::now().duration_since(before).as_nanos() / TICK.as_nanos();
    let grown = second.wrapping_sub(first);
    assert!(
        grown > 5 && u128::from(grown) <= most,
        "ISS was {first}, is {second}: {grown} further, and {most} ticks have passed"
    );
    // The kernel's TIME-WAIT took the first SYN: nothing was sent twice.
    let status = stream.status().expect("it is open");
    let counters = status.counters.expect("it is established");
    assert_eq!(counters.retransmitted_segments, 0);
    assert!(!daemon.log().contains("kept secret"), "{}", daemon.log());
}

#[test]
fn initial_sequence_numbers_go_on_growing_when_the_daemon_was_stopped_and_started() {
    in_namespace(|| numbers_go_on_after(Signal::TERM));
}

#[test]
fn initial_sequence_numbers_go_on_growing_when_the_daemon_was_killed_and_started() {
    in_namespace(|| numbers_go_on_after(Signal::KILL));
}

/// RFC 9293 §3.4.3: who does not know the numbers in use is quiet for one MSL.
#[test]
fn a_daemon_that_cannot_use_the_kept_secret_says_so_and_is_quiet_for_one_msl() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["tcp.msl=1500ms"]);
        let (listener, remote) = kernel_listener();
        let (_stream, peer, _) = used(&daemon, &listener);
        fs::write(daemon.directory().join("private/secret"), "spoiled").expect("spoil it");
        let daemon = daemon.restart(Signal::KILL);
        let said = "the kept secret is not used: it does not hold what this version writes";
        wait_for("word about it in the log", 20, || {
            let log = daemon.log();
            (log.contains(said) && log.contains("1.5s")).then_some(())
        });
        let session = daemon.session();
        let mut hasty = Builder::new().session(&session);
        hasty = hasty.local(ours(PORT)).timeout(Duration::from_millis(100));
        let error = hasty.connect(remote).expect_err("it is quiet");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // It waits no longer than that, and then the old connection is found to be gone.
        open(&daemon, remote).expect("connect");
        let error = (&peer).read(&mut [0]).expect_err("the old one is over");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        // Once.
        let daemon = daemon.restart(Signal::KILL);
        let session = daemon.session();
        let at_once = Builder::new()
            .session(&session)
            .timeout(Duration::from_secs(1));
        at_once.connect(remote).expect("not quiet any more");
    });
}

/// A program that listens notices nothing but the end of its connections.
fn a_listener_is_there_again_after(signal: Signal) {
    let daemon = Daemon::start_with("", &["shutdown_grace=300ms"]);
    let builder = Builder::new().session(&daemon.session());
    let listener = builder.wait_for_daemon(PATIENCE).listen(ours(0));
    let listener = listener.expect("listen");
    let at = listener.local_addr().expect("its address");
    let connects = || std::net::TcpStream::connect_timeout(&at, PATIENCE).expect("connect");
    let mut before = connects();
    let (mut stream, _) = listener.accept().expect("accept");
    passes(&mut stream, &mut before);
    let accepting = listener.clone();
    let accepted = std::thread::spawn(move || accepting.accept());
    let daemon = daemon.restart(signal);
    wait_for("listener", 20, || {
        let mut control = daemon.control();
        let found = control.listeners(&Default::default()).next().is_some();
        found.then_some(())
    });
    let mut after = connects();
    let (mut next, _) = accepted.join().expect("no panic").expect("accept");
    next.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    passes(&mut next, &mut after);
    passes(&mut after, &mut next);
    // The old one says what became of it.
    let error = stream.write(b"x").expect_err("its daemon is gone");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn a_listener_registers_itself_again_when_the_daemon_was_stopped_and_started() {
    in_namespace(|| a_listener_is_there_again_after(Signal::TERM));
}

#[test]
fn a_listener_registers_itself_again_when_the_daemon_was_killed_and_started() {
    in_namespace(|| a_listener_is_there_again_after(Signal::KILL));
}

/// RFC 9293 §3.5.1, figure 9: who has forgotten everything asks for the same pair again. The peer answers with what it knows, gets a
/// reset for that, and the next SYN opens the pair anew.
#[test]
fn the_kernel_finds_out_that_the_daemon_has_forgotten_their_connection() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (listener, _) = kernel_listener();
        let (_stream, mut old, _) = used(&daemon, &listener);
        let daemon = daemon.restart(Signal::KILL);
        let (_stream, mut new, _) = used(&daemon, &listener);
        let error = old.read(&mut [0]).expect_err("it was reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        new.write_all(b"welcome back").expect("the new one lives");
    });
}

/// RFC 9293 §3.5.1, figure 10: text for a connection that is not known is answered with a reset.
#[test]
fn text_for_the_connection_of_a_daemon_that_was_killed_is_answered_with_a_reset() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (listener, _) = kernel_listener();
        let (_stream, mut old, _) = used(&daemon, &listener);
        let _daemon = daemon.restart(Signal::KILL);
        old.write_all(b"are you there?")
            .expect("the kernel takes it");
        let error = old.read(&mut [0]).expect_err("nobody is");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}
