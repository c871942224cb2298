//! A spawner with its workers, and the other end of their connections.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tcpd::services::builtin::Connection;
use tcpd::services::link::{Assignment, End, EndStatus, JobId, Ticket, Token};
use tcpd::services::spawner_handle::SpawnerHandle;
use tcpd::services::spawner_handle::launch::Launcher;
use tcpd::services::work::{Terms, Work};
use tcpd::services::worker::WorkerConnection;
use tcpd::services::workforce::{Event, Workforce};
use tcpd::system::clock::now;
use tempfile::TempDir;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How workers of these tests reach their connection: connect, say the token, and that is it. What the service is
/// called decides how the worker misbehaves.
pub(crate) fn adopt(
    assignment: &Assignment,
    ticket: &Ticket,
) -> io::Result<Box<dyn WorkerConnection>> {
    let mut stream = UnixStream::connect(&assignment.socket)?;
    stream.write_all(&ticket.token.0)?;
    let trick = match assignment.service.as_str() {
        "opens-a-file" => Trick::OpenFile,
        "opens-a-socket" => Trick::OpenSocket,
        "starts-a-process" => Trick::StartProcess,
        "panics" => Trick::Panic,
        _ => Trick::None,
    };
    Ok(Box::new(Plain { stream, trick }))
}

#[derive(Clone, Copy)]
enum Trick {
    None,
    OpenFile,
    OpenSocket,
    StartProcess,
    Panic,
}

/// A connection over a plain stream, which can play a trick at the first byte.
struct Plain {
    stream: UnixStream,
    trick: Trick,
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        match self.trick {
            Trick::None => {}
            Trick::OpenFile => drop(std::fs::File::open("/etc/passwd")),
            Trick::OpenSocket => drop(UnixStream::pair()),
            Trick::StartProcess => drop(std::process::Command::new("/bin/true").status()),
            Trick::Panic => panic!("a fault in a handler"),
        }
        Ok(length)
    }
}

impl Write for Plain {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Connection for Plain {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(limit)
    }

    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let result = self.stream.read(buffer);
        self.stream.set_nonblocking(false)?;
        result
    }
}

impl WorkerConnection for Plain {
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// A directory of the test's own.
///
/// Not `TempDir::new`: the launcher has turned that to its private directory.
pub(crate) fn temporary_directory() -> TempDir {
    TempDir::new_in(std::env::temp_dir()).expect("temporary directory")
}

/// Where spawners and their launchers meet. One for all tests, because the first one given counts for the process.
pub(crate) fn private_directory() -> PathBuf {
    std::env::temp_dir().join(format!("tcpd-spawner-{}", std::process::id()))
}

/// The daemon's place: it orders workers and meets them on a socket.
pub(crate) struct Crew {
    pub(crate) handle: SpawnerHandle,
    listener: UnixListener,
    directory: TempDir,
    next_job: u64,
    /// Events that came while another was waited for.
    seen: Vec<Event>,
}

/// A worker and the peer's end of its connection.
pub(crate) struct Hired {
    pub(crate) job: JobId,
    pub(crate) pid: i32,
    pub(crate) stream: UnixStream,
}

impl Crew {
    /// A spawner that is ready.
    pub(crate) fn new() -> Self {
        let mut crew = Self::launched(|private| {
            let program = std::env::current_exe().expect("this program");
            Launcher::program(&program, vec!["spawner".into()], private).expect("private directory")
        });
        crew.wait("the spawner", |event| {
            matches!(event, Event::Ready).then_some(())
        });
        crew
    }

    /// A handle on whatever the launcher launches.
    pub(crate) fn launched(launcher: impl FnOnce(&Path) -> Launcher) -> Self {
        let directory = temporary_directory();
        let listener = UnixListener::bind(directory.path().join("daemon")).expect("listener");
        let handle = SpawnerHandle::start(launcher(&private_directory())).expect("a handle");
        Self {
            handle,
            listener,
            directory,
            next_job: 0,
            seen: Vec::new(),
        }
    }

    /// Orders a worker.
    pub(crate) fn order(&mut self, service: &str, work: impl Into<Work>) -> JobId {
        self.order_with(service, work, Terms::default(), true)
    }

