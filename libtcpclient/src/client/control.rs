//! What `tcpctl` does: ask the daemon about everything, close and reset.
//!
//! A [`Control`] is a session without an arena: it has no connections of its own, no thread and
//! no shared memory.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::error::SessionError;
use super::patience::{patience, patiently};
use crate::protocol::request::{MAX_IMPAIRMENT, MAX_SETTINGS};
use crate::protocol::status::{
    ConnectionRow, ConnectionStatus, CounterRow, DaemonStatus, Draining, ImpairmentRow,
    ListenerRow, Reloaded, ServiceRow, SessionRow, UserRow,
};
use crate::protocol::{
    DEFAULT_SOCKET, ErrorCode, Event, Failure, Filter, FromDaemon, Hello, Impair, MAX_MESSAGE,
    Page, Reply, Request, SOCKET_VARIABLE, VERSION, Welcome,
};
use crate::socket::{Received, Seqpacket, says_gone};

/// How long the daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the daemon's socket is: `$TCPD_SOCKET` if set and not empty, else `/run/tcpd/tcpd.sock`.
pub fn socket_path() -> PathBuf {
    match std::env::var_os(SOCKET_VARIABLE) {
        Some(path) if !path.is_empty() => path.into(),
        _ => DEFAULT_SOCKET.into(),
    }
}

/// An answer to [`Control::ping`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Since the daemon started.
    pub uptime: Duration,
}

/// A session that inspects and controls.
#[derive(Debug)]
pub struct Control {
    socket: Seqpacket,
    request: u32,
    welcome: Welcome,
    ending: Option<Failure>,
}

impl Control {
    /// Connects to [`socket_path`].
    ///
    /// # Errors
    /// See [`Control::connect_to`].
    pub fn connect() -> Result<Control, SessionError> {
        Control::connect_to(&socket_path())
    }

    /// Connects to the daemon that listens at `path`. While there is none it waits as long as
    /// [`$TCPD_WAIT`](super::patience) says, by default not at all.
    ///
    /// # Errors
    /// [`SessionError::DaemonNotThere`] when nobody does; [`SessionError::NotPermitted`];
    /// [`SessionError::Refused`] (another version, a quota).
    pub fn connect_to(path: &Path) -> Result<Control, SessionError> {
        Control::connect_within(path, patience()?)
    }

    /// As [`Control::connect_to`], and waits so long whatever the environment says.
    ///
    /// # Errors
    /// As [`Control::connect_to`].
    pub fn connect_within(path: &Path, wait: Duration) -> Result<Control, SessionError> {
        patiently(wait, || Control::over(connect_socket(path)?))
    }

    /// Opens the session on a socket that is connected already.
    ///
    /// # Errors
    /// As [`Control::connect_to`].
    pub fn over(socket: Seqpacket) -> Result<Control, SessionError> {
        socket.set_receive_timeout(Some(PATIENCE))?;
        let mut control = Control {
            socket,
            request: 0,
            welcome: Welcome {
                version: VERSION,
                stack_threads: 0,
                slots: 0,
                ring_maximum: 0,
                session: 0,
                daemon_version: String::new(),
            },
            ending: None,
        };
        let hello = Request::Hello(Hello {
            version: VERSION,
            arena: false,
            token: None,
            program: program_name(),
        });
        match control.call(&hello)? {
            Reply::Welcome(welcome) => control.welcome = welcome,
            _ => return Err(UNASKED),
        }
        Ok(control)
    }

    /// What the daemon said when the session opened.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Whether the daemon answers.
    ///
    /// # Errors
    /// As every call here: [`SessionError::DaemonGone`], [`SessionError::Silent`],
    /// [`SessionError::Refused`], or an answer that makes no sense.
    pub fn ping(&mut self) -> Result<Pong, SessionError> {
        match self.call(&Request::Ping)? {
            Reply::Pong {
                version,
                pid,
                uptime_ms,
            } => Ok(Pong {
                version,
                pid,
                uptime: Duration::from_millis(uptime_ms),
            }),
            _ => Err(UNASKED),
        }
    }

