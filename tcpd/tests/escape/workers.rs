//! From inside a worker of a real daemon, with everything on: every attempt is its end, and nobody else's.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use libtcpclient::protocol::{Reply, Request};
use tcpd_core::stack::EndpointId;

use crate::attacker::Outcome;
use crate::attempts::Attempt;
use crate::common::deadline::wait_for;
use crate::raw_session::{NAMES, REPORT, RawSession, Report, about};
use crate::world::{ECHO, PATIENCE, RAW, World, connect};

pub(crate) fn a_worker_that_reaches_for_another_process_is_killed(world: &mut World) {
    assert_eq!(world.outcome(ECHO, &Attempt::Nothing), Outcome::Succeeded);
    for (name, target) in world.targets() {
        for attempt in target.attempts() {
            let outcome = world.outcome(ECHO, &attempt);
            assert_eq!(
                outcome,
                Outcome::Killed(libc::SIGSYS),
                "{name}: {attempt:?}"
            );
        }
    }
    world.nobody_noticed();
}

pub(crate) fn a_worker_that_opens_a_second_session_is_killed(world: &mut World) {
    let attempt = Attempt::SecondSession {
        socket: world.daemon.socket(),
        connection: world.neighbour().id,
    };
    assert_eq!(world.outcome(ECHO, &attempt), Outcome::Killed(libc::SIGSYS));
    world.nobody_noticed();
}

/// On its own session a worker may say what it likes.
pub(crate) fn a_session_opened_by_token_acts_on_its_connection_only(world: &mut World) {
    let neighbour: EndpointId = world.neighbour().id.parse().expect("an id");
    let bits = neighbour.to_bits();
    let tried = (bits as u32) < NAMES.0 && (bits >> 32) < u64::from(NAMES.1);
    assert!(tried, "{neighbour} is not among the names that are tried");
    let (listeners, before) = {
        let mut control = world.daemon.control();
        let listeners = control.listeners(&Default::default()).count();
        (listeners, control.daemon_status().expect("it answers"))
    };

    let _peer = connect(RAW);
    let report: Report = wait_for("report", PATIENCE.as_secs(), || {
        let log = world.daemon.log();
        let report = log.lines().find_map(|line| line.strip_prefix(REPORT))?;
        Some(serde_json::from_str(report).expect("JSON"))
    });

    // Its own name may be among those tried, where it is left out.
    let others = NAMES.0 * NAMES.1 - 1;
    for (answer, count) in &report {
        let (request, answer) = answer.split_once(": ").expect("two words");
        let refusals: &[&str] = match request {
            "Shutdown" | "Close" | "Abort" | "SetOptions" | "GrowTransmit" => &["NoSuchConnection"],
            // A request that no daemon answers yet is refused as well.
            "ConnectionStatus" | "IntoSocket" => &["NoSuchConnection", "Unsupported"],
            "CloseListener" => &["NoSuchListener"],
            "Hello" => &["HelloExpected"],
            "Adopt" => &["BadToken"],
            _ => &["NotPermitted"],
        };
        assert!(
            refusals.contains(&answer),
            "{request}: {answer} ({count} times)"
        );
    }
    let asked = |request: &str| -> u32 {
        let of = report
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{request}:")));
        of.map(|(_, count)| count).sum()
    };
    for request in [
        "ControlReset",
        "ControlSet",
        "Abort",
        "IntoSocket",
        "Accept",
    ] {
        assert!(asked(request) >= others, "{request}");
    }
    assert_eq!(asked("Hello"), 2);
    world.nobody_noticed();
    let mut control = world.daemon.control();
    assert_eq!(control.listeners(&Default::default()).count(), listeners);
    let after = control.daemon_status().expect("it answers");
    assert_eq!((after.draining, after.pid), (before.draining, before.pid));
}

