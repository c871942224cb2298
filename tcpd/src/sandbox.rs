//! `tcpd sandbox [-- COMMAND…]`: a private network with a daemon of its own, for trying things out, for tests and for the demo.
//!
//! Two processes, so that everything goes away however it ends:
//! 1. The **outer** process ([`run`]) makes a private directory, starts the keeper, waits, removes the directory. It stays outside.
//! 2. The **keeper** ([`keeper`]) enters a network namespace of its own (as an ordinary user within a user namespace), brings `lo` up,
//!    starts the daemon with the configuration of [`configuration`], waits until it is ready, starts COMMAND, waits for
//!    it, and ends whatever is left. It adopts orphans, so that nothing started in the sandbox outlives it.
//!
//! Each dies with its parent (PR_SET_PDEATHSIG): the keeper by SIGTERM, with time to clean up; daemon and COMMAND by SIGKILL.
//! The interface goes with the daemon, the namespace with its last process. Nothing on the host changes.

pub mod configuration;
mod household;
mod keeper;
pub mod namespace;
pub mod process;
mod signals;

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use self::signals::Signals;
use crate::exit_code::{Exit, Failure};
use crate::system::entropy;

/// The environment COMMAND finds, beside `TCPD_SOCKET` and a `PATH` that has tcpd's programs: the daemon's configuration file …
pub const CONFIG_VARIABLE: &str = "TCPD_CONFIG";
/// … and the daemon's process id (not with `--bare`).
pub const DAEMON_VARIABLE: &str = "TCPD_DAEMON_PID";

/// Longest path of a Unix socket, less the longest name we put behind the directory.
const LONGEST_DIRECTORY: usize = 107 - "/tcpd.sock.lock".len();

/// What `tcpd sandbox` is told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SandboxArgs {
    /// Overrides one key of the sandbox's configuration, as tcp.msl=2s; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// A configuration file laid over the sandbox's own; a service of the same name replaces the built-in one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the daemon's log goes; without it the log is shown only if the daemon does not start
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Only the private network, without daemon and TUN interface
    #[arg(long)]
    pub bare: bool,
    /// The keeper's stage: set by [`run`] alone
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    pub inside: Option<PathBuf>,
    /// The command and its arguments; without one: a shell
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<OsString>,
}

impl SandboxArgs {
    /// The same as arguments of `tcpd`, for starting it as a program.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["sandbox".into()];
        for set in &self.set {
            arguments.extend(["--set".into(), set.into()]);
        }
        let paths = [
            ("--config", &self.config),
            ("--log", &self.log),
            ("--inside", &self.inside),
        ];
        for (flag, path) in paths {
            if let Some(path) = path {
                arguments.extend([flag.into(), path.into()]);
            }
        }
        if self.bare {
            arguments.push("--bare".into());
        }
        arguments.push("--".into());
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}

/// Runs a command in a sandbox and gives its status: its exit code, or 128 and the number of the signal that killed it.
///
/// Must be called from the only thread of the process. Exit 77, with one line that says which, if user namespaces or
/// an openable /dev/net/tun are missing; otherwise prints nothing of its own.
pub fn run(args: SandboxArgs) -> Result<ExitCode, Failure> {
    if let Some(directory) = args.inside.clone() {
        return keeper::keep(&directory, &args);
    }
    let directory =
        Directory::make().map_err(|error| Failure::system("a private directory", &error))?;
    let signals = Signals::take().map_err(|error| Failure::system("signals", &error))?;
    let keeper = start_keeper(args, &directory.0)?;
    loop {
        if signals.end_asked() {
            // It is gone already if this fails, and the next look says so.
            let _ = kill_process(keeper, Signal::TERM);
        }
        let ended = waitpid(Some(keeper), WaitOptions::NOHANG)
            .map_err(|error| failed("wait", error.into()))?;
        if let Some((_, status)) = ended {
            return Ok(exit_code(status).into());
        }
        signals
            .wait(&[], None)
            .map_err(|error| failed("wait", error))?;
    }
}

fn failed(what: &str, error: io::Error) -> Failure {
    Failure::system(format!("sandbox: {what}"), &error)
}

/// Starts the second stage: this program again.
fn start_keeper(args: SandboxArgs, directory: &Path) -> Result<Pid, Failure> {
    let program =
        std::env::current_exe().map_err(|error| failed("find tcpd's own program", error))?;
    let args = SandboxArgs {
        inside: Some(directory.to_owned()),
        ..args
    };
    let mut command = Command::new(program);
    process::die_with_parent(&mut command, Signal::TERM).args(args.to_arguments());
    let child = command.spawn().map_err(|error| failed("start", error))?;
    process::pid_of(&child)
        .ok_or_else(|| Failure::new(Exit::Internal, "sandbox: a process without id"))
}

/// What a shell would say of it.
fn exit_code(status: WaitStatus) -> u8 {
    let code = status
        .exit_status()
        .or(status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(Exit::Internal as u8)
}

/// A directory of this user alone, removed with the value.
struct Directory(PathBuf);

impl Directory {
    /// In the user's runtime directory, or where temporary files go; short enough for a socket's path.
    fn make() -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let candidates = [runtime, Some(std::env::temp_dir()), Some("/tmp".into())];
        let name = format!("tcpd-{:08x}", u32::from_ne_bytes(entropy::random_bytes()?));
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for parent in candidates
            .into_iter()
            .flatten()
            .filter(|path| path.is_absolute())
        {
            let path = parent.join(&name);
            if path.as_os_str().len() > LONGEST_DIRECTORY {
                continue;
            }
            outcome = DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map(|()| Self(path));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The keeper removes it too, in case this process is killed; whoever comes second finds nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
