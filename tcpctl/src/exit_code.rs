//! The exit codes, as sysexits.h names them. `tcpctl --help` documents them.

use std::process::ExitCode as ProcessExitCode;

/// How tcpctl ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Done.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// No connection has that ID (it may have ended meanwhile). sysexits: EX_NOHOST.
    NoSuchConnection = 68,
    /// The daemon is not there, does not answer, or went away before it answered.
    Unavailable = 69,
    /// The daemon could not do it, or tcpctl itself failed.
    Internal = 70,
    /// The operating system refused something.
    Os = 71,
    /// The output could not be written.
    Output = 74,
    /// Not now: a quota is used up.
    Temporary = 75,
    /// What answers does not speak tcpd's protocol, or another version of it.
    Protocol = 76,
    /// Not permitted: by the socket's mode, or by the daemon's policy.
    NotPermitted = 77,
    /// The daemon's configuration is wrong, or changes what only a restart can.
    Configuration = 78,
}

impl From<ExitCode> for ProcessExitCode {
    fn from(code: ExitCode) -> ProcessExitCode {
        ProcessExitCode::from(code as u8)
    }
}
