//! The errors of this crate: one enum per call, each convertible to [`std::io::Error`].

use std::io;
use std::path::PathBuf;

use crate::protocol::{DecodeError, EndReason, ErrorCode, Failure};

/// Why there is no session with the daemon, or none any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Nobody listens on the daemon's socket.
    #[error("tcpd is not running: {} ({source})", path.display())]
    DaemonNotThere {
        /// The socket that was tried.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket is there, but not for this user.
    #[error("not permitted to use tcpd's socket {} ({source})", path.display())]
    NotPermitted {
        /// The socket that was tried.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The daemon closed the session: it stopped, was killed, or found a fault with this client.
    #[error("tcpd closed the session{}", because(reason))]
    DaemonGone {
        /// What it said before, if it did.
        reason: Option<Failure>,
    },
    /// The daemon refused the request.
    #[error("{0}")]
    Refused(Failure),
    /// The daemon does not answer.
    #[error("tcpd does not answer")]
    Silent,
    /// The daemon sent something that is not the protocol.
    #[error("tcpd sent a message that makes no sense: {0}")]
    BadMessage(#[from] DecodeError),
    /// The daemon sent a message or a memory that does not fit what was asked.
    #[error("tcpd broke the protocol: {0}")]
    BadDaemon(&'static str),
    /// This process is a fork of the one that opened the session; it must open its own.
    #[error("the session belongs to the process this one was forked from")]
    Forked,
    /// The operating system refused something.
    #[error("{0}")]
    Os(#[from] io::Error),
}

fn because(reason: &Option<Failure>) -> String {
    match reason {
        Some(failure) => format!(": {failure}"),
        None => String::new(),
    }
}

impl SessionError {
    /// The kind of [`io::Error`] this becomes.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            SessionError::DaemonNotThere { source, .. } => source.kind(),
            SessionError::NotPermitted { .. } => io::ErrorKind::PermissionDenied,
            SessionError::DaemonGone { .. } => io::ErrorKind::ConnectionAborted,
            SessionError::Refused(failure) => failure.code.kind(),
            SessionError::Silent => io::ErrorKind::TimedOut,
            SessionError::BadMessage(_) | SessionError::BadDaemon(_) => io::ErrorKind::InvalidData,
            SessionError::Forked => io::ErrorKind::Unsupported,
            SessionError::Os(error) => error.kind(),
        }
    }

    /// The daemon's code, when it is the daemon that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            SessionError::Refused(failure) => Some(failure.code),
            _ => None,
        }
    }
}

impl From<SessionError> for io::Error {
    fn from(error: SessionError) -> io::Error {
        match error {
            SessionError::Os(error) => error,
            other => io::Error::new(other.kind(), other),
        }
    }
}

