//! A worker: the process that serves one connection and ends.
//!
//! Born by fork from the spawner, it inherits nothing it could use but the descriptors of standard input (null),
//! output (null) and error (the daemon's).
//!
//! 1. Close every other descriptor and say in `ps` what this process is for. Signals have their default actions since
//!    the spawner's start.
//! 2. Take what the handler needs of the file system.
//! 3. Open an own session on the daemon's socket and adopt the connection with the token: an ordinary client.
//! 4. [`confine`]: no file (before the session opens), then no new socket, no new process. Not one byte of the network is
//!    read before.
//! 5. Run the handler, close the connection, exit.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use super::builtin::{Clock, Connection};
use super::link::Assignment;
use crate::system::process_title::{self, ProcessTitle};
use crate::system::{clock, process};
use tcpd_core::time::Instant;

pub mod confine;
mod session;

pub use self::session::adopt_from_daemon;

/// How a worker gets from its assignment to its connection.
pub type Adopt = fn(&Assignment) -> io::Result<Box<dyn WorkerConnection>>;

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
}

/// The life of a worker.
pub(super) fn run(assignment: &Assignment, title: &mut ProcessTitle, adopt: Adopt) -> ! {
    let name = format!("tcpd: worker {} {}", assignment.service, assignment.peer);
    // The spawner's memory is a copy that nobody else looks at, whatever state a panic leaves it in.
    let result = catch_unwind(AssertUnwindSafe(|| work(assignment, &name, title, adopt)));
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

fn work(
    assignment: &Assignment,
    name: &str,
    title: &mut ProcessTitle,
    adopt: Adopt,
) -> Result<(), Failure> {
    let at = |exit, what| move |error| Failure { exit, what, error };
    // SAFETY: what owns a descriptor in this memory is never used or dropped, because this process ends by `exit_now`.
    unsafe { process::close_from(3) }
        .map_err(at(WorkerExit::NotPrepared, "closing descriptors"))?;
    title.set(name);
    process_title::set_short_name(&format!("tcpd: {}", assignment.service))
        .map_err(at(WorkerExit::NotPrepared, "setting the name"))?;
    confine::limit_resources().map_err(at(WorkerExit::NotPrepared, "limiting resources"))?;
    let handler = assignment
        .handler
        .prepare()
        .map_err(at(WorkerExit::NotPrepared, "preparing the handler"))?;
    confine::restrict_files(&handler)
        .map_err(at(WorkerExit::NotPrepared, "confining the process"))?;

    let connection =
        adopt(assignment).map_err(at(WorkerExit::NotAdopted, "adopting the connection"))?;
    // Dropping it would end the stream as if all had been said. A worker that fails or panics leaves it as it is, and
    // its end is a reset.
    let mut connection = ManuallyDrop::new(connection);
    confine::restrict_calls(&handler)
        .map_err(at(WorkerExit::NotPrepared, "confining the process"))?;

    let failed = at(WorkerExit::Failed, "serving the connection");
    handler
        .serve(&mut **connection, &SystemClock)
        .and_then(|()| ManuallyDrop::into_inner(connection).close())
        .map_err(failed)
}

/// Why a worker ended before its work was done.
#[derive(Debug)]
struct Failure {
    exit: WorkerExit,
    what: &'static str,
    error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

/// The clocks of this machine.
struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        clock::time_of_day()
    }

    fn monotonic(&self) -> Duration {
        clock::now().duration_since(Instant::ZERO)
    }
}
