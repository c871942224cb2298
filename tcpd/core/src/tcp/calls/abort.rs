//! ABORT (§3.10.5).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason, State};

/// Why an ABORT was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbortError {
    /// "error: connection does not exist".
    #[error("connection does not exist")]
    NoSuchConnection,
}

/// "All queued SENDs and RECEIVEs should be given 'connection reset' notification" and the peer a RST, except where it
/// expects nothing any more.
pub(crate) fn abort<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    match conn.state {
        State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait => {
            conn.reset_peer(cx)
        }
        // §3.10.5 asks for no RST here; but what is unacknowledged or unread is lost, and the peer should know (SHLD-3).
        State::Closing | State::LastAck
            if conn.send.una < conn.send.written || conn.receive.unread() > 0 =>
        {
            conn.reset_peer(cx);
        }
        State::Closing | State::LastAck => {}
        // The compact entry goes on, or ends, without it.
        State::TimeWait | State::Closed | State::Listen | State::SynSent | State::SynReceived => {
            return;
        }
    }
    conn.finish(EndReason::Aborted, Cause::AbortCall, cx);
}
