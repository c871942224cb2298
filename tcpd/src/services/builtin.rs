//! The handlers that come with tcpd: the small services of 1983, and files over HTTP.
//!
//! A handler is plain blocking code over a [`Connection`]. It knows no descriptor, no process and no clock but
//! [`Clock`], so the tests run it over a socket pair.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub mod chargen;
pub mod daytime;
pub mod discard;
pub mod echo;
pub mod http;
pub mod time;

#[cfg(test)]
mod test_connection;
#[cfg(test)]
mod tests;

/// How long a handler that has said all waits for the peer's end of the stream before it closes.
///
/// Closing with unread bytes resets the connection (RFC 2525 §2.17), and a reset can destroy what is still under way.
pub const LINGER: Duration = Duration::from_secs(5);

/// Which handler serves a connection, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handler {
    /// RFC 862: sends back what it receives.
    Echo,
    /// RFC 863: throws away what it receives.
    Discard,
    /// RFC 867: says the date and time for people.
    Daytime,
    /// RFC 868: says the time as 32 bits.
    Time,
    /// RFC 864: sends printable characters for ever.
    Chargen,
    /// RFC 9110 and 9112: the files of a directory, GET and HEAD only.
    Http {
        /// The directory that `/` stands for.
        directory: PathBuf,
    },
}

impl Handler {
    /// Every name that [`Handler::name`] can return.
    pub const NAMES: [&'static str; 6] = ["echo", "discard", "daytime", "time", "chargen", "http"];

    /// The name in the configuration and in `ps`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Discard => "discard",
            Self::Daytime => "daytime",
            Self::Time => "time",
            Self::Chargen => "chargen",
            Self::Http { .. } => "http",
        }
    }

    /// The handler of that name; `directory` is what `http` serves and no other handler takes.
    ///
    /// # Errors
    /// An unknown name, `http` without a directory, or a directory for a handler that serves none.
    pub fn from_name(name: &str, directory: Option<PathBuf>) -> Result<Self, HandlerError> {
        let handler = match (name, directory) {
            ("http", Some(directory)) => return Ok(Self::Http { directory }),
            ("http", None) => return Err(HandlerError::DirectoryMissing),
            (name, Some(_)) if Self::NAMES.contains(&name) => {
                return Err(HandlerError::DirectoryUnused(name.to_owned()));
            }
            ("echo", None) => Self::Echo,
            ("discard", None) => Self::Discard,
            ("daytime", None) => Self::Daytime,
            ("time", None) => Self::Time,
            ("chargen", None) => Self::Chargen,
            (name, _) => return Err(HandlerError::Unknown(name.to_owned())),
        };
        Ok(handler)
    }

    /// Takes what the handler needs of the file system, while that can still be reached.
    ///
    /// # Errors
    /// When the directory of `http` cannot be opened.
    pub fn prepare(&self) -> io::Result<Prepared> {
        Ok(match self {
            Self::Echo => Prepared::Echo,
            Self::Discard => Prepared::Discard,
            Self::Daytime => Prepared::Daytime,
            Self::Time => Prepared::Time,
            Self::Chargen => Prepared::Chargen,
            Self::Http { directory } => Prepared::Http(http::Site::open(directory)?),
        })
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a handler cannot be made from its configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// No handler has this name.
    #[error("no handler is called '{0}'; there are {names}", names = Handler::NAMES.join(", "))]
    Unknown(String),
    /// `http` serves a directory and none is given.
    #[error("handler 'http' needs a directory")]
    DirectoryMissing,
    /// A directory is given to a handler that serves none.
    #[error("handler '{0}' serves no files and takes no directory")]
    DirectoryUnused(String),
}

/// A handler that holds what it needs and can be confined.
#[derive(Debug)]
pub enum Prepared {
    /// See [`Handler::Echo`].
    Echo,
    /// See [`Handler::Discard`].
    Discard,
    /// See [`Handler::Daytime`].
    Daytime,
    /// See [`Handler::Time`].
    Time,
    /// See [`Handler::Chargen`].
    Chargen,
    /// See [`Handler::Http`], with the directory open.
    Http(http::Site),
}

impl Prepared {
    /// Serves one connection to its end.
    ///
    /// # Errors
    /// When the connection fails (reset, timed out) before the service is done.
    pub fn serve(&self, connection: &mut dyn Connection, clock: &dyn Clock) -> io::Result<()> {
        match self {
            Self::Echo => echo::serve(connection),
            Self::Discard => discard::serve(connection),
            Self::Daytime => daytime::serve(connection, clock),
            Self::Time => time::serve(connection, clock),
            Self::Chargen => chargen::serve(connection),
            Self::Http(site) => http::serve(site, connection, clock),
        }
    }
}

/// What a handler can do with its connection.
pub trait Connection: Read + Write {
    /// Ends our direction of the stream (FIN); the other goes on.
    ///
    /// # Errors
    /// When the connection is gone.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Bounds every later read; `None` waits for ever. A read that takes longer fails with `TimedOut` or `WouldBlock`.
    ///
    /// # Errors
    /// When the connection is gone.
    fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()>;

    /// Bounds every later write as [`Connection::set_read_timeout`] does reads.
    ///
    /// # Errors
    /// When the connection is gone.
    fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()>;

    /// Takes bytes that have arrived, without waiting: `WouldBlock` when there are none, 0 at the end of the stream.
    ///
    /// # Errors
    /// When the connection is gone, or there is nothing to take.
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The two clocks a handler may ask.
pub trait Clock {
    /// The date.
    fn wall(&self) -> SystemTime;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// Whether a read or write failed because its time limit passed.
#[must_use]
pub fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// Sends FIN and throws away what still comes until the peer ends its direction too, but no longer than [`LINGER`]
/// without a byte and no more than 16 MiB.
///
/// # Errors
/// When the connection fails meanwhile. That the peer stays silent is no error.
pub fn finish(connection: &mut dyn Connection) -> io::Result<()> {
    connection.shutdown_write()?;
    connection.set_read_timeout(Some(LINGER))?;
    let mut buffer = vec![0; 64 << 10];
    let mut left: usize = 16 << 20;
    while left > 0 {
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => left = left.saturating_sub(length),
            Err(error) if timed_out(&error) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
