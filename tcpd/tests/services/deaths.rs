//! What dies, and what must not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use super::common::daemon::Daemon;
use super::common::deadline::wait_for;
use super::common::namespace::in_namespace;
use super::{PATIENCE, connect, processes, row, service, signal, wait_for_row, worker_of};

fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"still there?").expect("send");
    let mut back = [0; 12];
    stream.read_exact(&mut back).expect("receive");
    assert_eq!(&back, b"still there?");
}

#[test]
fn a_killed_worker_resets_its_connection_and_nothing_else() {
    in_namespace(|| {
        let daemon = Daemon::start(&service("echo", 7, ""));
        let (mut victim, mut other) = (connect(7), connect(7));
        echoes(&mut victim);
        echoes(&mut other);
        signal(worker_of("echo", &victim), Signal::KILL);
        let error = victim.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        echoes(&mut other);
        let done = wait_for_row(&daemon, "echo", "the end", |row| row.workers == 1);
        assert_eq!(
            done.exits.by_signal.into_iter().collect::<Vec<_>>(),
            [(9, 1)]
        );
    });
}

#[test]
fn a_killed_spawner_is_started_again_and_connections_go_on() {
    in_namespace(|| {
        let daemon = Daemon::start(&service("echo", 7, ""));
        let mut old = connect(7);
        echoes(&mut old);
        let spawner = || processes("tcpd: spawner").first().map(|(pid, _)| *pid);
        let first = spawner().expect("a spawner");
        signal(first, Signal::KILL);
        // One that connects meanwhile waits for the next spawner.
        let mut new = connect(7);
        echoes(&mut new);
        let second = wait_for("spawner", PATIENCE.as_secs(), spawner);
        assert_ne!(first, second);
        echoes(&mut old);
        drop((old, new));
        let done = wait_for_row(&daemon, "echo", "the ends", |row| row.workers == 0);
        assert_eq!((done.started, done.exits.unknown), (2, 1));
        assert_eq!(
            done.exits.by_status.into_iter().collect::<Vec<_>>(),
            [(0, 1)]
        );
    });
}

#[test]
fn at_max_workers_connections_wait_in_the_backlog() {
    in_namespace(|| {
        let daemon = Daemon::start(&service("echo", 7, "max_workers = 2"));
        let mut streams: Vec<TcpStream> = (0..5).map(|_| connect(7)).collect();
        let full = wait_for_row(&daemon, "echo", "waiting", |row| {
            row.workers == 2 && row.waiting == 3
        });
        assert_eq!(full.max_workers, 2);
        for mut stream in streams.drain(..) {
            // What waits has no worker: it is served when its turn comes, and says nothing before.
            echoes(&mut stream);
            assert!(row(&daemon, "echo").workers <= 2);
        }
        let done = wait_for_row(&daemon, "echo", "the ends", |row| {
            row.workers == 0 && row.waiting == 0
        });
        assert_eq!((done.started, done.exits.by_status.get(&0)), (5, Some(&5)));
    });
}

#[test]
fn when_the_daemon_is_killed_nobody_is_left_over() {
    in_namespace(|| {
        let mut daemon = Daemon::start(&service("echo", 7, ""));
        let mut stream = connect(7);
        echoes(&mut stream);
        daemon.signal(Signal::KILL);
        daemon.ended(PATIENCE.as_secs());
        wait_for("end of spawner and worker", PATIENCE.as_secs(), || {
            processes("tcpd: ").is_empty().then_some(())
        });
    });
}

#[test]
fn a_stop_ends_the_workers() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with(&service("echo", 7, ""), &["shutdown_grace=100ms"]);
        let mut stream = connect(7);
        echoes(&mut stream);
        daemon.signal(Signal::TERM);
        assert!(daemon.ended(PATIENCE.as_secs()).success());
        assert_eq!(
            stream.read(&mut [0]).expect_err("a reset").kind(),
            ErrorKind::ConnectionReset
        );
        wait_for("end of spawner and worker", PATIENCE.as_secs(), || {
            processes("tcpd: ").is_empty().then_some(())
        });
    });
}
