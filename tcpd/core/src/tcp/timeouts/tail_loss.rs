//! The probe timeout (RFC 8985 §7.3): the end of a flight stays unanswered.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::timers::Timer;

/// Asks for a probe. The retransmission timer starts anew, also where it would have gone off in the same instant.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if conn.send.has_unacknowledged() {
        conn.intents.tail_probe = true;
        conn.timers
            .set(Timer::Retransmission, cx.now + conn.rtt.rto());
    }
}
