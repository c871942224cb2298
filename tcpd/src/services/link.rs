//! What tcpd and the spawner say to each other: typed values over ipc-channel.
//!
//! Both ends are the same build of the same program and trust each other. Every [`Order`] but [`Order::Stop`] has
//! exactly one [`Report`] as its answer, and tcpd leaves no more than [`CREDITS`] of each kind unanswered. So the two
//! sockets never hold more than `4 * CREDITS` small messages, which they have room for, and `send` never blocks.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use super::work::{Terms, Work};

/// Orders of a kind (to spawn, to assign, to reap, to kill) that may be under way at once.
pub const CREDITS: usize = 32;

/// Environment variable with the name of the socket on which tcpd waits for its spawner.
pub const LINK_VARIABLE: &str = "TCPD_SPAWNER_LINK";
/// Environment variable with the nonce that the spawner must repeat, in hexadecimal.
pub const NONCE_VARIABLE: &str = "TCPD_SPAWNER_NONCE";

/// Environment variable that lets the spawner keep the rights to switch users.
pub const USERS_VARIABLE: &str = "TCPD_SPAWNER_USERS";

/// One worker to be, or one that is: chosen by tcpd, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 random bits that stand for one connection, once. Never shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// 128 random bits by which tcpd knows the process it has just started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);

impl Nonce {
    /// The form in [`NONCE_VARIABLE`].
    #[must_use]
    pub fn to_hexadecimal(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// The reverse of [`Nonce::to_hexadecimal`]; `None` for anything else.
    #[must_use]
    pub fn from_hexadecimal(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then(|| Self(number.to_be_bytes()))
    }
}

/// The first message, from the spawner: the ends of the two channels that tcpd keeps.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// What stood in the environment.
    pub nonce: Nonce,
    /// Where orders go.
    pub orders: IpcSender<Order>,
    /// Where reports come from.
    pub reports: IpcReceiver<Report>,
}

/// From tcpd to the spawner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Fork a worker. Answer: [`Report::Started`] or [`Report::NotStarted`].
    Spawn(Box<Assignment>),
    /// Give a worker that waits its connection. Answer: [`Report::Assigned`].
    Assign {
        /// Whose order this is.
        job: JobId,
        /// From [`Report::Started`].
        pid: i32,
        /// The connection.
        ticket: Ticket,
    },
    /// Take the end of a worker that is known to have ended. Answer: [`Report::Ended`].
    Reap {
        /// From [`Report::Started`].
        pid: i32,
    },
    /// Kill workers that tcpd may not kill itself, because they have another user. Answer: [`Report::Killed`].
    Kill {
        /// Process and, so that no other process of that number is meant, what its pidfd is in the file system of pidfds.
        workers: Vec<(i32, u64)>,
    },
    /// End. Workers go on.
    Stop,
}

/// All a worker is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Whose order this is.
    pub job: JobId,
    /// The service's name, as `ps` shows it.
    pub service: String,
    /// What to do with the connection.
    pub work: Work,
    /// As whom.
    pub terms: Terms,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The connection; `None`: to be ready for one, and to wait for it.
    pub ticket: Option<Ticket>,
}

/// A connection that waits for its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The right to adopt it.
    pub token: Token,
    /// The other end of it.
    pub peer: SocketAddr,
    /// tcpd's end of it.
    pub local: SocketAddr,
}

/// From the spawner to tcpd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The worker runs. Its id stays its own until it is ordered reaped.
    Started {
        /// From the order.
        job: JobId,
        /// The worker.
        pid: i32,
    },
    /// There is no worker.
    NotStarted {
        /// From the order.
        job: JobId,
        /// What fork said.
        error: String,
    },
    /// The worker has its connection; or it is not there any more and has taken nothing.
    Assigned {
        /// From the order.
        job: JobId,
        /// Whether it has.
        given: bool,
    },
    /// Those that were still there are killed.
    Killed,
    /// The worker is reaped.
    Ended {
        /// From the order.
        pid: i32,
        /// `None` when the spawner knows of no such child.
        end: Option<End>,
    },
}

/// How a worker ended and what it used (getrusage(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its exit status or the signal that killed it.
    pub status: EndStatus,
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Largest resident size, bytes.
    pub max_resident: u64,
    /// Page faults served without reading a device.
    pub minor_faults: u64,
    /// Page faults that had to read a device.
    pub major_faults: u64,
    /// Voluntary and involuntary.
    pub context_switches: u64,
    /// Why its command could not be executed (errno), if it could not.
    pub not_executed: Option<i32>,
}

/// Why a process is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndStatus {
    /// It ended itself with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

impl fmt::Display for EndStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}
