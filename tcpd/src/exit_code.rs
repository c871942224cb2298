//! Exit codes, after sysexits(3). `--help` shows this table.

use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// Something needed is not there or has stopped.
    Unavailable = 69,
    /// A fault of tcpd itself.
    Internal = 70,
    /// The operating system refused something.
    System = 71,
    /// A file, socket or interface cannot be created.
    CannotCreate = 73,
    /// A daemon runs already; later it may work.
    AlreadyRunning = 75,
    /// A right is missing.
    NotPermitted = 77,
    /// The configuration is wrong.
    Configuration = 78,
}

impl Exit {
    /// The table as `--help` shows it.
    pub const HELP: &'static str = "\
Exit codes (sysexits):
   0  done
  64  the command line is wrong
  69  something needed is not there or has stopped
  70  a fault of tcpd itself
  71  the operating system refused something
  73  a file, socket or interface cannot be created
  75  a daemon runs already
  77  a right is missing
  78  the configuration is wrong
`tcpd sandbox` ends with the exit code of its command.";

    /// The exit code with this number; [`Exit::Internal`] for a number that is none.
    pub fn from_code(code: u8) -> Self {
        let all = [
            Self::Ok,
            Self::Usage,
            Self::Unavailable,
            Self::System,
            Self::CannotCreate,
            Self::AlreadyRunning,
            Self::NotPermitted,
            Self::Configuration,
        ];
        all.into_iter()
            .find(|exit| *exit as u8 == code)
            .unwrap_or(Self::Internal)
    }

    /// The exit code for an error of the operating system.
    pub fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Self::NotPermitted,
            _ => Self::System,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ended early: one clear message, and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, for a person.
    pub message: String,
}

impl Failure {
    /// A failure with this message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// The operating system refused `what`.
    pub fn system(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(Exit::of(error), format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_exit_code() {
        use Exit::*;
        for exit in [
            Ok,
            Usage,
            Unavailable,
            Internal,
            System,
            CannotCreate,
            AlreadyRunning,
            NotPermitted,
            Configuration,
        ] {
            let listed = Exit::HELP
                .lines()
                .any(|line| line.starts_with(&format!("{:>4}  ", exit as u8)));
            assert!(listed, "{exit:?}");
        }
    }
}
