//! What systemd hears and hands over, with a manager of the test's own in its place: readiness, reload, watchdog and stop; the
//! control socket; the journal.

mod journal;

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtcpclient::client::control::Control;
use libtcpclient::socket::SeqpacketListener;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::program::{Ended, run_with, said};

/// The manager's side: a directory with its notification socket. It goes with this value.
struct Manager {
    directory: PathBuf,
    notices: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let directory = std::env::temp_dir().join(format!("tcpd-manager-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory of our own");
        let notices = UnixDatagram::bind(directory.join("notify")).expect("a socket");
        let manager = Manager { directory, notices };
        fs::write(manager.file(), "").expect("write the configuration");
        manager
    }

    /// The configuration.
    fn file(&self) -> PathBuf {
        self.directory.join("tcpd.toml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("sock")
    }

    /// `tcpd run` with these settings, told where to notify; WATCHDOG=1 is wanted every 200 ms.
    fn command(&self, set: &[&str]) -> Command {
        let socket = format!("control.socket={}", self.socket().display());
        let mut command = run_with(&self.file(), &[&[&socket[..]], set].concat());
        command
            .env("NOTIFY_SOCKET", self.directory.join("notify"))
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::null());
        command
    }

    fn start(&self, set: &[&str]) -> Ended {
        Ended(self.command(set).spawn().expect("start tcpd"))
    }

    /// The next notice, if one comes in time.
    fn next(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 1024];
        self.notices
            .set_read_timeout(Some(within))
            .expect("a socket");
        let length = self.notices.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Waits for a notice with a line that begins so, passing over others; gives the whole notice.
    fn hear(&self, wanted: &str) -> String {
        wait_for(wanted, 20, || {
            let notice = self.next(Duration::from_millis(50))?;
            let said = notice.lines().any(|line| line.starts_with(wanted));
            said.then_some(notice)
        })
    }

    /// `sh` that executes `command` with this descriptor as its number 3, as systemd hands over sockets.
    fn activated(&self, descriptor: &impl AsFd, sockets: &str) -> Command {
        // The process that LISTEN_PID names is the one that is executed.
        let mut command = Command::new("sh");
        let script = format!("LISTEN_PID=$$ LISTEN_FDS={sockets} exec \"$0\" \"$@\"");
        command.args(["-c", &script]);
        executes(&mut command, &self.command(&[])).stderr(Stdio::null());
        let descriptor = descriptor.as_fd().as_raw_fd();
        // SAFETY: the closure makes three system calls and nothing else.
        unsafe { command.pre_exec(move || handed_over(descriptor)) };
        command
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// Lets `first` execute `then`: its words are arguments, its environment counts.
fn executes<'a>(first: &'a mut Command, then: &Command) -> &'a mut Command {
    first.arg(then.get_program()).args(then.get_args());
    for (name, value) in then.get_envs() {
        first.env(name, value.expect("a value"));
    }
    first
}

