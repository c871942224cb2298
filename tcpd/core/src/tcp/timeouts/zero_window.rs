//! The zero-window probe (RFC 9293 §3.8.6.1 MUST-36, MUST-37): for ever while the peer answers, at growing intervals.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason};
use crate::tcp::path_mtu;
use crate::tcp::timers::Timer;

/// Asks for a probe, unless R2 probes in a row have found no answer.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    // RFC 9293 §3.8.3 MUST-21: where the user has set R2 in time, the count does not decide.
    if conn.probes_unanswered >= cx.tcp.r2 && conn.options.user_timeout.is_none() {
        let reason = conn
            .soft_error
            .unwrap_or(EndReason::TimedOut(Timer::ZeroWindow));
        conn.reset_peer(cx);
        conn.finish(reason, Cause::TimedOut, cx);
        return;
    }
    conn.probes = conn.probes.saturating_add(1);
    conn.probes_unanswered = conn.probes_unanswered.saturating_add(1);
    // One of this is yet to be sent. Where segments have become smaller the window has room for one.
    let fits = path_mtu::on_timeout(conn, conn.probes_unanswered - 1, cx);
    conn.intents.probe = !fits;
}
