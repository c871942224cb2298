//! The errors of this crate: one enum per call, each convertible to [`std::io::Error`].

use std::io;
use std::path::PathBuf;

use crate::protocol::{DecodeError, ErrorCode, Failure};

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
