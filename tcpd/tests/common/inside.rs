//! Tests that run beside a daemon, in its sandbox: the kernel's TCP is std::net there. Needs `mod rerun` beside it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tcpd::sandbox::process::die_with_parent;
use tcpd::sandbox::{CONFIG_VARIABLE, DAEMON_VARIABLE, SandboxArgs};

use super::rerun::{rerun, test_name};

/// What a test inside a sandbox finds.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The daemon's control socket, also in `TCPD_SOCKET`.
    pub(crate) socket: PathBuf,
    /// The configuration file the daemon read.
    pub(crate) config: PathBuf,
    /// The daemon's process id.
    pub(crate) daemon: i32,
}

/// Runs `body`, the whole of a test function, inside `tcpd sandbox` with these arguments; their command is not used.
pub(crate) fn in_sandbox<F: FnOnce(Inside)>(args: SandboxArgs, body: F) {
    let inside = || {
        let variable =
            |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("no {name} in the sandbox"));
        body(Inside {
            socket: variable("TCPD_SOCKET").into(),
            config: variable(CONFIG_VARIABLE).into(),
            daemon: variable(DAEMON_VARIABLE).parse().expect("a process id"),
        });
    };
    rerun(test_name::<F>(), inside, |words| {
        let args = SandboxArgs {
            command: words.iter().map(OsString::from).collect(),
            ..args
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
        die_with_parent(&mut command, Signal::TERM).args(args.to_arguments());
        command
    });
}
