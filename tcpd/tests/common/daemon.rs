//! A daemon of a test's own: started in the namespace the test is in, ended with it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use libtcpclient::client::control::Control;

use super::deadline::wait_for;

/// tcpd's addresses in every test, and the kernel's.
pub(crate) const STACK_V4: &str = "198.18.0.2";
/// The same for IPv6.
pub(crate) const STACK_V6: &str = "fd00:7463:7064::2";
/// The kernel's end of the link.
pub(crate) const HOST_V4: &str = "198.18.0.1";
/// The same for IPv6.
pub(crate) const HOST_V6: &str = "fd00:7463:7064::1";

/// `--set` flags with which tcpd sends nothing again by a timer, however long the machine stops somebody or a test holds a segment.
pub(crate) const PATIENT: [&str; 3] = [
    "tcp.rto_initial=10s",
    "tcp.rto_min=10s",
    "tcp.tail_loss_probe=false",
];

/// A running daemon. Dropping it kills it and takes its directory away.
pub(crate) struct Daemon {
    pub(super) child: Child,
    pub(super) directory: PathBuf,
    /// `--set` flags.
    pub(super) set: Vec<String>,
}

impl Daemon {
    /// Starts `tcpd run` with `config` as its file, and waits until it answers.
    pub(crate) fn start(config: &str) -> Daemon {
        Daemon::start_with(config, &[])
    }

    /// The same with `--set` flags: `key=value`.
    pub(crate) fn start_with(config: &str, set: &[&str]) -> Daemon {
        let directory = std::env::temp_dir().join(format!("tcpd-test-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        std::fs::write(directory.join("tcpd.toml"), config).expect("write the configuration");
        let set: Vec<String> = set.iter().copied().map(str::to_owned).collect();
        let child = spawn(&directory, &set);
        Daemon {
            child,
            directory,
            set,
        }
        .answering()
    }

    pub(super) fn answering(mut self) -> Daemon {
        wait_for("daemon that answers", 20, || {
            if let Some(status) = self.child.try_wait().expect("look at the daemon") {
                panic!("tcpd ended at once: {status}\n{}", self.log());
            }
            Control::connect_to(&self.socket()).ok()?.ping().ok()
        });
        self
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("sock")
    }

    /// A place for the test's files.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An operator's session.
    pub(crate) fn control(&self) -> Control {
        Control::connect_to(&self.socket()).expect("a control session")
    }

    /// The value of one counter.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.control()
            .stats()
            .map(|row| row.expect("a counter"))
            .find(|row| row.name == name)
            .unwrap_or_else(|| panic!("no counter {name}"))
            .value
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("signal the daemon");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self, seconds: u64) -> ExitStatus {
        let child = &mut self.child;
        wait_for("end of the daemon", seconds, || {
            child.try_wait().expect("look at the daemon")
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// Names another program that is to be the daemon; for a test that has one.
pub(crate) const PROGRAM: &str = "TCPD_TEST_PROGRAM";

fn program() -> PathBuf {
    let program = std::env::var_os(PROGRAM);
    program.map_or_else(|| env!("CARGO_BIN_EXE_tcpd").into(), PathBuf::from)
}

/// A daemon in this directory.
pub(super) fn spawn(directory: &Path, set: &[String]) -> Child {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("log"))
        .expect("create the log");
    let mut command = Command::new(program());
    command.arg("run").arg("--config");
    command.arg(directory.join("tcpd.toml"));
    command.arg("--set").arg(format!(
        "control.socket={}",
        directory.join("sock").display()
    ));
    command.args(["--set", "log.to=stderr"]);
    for set in set {
        command.args(["--set", set]);
    }
    command.stderr(log).spawn().expect("start tcpd")
}
