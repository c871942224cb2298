//! Processes that try to get out, confined by exactly those layers that a test names, and processes that they try to reach.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};
use serde::{Deserialize, Serialize};
use tcpd::services::builtin::Handler;
use tcpd::services::work::Command as ServiceCommand;
use tcpd::services::worker::confine;

use crate::attempts::Attempt;

/// First argument of this program as an attacker; the second is its [`Plan`].
pub(crate) const ATTACKER: &str = "attacker";
/// First argument of this program as a service's command.
pub(crate) const COMMAND: &str = "command";
/// First argument of this program as a victim; the second is whether it can be dumped.
pub(crate) const VICTIM: &str = "victim";

/// What an attacker puts on before it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layers {
    /// Nothing, and it has every capability: who it cannot reach is not there.
    Root,
    /// Nothing, but no capability either, like everything that tcpd starts.
    None,
    Landlock,
    Seccomp,
    Both,
}

/// All an attacker is told.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    layers: Layers,
    role: Role,
    attempt: Attempt,
}

/// Whose layers they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Role {
    /// A worker of tcpd's own handlers.
    Worker(Handler),
    /// A worker that becomes a command.
    Command(ServiceCommand),
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    /// With this errno, 0 if it was not the kernel who refused; in words.
    Refused(i32, String),
    /// By this signal, after it had said that it would try.
    Killed(i32),
}

impl Outcome {
    /// As it is told between processes.
    pub(crate) fn of(result: std::io::Result<()>) -> String {
        match result {
            Ok(()) => "succeeded".to_owned(),
            Err(error) => format!("refused {} {error}", error.raw_os_error().unwrap_or(0)),
        }
    }

    /// The reverse.
    pub(crate) fn parse(line: &str) -> Outcome {
        if line == "succeeded" {
            return Outcome::Succeeded;
        }
        let words = line
            .strip_prefix("refused ")
            .and_then(|rest| rest.split_once(' '));
        let (errno, text) = words.unwrap_or_else(|| panic!("no outcome: {line:?}"));
        Outcome::Refused(errno.parse().expect("a number"), text.to_owned())
    }

    /// Refused by the kernel with this errno.
    pub(crate) fn is_refused(&self, errno: i32) -> bool {
        matches!(self, Outcome::Refused(number, _) if *number == errno)
    }
}

/// Lets a process with these layers try.
pub(crate) fn outcome(layers: Layers, attempt: &Attempt) -> Outcome {
    outcome_as(&Role::Worker(Handler::Echo), layers, attempt)
}

/// The same, as another worker than one of `echo`.
pub(crate) fn outcome_as(role: &Role, layers: Layers, attempt: &Attempt) -> Outcome {
    let plan = Plan {
        layers,
        role: role.clone(),
        attempt: attempt.clone(),
    };
    // A socket, because standard error is one under systemd. Our end is closed: reading it gives the end at once.
    let (errors, _) = UnixStream::pair().expect("a pair");
    let output = myself(ATTACKER, &serde_json::to_string(&plan).expect("JSON"))
        .stdin(Stdio::null())
        .stderr(OwnedFd::from(errors))
        .output()
        .expect("start the attacker");
    let said = String::from_utf8(output.stdout).expect("text");
    let mut lines = said.lines();
    assert_eq!(
        lines.next(),
        Some("trying"),
        "{plan:?}: {:?}",
        output.status
    );
    match (lines.next(), output.status.signal()) {
        (Some(line), None) => Outcome::parse(line),
        (None, Some(signal)) => Outcome::Killed(signal),
        other => panic!("{plan:?}: {other:?}"),
    }
}

/// This program as an attacker.
pub(crate) fn attack(plan: &str) -> ExitCode {
    let plan: Plan = serde_json::from_str(plan).expect("a plan");
    put_on(plan.layers, &plan.role);
    println!("trying");
    println!("{}", Outcome::of(plan.attempt.perform()));
    ExitCode::SUCCESS
}

fn put_on(layers: Layers, role: &Role) {
    if layers == Layers::Root {
        return;
    }
    give_up_rights();
    let landlock = matches!(layers, Layers::Landlock | Layers::Both);
    let seccomp = matches!(layers, Layers::Seccomp | Layers::Both);
    match role {
        Role::Worker(handler) => {
            let handler = handler.prepare().expect("a handler");
            if landlock {
                confine::restrict_files(&handler).expect("landlock");
            }
            if seccomp {
                confine::restrict_calls(&handler).expect("seccomp");
            }
        }
        Role::Command(command) => {
            if landlock {
                confine::command::restrict_files(command).expect("landlock");
            }
            if seccomp {
                confine::command::restrict_calls(command).expect("seccomp");
            }
        }
    }
}

/// This program as a service's command, in somebody else's hands: the connection says what is to be tried, as to a worker.
pub(crate) fn obey() -> ExitCode {
    let mut lines = std::io::stdin().lines();
    let mut line = || lines.next().and_then(Result::ok);
    let Some(attempt) = line() else {
        return ExitCode::SUCCESS;
    };
    let attempt: Attempt = serde_json::from_str(&attempt).expect("an attempt");
    println!("trying");
    if line().is_some() {
        println!("{}", Outcome::of(attempt.perform()));
    }
    ExitCode::SUCCESS
}

/// What the spawner does at its start, without making itself unreachable.
fn give_up_rights() {
    set_no_new_privs(true).expect("always allowed");
    clear_ambient_capability_set().expect("always allowed");
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).expect("always allowed");
}

/// A process that does nothing; it ends with this value.
pub(crate) struct Victim {
    child: Child,
    pub(crate) target: Target,
}

/// Where a process can be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) pid: i32,
    /// Of memory that can be read.
    pub(crate) address: usize,
    /// One that can be opened again.
    pub(crate) descriptor: i32,
}

impl Target {
    /// Every way to reach it.
    pub(crate) fn attempts(self) -> Vec<Attempt> {
        let Target {
            pid,
            address,
            descriptor,
        } = self;
        vec![
            Attempt::Trace { pid },
            Attempt::OpenMemory { pid },
            Attempt::ReadMemory { pid, address },
            Attempt::TakeDescriptor { pid, descriptor },
            Attempt::OpenDescriptor { pid, descriptor },
            Attempt::Signal { pid },
            Attempt::SignalThread { pid },
            Attempt::SignalByPidfd { pid },
            Attempt::LimitOther { pid },
            Attempt::MoveToProcessors { pid },
        ]
    }
}

impl Victim {
    /// One of the same user, without rights: whom every equal can reach if it is `dumpable`.
    pub(crate) fn start(dumpable: bool) -> Victim {
        let mut child = myself(VICTIM, if dumpable { "dumpable" } else { "not" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the victim");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let target = Target {
            pid: i32::try_from(child.id()).expect("an id"),
            address: line.trim().parse().expect("an address"),
            descriptor: 0,
        };
        Victim { child, target }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// This program as a victim.
pub(crate) fn suffer(how: &str) -> ExitCode {
    static SECRET: u8 = 42;
    give_up_rights();
    let behaviour = match how {
        "dumpable" => DumpableBehavior::Dumpable,
        _ => DumpableBehavior::NotDumpable,
    };
    set_dumpable_behavior(behaviour).expect("always allowed");
    println!("{}", &raw const SECRET as usize);
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
    ExitCode::SUCCESS
}

fn myself(role: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([role, argument]);
    command
}
