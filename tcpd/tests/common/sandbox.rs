//! A sandbox beside the test: started, entered by single programs, and gone with the value.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;
use tcpd::sandbox::process::die_with_parent;
use tcpd::sandbox::{CONFIG_VARIABLE, SandboxArgs};

/// A running `tcpd sandbox`.
pub(crate) struct Sandbox {
    process: Child,
    /// A process inside, which lives until we close its standard input.
    holder: u32,
    /// The daemon's process id; none in a bare sandbox.
    pub(crate) daemon: Option<i32>,
    /// The daemon's control socket.
    pub(crate) socket: PathBuf,
    config: PathBuf,
}

/// Tells who it is, then lives as long as its standard input.
const HOLDER: &str = "echo \"$$\"; echo \"$TCPD_DAEMON_PID\"; echo \"$TCPD_SOCKET\"; echo \"$TCPD_CONFIG\"; exec cat >/dev/null";

impl Sandbox {
    /// Starts one and waits until its daemon is ready. The command in `args` is not used.
    pub(crate) fn start(args: SandboxArgs) -> Self {
        let args = SandboxArgs {
            command: ["sh", "-c", HOLDER].map(Into::into).into(),
            ..args
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
        command
            .args(args.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = die_with_parent(&mut command, Signal::TERM)
            .spawn()
            .expect("start tcpd sandbox");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut line = || match lines.next() {
            Some(Ok(line)) => line,
            _ => panic!("the sandbox did not start; it said why above"),
        };
        let holder = line().parse().expect("a process id");
        let daemon = line().parse().ok();
        Self {
            holder,
            daemon,
            socket: line().into(),
            config: line().into(),
            process,
        }
    }

    /// A program to be run inside, with `TCPD_SOCKET` set.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("TCPD_SOCKET", &self.socket)
            .env(CONFIG_VARIABLE, &self.config);
        let user = self.namespace_unless_ours("user");
        let net = self.namespace_unless_ours("net");
        let enter = move || {
            let kinds = [
                (&user, LinkNameSpaceType::User),
                (&net, LinkNameSpaceType::Network),
            ];
            for (namespace, kind) in kinds {
                if let Some(namespace) = namespace {
                    move_into_link_name_space(namespace.as_fd(), Some(kind))?;
                }
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls on descriptors that it owns, and nothing else.
        unsafe { command.pre_exec(enter) };
        command
    }

    fn namespace_unless_ours(&self, kind: &str) -> Option<File> {
        let theirs = format!("/proc/{}/ns/{kind}", self.holder);
        let same = fs::read_link(&theirs).expect("the holder lives")
            == fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        (!same).then(|| File::open(theirs).expect("open its namespace"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Its own deadlines end it: seconds at the worst.
        let _ = self.process.wait();
    }
}
