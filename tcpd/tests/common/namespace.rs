//! Tests that need a network of their own, without a daemon. Needs `mod rerun` beside it.

use std::process::Command;

use rustix::process::Signal;
use tcpd::sandbox::namespace::{Namespace, loopback_up};
use tcpd::sandbox::process::die_with_parent;

use super::rerun::{rerun, test_name};

/// Runs `body`, the whole of a test function, inside a network namespace of its own with only `lo`, which is up.
///
/// Call it with a closure written in the test function. Without the right to make namespaces the test fails and says what is missing.
pub(crate) fn in_namespace<F: FnOnce()>(body: F) {
    let inside = || {
        loopback_up().expect("bring lo up");
        body();
    };
    rerun(test_name::<F>(), inside, |words| {
        let mut command = Command::new(&words[0]);
        Namespace::around(die_with_parent(&mut command, Signal::KILL)).args(&words[1..]);
        command
    });
}
