//! `tcpd run` as a command of a test's own, for what happens before there is a daemon that answers.

use std::path::Path;
use std::process::{Child, Command, Output};

/// `tcpd run` without a configuration file but with these settings; it logs to standard error unless they say otherwise.
pub(crate) fn run(set: &[&str]) -> Command {
    run_with(Path::new("/dev/null"), set)
}

/// The same with a configuration file.
pub(crate) fn run_with(file: &Path, set: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    command.arg("run").arg("--config").arg(file);
    command.args(["--set", "log.to=stderr"]);
    for set in set {
        command.args(["--set", set]);
    }
    command
}

/// What it wrote to standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends a daemon that a test started itself.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
