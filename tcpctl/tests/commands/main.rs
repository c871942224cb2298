//! The real `tcpctl` against a small daemon that says what a test wants it to say: right, wrong, or nothing.

mod answers;
mod arguments;
mod failures;
mod fake_daemon;
mod rows;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of tcpctl came to.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    /// Exactly one line on standard error, nothing on standard output, and that code.
    #[track_caller]
    fn failed_with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert!(self.err.starts_with("tcpctl: "), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
    }

    /// Code 0, nothing on standard error; the output.
    #[track_caller]
    fn worked(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        assert_eq!(self.err, "", "{self:?}");
        self.out
    }
}

/// Runs tcpctl on that socket, with nothing of the tester's terminal or environment.
fn tcpctl(socket: &Path, arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.env("TCPD_SOCKET", socket);
    run(command)
}

fn command(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpctl"));
    command
        .args(arguments)
        .env_remove("COLUMNS")
        .env_remove("TCPD_SOCKET")
        .env_remove("TCPD_WAIT")
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Run {
    let output = command.output().expect("run tcpctl");
    Run {
        code: output
            .status
            .code()
            .unwrap_or_else(|| panic!("killed: {}", output.status)),
        out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        err: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}
