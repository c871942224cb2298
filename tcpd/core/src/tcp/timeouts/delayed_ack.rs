//! The delayed acknowledgment (§3.8.6.3): nothing else carried it.

use std::time::Duration;

use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::timers::Timer;

/// RFC 9293 §3.8.6.3 MUST-40: "the delay MUST be less than 0.5 seconds", whatever was configured.
const LONGEST: Duration = Duration::from_millis(499);

/// Starts the timer unless it runs already (RFC 9293 §3.8.6.3 SHLD-18).
pub(crate) fn start<R>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.timers
        .set_if_idle(Timer::DelayedAck, cx.now, cx.tcp.delayed_ack.min(LONGEST));
}

/// An ACK of its own.
pub(crate) fn expire<R>(conn: &mut Connection<R>) {
    conn.intents.ack = true;
}
