//! The daemon as a process: how it starts beside another, how it stops, what it tells systemd, and that it rests.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use libtcpclient::client::control::Control;
use libtcpclient::socket::SeqpacketListener;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::common::daemon::{Daemon, STACK_V4};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{ECHO, echoes};

fn run(set: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    command.args(["run", "--config", "/dev/null", "--set", "log.to=stderr"]);
    for set in set {
        command.args(["--set", set]);
    }
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

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
fn a_second_daemon_on_the_same_socket_is_told_and_the_first_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let socket = daemon.socket();
        let output = run(&[
            &format!("control.socket={}", socket.display()),
            "device.name=other0",
        ])
        .output()
        .unwrap();
        assert_eq!(output.status.code(), Some(75), "{}", said(&output));
        assert_eq!(
            said(&output),
            format!(
                "tcpd: a daemon is already running on {}\n",
                socket.display()
            )
        );
        used_connection();
        daemon.control().ping().expect("the first answers");
    });
}

#[test]
fn a_second_daemon_on_the_same_interface_is_told_and_leaves_nothing_behind() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let other = daemon.directory().join("other");
        let output = run(&[&format!("control.socket={}", other.display())])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(73), "{}", said(&output));
        assert!(
            said(&output).contains("interface \"tcpd0\" is in use by another process"),
            "{}",
            said(&output)
        );
        assert!(!other.exists());
        used_connection();
    });
}

#[test]
fn after_a_kill_the_next_daemon_takes_the_stale_socket_and_the_interface() {
    in_namespace(|| {
        let mut first = Daemon::start(ECHO);
        let socket = first.socket();
        first.signal(Signal::KILL);
        first.ended(10);
        assert!(socket.exists(), "nobody removed it");
        let set = format!("control.socket={}", socket.display());
        let mut second = run(&[&set])
            .stderr(Stdio::null())
            .spawn()
            .expect("start tcpd");
        wait_for("second daemon", 20, || {
            Control::connect_to(&socket).ok()?.ping().ok()
        });
        second.kill().expect("our child");
        second.wait().expect("our child");
    });
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

/// Ends a daemon that a test started itself.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn systemd_hears_of_readiness_watchdog_and_stop() {
    in_namespace(|| {
        let directory = std::env::temp_dir().join(format!("tcpd-notify-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        let notices = UnixDatagram::bind(directory.join("notify")).expect("a socket");
        notices
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket");
        let socket = directory.join("sock");
        let mut command = run(&[&format!("control.socket={}", socket.display())]);
        command
            .env("NOTIFY_SOCKET", directory.join("notify"))
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::null());
        let mut daemon = Ended(command.spawn().expect("start tcpd"));
        let hear = |wanted: &str| {
            let mut buffer = [0; 1024];
            loop {
                let length = notices
                    .recv(&mut buffer)
                    .unwrap_or_else(|error| panic!("no {wanted}: {error}"));
                if String::from_utf8_lossy(&buffer[..length])
                    .lines()
                    .any(|line| line == wanted)
                {
                    return;
                }
            }
        };
        hear("READY=1");
        Control::connect_to(&socket)
            .expect("ready is ready")
            .ping()
            .expect("an answer");
        hear("WATCHDOG=1");
        hear("WATCHDOG=1");
        rustix::process::kill_process(Pid::from_child(&daemon.0), Signal::TERM).expect("our child");
        hear("STOPPING=1");
        assert_eq!(daemon.0.wait().expect("our child").code(), Some(0));
        std::fs::remove_dir_all(&directory).expect("ours");
    });
}

#[test]
fn systemds_socket_is_used_and_left_alone() {
    in_namespace(|| {
        let directory =
            std::env::temp_dir().join(format!("tcpd-activation-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        let path = directory.join("sock");
        let listener = SeqpacketListener::bind(&path).expect("a socket");
        // As systemd does it: descriptor 3, and who is meant by it.
        let script = format!(
            "LISTEN_PID=$$ LISTEN_FDS=1 exec {} run --config /dev/null --set log.to=stderr --set control.socket={}",
            env!("CARGO_BIN_EXE_tcpd"),
            path.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stderr(Stdio::null());
        let descriptor = listener.as_fd().as_raw_fd();
        let hand_over = move || {
            // SAFETY: both take numbers only; the first is open in the parent, and so here. The second is for the case that
            // it is 3 already, which dup2 leaves close-on-exec.
            let handed =
                unsafe { libc::dup2(descriptor, 3) >= 0 && libc::fcntl(3, libc::F_SETFD, 0) >= 0 };
            if handed {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        };
        // SAFETY: the closure makes two system calls and nothing else.
        unsafe { command.pre_exec(hand_over) };
        let mut daemon = Ended(command.spawn().expect("start tcpd"));
        wait_for("a daemon that answers", 20, || {
            Control::connect_to(&path).ok()?.ping().ok()
        });
        rustix::process::kill_process(Pid::from_child(&daemon.0), Signal::TERM).expect("our child");
        assert_eq!(daemon.0.wait().expect("our child").code(), Some(0));
        assert!(path.exists(), "it is systemd's to remove");
        std::fs::remove_dir_all(&directory).expect("ours");
    });
}
