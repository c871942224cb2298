//! The daemon in its sandbox: the kernel's TCP against the services, over both IP versions, with and without offload.

mod common {
    pub(crate) mod deadline;
    pub(crate) mod inside;
    pub(crate) mod rerun;
}

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::deadline::wait_for;
use common::inside::in_sandbox;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use tcpd::sandbox::SandboxArgs;

const TCPD: [&str; 2] = ["198.18.0.2", "fd00:7463:7064::2"];

fn plain() -> SandboxArgs {
    SandboxArgs::default()
}

fn connect(address: &str, port: u16) -> TcpStream {
    let remote = SocketAddr::new(address.parse().unwrap(), port);
    let stream = TcpStream::connect_timeout(&remote, Duration::from_secs(10)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Everything a service says until it closes, after it was told `words` and that no more will come.
fn ask(address: &str, port: u16, words: &[u8]) -> Vec<u8> {
    let mut stream = connect(address, port);
    let mut writer = stream.try_clone().unwrap();
    let words = words.to_vec();
    let writing = thread::spawn(move || {
        writer.write_all(&words).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    answer
}

fn echo_comes_back() {
    let words: Vec<u8> = (0..3_000_000u32).map(|at| (at % 249) as u8).collect();
    for address in TCPD {
        for len in [0, 1, 100_000, words.len()] {
            assert!(
                ask(address, 7, &words[..len]) == words[..len],
                "{len} bytes to {address}"
            );
        }
    }
}

#[test]
fn echo_gives_back_every_byte_with_offload() {
    in_sandbox(plain(), |_| echo_comes_back());
}

#[test]
fn echo_gives_back_every_byte_without_offload() {
    let args = SandboxArgs {
        set: vec!["device.offload=false".into()],
        ..plain()
    };
    in_sandbox(args, |_| echo_comes_back());
}

#[test]
fn echo_gives_back_every_byte_in_a_user_namespace() {
    // This thread's children become root without CAP_SYS_ADMIN, and get a user namespace. Not as root this fails, and they get one anyway.
    let _ = remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN);
    in_sandbox(plain(), |_| {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap();
        assert!(
            map.split_whitespace().last() == Some("1"),
            "a user namespace of one user: {map}"
        );
        echo_comes_back();
    });
}

#[test]
fn every_service_is_on_its_standard_port() {
    in_sandbox(plain(), |_| {
        for address in TCPD {
            assert_eq!(ask(address, 9, b"into the void"), b"", "discard");
            assert!(
                String::from_utf8(ask(address, 13, b""))
                    .unwrap()
                    .contains("20"),
                "daytime"
            );
            assert_eq!(ask(address, 37, b"").len(), 4, "time");
            let page = ask(
                address,
                80,
                b"GET / HTTP/1.1\r\nHost: tcpd\r\nConnection: close\r\n\r\n",
            );
            assert!(
                page.starts_with(b"HTTP/1.1 200 "),
                "{}",
                String::from_utf8_lossy(&page)
            );
            assert!(page.ends_with(b"</a>, for ranges and downloads.\n"));
            let mut line = String::new();
            BufReader::new(connect(address, 19))
                .read_line(&mut line)
                .unwrap();
            assert_eq!(line.len(), 74, "chargen: {line}");
        }
    });
}

#[test]
fn the_users_configuration_is_laid_over_the_sandboxes() {
    let over = std::env::temp_dir().join(format!("tcpd-over-{}.toml", std::process::id()));
    fs::write(
        &over,
        "[[service]]\nname = \"echo\"\nhandler = \"echo\"\nport = 7007\n",
    )
    .unwrap();
    in_sandbox(
        SandboxArgs {
            config: Some(over.clone()),
            ..plain()
        },
        |_| {
            assert_eq!(ask(TCPD[0], 7007, b"here"), b"here");
        },
    );
    fs::remove_file(over).unwrap();
}

#[test]
fn a_daemon_that_does_not_start_says_why() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpd"))
        .args(["sandbox", "--set", "device.mtu=100", "--", "true"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("mtu"), "{said}");
}

#[test]
fn a_daemon_killed_and_started_again_serves_again() {
    in_sandbox(plain(), |inside| {
        let mut idle = connect(TCPD[0], 7);
        idle.write_all(b"x").unwrap();
        idle.read_exact(&mut [0]).unwrap();
        let daemon = Pid::from_raw(inside.daemon).unwrap();
        kill_process(daemon, Signal::KILL).unwrap();
        // The keeper reaps it, which is when the last of its threads has let go of the lock.
        wait_for("end of the daemon", 10, || {
            (!Path::new(&format!("/proc/{}", inside.daemon)).exists()).then_some(())
        });

        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
        command
            .arg("run")
            .arg("--config")
            .arg(&inside.config)
            .stderr(Stdio::null());
        let mut daemon = tcpd::sandbox::process::die_with_parent(&mut command, Signal::KILL)
            .spawn()
            .unwrap();
        let answer = wait_for("an answer of the new daemon", 20, || {
            let remote = SocketAddr::new(TCPD[0].parse().unwrap(), 7);
            TcpStream::connect_timeout(&remote, Duration::from_millis(200)).ok()
        });
        drop(answer);
        assert_eq!(ask(TCPD[0], 7, b"again"), b"again");
        kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
        assert!(daemon.wait().unwrap().success());
        assert!(!inside.socket.exists(), "the socket is removed");
    });
}
