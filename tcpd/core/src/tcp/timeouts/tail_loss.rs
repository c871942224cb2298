//! The probe timeout (RFC 8985 §7.3): the end of a flight stays unanswered.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;

/// Asks for a probe; the retransmission timer starts anew with it.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>) {
    if conn.send.has_unacknowledged() {
        conn.intents.tail_probe = true;
    }
}
