//! JSON for programs: one object a line, the fields of [`libtcpclient::protocol::status`].

use libtcpclient::protocol::status::{ListenerRow, ServiceRow, TcpState};
use serde::Serialize;

/// One object a line.
///
/// # Errors
/// When a value cannot be written as JSON (none of ours).
pub fn lines<T: Serialize>(rows: &[T]) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for row in rows {
        out.push_str(&serde_json::to_string(row)?);
        out.push('\n');
    }
    Ok(out)
}

/// A listener among connections: with the state that the rows of connections have.
#[derive(Debug, Serialize)]
pub struct Listening<'a> {
    state: TcpState,
    #[serde(flatten)]
    row: &'a ListenerRow,
}

impl<'a> Listening<'a> {
    /// The row, with its state.
    pub fn new(row: &'a ListenerRow) -> Listening<'a> {
        Listening {
            state: TcpState::Listen,
            row,
        }
    }
}

/// The answer to `tcpctl ping`.
#[derive(Debug, Serialize)]
pub struct Pong<'a> {
    /// Of the daemon.
    pub version: &'a str,
    /// Its process.
    pub pid: u32,
    /// Since it started.
    pub uptime_ms: u64,
    /// From the question to the answer.
    pub round_trip_us: u64,
}

/// A service, with the processes of its workers if they were asked for.
#[derive(Debug, Serialize)]
pub struct WithWorkers<'a> {
    #[serde(flatten)]
    row: &'a ServiceRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_pids: Option<Vec<u32>>,
}

impl<'a> WithWorkers<'a> {
    /// The row, with its workers.
    pub fn new(row: &'a ServiceRow, worker_pids: Option<Vec<u32>>) -> WithWorkers<'a> {
        WithWorkers { row, worker_pids }
    }
}
