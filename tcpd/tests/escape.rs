//! Attempts to get out of a worker, on a real daemon in a network of its own.
//!
//! This program plays all the parts, so it has a `main` of its own: it is the daemon, whose spawner is this program again, whose
//! workers therefore do what a test tells them; it is the attacker with only some layers of the confinement, and its victim.
//! Otherwise it runs the tests whose names contain one of its arguments.

#[path = "escape/agent.rs"]
mod agent;
#[path = "escape/attacker.rs"]
mod attacker;
#[path = "escape/attempts.rs"]
mod attempts;
#[path = "escape/commands.rs"]
mod commands;
#[path = "escape/layers.rs"]
mod layers;
#[path = "escape/raw_session.rs"]
mod raw_session;
#[path = "escape/workers.rs"]
mod workers;
#[path = "escape/world.rs"]
mod world;

#[path = "common"]
mod common {
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod daemon;
    pub(crate) mod deadline;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::process::Signal;
use tcpd::daemon::config::Source;
use tcpd::daemon::{self, logging};
use tcpd::sandbox::namespace::{Namespace, loopback_up};
use tcpd::sandbox::process::die_with_parent;
use tcpd::services::link::LINK_VARIABLE;
use tcpd::services::spawner;

use crate::common::daemon::PROGRAM;
use crate::world::World;

/// Set when this program is inside its network.
const INSIDE: &str = "TCPD_TEST_INSIDE";

/// Name and body of every test in a module.
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn(&mut World))),*]
    };
}

type Test = (&'static str, fn(&mut World));

const TESTS: &[Test] = tests![
    layers::each_layer_keeps_other_processes_out_of_reach,
    layers::each_layer_keeps_a_process_to_its_work,
    layers::each_layer_keeps_the_kernels_sockets_out_of_reach,
    layers::daemon_spawner_and_workers_are_not_dumpable,
    layers::only_the_filter_stands_before_a_second_session,
    layers::http_opens_the_files_of_its_site_and_no_others,
    workers::a_worker_that_reaches_for_another_process_is_killed,
    workers::a_worker_that_opens_a_second_session_is_killed,
    workers::a_session_opened_by_token_acts_on_its_connection_only,
    workers::an_operators_session_may_what_a_workers_may_not,
    workers::the_supervision_link_cannot_be_reached,
    workers::a_worker_inherits_no_descriptor,
    commands::a_command_reaches_no_other_process,
    commands::each_layer_of_a_command_does_its_part,
    commands::a_command_does_its_work,
    commands::a_command_with_sessions_acts_as_its_user,
];

fn main() -> ExitCode {
    if std::env::var_os(LINK_VARIABLE).is_some() {
        return spawner::main_with(agent::adopt);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", "--config", file, ..] => be_the_daemon(file, &words[3..]),
        [attacker::ATTACKER, plan] => attacker::attack(plan),
        [attacker::COMMAND] => attacker::obey(),
        [attacker::VICTIM, how] => attacker::suffer(how),
        _ if std::env::var_os(INSIDE).is_none() => go_inside(&words),
        _ => run_tests(&words),
    }
}

/// As `tcpd run --config FILE [--set KEY=VALUE]…`.
fn be_the_daemon(file: &str, flags: &[String]) -> ExitCode {
    let set: Vec<String> = flags.chunks(2).map(|pair| pair[1].clone()).collect();
    let source = Source::new(Some(Path::new(file)), &set);
    let config = source.load().expect("a good configuration");
    let prepared = daemon::prepare(config, source).expect("socket and device");
    let _guard = logging::start(&prepared.config().log).expect("a log");
    prepared.run().expect("an orderly end");
    ExitCode::SUCCESS
}

/// Runs the tests in a network namespace of their own.
fn go_inside(words: &[String]) -> ExitCode {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    Namespace::around(die_with_parent(&mut command, Signal::KILL)).args(words);
    let program = command.get_program().to_owned();
    match command.env(INSIDE, "1").env(PROGRAM, program).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => panic!(
            "these tests need a private network namespace, and this user cannot make one ({error}): \
             run as root, or allow unprivileged user namespaces"
        ),
    }
}

fn run_tests(words: &[String]) -> ExitCode {
    loopback_up().expect("bring lo up");
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut world = World::new();
    let mut failed = Vec::new();
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
        let passed = catch_unwind(AssertUnwindSafe(|| test(&mut world))).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "failed: {failed:?}\n--- the daemon's log ---\n{}",
        world.daemon.log()
    );
    ExitCode::FAILURE
}
