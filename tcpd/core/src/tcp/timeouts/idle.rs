//! The application's own idle timer: no text has passed, either way, for as long as the user puts up with.
//!
//! It ends in ABORT (§3.10.5) and not in CLOSE: nothing was in progress that an orderly end could save, a peer that is idle because
//! it is gone would keep the FIN waiting for R2, and TIME-WAIT would stay with the side that did no wrong. A user who wants an
//! orderly end has CLOSE. The reason it is told is `timed-out` by `idle`, which no other end has.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason};
use crate::tcp::timers::Timer;

/// Starts or stops the timer as the options say, from now on.
pub(crate) fn start<R>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.text_at = cx.now;
    match conn.options.idle_timeout {
        Some(patience) if !patience.is_zero() => conn.timers.set(Timer::Idle, cx.now + patience),
        _ => conn.timers.stop(Timer::Idle),
    }
}

/// The timer is not moved by every byte: when it goes off, it looks when the last one passed.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    let Some(patience) = conn.options.idle_timeout else {
        return;
    };
    // Nobody is left whose patience it could be: the orphan's own limits hold.
    if conn.is_orphan() {
        return;
    }
    let due = conn.text_at + patience;
    if due > cx.now {
        conn.timers.set(Timer::Idle, due);
        return;
    }
    conn.reset_peer(cx);
    conn.finish(EndReason::TimedOut(Timer::Idle), Cause::TimedOut, cx);
}
