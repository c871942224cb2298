//! What a session waits for.

use libtcpclient::protocol::Request;

/// What the answer to a request will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// IntoSocket of this connection: the session has it no more when the answer is a stream.
    Leaves(u64),
    /// A whole table of the stack thread: one at a time.
    Table,
    /// Nothing that concerns us.
    Other,
}

impl Waiting {
    /// For this request.
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::IntoSocket { connection } => Waiting::Leaves(*connection),
            _ => Waiting::Other,
        }
    }
}