/// One enum per call: a variant for each [`ErrorCode`] that the call is known to fail with, holding
/// the daemon's particulars (possibly empty), then what any call can fail with.
macro_rules! call_error {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $code:ident ),* $(,)? }
        $( also { $( $(#[$vmeta:meta])* $variant:ident ( $kind:ident ), $text:literal; )* } )?
        $( with $resolve:ident )?
    ) => {
        $(#[$meta])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("[`ErrorCode::", stringify!($code), "`], and the daemon's particulars.")]
                #[error("{}", described(ErrorCode::$code, .0))]
                $code(String),
            )*
            $($( $(#[$vmeta])* #[error($text)] $variant, )*)?
            $(
                /// The host name stands for no address.
                #[error("{0}")]
                $resolve(io::Error),
            )?
            /// Refused for another reason.
            #[error("{0}")]
            Refused(Failure),
            /// There is no session, or none any more.
            #[error("{0}")]
            Session(SessionError),
        }

        impl $name {
            /// The kind of [`io::Error`] this becomes: what `std::net` would give.
            pub fn kind(&self) -> io::ErrorKind {
                match self {
                    $( $name::$code(_) => ErrorCode::$code.kind(), )*
                    $($( $name::$variant => io::ErrorKind::$kind, )*)?
                    $( $name::$resolve(error) => error.kind(), )?
                    $name::Refused(failure) => failure.code.kind(),
                    $name::Session(error) => error.kind(),
                }
            }
        }

        impl From<SessionError> for $name {
            fn from(error: SessionError) -> $name {
                match error {
                    SessionError::Refused(failure) => match failure.code {
                        $( ErrorCode::$code => $name::$code(failure.detail), )*
                        _ => $name::Refused(failure),
                    },
                    other => $name::Session(other),
                }
            }
        }

        impl From<$name> for io::Error {
            fn from(error: $name) -> io::Error {
                match error {
                    $( $name::$resolve(error) => error, )?
                    $name::Session(error) => error.into(),
                    other => io::Error::new(other.kind(), other),
                }
            }
        }
    };
}

fn described(code: ErrorCode, detail: &str) -> String {
    let detail = detail.to_owned();
    Failure { code, detail }.to_string()
}

call_error! {
    /// Why a connection could not be opened (active OPEN, RFC 9293 §3.10.1).
    pub enum OpenError {
        ConnectionIllegal, ConnectionExists, RemoteUnspecified, InsufficientResources,
        ConnectionRefused, ConnectionReset, UserTimeout, TimedOut, NetworkUnreachable,
        HostUnreachable, AddressInUse, AddressNotAvailable, PortsExhausted, NotPermitted,
        QuotaExceeded, BadToken, Draining, WouldBlock,
    }
    with Resolve
}

call_error! {
    /// Why a connection could not be handed off to another process.
    pub enum HandoffError {
        ConnectionIllegal, NoSuchConnection, NotPermitted, QuotaExceeded, InsufficientResources,
    }
}

call_error! {
    /// Why an address could not be listened at (passive OPEN, RFC 9293 §3.10.1).
    pub enum ListenError {
        ConnectionIllegal, ConnectionExists, InsufficientResources, AddressInUse,
        AddressNotAvailable, PortsExhausted, NotPermitted, QuotaExceeded, Draining,
    }
    with Resolve
}

call_error! {
    /// Why no connection was accepted.
    pub enum AcceptError {
        WouldBlock, NoSuchListener, ListenerClosed, InsufficientResources, QuotaExceeded,
        Cancelled, Draining,
    }
    also {
        /// None came in time ([`super::listener::TcpListener::accept_timeout`]).
        TimedOut(TimedOut), "no connection came in time";
    }
}

call_error! {
    /// Why a connection could not be closed or aborted (CLOSE and ABORT, RFC 9293 §3.10.4–5).
    pub enum CloseError {
        ConnectionIllegal, NoSuchConnection, ConnectionClosing, TimedOut,
    }
}

call_error! {
    /// Why options were not taken.
    pub enum OptionError {
        NoSuchConnection, BadRequest, Unsupported,
    }
    also {
        /// A timeout of zero.
        ZeroTimeout(InvalidInput), "a timeout of zero is none";
    }
}

call_error! {
    /// Why there is no status (STATUS, RFC 9293 §3.10.6).
    pub enum StatusError {
        ConnectionIllegal, NoSuchConnection,
    }
}

call_error! {
    /// Why a connection could not become a socket.
    pub enum SocketError {
        NoSuchConnection, InsufficientResources, QuotaExceeded, Unsupported,
    }
}

/// Why nothing was written (SEND, RFC 9293 §3.10.2).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The ring is full, and the stream is non-blocking.
    #[error("the transmit ring is full")]
    WouldBlock,
    /// The ring stayed full for the write timeout.
    #[error("no space came in time")]
    TimedOut,
    /// This side shut its sending half down.
    #[error("connection closing")]
    ConnectionClosing,
    /// It was closed or aborted through another handle.
    #[error("connection does not exist")]
    NoSuchConnection,
    /// The connection ended.
    #[error("{0}")]
    Ended(EndReason),
    /// The session ended.
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl SendError {
    /// The kind of [`io::Error`] this becomes. A timeout is `WouldBlock`, as `std` has it on Unix.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            SendError::WouldBlock | SendError::TimedOut => io::ErrorKind::WouldBlock,
            SendError::ConnectionClosing => io::ErrorKind::BrokenPipe,
            SendError::NoSuchConnection => io::ErrorKind::NotConnected,
            SendError::Ended(reason) => reason.kind().unwrap_or(io::ErrorKind::BrokenPipe),
            SendError::Session(error) => error.kind(),
        }
    }
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> io::Error {
        match error {
            SendError::Session(error) => error.into(),
            other => io::Error::new(other.kind(), other),
        }
    }
}

/// Why nothing was read (RECEIVE, RFC 9293 §3.10.3).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing is there, and the stream is non-blocking.
    #[error("nothing is there yet")]
    WouldBlock,
    /// Nothing came for the read timeout.
    #[error("nothing came in time")]
    TimedOut,
    /// It was closed or aborted through another handle.
    #[error("connection does not exist")]
    NoSuchConnection,
    /// The connection ended other than by the peer's FIN.
    #[error("{0}")]
    Ended(EndReason),
    /// The session ended.
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl ReceiveError {
    /// The kind of [`io::Error`] this becomes. A timeout is `WouldBlock`, as `std` has it on Unix.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            ReceiveError::WouldBlock | ReceiveError::TimedOut => io::ErrorKind::WouldBlock,
            ReceiveError::NoSuchConnection => io::ErrorKind::NotConnected,
            ReceiveError::Ended(reason) => reason.kind().unwrap_or(io::ErrorKind::UnexpectedEof),
            ReceiveError::Session(error) => error.kind(),
        }
    }
}

impl From<ReceiveError> for io::Error {
    fn from(error: ReceiveError) -> io::Error {
        match error {
            ReceiveError::Session(error) => error.into(),
            other => io::Error::new(other.kind(), other),
        }
    }
}
