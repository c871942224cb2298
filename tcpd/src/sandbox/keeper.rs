//! The keeper: the process inside, parent of daemon and COMMAND.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitStatus, kill_process};

use super::namespace::{Namespace, loopback_up};
use super::signals::Signals;
use super::{
    CONFIG_VARIABLE, DAEMON_VARIABLE, SandboxArgs, configuration, exit_code, failed, household,
    process,
};
use crate::device::{DeviceError, tun};
use crate::exit_code::{Exit, Failure};
use crate::system::clock;

/// How long the daemon may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long COMMAND may take to end after SIGTERM.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of the log shown if the daemon does not start.
const LOG_LINES: usize = 10;

/// The second stage of `tcpd sandbox`, with everything private in `directory`.
pub(super) fn keep(directory: &Path, args: &SandboxArgs) -> Result<ExitCode, Failure> {
    // First, so that somebody cleans up when the outer process ends early.
    let signals = Signals::take().map_err(|error| failed("signals", error))?;
    let missing =
        |what: &dyn std::fmt::Display| Failure::new(Exit::NotPermitted, format!("sandbox: {what}"));
    if !args.bare {
        tun::check_openable().map_err(|error: DeviceError| missing(&error))?;
    }
    Namespace::plan().enter().map_err(|what| missing(&what))?;
    loopback_up().map_err(|error| failed("bring lo up", error))?;
    household::adopt_orphans().map_err(|error| failed("adopt orphans", error))?;
    let outcome = Keeper {
        directory,
        args,
        signals: &signals,
    }
    .serve();
    household::end_all(&signals);
    let _ = fs::remove_dir_all(directory); // the outer process does it too
    outcome.map(|code| code.into())
}

struct Keeper<'a> {
    directory: &'a Path,
    args: &'a SandboxArgs,
    signals: &'a Signals,
}

impl Keeper<'_> {
    fn serve(&self) -> Result<u8, Failure> {
        let config = configuration::write(self.directory, self.args.config.as_deref())?;
        let daemon = if self.args.bare {
            None
        } else {
            Some(self.start_daemon(&config)?)
        };
        let command = self.start_command(&config, daemon)?;
        self.wait_for(command)
    }

    /// Starts the daemon and waits for its READY=1, as systemd would.
    fn start_daemon(&self, config: &Path) -> Result<Pid, Failure> {
        let notify = self.directory.join("notify");
        let notices =
            UnixDatagram::bind(&notify).map_err(|error| failed("notify socket", error))?;
        notices
            .set_nonblocking(true)
            .map_err(|error| failed("notify socket", error))?;
        let log = self.log();
        let output =
            File::create(&log).map_err(|error| failed(&format!("log {}", log.display()), error))?;
        let errors = output.try_clone().map_err(|error| failed("log", error))?;

        let mut command = Command::new(own_program()?);
        command.arg("run").arg("--config").arg(config);
        for set in &self.args.set {
            command.args(["--set", set]);
        }
        command
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("TCPD_SOCKET");
        // Not the terminal's process group: Ctrl-C is COMMAND's.
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let daemon = spawn(process::die_with_parent(&mut command, Signal::KILL))
            .map_err(|error| failed("start the daemon", error))?;
        self.await_ready(daemon, &notices)?;
        Ok(daemon)
    }

    fn await_ready(&self, daemon: Pid, notices: &UnixDatagram) -> Result<(), Failure> {
        let end = clock::now() + READY_WITHIN;
        let mut notice = [0; 4096];
        loop {
            while let Ok(len) = notices.recv(&mut notice) {
                if notice[..len]
                    .split(|byte| *byte == b'\n')
                    .any(|line| line == b"READY=1")
                {
                    return Ok(());
                }
            }
            if let Some((_, status)) = household::reap()
                .into_iter()
                .find(|(pid, _)| *pid == daemon)
            {
                return Err(self.not_started("the daemon ended", &status));
            }
            if self.signals.end_asked() {
                return Err(Failure::new(
                    Exit::Unavailable,
                    "sandbox: told to end while the daemon started",
                ));
            }
            let left = end.duration_since(clock::now());
            if left.is_zero() {
                let what = format!(
                    "sandbox: the daemon was not ready within {READY_WITHIN:?}:\n{}",
                    self.log_end()
                );
                return Err(Failure::new(Exit::Unavailable, what));
            }
            self.signals
                .wait(&[notices.as_fd()], Some(left))
                .map_err(|error| failed("wait", error))?;
        }
    }

    /// The daemon's own exit code where it is one of ours, and what it said.
    fn not_started(&self, what: &str, status: &WaitStatus) -> Failure {
        let exit = match exit_code(*status) {
            77 => Exit::NotPermitted,
            78 => Exit::Configuration,
            73 => Exit::CannotCreate,
            71 => Exit::System,
            _ => Exit::Unavailable,
        };
        Failure::new(
            exit,
            format!("sandbox: {what} before it was ready:\n{}", self.log_end()),
        )
    }

    fn log(&self) -> PathBuf {
        self.args
            .log
            .clone()
            .unwrap_or_else(|| self.directory.join("daemon.log"))
    }

    fn log_end(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn start_command(&self, config: &Path, daemon: Option<Pid>) -> Result<Pid, Failure> {
        let shell = || vec![std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())];
        let words = if self.args.command.is_empty() {
            shell()
        } else {
            self.args.command.clone()
        };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.env("TCPD_SOCKET", configuration::socket(self.directory));
        command
            .env(CONFIG_VARIABLE, config)
            .env("PATH", path_with_own_programs()?);
        if let Some(daemon) = daemon {
            command.env(DAEMON_VARIABLE, daemon.as_raw_nonzero().to_string());
        }
        spawn(process::die_with_parent(&mut command, Signal::KILL)).map_err(|error| {
            let exit = if error.kind() == io::ErrorKind::PermissionDenied {
                Exit::NotPermitted
            } else {
                Exit::Unavailable
            };
            Failure::new(
                exit,
                format!("sandbox: {}: {error}", words[0].to_string_lossy()),
            )
        })
    }

    /// COMMAND's status. Told to end, it passes that on and does not wait for ever.
    fn wait_for(&self, command: Pid) -> Result<u8, Failure> {
        let mut end = None;
        loop {
            if let Some((_, status)) = household::reap()
                .into_iter()
                .find(|(pid, _)| *pid == command)
            {
                return Ok(exit_code(status));
            }
            if self.signals.end_asked() {
                let _ = kill_process(command, Signal::TERM); // if it has ended, the next round sees it
                end.get_or_insert(clock::now() + END_WITHIN);
            }
            let left = end.map(|end| end.duration_since(clock::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(128 + Signal::KILL.as_raw() as u8); // the household's end kills it
            }
            self.signals
                .wait(&[], left)
                .map_err(|error| failed("wait", error))?;
        }
    }
}

fn spawn(command: &mut Command) -> io::Result<Pid> {
    let child = command.spawn()?;
    process::pid_of(&child).ok_or_else(|| io::ErrorKind::Other.into())
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| failed("find tcpd's own program", error))
}

/// `PATH` with the directory of this program first, where tcpctl is too.
fn path_with_own_programs() -> Result<OsString, Failure> {
    let own = own_program()?;
    let rest = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let directories = own
        .parent()
        .map(Path::to_owned)
        .into_iter()
        .chain(std::env::split_paths(&rest));
    std::env::join_paths(directories)
        .map_err(|error| Failure::new(Exit::Usage, format!("sandbox: PATH: {error}")))
}
