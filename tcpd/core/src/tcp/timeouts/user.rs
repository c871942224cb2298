//! The user timeout (§3.10.8): sent text has been unacknowledged for as long as the user puts up with.
//!
//! It counts from the last progress of SND.UNA, and an answered zero-window probe is none. MUST-37 (§3.8.6.1) keeps TCP from giving up a
//! peer that answers probes, and without a user timeout nothing does, for ever. But the user who sets one has said: "If data is not
//! successfully delivered to the destination within the timeout period, the TCP endpoint will abort the connection" (§3.10.1; §3.10.8
//! makes no exception for any state; RFC 5482 §1 counts what stays unacknowledged). A peer that shuts its window for ever
//! would otherwise hold that user's text for ever (RFC 6429 leaves such an end to the application). Linux does the same.

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
