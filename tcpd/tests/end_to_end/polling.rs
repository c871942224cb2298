//! Programs with one loop for many connections: what streams, listeners and connections being opened show to poll.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use libtcpclient::{Builder, Connecting, OpenError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::common::daemon::{Daemon, HOST_V4};
use crate::common::deadline::wait_for;
use crate::common::examples::Example;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, echoes, kernel_listener, ours, patient, theirs};
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};
use crate::common::resources::many_descriptors;

/// All open at once, in one thread of the server.
const MANY: usize = 2_500;
/// The server's port.
const PORT: u16 = 7777;

/// The mio example, listening.
fn mio_server(daemon: &Daemon) -> Example {
    let server = Example::start("mio_server", |command| {
        command
            .arg(ours(PORT).to_string())
            .env("TCPD_SOCKET", daemon.socket())
            .env("TCPD_WAIT", "30")
    });
    listens(daemon);
    server
}

fn listens(daemon: &Daemon) {
    wait_for("listener", 30, || {
        let mut control = daemon.control();
        let found = control.listeners(&Default::default()).next().is_some();
        found.then_some(())
    });
}

fn kernel_connects() -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect_timeout(&ours(PORT), PATIENCE);
    let stream = stream.expect("the kernel connects");
    patient(&stream);
    stream
}

#[test]
fn one_loop_of_mio_serves_thousands_of_connections() {
    in_namespace(|| {
        many_descriptors();
        let daemon = Daemon::start("");
        let mut server = mio_server(&daemon);
        let clients: Vec<_> = (0..MANY).map(|_| kernel_connects()).collect();
        for round in 0..3 {
            let word = |client: usize| ((client << 8 | round) as u64).to_le_bytes();
            for (number, mut client) in clients.iter().enumerate() {
                client.write_all(&word(number)).expect("send");
            }
            for (number, mut client) in clients.iter().enumerate() {
                let mut back = [0; 8];
                client.read_exact(&mut back).expect("receive");
                assert_eq!(back, word(number), "connection {number}");
            }
        }
        let rows = daemon.connections();
        let served = rows
            .iter()
            .filter(|row| row.owner.pid == Some(server.pid()))
            .count();
        assert_eq!(served, MANY);
        // The loop, and the library's thread for the session.
        let tasks = format!("/proc/{}/task", server.pid());
        let threads = std::fs::read_dir(tasks).expect("its threads").count();
        assert_eq!(threads, 2);
        // Some send much, and end their half, while the others wait.
        std::thread::scope(|scope| {
            for (seed, client) in clients.iter().enumerate().step_by(MANY / 20) {
                let (mut up, mut down) = (client, client);
                let bytes = 512 << 10;
                scope.spawn(move || {
                    write_pattern(&mut up, &mut Pattern::new(seed as u64), bytes, 50_000);
                    up.shutdown(Shutdown::Write).expect("half-close");
                });
                scope.spawn(move || {
                    expect_pattern(&mut down, &mut Pattern::new(seed as u64), bytes, 50_000);
                    assert_eq!(down.read(&mut [0]).expect("the end"), 0);
                });
            }
        });
        drop(clients);
        wait_for("end of all of them", 30, || {
            daemon.connections().is_empty().then_some(())
        });
        assert!(server.is_running());
        echoes(&kernel_connects());
    });
}

/// Its connections end, which it survives; its listener is there again.
#[test]
fn a_server_that_polls_goes_on_with_the_next_daemon() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with("", &["shutdown_grace=300ms"]);
        let mut server = mio_server(&daemon);
        for signal in [Signal::KILL, Signal::TERM] {
            let client = kernel_connects();
            echoes(&client);
            daemon = daemon.restart(signal);
            listens(&daemon);
            echoes(&kernel_connects());
            assert!(server.is_running());
        }
    });
}

/// What poll says when it is writable, or after `ms`: readable, writable. (What has failed is readable first.)
fn polled(fd: &impl AsFd, ms: i64) -> (bool, bool) {
    polled_for(fd, PollFlags::OUT, ms);
    polled_for(fd, PollFlags::IN | PollFlags::OUT, 0)
}

fn polled_for(fd: &impl AsFd, want: PollFlags, ms: i64) -> (bool, bool) {
    let mut fds = [PollFd::new(fd, want)];
    let limit = Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    poll(&mut fds, Some(&limit)).expect("poll");
    let events = fds[0].revents();
    (
        events.contains(PollFlags::IN),
        events.contains(PollFlags::OUT),
    )
}

#[test]
fn connections_are_opened_without_waiting_for_any() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let builder = Builder::new().session(&session);
        let (listener, at) = kernel_listener();
        let opening: Vec<Connecting> = (0..100)
            .map(|_| builder.start_connect(at).expect("it begins"))
            .collect();
        let mut refused = builder.start_connect(theirs(1)).expect("it begins");
        // Nobody answers there.
        let nowhere = "198.18.0.77:7".parse().expect("an address");
        let waiting = Builder::new()
            .session(&session)
            .timeout(Duration::from_millis(300))
            .start_connect(nowhere);
        let mut waiting = waiting.expect("it begins");
        assert!(matches!(waiting.finish(), Err(OpenError::WouldBlock(_))));
        let mut streams = Vec::new();
        for mut connecting in opening {
            assert!(polled(&connecting, 30_000).1, "it is open");
            let mut stream = connecting.finish().expect("open");
            assert_eq!(polled(&stream, 0), (false, true));
            assert_eq!(
                stream.read(&mut [0]).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            stream.write_all(b"hello").expect("write");
            streams.push(stream);
        }
        for _ in &streams {
            let (mut kernel, _) = listener.accept().expect("the kernel accepts");
            patient(&kernel);
            kernel.read_exact(&mut [0; 5]).expect("receive");
        }
        assert_eq!(polled(&refused, 30_000), (true, true));
        let error = refused.finish().unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::ConnectionRefused,
            "{HOST_V4}: {error}"
        );
        assert_eq!(polled(&waiting, 30_000), (true, true));
        let error = waiting.finish().unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::TimedOut | ErrorKind::HostUnreachable
            ),
            "{error}"
        );
    });
}

#[test]
fn a_connection_given_up_while_it_was_opened_leaves_nothing() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let builder = Builder::new().session(&session);
        let (listener, at) = kernel_listener();
        for _ in 0..20 {
            drop(builder.start_connect(at).expect("it begins"));
            let (mut kernel, _) = listener.accept().expect("the kernel accepts");
            patient(&kernel);
            let error = kernel.read(&mut [0]).expect_err("reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        wait_for("end of all of them", 20, || {
            daemon.connections().is_empty().then_some(())
        });
    });
}
