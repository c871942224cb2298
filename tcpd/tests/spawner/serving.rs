//! Workers at work.

use std::io::{Read, Write};
use std::net::Shutdown;

use tcpd::services::builtin::Handler;
use tcpd::services::link::{CREDITS, EndStatus};
use tcpd::services::workforce::{Event, Workforce};

use tcpd::services::work::Terms;

use crate::crew::{self, Crew, proc, temporary_directory};
use crate::deadline::wait_for;

pub(crate) fn every_builtin_serves_while_confined() {
    let mut crew = Crew::new();

    let mut echo = crew.hire("echo", Handler::Echo);
    let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    echo.stream.write_all(&sent).expect("send");
    echo.stream.shutdown(Shutdown::Write).expect("end");
    let mut back = Vec::new();
    echo.stream.read_to_end(&mut back).expect("receive");
    assert!(back == sent);
    let end = crew.end_of(echo.job).expect("known");
    assert_eq!(end.status, EndStatus::Exited(0));
    assert!(end.max_resident > 0);

    let mut discard = crew.hire("discard", Handler::Discard);
    discard.stream.write_all(&sent).expect("send");
    discard.stream.shutdown(Shutdown::Write).expect("end");
    assert_eq!(crew.status_of(discard.job), Some(EndStatus::Exited(0)));

    for (handler, length) in [(Handler::Time, 4), (Handler::Daytime, 20)] {
        let mut hired = crew.hire(handler.name(), handler);
        hired.stream.shutdown(Shutdown::Write).expect("end");
        let mut said = Vec::new();
        hired.stream.read_to_end(&mut said).expect("receive");
        assert!(said.len() >= length);
        assert_eq!(crew.status_of(hired.job), Some(EndStatus::Exited(0)));
    }

    let mut chargen = crew.hire("chargen", Handler::Chargen);
    let mut line = [0; 74];
    chargen.stream.read_exact(&mut line).expect("a line");
    assert!(line.ends_with(b"\r\n"));
    chargen.stream.write_all(b"enough").expect("send");
    drop(chargen.stream);
    assert_eq!(crew.status_of(chargen.job), Some(EndStatus::Exited(0)));
}

pub(crate) fn http_serves_files_while_confined() {
    let parent = temporary_directory();
    let site = parent.path().join("site");
    std::fs::create_dir(&site).expect("directory");
    let content: Vec<u8> = (0..600_000u32).map(|n| (n >> 3) as u8).collect();
    std::fs::write(site.join("data"), &content).expect("file");
    std::fs::write(parent.path().join("secret"), b"secret").expect("file");
    std::os::unix::fs::symlink("../secret", site.join("escape")).expect("link");

    let mut crew = Crew::new();
    let mut ask = |target: &str| {
        let mut hired = crew.hire(
            "www",
            Handler::Http {
                directory: site.clone(),
            },
        );
        hired
            .stream
            .write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
            .expect("send");
        hired.stream.shutdown(Shutdown::Write).expect("end");
        let mut answer = Vec::new();
        hired.stream.read_to_end(&mut answer).expect("receive");
        assert_eq!(
            crew.status_of(hired.job),
            Some(EndStatus::Exited(0)),
            "{target}"
        );
        answer
    };
    let answer = ask("/data");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&content));
    for target in ["/escape", "/../secret", "/none"] {
        assert!(ask(target).starts_with(b"HTTP/1.1 404 "), "{target}");
    }
}

pub(crate) fn a_burst_beyond_the_credits_leaves_nothing_behind() {
    const JOBS: usize = 150;
    let mut crew = Crew::new();
    assert_eq!(crew.handle.room(), CREDITS);
    let (mut ordered, mut met, mut ended) = (0, 0, 0);
    while ended < JOBS {
        while ordered < JOBS && crew.handle.room() > 0 {
            crew.order("echo", Handler::Echo);
            ordered += 1;
        }
        while met < ordered {
            let (_, mut stream) = crew.meet();
            met += 1;
            stream.write_all(b"x").expect("send");
            stream.shutdown(Shutdown::Write).expect("end");
            stream.read_exact(&mut [0]).expect("back");
        }
        let status = crew.wait("an end", |event| match event {
            Event::Ended { end, .. } => Some(end.map(|end| end.status)),
            _ => None,
        });
        assert_eq!(status, Some(EndStatus::Exited(0)));
        ended += 1;
    }
    let spawner = crew.spawner();
    assert_eq!(
        proc(spawner, &format!("task/{spawner}/children")),
        b"",
        "all are reaped"
    );
    assert_eq!(crew.handle.room(), CREDITS);
}

pub(crate) fn ps_shows_what_each_process_is_for() {
    let mut crew = Crew::new();
    let hired = crew.hire("echo", Handler::Echo);
    let ps = std::process::Command::new("ps")
        .args([
            "-o",
            "comm=,args=",
            "-p",
            &format!("{},{}", crew.spawner(), hired.pid),
        ])
        .output()
        .expect("ps runs");
    let shown = String::from_utf8(ps.stdout).expect("text");
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["tcpd:", "spawner", "tcpd:", "spawner"]);
    assert_eq!(
        lines[1],
        [
            "tcpd:",
            "echo",
            "tcpd:",
            "worker",
            "echo",
            "198.18.0.1:40112"
        ]
    );
}

pub(crate) fn a_worker_waits_for_its_connection() {
    let mut crew = Crew::new();
    let job = crew.order_with("echo", Handler::Echo, Terms::default(), false);
    let pid = crew.start_of(job);
    let title = || String::from_utf8_lossy(&proc(pid, "cmdline")).into_owned();
    wait_for("title", 20, || {
        title().starts_with("tcpd: worker echo idle").then_some(())
    });
    assert!(crew.assign(job));
    let (met, mut stream) = crew.meet();
    assert_eq!(met, job);
    stream.write_all(b"x").expect("send");
    stream.read_exact(&mut [0]).expect("back");
    assert!(title().starts_with("tcpd: worker echo 198.18.0.1:40112"));
    drop(stream);
    assert_eq!(crew.status_of(job), Some(EndStatus::Exited(0)));
    assert!(!crew.assign(job), "it is gone");
}

pub(crate) fn workers_that_wait_end_with_their_spawner() {
    let mut crew = Crew::new();
    let waiting = crew.order_with("echo", Handler::Echo, Terms::default(), false);
    crew.start_of(waiting);
    crew::signal(crew.spawner(), rustix::process::Signal::KILL);
    assert_eq!(crew.end_of(waiting), None);
}

pub(crate) fn a_worker_has_its_priority_and_its_time() {
    let mut crew = Crew::new();
    let terms = Terms {
        nice: 7,
        cpu_time: std::time::Duration::from_millis(1500),
        ..Terms::default()
    };
    let job = crew.order_with("echo", Handler::Echo, terms, true);
    let pid = crew.start_of(job);
    let (_, mut stream) = crew.meet();
    stream.write_all(b"x").expect("send");
    stream.read_exact(&mut [0]).expect("back");
    let stat = String::from_utf8_lossy(&proc(pid, "stat")).into_owned();
    let after_name = stat.rsplit_once(')').expect("a name").1;
    // proc_pid_stat(5): field 19, and the first after the name is field 3.
    assert_eq!(after_name.split_whitespace().nth(19 - 3), Some("7"));
    let limits = String::from_utf8(proc(pid, "limits")).expect("text");
    let cpu = limits.lines().find(|line| line.starts_with("Max cpu time"));
    let fields: Vec<&str> = cpu.expect("a line").split_whitespace().collect();
    assert_eq!(fields[3..], ["2", "3", "seconds"]);
}
