//! The user's calls (RFC 9293 §3.10.1 to §3.10.6), and accept.

use tcpd_core::stack::{
    AbortError, CloseError, ConnectOptions, EndReason, OpenError, ReceiveError, SendError, State,
};

use super::{Action, Event};
use crate::reaction::reason_word;
use crate::world::{Setup, World};

/// A call on the connection, or about its pair.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// An active OPEN of the same pair; `reuse`: the user asked for sharing the port and taking over TIME-WAIT.
    Connect {
        reuse: bool,
    },
    /// A passive OPEN of the same port.
    Listen {
        reuse: bool,
    },
    Send,
    SendUrgent,
    Receive,
    Close,
    ShutdownWrite,
    ShutdownRead,
    Abort,
    Status,
    Accept,
}

/// What a call returned: a word for the oracle, a text for the table.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) word: &'static str,
    pub(crate) text: String,
}

impl Outcome {
    fn ok(text: &str) -> Self {
        Self {
            word: "ok",
            text: text.to_owned(),
        }
    }

    fn error(word: &'static str, error: &dyn std::error::Error) -> Self {
        Self {
            word,
            text: format!("error: {error}"),
        }
    }
}

impl Call {
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Connect { reuse: false } => "OPEN, active, the same pair",
            Self::Connect { reuse: true } => "OPEN, active, the same pair, reuse",
            Self::Listen { reuse: false } => "OPEN, passive, the same port",
            Self::Listen { reuse: true } => "OPEN, passive, the same port, reuse",
            Self::Send => "SEND of 10 bytes",
            Self::SendUrgent => "SEND of 10 urgent bytes",
            Self::Receive => "RECEIVE",
            Self::Close => "CLOSE, and let go",
            Self::ShutdownWrite => "CLOSE of the sending side",
            Self::ShutdownRead => "CLOSE of the receiving side",
            Self::Abort => "ABORT",
            Self::Status => "STATUS",
            Self::Accept => "accept on the listener",
        }
    }

    pub(super) fn play(self, world: &mut World) -> Outcome {
        let (now, id) = (world.now, world.id);
        let listening = world.stack.state(id) == Some(State::Listen);
        match self {
            Self::Connect { reuse } => {
                let options = ConnectOptions {
                    reuse,
                    ..world.connect_options()
                };
                match world.stack.connect(now, options) {
                    Ok(_) => Outcome::ok("ok"),
                    Err(error) => Outcome::error(open_word(error), &error),
                }
            }
            Self::Listen { reuse } => {
                let options = tcpd_core::stack::ListenOptions {
                    reuse,
                    ..world.listen_options(1)
                };
                match world.stack.listen(now, options) {
                    Ok(_) => Outcome::ok("ok"),
                    Err(error) => Outcome::error(open_word(error), &error),
                }
            }
            Self::Send => match world.stack.send(now, id, &[b's'; 10]) {
                Ok(count) => Outcome::ok(&format!("ok, {count} bytes")),
                Err(error) => Outcome::error(send_word(error), &error),
            },
            Self::SendUrgent => match world.stack.send_urgent(now, id, &[b's'; 10]) {
                Ok(count) => Outcome::ok(&format!("ok, {count} bytes")),
                Err(error) => Outcome::error(send_word(error), &error),
            },
            Self::Receive => match world.stack.receive_into(now, id, &mut [0; 10_000]) {
                Ok(0) => Outcome {
                    word: "eof",
                    text: "end of file".to_owned(),
                },
                Ok(count) => Outcome::ok(&format!("ok, {count} bytes")),
                Err(error) => Outcome::error(receive_word(error), &error),
            },
            // A listener's CLOSE is a call of its own.
            Self::Close | Self::Abort if listening => {
                world.close_listener();
                Outcome::ok("ok")
            }
            Self::Close => closed(world.stack.close(now, id)),
            Self::ShutdownWrite => closed(world.stack.shutdown_write(now, id)),
            Self::ShutdownRead => closed(world.stack.shutdown_read(now, id)),
            Self::Abort => match world.stack.abort(now, id) {
                Ok(()) => Outcome::ok("ok"),
                Err(error @ AbortError::NoSuchConnection) => Outcome::error("none", &error),
            },
            Self::Status => match world.stack.status(id) {
                Some(status) => Outcome::ok(&format!("ok, {}", status.state)),
                None => Outcome {
                    word: "none",
                    text: "error: connection does not exist".to_owned(),
                },
            },
            Self::Accept => match world.stack.accept(now, world.listener) {
                Some(other) if other == id => Outcome::ok("ok, this one"),
                Some(_) => Outcome::ok("ok, another one"),
                None => Outcome {
                    word: "empty",
                    text: "nothing to accept".to_owned(),
                },
            },
        }
    }
}

fn closed(result: Result<(), CloseError>) -> Outcome {
    match result {
        Ok(()) => Outcome::ok("ok"),
        Err(error) => {
            let word = match error {
                CloseError::NoSuchConnection => "none",
                CloseError::Closing => "closing",
                CloseError::Ended(reason) => ended(reason),
            };
            Outcome::error(word, &error)
        }
    }
}

fn ended(reason: EndReason) -> &'static str {
    reason_word(reason)
}

fn open_word(error: OpenError) -> &'static str {
    match error {
        OpenError::AddressInUse => "in-use",
        OpenError::AddressNotAvailable
        | OpenError::NoFreePort
        | OpenError::RemoteInvalid
        | OpenError::NoRoute
        | OpenError::InsufficientResources => "refused-open",
    }
}

fn send_word(error: SendError) -> &'static str {
    match error {
        SendError::NoSuchConnection => "none",
        SendError::Closing => "closing",
        SendError::Ended(reason) => ended(reason),
        SendError::Full => "full",
        SendError::OutOfRange => "out-of-range",
    }
}

fn receive_word(error: ReceiveError) -> &'static str {
    match error {
        ReceiveError::NoSuchConnection => "none",
        ReceiveError::Empty => "empty",
        ReceiveError::Ended(reason) => ended(reason),
        ReceiveError::OutOfRange => "out-of-range",
    }
}

const fn event(name: &'static str, call: Call) -> Event {
    Event {
        name,
        setup: Setup::NONE,
        action: Action::Call(call),
    }
}

const fn with_unread(name: &'static str, call: Call) -> Event {
    let mut event = event(name, call);
    event.setup.unread = true;
    event
}

const fn with_timestamps(name: &'static str, call: Call) -> Event {
    let mut event = event(name, call);
    event.setup.timestamps = true;
    event
}

pub(super) const EVENTS: &[Event] = &[
    event("call-open-active", Call::Connect { reuse: false }),
    event("call-open-active-reuse", Call::Connect { reuse: true }),
    with_timestamps("call-open-active-takes-over", Call::Connect { reuse: true }),
    event("call-open-passive", Call::Listen { reuse: false }),
    event("call-open-passive-reuse", Call::Listen { reuse: true }),
    event("call-accept", Call::Accept),
    event("call-send", Call::Send),
    event("call-send-urgent", Call::SendUrgent),
    event("call-receive", Call::Receive),
    with_unread("call-receive-unread", Call::Receive),
    event("call-close", Call::Close),
    with_unread("call-close-unread", Call::Close),
    event("call-shutdown-write", Call::ShutdownWrite),
    event("call-shutdown-read", Call::ShutdownRead),
    event("call-abort", Call::Abort),
    event("call-status", Call::Status),
];