    /// Every connection that matches and that this user may see. Pages are fetched as the
    /// iterator goes, so a million connections need no memory here.
    pub fn list(&mut self, filter: &Filter) -> Rows<'_, ConnectionRow> {
        let filter = filter.clone();
        Rows::new(self, move |cursor| Request::List {
            filter: filter.clone(),
            cursor,
        })
    }

    /// Every listener that matches and that this user may see.
    pub fn listeners(&mut self, filter: &Filter) -> Rows<'_, ListenerRow> {
        let filter = filter.clone();
        Rows::new(self, move |cursor| Request::Listeners {
            filter: filter.clone(),
            cursor,
        })
    }

    /// Every counter, every drop reason.
    pub fn stats(&mut self) -> Rows<'_, CounterRow> {
        Rows::new(self, |cursor| Request::Stats { cursor })
    }

    /// Every service.
    pub fn services(&mut self) -> Rows<'_, ServiceRow> {
        Rows::new(self, |cursor| Request::Services { cursor })
    }

    /// Every session that this user may see.
    pub fn sessions(&mut self) -> Rows<'_, SessionRow> {
        Rows::new(self, |cursor| Request::Sessions { cursor })
    }

    /// What every user has and may have. A user sees itself; root and the administrators' group every user, the services and the whole.
    pub fn users(&mut self) -> Rows<'_, UserRow> {
        Rows::new(self, |cursor| Request::Users { cursor })
    }

    /// What is done to packets between the network and the stack, and was so far.
    pub fn impairments(&mut self) -> Rows<'_, ImpairmentRow> {
        Rows::new(self, |cursor| Request::Impairments { cursor })
    }

    /// Plays a bad network to some packets from now on, or no more. An error changes nothing.
    ///
    /// # Errors
    /// `bad-request` with what is allowed, `no-such-connection`, `not-permitted`, and as [`Control::ping`].
    pub fn impair(&mut self, impair: Impair) -> Result<(), SessionError> {
        fits(
            "impairment",
            impair.impairment.as_deref().unwrap_or_default(),
            MAX_IMPAIRMENT,
        )?;
        self.done(&Request::Impair(impair))
    }

    /// Everything about one connection, named as in its row.
    ///
    /// # Errors
    /// `no-such-connection`, `not-permitted`, and as [`Control::ping`].
    pub fn show(&mut self, id: &str) -> Result<ConnectionStatus, SessionError> {
        self.status(&Request::Show { id: id.to_owned() })
    }

    /// The daemon as a whole.
    ///
    /// # Errors
    /// As [`Control::ping`].
    pub fn daemon_status(&mut self) -> Result<DaemonStatus, SessionError> {
        self.status(&Request::DaemonStatus)
    }

    /// Changes settings of a live connection: `NAME=VALUE`, several with spaces between them, as in `congestion=newreno`. All of them
    /// count, or none.
    ///
    /// # Errors
    /// `bad-request`, which names what is allowed, `no-such-connection`, `not-permitted`, and as [`Control::ping`].
    pub fn set(&mut self, id: &str, settings: &str) -> Result<(), SessionError> {
        fits("settings", settings, MAX_SETTINGS)?;
        self.done(&Request::ControlSet {
            id: id.to_owned(),
            settings: settings.to_owned(),
        })
    }

    /// Closes a connection as if its owner had done it: FIN after what is written.
    ///
    /// # Errors
    /// `no-such-connection`, `not-permitted`, and as [`Control::ping`].
    pub fn close(&mut self, id: &str) -> Result<(), SessionError> {
        self.done(&Request::ControlClose { id: id.to_owned() })
    }

    /// Resets a connection.
    ///
    /// # Errors
    /// `no-such-connection`, `not-permitted`, and as [`Control::ping`].
    pub fn reset(&mut self, id: &str) -> Result<(), SessionError> {
        self.done(&Request::ControlReset { id: id.to_owned() })
    }

    /// Has the daemon read its configuration again: all of it counts then, or nothing.
    ///
    /// # Errors
    /// `bad-configuration` with what is wrong, `needs-restart` with the keys, `address-in-use`, `not-permitted`, and as
    /// [`Control::ping`].
    pub fn reload(&mut self) -> Result<Reloaded, SessionError> {
        self.status(&Request::Reload)
    }

    /// Has the daemon take nothing new and end when nothing is left, at the latest after `grace`; `None`: after its
    /// `shutdown_grace`. Returns at once.
    ///
    /// # Errors
    /// `draining` when it does already, `not-permitted`, and as [`Control::ping`].
    pub fn drain(&mut self, grace: Option<Duration>) -> Result<Draining, SessionError> {
        let ms = |grace: Duration| u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.status(&Request::Drain {
            grace_ms: grace.map(ms),
        })
    }

    /// Waits, however long it takes, until the daemon ends the session; what it says about that.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn wait_until_gone(mut self) -> Result<Option<Failure>, SessionError> {
        self.socket.set_receive_timeout(None)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(Received::Message(len)) => {
                    if let FromDaemon::Event(Event::SessionEnding(why)) =
                        FromDaemon::decode(&buffer[..len])?
                    {
                        self.ending = Some(why);
                    }
                }
                Ok(Received::End) => return Ok(self.ending),
                Err(error) if says_gone(&error) => return Ok(self.ending),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One request and its answer, for what has no method of its own.
    ///
    /// # Errors
    /// As [`Control::ping`]; a refusal is [`SessionError::Refused`].
    pub fn call(&mut self, request: &Request) -> Result<Reply, SessionError> {
        self.request = self.request.wrapping_add(1).max(1);
        match self.socket.send(&request.encode(self.request)) {
            Ok(()) => {}
            // What the daemon said before it closed can still be read.
            Err(error) if says_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let len = match self.socket.recv(&mut buffer) {
                Ok(Received::Message(len)) => len,
                Ok(Received::End) => return Err(self.gone()),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Err(SessionError::Silent),
                    _ if says_gone(&error) => return Err(self.gone()),
                    _ => return Err(error.into()),
                },
            };
            match FromDaemon::decode(&buffer[..len])? {
                FromDaemon::Reply(number, reply) if number == self.request => {
                    return match reply {
                        Reply::Error(failure) => Err(SessionError::Refused(failure)),
                        reply => Ok(reply),
                    };
                }
                FromDaemon::Event(Event::SessionEnding(failure)) => self.ending = Some(failure),
                // An answer to a call that was given up, or an event of no concern here.
                FromDaemon::Reply(..) | FromDaemon::Event(_) => {}
            }
        }
    }

    fn gone(&mut self) -> SessionError {
        SessionError::DaemonGone {
            reason: self.ending.take(),
        }
    }

    fn done(&mut self, request: &Request) -> Result<(), SessionError> {
        match self.call(request)? {
            Reply::Done => Ok(()),
            _ => Err(UNASKED),
        }
    }

    fn status<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, SessionError> {
        match self.call(request)? {
            Reply::Status(json) => parse(json.as_str()),
            _ => Err(UNASKED),
        }
    }
}

