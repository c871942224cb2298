//! Executing the spawner and meeting it, on a thread that may block.
//!
//! ipc-channel's one-shot server is the only way to reach an executed process, and its `accept` waits for ever if
//! that process dies first, or connects and says nothing. So a guard watches the process and the clock meanwhile; when
//! either is over, it kills what is left of the process and makes `accept` return by connecting to it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ipc_channel::ipc::{IpcOneShotServer, IpcSender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::services::link::{
    Hello, LINK_VARIABLE, NONCE_VARIABLE, Nonce, Order, Report, USERS_VARIABLE,
};
use crate::system::entropy::random_bytes;
use crate::system::private_directory;
use crate::system::process::inherit_only_standard_descriptors;
use crate::system::process_title::padded_argv0;

/// From execution to Hello.
const MEETING_TIME: Duration = Duration::from_secs(10);
/// From the end of the link to the end of the process, before it is killed.
const LEAVING_TIME: Duration = Duration::from_secs(2);
/// Longest path of a Unix socket, its NUL not counted.
const MAX_SOCKET_PATH: usize = 107;
/// What ipc-channel adds to the private directory's path.
const SOCKET_IN_DIRECTORY: &str = "/.tmpXXXXXX/socket";

/// How to execute the spawner.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
    meeting_time: Duration,
    users: bool,
}

/// What the thread of a spawner has to say, in this order: `Up`, any number of `Report`, `Down`; or `Down` alone.
#[derive(Debug)]
pub(super) enum Said {
    Up {
        orders: IpcSender<Order>,
        pid: u32,
        pidfd: OwnedFd,
    },
    Report(Report),
    Down {
        reason: String,
    },
}

impl Launcher {
    /// This very program as `tcpd spawner`, with `private_directory` for the socket on which the two meet.
    ///
    /// # Errors
    /// When the directory cannot be made, belongs to somebody else, is open to others, or its path is too long.
    pub fn this_program(private_directory: &Path) -> io::Result<Self> {
        Self::program(
            Path::new("/proc/self/exe"),
            vec!["spawner".into()],
            private_directory,
        )
    }

    /// Another program; for tests.
    ///
    /// # Errors
    /// As [`Launcher::this_program`].
    pub fn program(
        program: &Path,
        arguments: Vec<OsString>,
        private_directory: &Path,
    ) -> io::Result<Self> {
        prepare_private_directory(private_directory)?;
        // ipc-channel makes its socket where tempfile says. Only the first directory given in a process' life counts.
        if let Err(earlier) = tempfile::env::override_temp_dir(private_directory)
            && earlier != private_directory
        {
            tracing::debug!(directory = %earlier.display(), "the spawner's socket stays in the directory used before");
        }
        Ok(Self {
            program: program.to_owned(),
            arguments,
            meeting_time: MEETING_TIME,
            users: false,
        })
    }

    /// The spawner keeps the rights to switch users, if the thread that launches it has them.
    #[must_use]
    pub fn for_users(self, users: bool) -> Self {
        Self { users, ..self }
    }

    /// The same with another limit for the time from execution to Hello (10 s); for tests.
    #[must_use]
    pub fn with_meeting_time(self, meeting_time: Duration) -> Self {
        Self {
            meeting_time,
            ..self
        }
    }

    /// Runs one spawner from start to end. `say` returns false when nobody listens any more.
    pub(super) fn run(&self, mut say: impl FnMut(Said) -> bool) {
        let reason = match self.meet() {
            Ok((mut child, hello, pidfd)) => {
                let reports = hello.reports;
                let mut heard = say(Said::Up {
                    orders: hello.orders,
                    pid: child.id(),
                    pidfd,
                });
                while heard {
                    match reports.recv() {
                        Ok(report) => heard = say(Said::Report(report)),
                        Err(_) => break,
                    }
                }
                drop(reports);
                end(&mut child)
            }
            Err(error) => format!("it could not be started: {error}"),
        };
        say(Said::Down { reason });
    }

