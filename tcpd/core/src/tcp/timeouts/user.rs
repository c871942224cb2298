//! The user timeout (§3.10.8): sent text has been unacknowledged for as long as the user puts up with.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason};
use crate::tcp::timers::Timer;

/// Starts or stops the timer as the options say.
pub(crate) fn start<R>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    match conn.options.user_timeout {
        Some(patience) if conn.send.has_unacknowledged() || conn.send.has_unsent() => {
            conn.timers.set(Timer::User, cx.now + patience);
        }
        _ => conn.timers.stop(Timer::User),
    }
}

/// "Flush all queues, signal the user 'error: connection aborted due to user timeout' […] and delete the TCB."
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.reset_peer(cx);
    conn.finish(EndReason::TimedOut(Timer::User), Cause::TimedOut, cx);
}
