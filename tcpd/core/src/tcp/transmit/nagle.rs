//! Nagle's algorithm (RFC 9293 §3.7.4 SHLD-7): a short segment waits while earlier text is on its way.

use crate::tcp::config::Nagle;
use crate::tcp::send_space::SendSpace;

/// Whether a segment shorter than the MSS may go out now; always where the user has turned the algorithm off (MUST-17).
pub(crate) fn may_send_short(send: &SendSpace, nagle: Nagle, nodelay: bool) -> bool {
    if nodelay {
        return true;
    }
    match nagle {
        Nagle::Off => true,
        Nagle::Classic => !send.has_unacknowledged(),
        // Only an earlier short segment counts: a long stream's tail does not wait.
        Nagle::Minshall => send.small_end <= send.una,
    }
}
