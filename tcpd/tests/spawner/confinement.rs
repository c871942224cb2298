//! What spawner and workers can not do.

use std::io::Write;

use tcpd::services::builtin::Handler;
use tcpd::services::link::EndStatus;

use crate::crew::{Crew, proc, status_line};

const NO_CAPABILITY: &str = "0000000000000000";

/// What each descriptor of a process is.
fn descriptors(pid: i32) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
    let mut all: Vec<(i32, String)> = entries
        .map(|entry| {
            let entry = entry.expect("entry");
            let number = entry
                .file_name()
                .to_string_lossy()
                .parse()
                .expect("a number");
            let what = std::fs::read_link(entry.path()).expect("open");
            (number, what.to_string_lossy().into_owned())
        })
        .collect();
    all.sort();
    all
}

fn assert_no_rights(pid: i32) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status_line(pid, set), NO_CAPABILITY, "{set}");
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(status_line(pid, "CapBnd"), NO_CAPABILITY);
    }
    assert_eq!(status_line(pid, "NoNewPrivs"), "1");
    assert_eq!(status_line(pid, "Threads"), "1");
    assert!(
        proc(pid, "environ").iter().all(|&byte| byte == 0),
        "nothing in the environment"
    );
}

pub(crate) fn the_spawner_has_no_rights_and_nothing_of_the_daemon() {
    let left_open = std::fs::File::open("/dev/zero").expect("a descriptor that must not leak");
    rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).expect("no close-on-exec");
    let crew = Crew::new();
    let spawner = crew.spawner();
    assert_no_rights(spawner);
    let open = descriptors(spawner);
    assert_eq!((&open[0].1[..], &open[1].1[..]), ("/dev/null", "/dev/null"));
    assert!(
        open[3..]
            .iter()
            .all(|(_, what)| what.starts_with("socket:")),
        "{open:?}"
    );
    assert_eq!(
        open.len(),
        3 + 2,
        "standard ones, orders and reports: {open:?}"
    );
    let group = proc(spawner, "stat");
    let fields: Vec<String> = String::from_utf8_lossy(&group)
        .split(' ')
        .map(str::to_owned)
        .collect();
    // The name holds one space: field 5 (process group) is at index 5.
    assert_eq!(
        fields[5],
        spawner.to_string(),
        "a group of its own, or ^C would end it"
    );
}

pub(crate) fn a_worker_has_no_rights_and_only_its_own_descriptors() {
    let mut crew = Crew::new();
    let mut hired = crew.hire("echo", Handler::Echo);
    // An answer means that it is confined already.
    hired.stream.write_all(b"x").expect("send");
    std::io::Read::read_exact(&mut hired.stream, &mut [0]).expect("back");
    assert_no_rights(hired.pid);
    assert_eq!(status_line(hired.pid, "Seccomp"), "2");
    let open = descriptors(hired.pid);
    assert_eq!(open.len(), 4, "standard ones and its connection: {open:?}");
    assert!(open[3].1.starts_with("socket:"));
    let limits = String::from_utf8(proc(hired.pid, "limits")).expect("text");
    assert!(
        limits
            .lines()
            .any(|line| line.starts_with("Max open files") && line.contains(" 64 ")),
        "{limits}"
    );
}

fn is_killed_by_seccomp(service: &str) {
    let mut crew = Crew::new();
    let mut bad = crew.hire(service, Handler::Echo);
    let mut good = crew.hire("echo", Handler::Echo);
    bad.stream.write_all(b"x").expect("send");
    assert_eq!(
        crew.status_of(bad.job),
        Some(EndStatus::Killed(libc::SIGSYS))
    );
    good.stream.write_all(b"y").expect("send");
    std::io::Read::read_exact(&mut good.stream, &mut [0]).expect("the other goes on");
}

pub(crate) fn a_worker_that_opens_a_file_is_killed() {
    is_killed_by_seccomp("opens-a-file");
}

pub(crate) fn a_worker_that_opens_a_socket_is_killed() {
    is_killed_by_seccomp("opens-a-socket");
}

pub(crate) fn a_worker_that_starts_a_process_is_killed() {
    is_killed_by_seccomp("starts-a-process");
}