/// What the worker was refused, others are not: the requests are in order.
pub(crate) fn an_operators_session_may_what_a_workers_may_not(world: &mut World) {
    let mut session = RawSession::open(&world.daemon.socket(), None).expect("a session");
    for (kind, asked) in [
        ("Show", 1),
        ("ControlSet", 1),
        ("ControlClose", 1),
        ("ControlReset", 1),
    ] {
        let peer = connect(ECHO);
        let id: EndpointId = world.row_of(&peer).id.parse().expect("an id");
        let name = |request: &Request| format!("{request:?}").starts_with(kind);
        let requests: Vec<Request> = about(id).into_iter().filter(name).collect();
        assert_eq!(requests.len(), asked, "{kind}");
        let answer = session.ask(&requests[0]).expect("an answer");
        assert!(
            matches!(answer, Reply::Done | Reply::Status(_)),
            "{kind}: {answer:?}"
        );
    }
}

/// The supervision link has no name, and its ends are where they belong.
pub(crate) fn the_supervision_link_cannot_be_reached(world: &mut World) {
    let socket = world.daemon.socket();
    let names = socket_names();
    assert!(names.contains(&socket.display().to_string()), "{names:?}");
    assert_eq!(
        names.len(),
        1,
        "the control socket is the only name: {names:?}"
    );
    // The test would see another one.
    let listener = std::os::unix::net::UnixListener::bind(world.daemon.directory().join("x"));
    let listener = listener.expect("a listener");
    assert_eq!(socket_names().len(), 2);
    drop(listener);

    let private = world.daemon.directory().join("private");
    let left = std::fs::read_dir(&private).expect("it is there");
    let left: Vec<_> = left
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["secret"], "what the two met on is gone");

    let spawner = world.spawner();
    let link = sockets(spawner);
    assert!(link.len() >= 2, "orders and reports: {link:?}");
    let mut peer = connect(ECHO);
    // An answer means that it has all that it will have.
    peer.write_all(b"x").expect("send");
    peer.read_exact(&mut [0]).expect("receive");
    for worker in [world.worker, world.worker_of(&peer)] {
        let sockets = sockets(worker);
        assert_eq!(sockets.len(), 2, "its session and its bell: {sockets:?}");
        assert!(sockets.iter().all(|socket| !link.contains(socket)));
    }
    // Each of them is connected to the daemon.
    let mut control = world.daemon.control();
    let status = control.daemon_status().expect("it answers");
    assert_eq!(status.spawner_pid, u32::try_from(spawner).ok());
}

/// Names of Unix sockets in this network namespace, those without a file (`@…`) included.
fn socket_names() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/unix").expect("the table");
    let name = |line: &str| line.split_whitespace().nth(7).map(str::to_owned);
    let mut names: Vec<String> = table.lines().skip(1).filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// The sockets that a process holds, as `socket:[inode]`.
fn sockets(pid: i32) -> Vec<String> {
    let directory = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(Path::new(&directory)).expect("descriptors");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let links = links.map(|link| link.to_string_lossy().into_owned());
    links.filter(|link| link.starts_with("socket:")).collect()
}

/// What the harness holds must not be what the worker holds.
pub(crate) fn a_worker_inherits_no_descriptor(world: &mut World) {
    let ours = world.daemon.directory().join("ours");
    let ours = std::fs::File::create(ours).expect("a file");
    rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::empty()).expect("no close-on-exec");
    assert!(ours.as_raw_fd() > 2);
    let mut held = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", world.worker)).expect("descriptors") {
        let path = entry.expect("an entry").path();
        let what = std::fs::read_link(&path).expect("a link");
        let kind = what.to_string_lossy();
        held.push(kind.split([':', '[']).next().unwrap_or_default().to_owned());
    }
    held.sort();
    let standard = world.daemon.directory().join("log").display().to_string();
    let expected = [
        "/dev/null",
        "/dev/null",
        "/memfd",
        &standard,
        "socket",
        "socket",
    ];
    assert_eq!(held, expected);
}
