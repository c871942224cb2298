//! A real spawner with real workers, which reach their connection over an ordinary Unix socket instead of tcpd.
//!
//! This program executes itself as the spawner, so it has a `main` of its own: with the link in its environment it is
//! the spawner, otherwise it runs the tests whose names contain one of its arguments.

#[path = "spawner/confinement.rs"]
mod confinement;
#[path = "spawner/crew.rs"]
mod crew;
#[path = "common/deadline.rs"]
mod deadline;
#[path = "spawner/failures.rs"]
mod failures;
#[path = "spawner/serving.rs"]
mod serving;

use std::process::ExitCode;

use tcpd::services::link::LINK_VARIABLE;
use tcpd::services::spawner;

/// Name and body of every test in a module.
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn())),*]
    };
}

const TESTS: &[(&str, fn())] = tests![
    serving::every_builtin_serves_while_confined,
    serving::http_serves_files_while_confined,
    serving::a_burst_beyond_the_credits_leaves_nothing_behind,
    serving::ps_shows_what_each_process_is_for,
    serving::a_worker_waits_for_its_connection,
    serving::workers_that_wait_end_with_their_spawner,
    serving::a_worker_has_its_priority_and_its_time,
    confinement::the_spawner_has_no_rights_and_nothing_of_the_daemon,
    confinement::a_worker_has_no_rights_and_only_its_own_descriptors,
    confinement::a_worker_that_opens_a_file_is_killed,
    confinement::a_worker_that_opens_a_socket_is_killed,
    confinement::a_worker_that_starts_a_process_is_killed,
    failures::a_killed_worker_costs_its_connection_only,
    failures::a_worker_without_a_connection_says_so,
    failures::a_worker_that_panics_says_so,
    failures::a_killed_spawner_is_started_again_and_workers_go_on,
    failures::a_spawner_that_ends_before_hello_does_not_hang_us,
    failures::a_spawner_that_never_says_hello_is_killed,
    failures::a_spawner_that_does_not_exist_is_reported,
    failures::a_stopped_spawner_is_killed_and_started_again,
    failures::workers_outlive_an_orderly_end_of_the_spawner,
    failures::the_private_directory_must_be_private,
];

fn main() -> ExitCode {
    if std::env::var_os(LINK_VARIABLE).is_some() {
        return spawner::main_with(crew::adopt);
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut failed = Vec::new();
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    // There only if a test has needed it.
    let _ = std::fs::remove_dir_all(crew::private_directory());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("failed: {failed:?}");
        ExitCode::FAILURE
    }
}
