//! Probes: of a zero window (§3.8.6.1), past silly-window avoidance (§3.8.6.2.1), and keepalive (§3.8.4).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::segmentize::cursor;
use crate::tcp::transmit::{Outgoing, Text, segment};
use crate::wire::Flags;

/// RFC 9293 §3.8.4 SHLD-12: no text, SEG.SEQ = SND.NXT − 1, so that the peer has to answer.
pub(crate) fn keep_alive<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> Outgoing {
    cx.counters.keep_alive_probes += 1;
    conn.tally.keep_alive_probes += 1;
    let mut out = segment(conn, conn.send.nxt, Flags::NONE, cx);
    out.seq = conn.send.sequence_of(conn.send.nxt) - 1;
    out
}

/// One octet into a zero window, or as much as a small window takes once silly-window avoidance has held it back long
/// enough. The FIN when only that is left.
pub(crate) fn zero_window<R: Ring>(conn: &Connection<R>) -> Option<Text> {
    let send = &conn.send;
    let start = cursor(conn);
    if start >= send.end() {
        return None;
    }
    let unsent = send.written.saturating_sub(start);
    let usable = send
        .window_edge()
        .saturating_sub(start)
        .min(u64::from(send.mss));
    let end = start + usable.max(1).min(unsent);
    Some(Text {
        start,
        end,
        fin: unsent == 0,
    })
}

/// RFC 8985 §7.3: new text where there is any and the peer has room for it, whatever CWND says; else the last segment once more. The flag
/// says which.
pub(crate) fn tail<R: Ring>(conn: &Connection<R>) -> (Text, bool) {
    let send = &conn.send;
    let mss = u64::from(send.mss);
    let room = send.window_edge().saturating_sub(send.nxt);
    let unsent = send.written.saturating_sub(send.nxt).min(mss);
    if unsent > 0 && room >= unsent {
        let end = send.nxt + unsent;
        let text = Text {
            start: send.nxt,
            end,
            fin: false,
        };
        return (text, false);
    }
    let end = send.nxt.min(send.written);
    let text = Text {
        start: end.saturating_sub(mss).max(send.una),
        end,
        fin: send.fin_sent(),
    };
    (text, true)
}

/// Starts the timer of the zero-window probe, with the RTO (RFC 9293 §3.8.6.1 SHLD-29), when text waits that nothing else will set
/// going: nothing is in flight, and the window does not let it out. So nothing that was written waits for ever (§3.9.1.2 MUST-60).
pub(crate) fn watch_window<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if conn.recovery.board.is_reneged() {
        // Nothing is in flight, yet a window is not what is missing: see the timeout.
        conn.timers.stop(Timer::ZeroWindow);
        conn.timers
            .set_if_idle(Timer::Retransmission, cx.now, conn.rtt.rto());
        return;
    }
    let paced = conn.timers.is_running(Timer::Pacing);
    if cursor(conn) < conn.send.end() && conn.recovery.in_flight() == 0 && !paced {
        conn.timers.stop(Timer::Retransmission);
        conn.timers
            .set_if_idle(Timer::ZeroWindow, cx.now, conn.rtt.rto());
        if let Some(patience) = conn.options.user_timeout {
            conn.timers.set_if_idle(Timer::User, cx.now, patience);
        }
    }
}
