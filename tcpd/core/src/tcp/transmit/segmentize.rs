//! How much text the next segment carries (§3.7, §3.8.6.2.1; RFC 5681, RFC 3042).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::send_space::Fin;
use crate::tcp::transmit::{Text, nagle};

/// The one segment at SND.UNA, for fast retransmit and partial acknowledgments: at most one MSS, whatever CWND says.
pub(crate) fn first_unacknowledged<R: Ring>(conn: &Connection<R>) -> Option<Text> {
    let send = &conn.send;
    if !send.has_unacknowledged() {
        return None;
    }
    let sent = send.nxt.min(send.written);
    let end = (send.una + u64::from(send.mss)).min(sent).max(send.una);
    Some(Text {
        start: send.una,
        end,
        fin: end == send.written && send.fin_sent(),
    })
}

/// What may go out now from the place where sending goes on: text that has to be sent again (RFC 9293 §3.8.6 SHLD-16), then text
/// never sent, in full segments where there is enough of it (§3.9.1.2 SHLD-28).
pub(crate) fn next_text<R: Ring>(conn: &mut Connection<R>, cx: &Context<'_>) -> Option<Text> {
    let start = conn.send.cursor();
    if start >= conn.send.end() {
        return None;
    }
    restart_after_idle(conn, cx);
    let send = &conn.send;
    let mss = u64::from(send.mss);
    let unsent = send.written.saturating_sub(start);
    // SHLD-15: nothing fits into a window that has shrunk below what was sent.
    let usable = send.window_edge().saturating_sub(start);
    let allowed = allowed_by_congestion(conn);

    let available = unsent.min(usable).min(allowed);
    let mut length = available / mss * mss;
    // The tail: everything that is left, when it fits.
    let is_tail = available == unsent;
    let fin = is_tail && send.fin == Fin::Queued && usable > unsent && start <= send.written;
    if is_tail && length < unsent {
        let resent = start < send.nxt;
        if fin || resent || nagle::may_send_short(send, cx.tcp.nagle, conn.options.nodelay) {
            length = unsent;
        }
    } else if length == 0 && usable < mss && usable < unsent && available == usable {
        // RFC 9293 §3.8.6.2.1 MUST-38, rule (3): nothing is on its way, and at least half of the largest window ever offered can be filled.
        let half = u64::from(send.max_wnd / 2).max(1);
        if send.in_flight() == 0 && usable >= half && usable > 0 {
            length = usable;
        }
    }
    let most = largest_text(conn, cx);
    let fin = fin && length == unsent && length <= most;
    let length = length.min(most);
    if length == 0 && !fin {
        return None;
    }
    Some(Text {
        start,
        end: start + length,
        fin,
    })
}

/// CWND less what is in flight, with limited transmit on top (RFC 3042). A lone FIN needs no CWND worth speaking of.
pub(super) fn allowed_by_congestion<R: Ring>(conn: &Connection<R>) -> u64 {
    let beyond = match conn.send.resend {
        None => conn.recovery.limited_transmit(),
        // It is for text never sent before.
        Some(_) => 0,
    };
    let window = u64::from(conn.congestion.cwnd()) + u64::from(beyond) * u64::from(conn.send.mss);
    window.saturating_sub(conn.send.in_flight())
}

/// RFC 5681 §4.1: after an idle time longer than the RTO the window says nothing about the path any more.
fn restart_after_idle<R: Ring>(conn: &mut Connection<R>, cx: &Context<'_>) {
    if !conn.send.has_unacknowledged() && cx.now.duration_since(conn.sent_at) > conn.rtt.rto() {
        conn.congestion.on_idle();
    }
}

/// Text of the largest super-segment, a multiple of the MSS.
fn largest_text<R: Ring>(conn: &Connection<R>, cx: &Context<'_>) -> u64 {
    let mss = u64::from(conn.send.mss);
    // An urgent pointer is an offset from its own segment: whoever cuts a super-segment would copy it as it is.
    if conn.send.urgent_pointer(conn.send.cursor()).is_some() {
        return mss;
    }
    let headers =
        u64::from(conn.pair.ip_header_len() + 20 + if conn.timestamps.is_some() { 12 } else { 0 });
    let most = u64::from(cx.gso_max).min(65_535).saturating_sub(headers);
    (most / mss * mss).max(mss)
}
