use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn a_command_inherits_no_descriptor_that_was_left_open() {
    let file = File::open("/dev/null").expect("there is /dev/null");
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("flags can be set");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let test = |command: &mut Command| {
        command
            .args(["-e", &path])
            .stdin(Stdio::null())
            .status()
            .expect("test(1) runs")
            .success()
    };

    assert!(
        test(&mut Command::new("test")),
        "without the guard the descriptor leaks"
    );
    assert!(!test(inherit_only_standard_descriptors(&mut Command::new(
        "test"
    ))));
}

#[test]
fn reaping_a_process_that_is_not_ours_is_an_error() {
    let parent = rustix::process::getppid().expect("a test has a parent");
    let error = reap(parent).expect_err("not our child");
    assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
}

#[test]
fn reaping_tells_status_and_use() {
    let mut child = Command::new("sh")
        .args(["-c", "exit 7"])
        .spawn()
        .expect("sh runs");
    let pid = Pid::from_child(&child);
    let pidfd =
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("pidfd");
    let mut poll = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut poll, None).expect("poll");
    let ended = reap(pid).expect("it has ended");
    assert!(libc::WIFEXITED(ended.status));
    assert_eq!(libc::WEXITSTATUS(ended.status), 7);
    assert!(ended.max_resident_kib > 0);
    child.wait().expect_err("it is reaped already");
}
