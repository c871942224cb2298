//! `tcpd sandbox`: what it gives its command, and that nothing of it stays behind.

mod common {
    pub(crate) mod deadline;
    pub(crate) mod sandbox;
}

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use common::deadline::wait_for;
use common::sandbox::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{
    CapabilitySet, UnshareFlags, remove_capability_from_bounding_set, unshare_unsafe,
};
use tcpd::sandbox::SandboxArgs;

fn bare(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    command.args(["sandbox", "--bare", "--", "sh", "-c", script]);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn quiet(output: &Output) -> bool {
    output.stdout.is_empty() && output.stderr.is_empty()
}

#[test]
fn it_ends_with_its_commands_exit_code_and_prints_nothing_of_its_own() {
    for code in [0, 1, 42] {
        let output = bare(&format!("exit {code}")).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert!(quiet(&output));
    }
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_its_number() {
    let output = bare("kill -KILL $$").output().unwrap();
    assert_eq!(output.status.code(), Some(137));
    assert!(quiet(&output));
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpd"))
        .args(["sandbox", "--bare", "--", "/no/such/program"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(
        text(&output.stderr).contains("/no/such/program"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_network_inside_is_another_one_with_lo_up() {
    let output = bare("readlink /proc/self/ns/net; cat /proc/net/if_inet6")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(said.lines().next().unwrap(), own.to_string_lossy());
    assert!(
        said.contains("00000000000000000000000000000001"),
        "::1 is there when lo is up: {said}"
    );
}

#[test]
fn the_programs_of_tcpd_are_on_the_path_and_the_socket_is_named() {
    let output = bare("command -v tcpd; echo $TCPD_SOCKET; test -r $TCPD_CONFIG && echo readable")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], env!("CARGO_BIN_EXE_tcpd"));
    assert!(lines[1].ends_with("/tcpd.sock"));
    assert_eq!(lines[2], "readable");
    assert!(
        !Path::new(lines[1]).parent().unwrap().exists(),
        "the private directory is gone"
    );
}

/// A sandbox whose shell left a process behind in a session of its own.
struct Busy {
    process: Child,
    background: Pid,
    directory: PathBuf,
    /// Kept open: the shell writes to it.
    _said: BufReader<ChildStdout>,
}

fn busy() -> Busy {
    let script = "setsid sleep 1000 & echo $!; dirname $TCPD_SOCKET; wait";
    let mut process = bare(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    };
    let background = Pid::from_raw(line().parse().unwrap()).unwrap();
    let directory = PathBuf::from(line());
    Busy {
        process,
        background,
        directory,
        _said: said,
    }
}

fn is_gone(pid: Pid) -> bool {
    // A zombie is gone too: its parent has yet to notice.
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

#[test]
fn told_to_end_it_ends_everything() {
    let mut busy = busy();
    let outer = Pid::from_child(&busy.process);
    kill_process(outer, Signal::TERM).unwrap();
    assert_eq!(busy.process.wait().unwrap().code(), Some(143));
    assert!(is_gone(busy.background));
    assert!(!busy.directory.exists());
}

#[test]
fn killed_hard_it_leaves_nothing_behind() {
    let mut busy = busy();
    busy.process.kill().unwrap();
    busy.process.wait().unwrap();
    wait_for("end of the background process", 20, || {
        is_gone(busy.background).then_some(())
    });
    wait_for("end of the private directory", 20, || {
        (!busy.directory.exists()).then_some(())
    });
}

#[test]
fn processes_in_the_background_end_with_the_command() {
    let output = bare("setsid sleep 1000 >/dev/null & echo $!")
        .output()
        .unwrap();
    let background = Pid::from_raw(text(&output.stdout).trim().parse().unwrap()).unwrap();
    assert!(is_gone(background));
}

#[test]
fn without_the_right_to_administer_it_uses_a_user_namespace() {
    let mut command = bare("readlink /proc/self/ns/user; id -u");
    // SAFETY: one system call.
    unsafe {
        // As root: without CAP_SYS_ADMIN, like any user. Not as root this fails and changes nothing.
        command.pre_exec(|| {
            let _ = remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN);
            Ok(())
        });
    }
    let output = command.output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    assert_ne!(said.lines().next().unwrap(), own.to_string_lossy());
    assert_eq!(said.lines().nth(1), Some("0"));
}

#[test]
fn without_user_namespaces_one_line_says_so() {
    let mut command = bare("true");
    // SAFETY: one system call, which separates no descriptors. In a user namespace without a mapping no further one can be made.
    unsafe {
        command.pre_exec(|| Ok(unshare_unsafe(UnshareFlags::NEWUSER)?));
    }
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("user namespaces are not available"), "{said}");
}

#[test]
fn another_program_can_be_run_inside() {
    let sandbox = Sandbox::start(SandboxArgs {
        bare: true,
        ..SandboxArgs::default()
    });
    assert_eq!(sandbox.daemon, None);
    let inside =
        |mut command: Command| text(&command.args(["/proc/self/ns/net"]).output().unwrap().stdout);
    let own = inside(Command::new("readlink"));
    let theirs = inside(sandbox.command("readlink"));
    assert!(
        theirs.starts_with("net:") && theirs != own,
        "{theirs} {own}"
    );
    let directory = sandbox.socket.parent().unwrap().to_owned();
    drop(sandbox);
    assert!(!directory.exists());
}