/// The rows of a table, fetched page by page.
pub struct Rows<'a, T> {
    control: &'a mut Control,
    request: Box<dyn Fn(u64) -> Request + 'a>,
    /// Of the next page; `None` when there is none.
    cursor: Option<u64>,
    lines: VecDeque<String>,
    row: PhantomData<T>,
}

impl<'a, T> Rows<'a, T> {
    fn new(control: &'a mut Control, request: impl Fn(u64) -> Request + 'a) -> Rows<'a, T> {
        Rows {
            control,
            request: Box::new(request),
            cursor: Some(0),
            lines: VecDeque::new(),
            row: PhantomData,
        }
    }

    /// The next row as the daemon wrote it: one JSON object.
    pub fn next_json(&mut self) -> Option<Result<String, SessionError>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            let cursor = self.cursor.take()?;
            match self.fetch(cursor) {
                // Cursors grow, or a daemon gone wrong could make us ask for ever.
                Ok(page) if page.next != 0 && page.next <= cursor => {
                    return Some(Err(SessionError::BadDaemon("a table that goes in circles")));
                }
                Ok(page) => {
                    self.cursor = Some(page.next).filter(|&next| next != 0);
                    self.lines = page.lines().map(str::to_owned).collect();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn fetch(&mut self, cursor: u64) -> Result<Page, SessionError> {
        match self.control.call(&(self.request)(cursor))? {
            Reply::Rows(page) => Ok(page),
            _ => Err(UNASKED),
        }
    }
}

impl<T: DeserializeOwned> Iterator for Rows<'_, T> {
    type Item = Result<T, SessionError>;

    fn next(&mut self) -> Option<Result<T, SessionError>> {
        self.next_json()
            .map(|line| line.and_then(|line| parse(&line)))
    }
}

const UNASKED: SessionError = SessionError::BadDaemon("an answer of a kind that was not asked for");

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, SessionError> {
    serde_json::from_str(json)
        .map_err(|_| SessionError::BadDaemon("a status that does not have the documented fields"))
}

/// Connects, and says in the user's words why that did not work.
pub(crate) fn connect_socket(path: &Path) -> Result<Seqpacket, SessionError> {
    Seqpacket::connect(path).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => SessionError::NotPermitted { path, source },
            _ => SessionError::DaemonNotThere { path, source },
        }
    })
}

/// What this program calls itself towards the daemon: the file name it was started by.
pub(crate) fn program_name() -> String {
    std::env::args_os()
        .next()
        .as_deref()
        .map(Path::new)
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Refuses what the message would cut short: a half of it could be something else, and be carried out.
fn fits(what: &str, text: &str, most: usize) -> Result<(), SessionError> {
    if text.len() <= most {
        return Ok(());
    }
    Err(SessionError::Refused(Failure {
        code: ErrorCode::BadRequest,
        detail: format!("{what} of {} bytes: {most} at most", text.len()),
    }))
}

#[cfg(test)]
mod tests {
    use super::{SessionError, fits};

    #[test]
    fn what_would_be_cut_short_is_refused_and_says_how_long_it_may_be() {
        assert!(fits("settings", &"x".repeat(256), 256).is_ok());
        let Err(SessionError::Refused(failure)) = fits("settings", &"x".repeat(257), 256) else {
            panic!("it is too long");
        };
        assert_eq!(failure.detail, "settings of 257 bytes: 256 at most");
    }
}
