//! The calls of a script: sockets as Linux has them, in terms of the stack's own calls (RFC 9293 §3.10.1–3.10.6).

mod open;
mod options;
mod transfer;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::runner::{Check, Runner};
use super::syntax::{Call, Descriptor, Errno, How};
use crate::stack::icmp::IcmpCause;
use crate::stack::{ConnectionOptions, EndReason, EndpointId, KeepAlive, ListenerId, State};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Value(i64),
    State(&'static str),
    Error(Errno),
    /// Not yet: it waits.
    Blocks,
}

/// The descriptors of a script.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<Descriptor, Socket>,
    /// The far ends of descriptors that were closed: their connections may live on.
    closed: BTreeMap<Descriptor, u16>,
}

#[derive(Debug)]
struct Socket {
    kind: Kind,
    nonblocking: bool,
    options: ConnectionOptions,
    keep_alive: bool,
    probes: KeepAlive,
    linger: Option<u32>,
    reuse: bool,
    bound: Option<(Option<IpAddr>, u16)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Fresh,
    Listener(ListenerId),
    Stream(Stream),
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    id: EndpointId,
    peer: u16,
    /// The OPEN was answered: a further connect is an error.
    opened: bool,
    /// How the connection ended was told to the user once.
    end_told: bool,
    /// Bytes read and written so far; streams are patterns of their position.
    read: u32,
    written: u32,
    /// Bytes that a waiting write has got rid of already.
    progress: u32,
}

impl Stream {
    fn new(id: EndpointId, peer: u16, opened: bool) -> Stream {
        Stream {
            id,
            peer,
            opened,
            end_told: false,
            read: 0,
            written: 0,
            progress: 0,
        }
    }
}

impl Sockets {
    /// The far end that a call is about, if it is about a connection.
    pub(super) fn peer_of(&self, call: &Call) -> Option<u16> {
        let fd = match call {
            Call::Socket | Call::Bind { .. } | Call::Listen { .. } => return None,
            Call::StateOfPeer { peer } => return Some(*peer),
            Call::State { fd }
            | Call::Accept { fd }
            | Call::Connect { fd, .. }
            | Call::Read { fd, .. }
            | Call::Write { fd, .. }
            | Call::Shutdown { fd, .. }
            | Call::Close { fd }
            | Call::SetOption { fd, .. }
            | Call::GetOption { fd, .. }
            | Call::GetFlags { fd }
            | Call::SetFlags { fd, .. } => *fd,
        };
        match self.open.get(&fd).map(|socket| socket.kind) {
            Some(Kind::Stream(stream)) => Some(stream.peer),
            _ => self.closed.get(&fd).copied(),
        }
    }

    /// The endpoint that the latest descriptor of a connection names.
    pub(super) fn latest_stream(&self) -> Option<EndpointId> {
        self.open
            .values()
            .rev()
            .find_map(|socket| match socket.kind {
                Kind::Stream(stream) => Some(stream.id),
                _ => None,
            })
    }

    fn add(&mut self, socket: Socket) -> Outcome {
        let fd = (3..)
            .find(|fd| !self.open.contains_key(fd))
            .unwrap_or(Descriptor::MAX);
        self.open.insert(fd, socket);
        Outcome::Value(fd)
    }
}

fn error(name: &str) -> Outcome {
    Errno::named(name).map_or(Outcome::Value(-1), Outcome::Error)
}

/// The call's name in the language.
pub(super) fn name(call: &Call) -> &'static str {
    match call {
        Call::Socket => "socket",
        Call::Bind { .. } => "bind",
        Call::Listen { .. } => "listen",
        Call::Accept { .. } => "accept",
        Call::Connect { .. } => "connect",
        Call::Read { .. } => "read",
        Call::Write { .. } => "write",
        Call::Shutdown { .. } => "shutdown",
        Call::Close { .. } => "close",
        Call::SetOption { .. } => "setsockopt",
        Call::GetOption { .. } => "getsockopt",
        Call::GetFlags { .. } | Call::SetFlags { .. } => "fcntl",
        Call::State { .. } | Call::StateOfPeer { .. } => "state",
    }
}

/// The call and its outcome for a ladder.
pub(super) fn describe(call: &Call, outcome: &Outcome) -> String {
    let what = match call {
        Call::Socket => String::new(),
        Call::Listen { fd, backlog } => format!("{fd}, {backlog}"),
        Call::Connect { fd, peer } => format!("{fd}, peer {peer}"),
        Call::Read { fd, size } | Call::Write { fd, size, .. } => format!("{fd}, {size}"),
        Call::Shutdown { fd, how } => {
            let how = match how {
                How::Read => "RD",
                How::Write => "WR",
                How::Both => "RDWR",
            };
            format!("{fd}, {how}")
        }
        Call::SetOption { fd, option } | Call::GetOption { fd, option } => {
            format!("{fd}, {option:?}")
        }
        Call::StateOfPeer { peer } => format!("peer {peer}"),
        Call::State { fd }
        | Call::Bind { fd, .. }
        | Call::Accept { fd }
        | Call::Close { fd }
        | Call::GetFlags { fd }
        | Call::SetFlags { fd, .. } => fd.to_string(),
    };
    let result = match outcome {
        Outcome::Value(value) => format!(" = {value}"),
        Outcome::State(state) => format!(" = {state}"),
        Outcome::Error(errno) => format!(" = -1 {}", errno.name),
        Outcome::Blocks => " …".into(),
    };
    format!("{}({what}){result}", name(call))
}

