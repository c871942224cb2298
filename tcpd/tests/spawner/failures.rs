//! What happens when something dies, hangs or is not there.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tcpd::services::builtin::Handler;
use tcpd::services::link::EndStatus;
use tcpd::services::spawner_handle::launch::Launcher;
use tcpd::services::workforce::{Event, Workforce};
use tcpd::system::clock::now;

use crate::crew::{Crew, PATIENCE, signal, temporary_directory};

fn ready(event: &Event) -> Option<()> {
    matches!(event, Event::Ready).then_some(())
}

fn lost(event: &Event) -> Option<String> {
    match event {
        Event::Lost { reason } => Some(reason.clone()),
        _ => None,
    }
}

fn echoes(stream: &mut (impl Read + Write)) -> bool {
    let mut back = [0];
    stream.write_all(b"e").is_ok() && stream.read_exact(&mut back).is_ok() && back == *b"e"
}

pub(crate) fn a_killed_worker_costs_its_connection_only() {
    let mut crew = Crew::new();
    let mut victim = crew.hire("echo", Handler::Echo);
    let mut other = crew.hire("echo", Handler::Echo);
    assert!(echoes(&mut victim.stream));
    signal(victim.pid, Signal::KILL);
    assert_eq!(crew.status_of(victim.job), Some(EndStatus::Killed(9)));
    assert!(!echoes(&mut victim.stream));
    assert!(echoes(&mut other.stream));
    crew.handle.kill(now(), other.job);
    assert_eq!(crew.status_of(other.job), Some(EndStatus::Killed(9)));
}

pub(crate) fn a_worker_without_a_connection_says_so() {
    let mut crew = Crew::new();
    std::fs::remove_file(crew.socket()).expect("nobody to connect to");
    let job = crew.order("echo", Handler::Echo);
    assert_eq!(crew.status_of(job), Some(EndStatus::Exited(69)));
    let job = crew.order(
        "www",
        Handler::Http {
            directory: "/nonexistent".into(),
        },
    );
    assert_eq!(crew.status_of(job), Some(EndStatus::Exited(71)));
}

pub(crate) fn a_worker_that_panics_says_so() {
    let mut crew = Crew::new();
    let mut hired = crew.hire("panics", Handler::Echo);
    hired.stream.write_all(b"x").expect("send");
    assert_eq!(crew.status_of(hired.job), Some(EndStatus::Exited(70)));
}

pub(crate) fn a_killed_spawner_is_started_again_and_workers_go_on() {
    let mut crew = Crew::new();
    let mut old = crew.hire("echo", Handler::Echo);
    let first = crew.spawner();
    signal(first, Signal::KILL);
    let reason = crew.wait("the loss", lost);
    assert!(reason.contains("signal: 9"), "{reason}");
    assert_eq!(crew.handle.room(), 0);
    crew.wait("the next spawner", ready);
    assert_ne!(crew.spawner(), first);
    assert_eq!(crew.handle.restarts(), 1);

    assert!(echoes(&mut old.stream), "the worker has not noticed");
    let mut new = crew.hire("echo", Handler::Echo);
    assert!(echoes(&mut new.stream));
    drop(old.stream);
    assert_eq!(
        crew.end_of(old.job),
        None,
        "nobody is left to say how it ended"
    );
    drop(new.stream);
    assert_eq!(crew.status_of(new.job), Some(EndStatus::Exited(0)));
}

fn launched(program: &str, arguments: &[&str], meeting_time: Duration) -> Crew {
    Crew::launched(|private| {
        let arguments = arguments.iter().map(Into::into).collect();
        let launcher =
            Launcher::program(Path::new(program), arguments, private).expect("private directory");
        launcher.with_meeting_time(meeting_time)
    })
}

pub(crate) fn a_spawner_that_ends_before_hello_does_not_hang_us() {
    let mut crew = launched("/bin/sh", &["-c", "exit 3"], PATIENCE * 2);
    let reason = crew.wait("the loss", lost);
    assert!(
        reason.contains("did not say hello") && reason.contains("exit status: 3"),
        "{reason}"
    );
    crew.wait("a second try", lost);
}

pub(crate) fn a_spawner_that_never_says_hello_is_killed() {
    let mut crew = launched("/bin/sleep", &["1000"], Duration::from_millis(200));
    let reason = crew.wait("the loss", lost);
    assert!(
        reason.contains("did not say hello") && reason.contains("signal: 9"),
        "{reason}"
    );
}

pub(crate) fn a_spawner_that_does_not_exist_is_reported() {
    let mut crew = launched("/nonexistent/tcpd", &[], PATIENCE);
    let reason = crew.wait("the loss", lost);
    assert!(reason.contains("No such file"), "{reason}");
}

pub(crate) fn a_stopped_spawner_is_killed_and_started_again() {
    let mut crew = Crew::new();
    signal(crew.spawner(), Signal::STOP);
    let job = crew.order("echo", Handler::Echo);
    let later = now() + tcpd::services::spawner_handle::PATIENCE;
    assert!(
        crew.handle
            .next_deadline()
            .is_some_and(|deadline| deadline <= later)
    );
    crew.handle.on_deadline(later);
    let reason = crew.wait("the loss", lost);
    assert!(reason.contains("signal: 9"), "{reason}");
    crew.wait("the next spawner", ready);
    let hired = crew.hire("echo", Handler::Echo);
    assert!(hired.job > job);
}

pub(crate) fn workers_outlive_an_orderly_end_of_the_spawner() {
    let mut crew = Crew::new();
    let mut hired = crew.hire("echo", Handler::Echo);
    let spawner = crew.spawner();
    drop(crew);
    assert!(
        !Path::new(&format!("/proc/{spawner}")).exists(),
        "it has ended and is reaped"
    );
    assert!(echoes(&mut hired.stream));
}

pub(crate) fn the_private_directory_must_be_private() {
    let parent = temporary_directory();
    let refused = |path: &Path| {
        Launcher::this_program(path)
            .expect_err("refused")
            .to_string()
    };
    let open = parent.path().join("open");
    std::fs::create_dir(&open).expect("directory");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o755)).expect("mode");
    assert!(refused(&open).contains("mode 0700"));
    let link = parent.path().join("link");
    std::os::unix::fs::symlink("/root", &link).expect("link");
    assert!(refused(&link).contains("mode 0700"));
    assert!(refused(&parent.path().join("x".repeat(100))).contains("too long"));
    assert!(refused(&parent.path().join("no/such/parent")).contains("No such file"));
}
