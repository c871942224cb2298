//! A worker in somebody else's hands: everything about it is as in any worker, but its handler reads and writes through this.

use std::io::{self, Read, Write};
use std::time::Duration;

use tcpd::services::builtin::Connection;
use tcpd::services::link::{Assignment, Ticket};
use tcpd::services::worker::{WorkerConnection, adopt_from_daemon};

use crate::attacker::Outcome;
use crate::attempts::Attempt;
use crate::raw_session;

/// How workers of these tests reach their connection.
pub(crate) fn adopt(
    assignment: &Assignment,
    ticket: &Ticket,
) -> io::Result<Box<dyn WorkerConnection>> {
    if assignment.service == raw_session::SERVICE {
        return raw_session::adopt(assignment, ticket);
    }
    Ok(Box::new(Agent(adopt_from_daemon(assignment, ticket)?)))
}

/// A connection whose peer can say what is to be tried: an [`Attempt`] in a line of JSON. Anything else is for the handler.
struct Agent(Box<dyn WorkerConnection>);

impl Agent {
    /// Tells the peer that all is ready, waits for its word, tries, and tells what became of it.
    fn perform(&mut self, attempt: &Attempt) -> io::Result<()> {
        self.0.write_all(b"trying\n")?;
        self.0.read_exact(&mut [0; GO.len()])?;
        let outcome = Outcome::of(attempt.perform());
        self.0.write_all(format!("{outcome}\n").as_bytes())
    }
}

/// What the peer says before the agent tries.
pub(crate) const GO: &[u8] = b"go\n";

impl Read for Agent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read(buffer)?;
        match serde_json::from_slice(&buffer[..length]) {
            Ok(attempt) => {
                self.perform(&attempt)?;
                Ok(0)
            }
            Err(_) => Ok(length),
        }
    }
}

impl Write for Agent {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Connection for Agent {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown_write()
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(limit)
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(limit)
    }

    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_arrived(buffer)
    }
}

impl WorkerConnection for Agent {
    fn close(self: Box<Self>) -> io::Result<()> {
        self.0.close()
    }
}