/// Makes a call. `again`: it has waited since an earlier try.
pub(super) fn call(runner: &mut Runner<'_>, call: &Call, again: bool) -> Check<Outcome> {
    let waiting = |socket: Option<&Socket>| socket.is_some_and(|socket| !socket.nonblocking);
    let outcome = match call {
        Call::Socket => return Ok(socket(runner)),
        Call::State { fd } => return Ok(state(runner, *fd)),
        Call::StateOfPeer { peer } => return Ok(Outcome::State(runner.state_of(*peer))),
        Call::Bind { fd, port, address } => open::bind(runner, *fd, *port, *address),
        Call::Listen { fd, backlog } => open::listen(runner, *fd, *backlog),
        Call::Accept { fd } => open::accept(runner, *fd)?,
        Call::Connect { fd, peer } => open::connect(runner, *fd, *peer, again)?,
        Call::Read { fd, size } => transfer::read(runner, *fd, *size)?,
        Call::Write { fd, size, urgent } => transfer::write(runner, *fd, *size, *urgent, again)?,
        Call::Shutdown { fd, how } => transfer::shutdown(runner, *fd, *how)?,
        Call::Close { fd } => transfer::close(runner, *fd)?,
        Call::SetOption { fd, option } => options::set_option(runner, *fd, option)?,
        Call::GetOption { fd, option } => options::get_option(runner, *fd, option)?,
        Call::GetFlags { fd } => match runner.sockets.open.get(fd) {
            None => error("EBADF"),
            // O_RDWR, and O_NONBLOCK where it is on.
            Some(socket) => Outcome::Value(if socket.nonblocking { 0x802 } else { 2 }),
        },
        Call::SetFlags { fd, nonblocking } => match runner.sockets.open.get_mut(fd) {
            None => error("EBADF"),
            Some(socket) => {
                socket.nonblocking = *nonblocking;
                Outcome::Value(0)
            }
        },
    };
    let fd = match call {
        Call::Accept { fd }
        | Call::Connect { fd, .. }
        | Call::Read { fd, .. }
        | Call::Write { fd, .. } => fd,
        _ => return Ok(outcome),
    };
    if outcome == Outcome::Blocks && !waiting(runner.sockets.open.get(fd)) {
        return Ok(match call {
            Call::Connect { .. } => error("EINPROGRESS"),
            _ => error("EAGAIN"),
        });
    }
    Ok(outcome)
}

fn socket(runner: &mut Runner<'_>) -> Outcome {
    let probes = runner.stack.config().tcp.keepalive;
    runner.sockets.add(Socket {
        kind: Kind::Fresh,
        nonblocking: false,
        options: ConnectionOptions::default(),
        keep_alive: false,
        probes,
        linger: None,
        reuse: false,
        bound: None,
    })
}

fn state(runner: &Runner<'_>, fd: Descriptor) -> Outcome {
    let sockets = &runner.sockets;
    let peer = match sockets.open.get(&fd).map(|socket| socket.kind) {
        Some(Kind::Listener(_)) => return Outcome::State(State::Listen.name()),
        Some(Kind::Fresh) => return Outcome::State(State::Closed.name()),
        Some(Kind::Stream(stream)) => Some(stream.peer),
        None => sockets.closed.get(&fd).copied(),
    };
    match peer {
        Some(peer) => Outcome::State(runner.state_of(peer)),
        None => error("EBADF"),
    }
}

fn put(runner: &mut Runner<'_>, fd: Descriptor, stream: Stream) {
    if let Some(socket) = runner.sockets.open.get_mut(&fd) {
        socket.kind = Kind::Stream(stream);
    }
}

/// The errno for the end of a connection; `None` when it was closed in order.
fn end_errno(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Closed => None,
        EndReason::Refused => Some("ECONNREFUSED"),
        EndReason::Reset => Some("ECONNRESET"),
        EndReason::TimedOut(_) => Some("ETIMEDOUT"),
        EndReason::Unreachable(cause) => Some(match cause {
            IcmpCause::Network => "ENETUNREACH",
            IcmpCause::Host | IcmpCause::TimeExceeded => "EHOSTUNREACH",
            IcmpCause::Protocol | IcmpCause::Port => "ECONNREFUSED",
            IcmpCause::Prohibited => "EACCES",
            IcmpCause::ParameterProblem => "EPROTO",
        }),
        EndReason::Aborted | EndReason::Evicted => Some("ECONNABORTED"),
    }
}

/// The stream behind a descriptor, or the errno for what else it is.
fn stream(runner: &Runner<'_>, fd: Descriptor, otherwise: &str) -> Result<Stream, Outcome> {
    match runner.sockets.open.get(&fd).map(|socket| socket.kind) {
        None => Err(error("EBADF")),
        Some(Kind::Stream(stream)) => Ok(stream),
        Some(_) => Err(error(otherwise)),
    }
}

/// The end of a connection as an error, the first time it is asked for.
fn told(stream: &mut Stream, reason: EndReason) -> Option<Outcome> {
    if stream.end_told {
        return None;
    }
    stream.end_told = true;
    stream.opened = true;
    end_errno(reason).map(error)
}
