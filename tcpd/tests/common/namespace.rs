//! Tests that need a network of their own: the test binary runs itself again, one test in it, inside a new network namespace.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};
use tcpd::sandbox::namespace::{Namespace, loopback_up};

/// Names the test that runs inside; set for the second run only.
const INSIDE: &str = "TCPD_TEST_IN_NAMESPACE";

/// Runs `body`, the whole of a test function, inside a network namespace of its own with only `lo`, which is up.
///
/// Call it with a closure written in the test function: the test's name is taken from the closure's type.
/// Without the right to make namespaces the test fails and says what is missing.
pub(crate) fn in_namespace<F: FnOnce()>(body: F) {
    let name = test_name::<F>();
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        loopback_up().expect("bring lo up");
        return body();
    }
    let mut command = Command::new(std::env::current_exe().expect("path of the test binary"));
    command
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, &name);
    // SAFETY: one system call, which touches no memory.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let output = match Namespace::around(&mut command).output() {
        Ok(output) => output,
        Err(error) => panic!(
            "this test needs a private network namespace, and this user cannot make one ({error}): \
             run as root, or allow unprivileged user namespaces"
        ),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "inside the namespace:\n{said}"
    );
}

/// `crate::module::test::{{closure}}` without the crate and the closure: what libtest calls the test.
fn test_name<F>() -> String {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::")
        .map_or(path, |(_, rest)| rest)
        .to_owned()
}
