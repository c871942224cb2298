//! What the workers of a service do, as whom, and within which bounds.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::builtin::Handler;
use crate::system::accounts::Account;

/// What a worker does with its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// One of tcpd's own handlers.
    Builtin(Handler),
    /// A command, with the connection as its standard input and output.
    Exec(Command),
}

impl Work {
    /// As `tcpctl services` shows it: the handler's name, or the program.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(handler) => handler.name(),
            Self::Exec(command) => command.words.first().map_or("exec", String::as_str),
        }
    }
}

impl From<Handler> for Work {
    fn from(handler: Handler) -> Self {
        Self::Builtin(handler)
    }
}

/// A command and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Command {
    /// The program by its whole path, and its arguments.
    pub words: Vec<String>,
    /// `NAME=value` each, as configured.
    pub environment: Vec<String>,
    /// Where it begins.
    pub directory: PathBuf,
    /// What it may read and execute; empty, and `writable` too: whatever its user may.
    pub readable: Vec<PathBuf>,
    /// What it may also write.
    pub writable: Vec<PathBuf>,
    /// Directories of the daemon's that it may not reach even where it has the daemon's user.
    pub guarded: Vec<PathBuf>,
    /// Whether it may use TCP of the kernel's.
    pub network: bool,
    /// Whether it may open sessions with tcpd.
    pub sessions: bool,
    /// RLIMIT_AS, bytes; 0: as inherited.
    pub limit_memory: u64,
    /// RLIMIT_NOFILE; 0: as inherited.
    pub limit_files: u64,
    /// RLIMIT_NPROC; 0: as inherited.
    pub limit_processes: u64,
    /// RLIMIT_FSIZE, bytes; 0: as inherited.
    pub limit_file_size: u64,
}

/// As whom a worker works, and how much of the processor it may have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// Whose process it is; `None`: the daemon's user's.
    pub account: Option<Account>,
    /// How much is added to its nice value, 0 to 19.
    pub nice: u8,
    /// RLIMIT_CPU, rounded up to seconds; zero: none.
    pub cpu_time: Duration,
}
