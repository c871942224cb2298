//! Keepalive (§3.8.4): off unless the user asks; only while idle; one lost answer kills nothing.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason};
use crate::tcp::timers::Timer;

/// Starts or stops the timer as the options say.
pub(crate) fn start<R>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.keep_alives_unanswered = 0;
    match conn.options.keepalive {
        Some(keepalive) => conn
            .timers
            .set(Timer::KeepAlive, conn.heard_at.max(cx.now) + keepalive.idle),
        None => conn.timers.stop(Timer::KeepAlive),
    }
}

/// The timer is not moved by every segment: when it goes off, it looks when the peer was heard last.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    let Some(keepalive) = conn.options.keepalive else {
        return;
    };
    // RFC 9293 §3.8.4 MUST-26: with text outstanding, retransmission and window probes do the work.
    if conn.send.has_unacknowledged() || conn.send.has_unsent() {
        conn.keep_alives_unanswered = 0;
        conn.timers.set(Timer::KeepAlive, cx.now + keepalive.idle);
        return;
    }
    if conn.keep_alives_unanswered == 0 {
        let due = conn.heard_at.max(conn.sent_at) + keepalive.idle;
        if due > cx.now {
            conn.timers.set(Timer::KeepAlive, due);
            return;
        }
    }
    // MUST-29: no single probe decides.
    if conn.keep_alives_unanswered >= keepalive.count {
        conn.reset_peer(cx);
        conn.finish(EndReason::TimedOut(Timer::KeepAlive), Cause::TimedOut, cx);
        return;
    }
    conn.keep_alives_unanswered += 1;
    conn.intents.keep_alive = true;
    conn.timers
        .set(Timer::KeepAlive, cx.now + keepalive.interval);
}
