//! What a service's workers may use, who may be served, and as whom.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use libtcpclient::client::error::SessionError;
use libtcpclient::protocol::ErrorCode;

use super::common::daemon::{Daemon, STACK_V4, STACK_V6};
use super::common::deadline::wait_for;
use super::common::namespace::in_namespace;
use super::exec::alive;
use super::{PATIENCE, connect, connect_to, wait_for_row};

fn shell(script: &str, more: &str) -> String {
    format!(
        "[[service]]\nname = \"x\"\nport = 7\nexec = [\"/bin/sh\", \"-c\", {script:?}]\n{more}\n"
    )
}

fn all(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("text and its end");
    said
}

/// A user that is not root, where this process may switch to it.
fn other_user() -> Option<&'static str> {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("a map of users");
    let all = map.split_whitespace().nth(2) == Some("4294967295");
    (rustix::process::geteuid().is_root() && all).then_some("nobody")
}

#[test]
fn a_command_has_the_limits_it_is_given() {
    in_namespace(|| {
        let more = "nice = 5\nlimit_memory = \"512MiB\"\nlimit_files = 33\nlimit_processes = 4000\n\
                    limit_file_size = \"1MiB\"\ncpu_time = \"1500ms\"";
        let script = "cat /proc/self/limits; cut -d' ' -f19 /proc/self/stat";
        let _daemon = Daemon::start(&shell(script, more));
        let said = all(&mut connect(7));
        let limit = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            let line = line.unwrap_or_else(|| panic!("{name} in {said}"));
            let fields = line.split_whitespace().take(2);
            fields.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(limit("Max address space"), "536870912 536870912");
        assert_eq!(limit("Max open files"), "33 33");
        assert_eq!(limit("Max processes"), "4000 4000");
        assert_eq!(limit("Max file size"), "1048576 1048576");
        assert_eq!(limit("Max cpu time"), "2 3");
        assert_eq!(limit("Max core file size"), "0 0");
        assert_eq!(said.lines().last(), Some("5"));
    });
}

#[test]
fn a_command_that_computes_or_waits_too_long_is_killed_with_what_it_has_started() {
    in_namespace(|| {
        let busy = shell("while :; do :; done", "cpu_time = \"1s\"");
        let lazy = shell("sleep 1000 & echo $!; wait", "wall_time = \"500ms\"")
            .replace("\"x\"", "\"lazy\"")
            .replace("port = 7", "port = 9");
        let daemon = Daemon::start(&(busy + &lazy));
        let mut busy = connect(7);
        let mut lazy = connect(9);
        let mut said = [0; 16];
        let length = lazy.read(&mut said).expect("a process");
        let child = String::from_utf8_lossy(&said[..length]).trim().to_owned();
        let ended = lazy.read(&mut said).expect_err("a reset");
        assert_eq!(ended.kind(), ErrorKind::ConnectionReset);
        wait_for("end of its child", PATIENCE.as_secs(), || {
            (!alive(&child)).then_some(())
        });
        let done = wait_for_row(&daemon, "lazy", "the end", |row| row.workers == 0);
        assert_eq!(
            (done.out_of_time, done.exits.by_signal.get(&9)),
            (1, Some(&1))
        );
        // Whoever waits for a killed process sees the end of the stream.
        assert!(matches!(busy.read(&mut said), Ok(0) | Err(_)));
        let done = wait_for_row(&daemon, "x", "the end", |row| row.workers == 0);
        assert_eq!(done.exits.by_signal.get(&24), Some(&1), "SIGXCPU: {done:?}");
    });
}

#[test]
fn a_source_with_too_many_connections_is_reset_and_counted() {
    in_namespace(|| {
        let echo = super::service("echo", 7, "max_per_source = 2");
        let daemon = Daemon::start(&echo);
        let echoes = |stream: &mut TcpStream| {
            stream.write_all(b"?").expect("send");
            stream.read_exact(&mut [0]).expect("back");
        };
        let mut streams = [connect(7), connect(7)];
        streams.iter_mut().for_each(echoes);
        // The reset may come before connect(2) has returned.
        let error = TcpStream::connect((STACK_V4, 7)).and_then(|mut third| third.read(&mut [0]));
        let error = error.expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let full = wait_for_row(&daemon, "echo", "a refusal", |row| {
            row.refused_per_source == 1
        });
        assert_eq!((full.workers, full.failed), (2, 0));
        echoes(&mut connect_to(STACK_V6, 7));
        drop(streams);
        wait_for_row(&daemon, "echo", "the ends", |row| row.workers == 0);
        echoes(&mut connect(7));
    });
}

