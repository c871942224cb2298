//! A daemon with nothing to do does nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use libtcpclient::Builder;

use crate::common::daemon::{Daemon, HOST_V4, STACK_V4};
use crate::common::namespace::in_namespace;
use crate::common::pair::echoes;

/// The quiet time that is watched.
const QUIET: Duration = Duration::from_secs(20);
/// Wake-ups allowed in it: the kernel asks for routers on a new link, a few times.
const WAKE_UPS: u64 = 10;

/// How often each thread of the process and of its descendants has gone to sleep or was made to.
fn switches(pid: u32) -> Vec<(String, u64)> {
    let read = |path: String| fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut all = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives") {
        let task = task.expect("a thread").path().display().to_string();
        let status = read(format!("{task}/status"));
        let switches = status
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
        all.push((task.clone(), switches.sum()));
        for child in read(format!("{task}/children")).split_whitespace() {
            all.extend(crate::idle::switches(child.parse().expect("a process id")));
        }
    }
    all
}

#[test]
fn an_idle_daemon_with_services_and_idle_connections_does_not_wake_up() {
    in_namespace(|| {
        let service = |name: &str, port: u16| {
            format!("[[service]]\nname = \"{name}\"\nport = {port}\nhandler = \"{name}\"\n")
        };
        let daemon = Daemon::start(&[service("echo", 7), service("daytime", 13)].concat());
        let idle = TcpStream::connect((STACK_V4, 7)).expect("connect");
        idle.set_read_timeout(Some(QUIET)).expect("a timeout");
        echoes(&idle);
        let session = daemon.session();
        let listener = std::net::TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let at = listener.local_addr().expect("its address");
        let mut program = Builder::new()
            .session(&session)
            .connect(at)
            .expect("connect");
        let (mut peer, _) = listener.accept().expect("the kernel accepts");

        // Let the last acknowledgments go.
        thread::sleep(Duration::from_secs(2));
        let before = switches(daemon.pid());
        // The time is the test.
        thread::sleep(QUIET);
        let after = switches(daemon.pid());
        let total =
            |switches: &[(String, u64)]| switches.iter().map(|(_, count)| count).sum::<u64>();
        assert!(
            before.len() >= 4,
            "control, stack, spawner, worker: {before:?}"
        );
        assert_eq!(before.len(), after.len());
        let woken = total(&after) - total(&before);
        assert!(
            woken <= WAKE_UPS,
            "{woken} wake-ups in {QUIET:?}\n{before:?}\n{after:?}"
        );

        echoes(&idle);
        program.write_all(b"hello").expect("send");
        let mut got = [0; 5];
        peer.read_exact(&mut got).expect("receive");
        peer.write_all(&got).expect("send");
        program.read_exact(&mut got).expect("receive");
        assert_eq!(&got, b"hello");
    });
}
