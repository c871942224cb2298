//! The worker as a client of the daemon: the usual way to its connection.

use std::io::{self, Read};
use std::net::Shutdown;
use std::time::Duration;

use libtcpclient::{Session, TcpStream};

use super::super::builtin::Connection;
use super::super::link::{Assignment, Ticket};
use super::WorkerConnection;

/// Opens a session on the daemon's socket and adopts the connection with the token.
///
/// # Errors
/// When the daemon refuses the token or is gone.
pub fn adopt_from_daemon(
    assignment: &Assignment,
    ticket: &Ticket,
) -> io::Result<Box<dyn WorkerConnection>> {
    let stream = Session::adopt_at(&assignment.socket, ticket.token.0)?;
    Ok(Box::new(stream))
}

impl Connection for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        TcpStream::set_read_timeout(self, limit)
    }

    fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        TcpStream::set_write_timeout(self, limit)
    }

    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.set_nonblocking(true)?;
        let result = self.read(buffer);
        self.set_nonblocking(false)?;
        result
    }
}

impl WorkerConnection for TcpStream {
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(TcpStream::close(*self)?)
    }
}