    /// Orders a worker on these terms, with a connection or to wait for one.
    pub(crate) fn order_with(
        &mut self,
        service: &str,
        work: impl Into<Work>,
        terms: Terms,
        connection: bool,
    ) -> JobId {
        let job = JobId(self.next_job);
        self.next_job += 1;
        let assignment = Assignment {
            job,
            service: service.to_owned(),
            work: work.into(),
            terms,
            socket: self.socket(),
            ticket: connection.then(|| ticket(job)),
        };
        self.handle.spawn(now(), assignment);
        job
    }

    /// Waits until a worker has started.
    pub(crate) fn start_of(&mut self, job: JobId) -> i32 {
        self.wait("the start", |event| match event {
            Event::Started { job: of, pid } if *of == job => Some(*pid),
            _ => None,
        })
    }

    /// Gives a worker that waits its connection; whether it was there to take it.
    pub(crate) fn assign(&mut self, job: JobId) -> bool {
        self.handle.assign(now(), job, ticket(job));
        self.wait("the answer", |event| match event {
            Event::Assigned { job: of, given } if *of == job => Some(*given),
            _ => None,
        })
    }

    /// The next worker that comes for its connection.
    pub(crate) fn meet(&mut self) -> (JobId, UnixStream) {
        assert!(readable(&self.listener, PATIENCE), "no worker came");
        let (mut stream, _) = self.listener.accept().expect("accept");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        let mut token = [0; 16];
        stream.read_exact(&mut token).expect("the token");
        (JobId(u128::from_be_bytes(token) as u64), stream)
    }

    /// Orders a worker and waits until it has its connection.
    pub(crate) fn hire(&mut self, service: &str, work: impl Into<Work>) -> Hired {
        let job = self.order(service, work);
        let pid = self.start_of(job);
        let (met, stream) = self.meet();
        assert_eq!(met, job);
        Hired { job, pid, stream }
    }

    /// Waits for the end of a worker.
    pub(crate) fn end_of(&mut self, job: JobId) -> Option<End> {
        self.wait("the end", |event| match event {
            Event::Ended { job: of, end } if *of == job => Some(*end),
            _ => None,
        })
    }

    /// Waits for the end of a worker and says how.
    pub(crate) fn status_of(&mut self, job: JobId) -> Option<EndStatus> {
        self.end_of(job).map(|end| end.status)
    }

    /// Waits for the event that `pick` wants; the others are kept.
    pub(crate) fn wait<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = now() + PATIENCE;
        loop {
            while let Some(event) = self.handle.poll_event(now()) {
                self.seen.push(event);
            }
            if let Some((place, picked)) = self
                .seen
                .iter()
                .enumerate()
                .find_map(|(place, event)| Some((place, pick(event)?)))
            {
                self.seen.remove(place);
                return picked;
            }
            assert!(
                now() < deadline,
                "{what} did not come; seen: {:?}",
                self.seen
            );
            self.handle.on_deadline(now());
            let until = self
                .handle
                .next_deadline()
                .unwrap_or(deadline)
                .min(deadline);
            // One millisecond more, or the deadline is not due yet.
            let _ = readable(
                &self.handle,
                until.duration_since(now()) + Duration::from_millis(1),
            );
        }
    }

    /// Where workers reach us.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("daemon")
    }

    /// The spawner's process.
    pub(crate) fn spawner(&self) -> i32 {
        i32::try_from(self.handle.pid().expect("it runs")).expect("an id")
    }
}

/// Whether the descriptor becomes readable in time.
pub(crate) fn readable(descriptor: &impl AsRawFd, limit: Duration) -> bool {
    // SAFETY: the descriptor is open for as long as its owner is borrowed.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor.as_raw_fd()) };
    let limit = Timespec::try_from(limit).expect("a short time");
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    poll(&mut polled, Some(&limit)).expect("poll") > 0
}

fn ticket(job: JobId) -> Ticket {
    Ticket {
        token: Token(u128::from(job.0).to_be_bytes()),
        peer: "198.18.0.1:40112".parse().expect("an address"),
        local: "198.18.0.2:7".parse().expect("an address"),
    }
}

/// Reads a file of `/proc/PID`.
pub(crate) fn proc(pid: i32, file: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/{file}"))
        .unwrap_or_else(|error| panic!("/proc/{pid}/{file}: {error}"))
}

/// A line of `/proc/PID/status`.
pub(crate) fn status_line(pid: i32, name: &str) -> String {
    let status = String::from_utf8(proc(pid, "status")).expect("text");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {status}"))
        .trim()
        .to_owned()
}

/// Sends a signal to a process that this test made.
pub(crate) fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("an id");
    rustix::process::kill_process(pid, signal).expect("it can be signalled");
}