    /// Executes the spawner and waits for its Hello.
    fn meet(&self) -> io::Result<(Child, Hello, OwnedFd)> {
        let nonce = Nonce(random_bytes()?);
        let (server, name) = IpcOneShotServer::<Hello>::new()?;
        let mut child = self.execute(&name, nonce)?;
        let met = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| {
                let hello = accept_guarded(server, &name, &pidfd, self.meeting_time)?;
                Ok((hello, pidfd))
            });
        match met {
            Ok((hello, pidfd)) if hello.nonce == nonce => Ok((child, hello, pidfd)),
            Ok(_) => {
                end(&mut child);
                Err(io::Error::other("a stranger answered in its place"))
            }
            Err(error) => {
                let reason = end(&mut child);
                Err(io::Error::other(format!("{error}; {reason}")))
            }
        }
    }

    fn execute(&self, name: &str, nonce: Nonce) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .arg0(padded_argv0("tcpd"))
            .args(&self.arguments)
            .env_clear()
            .env(LINK_VARIABLE, name)
            .env(NONCE_VARIABLE, nonce.to_hexadecimal())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .envs(self.users.then_some((USERS_VARIABLE, "1")))
            // A signal from the terminal is for tcpd, which decides what becomes of its workers.
            .process_group(0);
        inherit_only_standard_descriptors(&mut command).spawn()
    }
}

/// The directory, where it is short enough to have a socket in it.
fn prepare_private_directory(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().len() + SOCKET_IN_DIRECTORY.len() > MAX_SOCKET_PATH {
        let path = directory.display();
        return Err(io::Error::other(format!(
            "{path}: the path is too long for a socket"
        )));
    }
    private_directory::make(directory)
}

/// `accept` that returns also when the other process dies or takes longer than `limit`.
fn accept_guarded(
    server: IpcOneShotServer<Hello>,
    name: &str,
    pidfd: &OwnedFd,
    limit: Duration,
) -> io::Result<Hello> {
    let (met, say_met) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    std::thread::scope(|scope| {
        let guard = std::thread::Builder::new()
            .name("spawner guard".to_owned())
            .spawn_scoped(scope, || {
                let over = wait(&[pidfd, &met], Some(limit));
                if over[1] {
                    return;
                }
                kill(pidfd);
                // If `accept` has not come to a connection yet, this is one that says nothing and ends.
                drop(IpcSender::<Hello>::connect(name.to_owned()));
            })?;
        let accepted = server.accept();
        drop(say_met);
        let _ = guard.join();
        accepted
            .map(|(_, hello)| hello)
            .map_err(|_| io::Error::other("it did not say hello"))
    })
}

/// Waits for the process to end, not for ever, and says how it ended.
fn end(child: &mut Child) -> String {
    if let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty())
        && !wait(&[&pidfd], Some(LEAVING_TIME))[0]
    {
        kill(&pidfd);
    }
    match child.wait() {
        Ok(status) => format!("it ended with {status}"),
        Err(error) => format!("it ended; {error}"),
    }
}

/// Which of the descriptors are readable or hung up, after at most `limit`.
fn wait(descriptors: &[&OwnedFd], limit: Option<Duration>) -> Vec<bool> {
    let mut polled: Vec<PollFd> = descriptors
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    loop {
        match poll(&mut polled, limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return polled.iter().map(|fd| !fd.revents().is_empty()).collect(),
        }
    }
}

/// Whether the process of this pidfd has not ended yet.
pub(super) fn is_alive(pidfd: &OwnedFd) -> bool {
    !wait(&[pidfd], Some(Duration::ZERO))[0]
}

/// SIGKILL; a process that has ended is left alone.
pub(super) fn kill(pidfd: &OwnedFd) {
    if let Err(error) = pidfd_send_signal(pidfd, Signal::KILL) {
        tracing::debug!(%error, "cannot kill the spawner");
    }
}