/// Makes `descriptor` the number 3, and 4, of a process that is about to be executed.
fn handed_over(descriptor: RawFd) -> std::io::Result<()> {
    for number in [4, 3] {
        // SAFETY: both take numbers only; the first is open in the parent, and so here. The second is for the case that
        // it has that number already, which dup2 leaves close-on-exec.
        let handed = unsafe {
            libc::dup2(descriptor, number) >= 0 && libc::fcntl(number, libc::F_SETFD, 0) >= 0
        };
        if !handed {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

fn terminate(daemon: &mut Ended) {
    kill_process(Pid::from_child(&daemon.0), Signal::TERM).expect("our child");
    assert_eq!(daemon.0.wait().expect("our child").code(), Some(0));
}

/// A daemon on this socket answers.
fn answers(socket: &Path) -> Control {
    wait_for("a daemon that answers", 20, || {
        let mut control = Control::connect_to(socket).ok()?;
        control.ping().ok()?;
        Some(control)
    })
}

#[test]
fn systemd_hears_of_readiness_watchdog_and_stop() {
    in_namespace(|| {
        let manager = Manager::new();
        let mut daemon = manager.start(&[]);
        let ready = manager.hear("READY=1");
        assert!(ready.contains("STATUS=serving 0 services"), "{ready}");
        Control::connect_to(&manager.socket())
            .expect("ready is ready")
            .ping()
            .expect("an answer");
        manager.hear("WATCHDOG=1");
        manager.hear("WATCHDOG=1");
        let mut control = answers(&manager.socket());
        let grace = Some(Duration::from_secs(7200));
        control.drain(grace).expect("it drains");
        let stopping = manager.hear("STOPPING=1");
        // Two hours, and five seconds for what comes then.
        let room = "EXTEND_TIMEOUT_USEC=7205000000";
        assert!(stopping.lines().any(|line| line == room), "{stopping}");
        assert_eq!(daemon.0.wait().expect("our child").code(), Some(0));
    });
}

#[test]
fn systemd_hears_of_a_reload_and_its_end_also_when_it_is_refused() {
    in_namespace(|| {
        let manager = Manager::new();
        let daemon = manager.start(&[]);
        manager.hear("READY=1");
        let reload = || {
            let reloading = manager.hear("RELOADING=1");
            assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
            manager.hear("READY=1");
        };
        kill_process(Pid::from_child(&daemon.0), Signal::HUP).expect("our child");
        reload();
        let mut control = answers(&manager.socket());
        control.reload().expect("nothing has changed");
        reload();
        fs::write(manager.file(), "[tcp]\nmsl = \"soon\"\n").expect("write the configuration");
        control.reload().expect_err("it is wrong");
        reload();
    });
}

#[test]
fn a_daemon_whose_stack_thread_hangs_is_silent_to_the_watchdog() {
    in_namespace(|| {
        let manager = Manager::new();
        let daemon = manager.start(&[]);
        manager.hear("READY=1");
        manager.hear("WATCHDOG=1");
        let hanging = Hanging::thread(daemon.0.id(), "stack");
        // What was said before: it comes every 100 ms.
        wait_for("silence", 10, || {
            let said = manager.next(Duration::from_millis(300));
            said.is_none().then_some(())
        });
        let said = manager.next(Duration::from_secs(1));
        assert_eq!(said, None, "five times it was due");
        answers_ping(&manager.socket());
        drop(hanging);
        manager.hear("WATCHDOG=1");
    });
}

/// The control thread does not hang: it answers what it alone can answer.
fn answers_ping(socket: &Path) {
    let mut control = Control::connect_to(socket).expect("a session");
    control.ping().expect("an answer");
}

/// A thread that is held, by this one, until the value goes.
struct Hanging(libc::pid_t);

impl Hanging {
    fn thread(process: u32, name: &str) -> Hanging {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the daemon lives");
        let task = tasks
            .map(|task| task.expect("a task").path())
            .find(|task| {
                fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
            })
            .expect("a thread of that name");
        let number = task.file_name().and_then(|number| number.to_str());
        let thread = number.and_then(|number| number.parse().ok());
        let hanging = Hanging(thread.expect("a number"));
        hanging.request(libc::PTRACE_SEIZE);
        hanging.request(libc::PTRACE_INTERRUPT);
        let mut status = 0;
        // SAFETY: `status` is ours to write to.
        let waited = unsafe { libc::waitpid(hanging.0, &raw mut status, libc::__WALL) };
        assert_eq!(waited, hanging.0, "it stops");
        hanging
    }

    fn request(&self, request: libc::c_uint) {
        let null = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: none of the requests used here reads or writes memory.
        let done = unsafe { libc::ptrace(request, self.0, null, null) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.request(libc::PTRACE_DETACH);
    }
}

#[test]
fn systemds_socket_is_used_and_outlives_the_daemon() {
    in_namespace(|| {
        let manager = Manager::new();
        let path = manager.socket();
        let listener = SeqpacketListener::bind(&path).expect("a socket");
        // Who connects before there is a daemon waits for one.
        let early = libtcpclient::socket::Seqpacket::connect(&path).expect("systemd listens");
        drop(early);
        for _ in 0..2 {
            let mut command = manager.activated(&listener, "1");
            let mut daemon = Ended(command.spawn().expect("start tcpd"));
            answers(&path);
            terminate(&mut daemon);
            assert!(path.exists(), "it is systemd's to remove");
        }
    });
}

#[test]
fn sockets_that_are_not_what_the_unit_promises_are_refused() {
    in_namespace(|| {
        let manager = Manager::new();
        let wrong_kind = "the socket from systemd is not a listening SOCK_SEQPACKET socket: tcpd.socket needs ListenSequentialPacket=";
        let stream = UnixListener::bind(manager.directory.join("stream")).expect("a socket");
        let (end, _other) = libtcpclient::socket::Seqpacket::pair().expect("a pair");
        let file = File::open("/dev/null").expect("a file");
        let listener = SeqpacketListener::bind(&manager.socket()).expect("a socket");
        let two = "the control socket from systemd: there is more than one; tcpd.socket must have one ListenSequentialPacket=";
        let no_number = "the control socket from systemd: invalid LISTEN_FDS";
        let none = "the control socket from systemd: Bad file descriptor (os error 9)";
        let stream: OwnedFd = stream.into();
        for (descriptor, sockets, code, message) in [
            (stream.as_fd(), "1", 78, wrong_kind),
            (end.as_fd(), "1", 78, wrong_kind),
            (file.as_fd(), "1", 78, wrong_kind),
            (listener.as_fd(), "2", 78, two),
            (listener.as_fd(), "one", 78, no_number),
            (listener.as_fd(), "3", 71, none),
        ] {
            let mut command = manager.activated(&descriptor, sockets);
            let output = command.stderr(Stdio::piped()).output().expect("run tcpd");
            assert_eq!(said(&output), format!("tcpd: {message}\n"));
            assert_eq!(output.status.code(), Some(code), "{message}");
        }
    });
}
