//! The delayed acknowledgment (§3.8.6.3): nothing else carried it.

use crate::tcp::endpoint::connection::Connection;

/// An ACK of its own.
pub(crate) fn expire<R>(conn: &mut Connection<R>) {
    conn.intents.ack = true;
}
