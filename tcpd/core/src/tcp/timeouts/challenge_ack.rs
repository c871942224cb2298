//! The challenge ACK that the limiter held back (RFC 5961 §7), unless some other segment has told the peer where we stand since.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;

/// Its time has come.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.challenge_ack(cx);
}
