//! A worker: the process that serves one connection and ends.
//!
//! Born by fork from the spawner, it inherits nothing it could use but the descriptors of standard input (null),
//! output (null) and error (the daemon's), and the line to the spawner where it needs one.
//!
//! 1. Close every other descriptor and say in `ps` what this process is for. Signals have their default actions since
//!    the spawner's start.
//! 2. Become the service's user, and give up every right.
//! 3. [`builtin`]: take what the handler needs of the file system; take on landlock. [`command`]: the same for a command, in a
//!    session of its own.
//! 4. One that was forked before there was a connection waits for one, and its daemon's end.
//! 5. Open an own session on the daemon's socket and adopt the connection with the token: an ordinary client.
//! 6. Take on seccomp. Not one byte of the network is read before.
//! 7. Run the handler, close the connection, exit; or make the connection standard input and output, and execute the command.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::builtin::Connection;
use super::line::Lower;
use super::link::{Assignment, Ticket};
use super::rights;
use super::work::{Terms, Work};
use crate::system::process;
use crate::system::process_title::{self, ProcessTitle};

mod builtin;
mod command;
pub mod confine;
mod session;

pub use self::session::adopt_from_daemon;

/// How a worker gets from its assignment to its connection.
pub type Adopt = fn(&Assignment, &Ticket) -> io::Result<Box<dyn WorkerConnection>>;

/// A connection that can be ended in an orderly way.
pub trait WorkerConnection: Connection {
    /// Sends what is left and ends the connection; without this, the end of the worker is a reset.
    ///
    /// # Errors
    /// When the connection is gone.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// How a worker ends: its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum WorkerExit {
    /// The connection was served to its end.
    Served = 0,
    /// The connection failed: reset by the peer, timed out, or the daemon ended.
    Failed = 1,
    /// The connection could not be adopted: it is gone, or the token is too old.
    NotAdopted = 69,
    /// A fault in the handler (a panic).
    Fault = 70,
    /// The process could not be confined, or what the handler serves cannot be reached.
    NotPrepared = 71,
    /// The command could not be executed.
    NotExecuted = 72,
}

/// The life of a worker.
pub(super) fn run(
    assignment: &Assignment,
    title: &mut ProcessTitle,
    adopt: Adopt,
    line: Option<Lower>,
) -> ! {
    let mut name = name(assignment, assignment.ticket.as_ref());
    // The spawner's memory is a copy that nobody else looks at, whatever state a panic leaves it in.
    let result = catch_unwind(AssertUnwindSafe(|| {
        work(assignment, &mut name, title, adopt, line)
    }));
    let exit = match result {
        Ok(Ok(())) => WorkerExit::Served,
        Ok(Err(failure)) => {
            if failure.exit != WorkerExit::Failed {
                eprintln!("{name}: {failure}");
            }
            failure.exit
        }
        Err(_) => WorkerExit::Fault,
    };
    process::exit_now(exit as i32)
}

/// As `ps` shows it.
fn name(assignment: &Assignment, ticket: Option<&Ticket>) -> String {
    match ticket {
        Some(ticket) => format!("tcpd: worker {} {}", assignment.service, ticket.peer),
        None => format!("tcpd: worker {} idle", assignment.service),
    }
}

fn work(
    assignment: &Assignment,
    name: &mut String,
    title: &mut ProcessTitle,
    adopt: Adopt,
    line: Option<Lower>,
) -> Result<(), Failure> {
    let failed = |what| move |error| Failure::new(WorkerExit::NotPrepared, what, error);
    let line = close_all_but(line).map_err(failed("closing descriptors"))?;
    title.set(name);
    process_title::set_short_name(&format!("tcpd: {}", assignment.service))
        .map_err(failed("setting the name"))?;
    limit(&assignment.terms).map_err(failed("limiting the processor"))?;
    let account = assignment.terms.account.as_ref();
    rights::become_user(account).map_err(failed("becoming the service's user"))?;
    let station = Station {
        assignment,
        name,
        title,
        line,
    };
    match &assignment.work {
        Work::Builtin(handler) => builtin::serve(station, handler, adopt),
        Work::Exec(command) => command::execute(station, command),
    }
}

fn close_all_but(line: Option<Lower>) -> io::Result<Option<Lower>> {
    let Some(line) = line else {
        // SAFETY: what owns a descriptor in this memory is never used or dropped, because this process ends by `exit_now`.
        unsafe { process::close_from(3) }?;
        return Ok(None);
    };
    let number = line.as_fd().as_raw_fd();
    std::mem::forget(line);
    // SAFETY: as above, and the line was forgotten.
    let kept = unsafe { process::keep_only(number) }?;
    Ok(Some(kept.into()))
}

/// Priority and processor time, both inherited by what the worker starts.
fn limit(terms: &Terms) -> io::Result<()> {
    if terms.nice > 0 {
        rustix::process::nice(terms.nice.into())?;
    }
    if !terms.cpu_time.is_zero() {
        let seconds = terms.cpu_time.as_secs() + u64::from(terms.cpu_time.subsec_nanos() > 0);
        // SIGXCPU first, which a program may catch to say goodbye; a second later SIGKILL.
        at_most(Resource::Cpu, seconds, seconds + 1)?;
    }
    Ok(())
}

/// Soft and hard limit, no higher than allowed now.
fn at_most(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let allowed = rustix::process::getrlimit(resource).maximum;
    let within = |value: u64| Some(allowed.map_or(value, |allowed| allowed.min(value)));
    let limit = Rlimit {
        current: within(soft),
        maximum: within(hard),
    };
    Ok(setrlimit(resource, limit)?)
}

/// What a worker has when it is who it shall be.
struct Station<'a> {
    assignment: &'a Assignment,
    name: &'a mut String,
    title: &'a mut ProcessTitle,
    line: Option<Lower>,
}

impl Station<'_> {
    /// The connection that this worker is for; waits for it if it was forked before. `None`: there will be none.
    fn ticket(&mut self) -> Result<Option<Ticket>, Failure> {
        if let Some(ticket) = self.assignment.ticket {
            return Ok(Some(ticket));
        }
        let Some(line) = &self.line else {
            return Ok(None);
        };
        let waited = line.wait();
        let what = "waiting for a connection";
        let ticket = waited.map_err(|error| Failure::new(WorkerExit::NotAdopted, what, error))?;
        if let Some(ticket) = &ticket {
            *self.name = name(self.assignment, Some(ticket));
            self.title.set(self.name);
        }
        Ok(ticket)
    }
}

/// Why a worker ended before its work was done.
#[derive(Debug)]
struct Failure {
    exit: WorkerExit,
    what: &'static str,
    error: io::Error,
}

impl Failure {
    fn new(exit: WorkerExit, what: &'static str, error: io::Error) -> Self {
        Self { exit, what, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}
