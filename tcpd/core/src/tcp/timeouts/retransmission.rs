//! The retransmission timeout (§3.10.8; RFC 6298 §5, RFC 5681 §3.1, RFC 8985 §6.3) and R2 (§3.8.3).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Changes, Context, EndReason};
use crate::tcp::path_mtu;
use crate::tcp::recovery::{self, reaction};
use crate::tcp::timers::Timer;

/// What has been outstanding for long counts as lost: back off, one segment of CWND, the first segment goes out again.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    recovery::ecn::release(conn);
    if !conn.send.has_unacknowledged() {
        return;
    }
    // RFC 9293 §3.8.3 MUST-21: a user who has set a timeout has set R2, be it sooner or later than the count.
    if conn.retries >= cx.tcp.r2 && conn.options.user_timeout.is_none() {
        let reason = conn
            .soft_error
            .unwrap_or(EndReason::TimedOut(Timer::Retransmission));
        conn.reset_peer(cx);
        conn.finish(reason, Cause::TimedOut, cx);
        return;
    }
    conn.tally.timeouts += 1;
    cx.counters.timeouts += 1;
    conn.intents.tail_probe = false;
    reaction::forget_reneged(conn, cx);
    if conn.send.wnd == 0 {
        // The peer shrank its window over what is outstanding: that is probed, not retransmitted, and does not
        // end the connection (RFC 9293 §3.8.6 MUST-35, SHLD-17).
        conn.recovery.board.lose_all();
        path_mtu::forget_probe(conn, cx.now);
        conn.intents.probe = true;
        return;
    }
    let first = conn.retries == 0;
    conn.retries = conn.retries.saturating_add(1);
    if conn.retries == cx.tcp.r1 {
        // RFC 9293 §3.8.3 MUST-20 (b): the IP layer would be told; with one route there is nothing it could do.
        cx.counters.paths_suspected += 1;
        // RFC 9293 §3.8.3 SHLD-9: the user may want to know before R2.
        conn.changed(Changes::TROUBLE);
    }
    reaction::on_timeout(conn, first, cx);
    path_mtu::on_timeout(conn, conn.retries, cx);
    conn.rtt.back_off();
    conn.intents.retransmit_first = true;
    conn.timers
        .set(Timer::Retransmission, cx.now + conn.rtt.rto());
}
