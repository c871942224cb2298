//! A test function that runs in another process: the test binary runs itself again, with one test in it.

use std::process::Command;

/// Names the test that runs inside; set for the second run only.
const INSIDE: &str = "TCPD_TEST_INSIDE";

/// Runs `body`, the whole of a test function, in a process that `start` makes of the arguments for the test binary.
///
/// `name` is what libtest calls the test: [`test_name`] knows it.
pub(crate) fn rerun(name: String, body: impl FnOnce(), start: impl FnOnce(&[String]) -> Command) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        return body();
    }
    let program = std::env::current_exe().expect("path of the test binary");
    let words = [
        &program.to_string_lossy(),
        &name[..],
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ];
    let mut command = start(&words.map(str::to_owned));
    let output = match command.env(INSIDE, &name).output() {
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
        "inside ({}):\n{said}",
        output.status
    );
    // Figures that it measured; shown with --nocapture.
    print!("{said}");
}

/// The name of the test function in which a closure of type `F` is written:
/// `crate::module::test::{{closure}}` without the crate and the closure.
pub(crate) fn test_name<F>() -> String {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::")
        .map_or(path, |(_, rest)| rest)
        .to_owned()
}