#[test]
fn workers_are_who_the_service_says() {
    in_namespace(|| {
        let more = "user = \"nobody\"\nlimit_processes = 100";
        let web = super::service("echo", 9, "user = \"nobody\"\nidle_workers = 1");
        let config = shell(
            "id -un; id -G; grep Cap /proc/self/status; exec sleep 1000",
            more,
        ) + &web;
        if other_user().is_none() {
            // In a user namespace with one user there is nobody to become, and a worker says so.
            let daemon = Daemon::start(&config);
            let ended = connect(7).read(&mut [0]);
            assert!(ended.is_err(), "{ended:?}");
            wait_for_row(&daemon, "x", "the end", |row| {
                row.exits.by_status.contains_key(&71)
            });
            return;
        }
        let daemon = Daemon::start(&config);
        let mut stream = connect(7);
        let mut said = String::new();
        while said.lines().count() < 7 {
            let mut bytes = [0; 512];
            let length = stream.read(&mut bytes).expect("text");
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        let lines: Vec<&str> = said.lines().collect();
        let groups = Command::new("id")
            .args(["-G", "nobody"])
            .output()
            .expect("id");
        assert_eq!(lines[0], "nobody");
        assert_eq!(lines[1], String::from_utf8_lossy(&groups.stdout).trim());
        for line in &lines[2..] {
            let none = line.ends_with("\t0000000000000000");
            assert!(none || line.starts_with("CapBnd"), "{line}");
        }

        let mut echo = connect(9);
        echo.write_all(b"x").expect("send");
        echo.read_exact(&mut [0])
            .expect("a built-in worker of that user has its connection");

        // tcpd has no right to end a process of another user; its spawner has.
        let mut daemon = daemon;
        daemon.signal(rustix::process::Signal::TERM);
        daemon.signal(rustix::process::Signal::TERM);
        assert!(daemon.ended(PATIENCE.as_secs()).success());
        wait_for("end of all", PATIENCE.as_secs(), || {
            super::processes("sleep 1000").is_empty().then_some(())
        });
    });
}

#[test]
fn a_running_daemon_has_no_rights_and_gets_none_by_reload() {
    in_namespace(|| {
        let good = shell("id -un", "");
        let daemon = Daemon::start(&good);
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
        assert!(
            status
                .expect("it runs")
                .contains("CapPrm:\t0000000000000000")
        );
        let reload = |text: &str| {
            std::fs::write(daemon.directory().join("tcpd.toml"), text).expect("write");
            wait_for("daemon that has started", PATIENCE.as_secs(), || {
                match daemon.control().reload() {
                    Err(SessionError::Refused(failure)) => Some((failure.code, failure.detail)),
                    other => panic!("not refused: {other:?}"),
                }
                .filter(|(code, _)| *code != ErrorCode::TooManyRequests)
            })
        };
        let (code, detail) = reload(&shell("id -un", "user = \"root\""));
        assert_eq!(code, ErrorCode::NeedsRestart);
        assert!(detail.contains("service.x.user") && detail.contains("nothing was changed"));
        for (text, wanted) in [
            (
                shell("id", "user = \"no-such-user\""),
                "there is no such user",
            ),
            (
                shell("id", "directory = \"/no/such\""),
                "service.x.directory = \"/no/such\"",
            ),
            (
                good.replace("/bin/sh", "/no/such/sh"),
                "/no/such/sh: No such file",
            ),
        ] {
            let (code, detail) = reload(&text);
            assert_eq!(code, ErrorCode::BadConfiguration);
            assert!(detail.contains(wanted), "{detail}");
        }
        assert!(!all(&mut connect(7)).is_empty(), "the old service goes on");
    });
}
