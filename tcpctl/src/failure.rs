//! What went wrong: one line for people, and an exit code.

use std::fmt;
use std::io;

use libtcpclient::client::error::SessionError;
use libtcpclient::protocol::ErrorCode;

use crate::exit_code::ExitCode;
use crate::output::human::harmless;

/// Why a command ends early.
#[derive(Debug)]
pub struct Failure {
    /// How tcpctl ends.
    pub code: ExitCode,
    /// One line, without the program's name.
    pub message: String,
}

impl Failure {
    /// That code, with that line.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }

    /// There is no connection `id`, or none any more.
    pub fn no_such_connection(id: &str) -> Failure {
        Failure::new(
            ExitCode::NoSuchConnection,
            format!("no connection has the ID {id}; `tcpctl list --all` shows those there are"),
        )
    }

    /// What went wrong with the connection `id`.
    pub fn of_connection(id: &str, error: SessionError) -> Failure {
        match error.code() {
            Some(ErrorCode::NoSuchConnection) => Failure::no_such_connection(id),
            Some(_) => {
                let failure = Failure::from(error);
                Failure::new(failure.code, format!("{id}: {}", failure.message))
            }
            None => error.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Failure {
        let (code, message) = match &error {
            SessionError::DaemonNotThere { path, source } => (
                ExitCode::Unavailable,
                format!(
                    "tcpd is not running: nothing listens on {} ({})",
                    path.display(),
                    plain(source)
                ),
            ),
            SessionError::NotPermitted { path, source } => (
                ExitCode::NotPermitted,
                format!(
                    "not permitted to use tcpd's socket {} ({})",
                    path.display(),
                    plain(source)
                ),
            ),
            SessionError::DaemonGone { reason: None } => (
                ExitCode::Unavailable,
                "tcpd went away before it answered".to_owned(),
            ),
            SessionError::DaemonGone {
                reason: Some(reason),
            } => (
                of_refusal(reason.code),
                format!("tcpd ended the session: {reason}"),
            ),
            SessionError::Silent => (
                ExitCode::Unavailable,
                "tcpd is there, but does not answer".to_owned(),
            ),
            SessionError::Refused(failure) => (of_refusal(failure.code), failure.to_string()),
            SessionError::BadMessage(_) | SessionError::BadDaemon(_) => {
                (ExitCode::Protocol, error.to_string())
            }
            // Nothing but an environment variable that says what makes no sense.
            SessionError::Os(error) if error.kind() == io::ErrorKind::InvalidInput => {
                (ExitCode::Usage, plain(error))
            }
            SessionError::Os(error) => (ExitCode::Os, plain(error)),
            _ => (ExitCode::Internal, error.to_string()),
        };
        Failure::new(code, harmless(&message))
    }
}

/// The exit code for the daemon's refusal.
fn of_refusal(code: ErrorCode) -> ExitCode {
    match code {
        ErrorCode::NotPermitted | ErrorCode::ConnectionIllegal | ErrorCode::BadToken => {
            ExitCode::NotPermitted
        }
        ErrorCode::NoSuchConnection | ErrorCode::NoSuchListener => ExitCode::NoSuchConnection,
        ErrorCode::BadRequest => ExitCode::Usage,
        ErrorCode::BadConfiguration | ErrorCode::NeedsRestart | ErrorCode::AddressInUse => {
            ExitCode::Configuration
        }
        ErrorCode::Draining => ExitCode::Unavailable,
        ErrorCode::QuotaExceeded
        | ErrorCode::TooManyRequests
        | ErrorCode::InsufficientResources => ExitCode::Temporary,
        ErrorCode::VersionMismatch
        | ErrorCode::UnknownRequest
        | ErrorCode::HelloExpected
        | ErrorCode::Unsupported => ExitCode::Protocol,
        _ => ExitCode::Internal,
    }
}

/// An error of the operating system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
