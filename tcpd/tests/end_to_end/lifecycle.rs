//! The daemon as a process: how it stops, what it tells on a signal, and that it rests.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::common::daemon::{Daemon, STACK_V4};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{ECHO, echoes};

/// A connection to the echo service that has been used once, so that its worker has it.
fn used_connection() -> TcpStream {
    let stream = TcpStream::connect((STACK_V4, 7)).expect("the service listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a stream");
    echoes(&stream);
    stream
}

#[test]
fn sigterm_lets_what_is_in_flight_finish() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with(ECHO, &["shutdown_grace=1min"]);
        let stream = used_connection();
        daemon.signal(Signal::TERM);
        wait_for("a closed port", 10, || {
            TcpStream::connect((STACK_V4, 7))
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
                .then_some(())
        });
        echoes(&stream);
        let status = daemon
            .control()
            .daemon_status()
            .expect("operators may still look");
        assert!(status.draining);
        drop(stream);
        assert_eq!(daemon.ended(20).code(), Some(0));
        assert!(
            daemon.log().contains("tcpd has stopped reset=0"),
            "{}",
            daemon.log()
        );
        assert!(!daemon.socket().exists());
    });
}

#[test]
fn at_the_end_of_the_grace_the_rest_is_reset_and_counted() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with(ECHO, &["shutdown_grace=200ms"]);
        let streams = [used_connection(), used_connection()];
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended(20).code(), Some(0));
        for mut stream in streams {
            let error = stream.read(&mut [0; 1]).expect_err("a reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert!(
            daemon.log().contains("tcpd has stopped reset=2"),
            "{}",
            daemon.log()
        );
    });
}

#[test]
fn a_second_sigterm_is_now() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with(ECHO, &["shutdown_grace=1h"]);
        let _stream = used_connection();
        daemon.signal(Signal::TERM);
        wait_for("the first stop", 10, || {
            daemon.log().contains("stopping: nothing new").then_some(())
        });
        daemon.signal(Signal::INT);
        assert_eq!(daemon.ended(10).code(), Some(0));
        assert!(
            daemon.log().contains("tcpd has stopped reset=1"),
            "{}",
            daemon.log()
        );
    });
}

#[test]
fn sigusr1_writes_the_table_into_the_log() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let stream = used_connection();
        let peer = stream.local_addr().expect("connected").to_string();
        daemon.signal(Signal::USR1);
        wait_for("the table in the log", 10, || {
            let log = daemon.log();
            log.lines()
                .any(|line| {
                    line.contains("ESTABLISHED") && line.contains(&peer) && line.contains("echo/")
                })
                .then_some(())
        });
        daemon.control().ping().expect("it goes on");
    });
}

#[test]
fn an_idle_daemon_rests() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let _idle_connection = used_connection();
        let _idle_session = daemon.control();
        // Two quiet looks in a row end the echo of what came before; the third is the measurement.
        let mut woken = u64::MAX;
        for _ in 0..10 {
            woken = wake_ups_within_a_second(daemon.pid());
            if woken == 0 {
                break;
            }
        }
        assert_eq!(woken, 0, "a second without a wake-up never came");
    });
}

/// How often the daemon's threads went to sleep and woke within a second in which nothing happens.
fn wake_ups_within_a_second(pid: u32) -> u64 {
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon lives");
        let of = |path: &Path| -> u64 {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.map_or(0, |count| count.trim().parse().expect("a number"))
        };
        tasks.map(|task| of(&task.expect("a task").path())).sum()
    };
    let before = switches();
    let pidfd = pidfd_open(
        Pid::from_raw(pid as i32).expect("a pid"),
        PidfdFlags::empty(),
    )
    .expect("the daemon lives");
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&second)).expect("poll");
    assert_eq!(ended, 0, "the daemon has ended");
    switches() - before
}
