//! How much text the next segment carries (§3.7, §3.8.6.2.1; RFC 5681, RFC 8985).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::path_mtu;
use crate::tcp::send_space::Fin;
use crate::tcp::transmit::{Text, nagle, pacing};

/// Where sending goes on: at what has to be sent again, else at SND.NXT.
pub(super) fn cursor<R: Ring>(conn: &Connection<R>) -> u64 {
    let lost = conn.recovery.first_lost(1);
    lost.map_or(conn.send.nxt, |(start, _)| start)
}

/// The one segment at SND.UNA, after a timeout: at most one MSS, whatever CWND says.
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

/// What may go out now: text that has to be sent again (RFC 9293 §3.8.6 SHLD-16), then text never sent, in full segments where there is
/// enough of it (§3.9.1.2 SHLD-28). F-RTO turns the order round (RFC 5682 §3.1).
pub(crate) fn next_text<R: Ring>(conn: &mut Connection<R>, cx: &Context<'_>) -> Option<Text> {
    let largest = largest_text(conn, cx);
    if conn.recovery.wants_new_text() {
        let text = unsent_text(conn, largest, cx);
        if text.is_some() || !conn.recovery.no_new_text() {
            return text;
        }
    }
    let most = largest.min(allowed_by_congestion(conn));
    match conn.recovery.first_lost(most.max(1)) {
        Some((start, end)) => lost_text(conn, start, end, most),
        None => unsent_text(conn, largest, cx),
    }
}

/// What of `start..end`, which is lost, may go out: `most` bytes at most.
fn lost_text<R: Ring>(conn: &Connection<R>, start: u64, end: u64, most: u64) -> Option<Text> {
    let send = &conn.send;
    let mss = u64::from(send.mss);
    let end = if end == send.nxt && end - start < mss {
        // A short rest is filled up with what was never sent.
        (start + mss).min(send.end()).max(end)
    } else {
        end
    };
    let text = end.min(send.written).saturating_sub(start);
    // SHLD-15: nothing fits into a window that has shrunk below what was sent.
    let usable = send.window_edge().saturating_sub(start);
    let available = text.min(usable).min(most);
    let length = if available == text {
        text
    } else if available < mss && available == usable && fills_half_a_window(conn, usable) {
        usable
    } else {
        available / mss * mss
    };
    let fin = end > send.written && length == text && usable > text;
    (length > 0 || fin).then_some(Text {
        start,
        end: start + length,
        fin,
    })
}

fn unsent_text<R: Ring>(conn: &mut Connection<R>, most: u64, cx: &Context<'_>) -> Option<Text> {
    let send = &conn.send;
    let start = send.nxt;
    if start >= send.end() {
        return None;
    }
    let mss = u64::from(send.mss);
    let unsent = send.written.saturating_sub(start);
    let usable = send.window_edge().saturating_sub(start);
    let allowed = allowed_by_congestion(conn);
    if allowed < unsent.min(usable) {
        conn.congestion.window_is_full(start);
    }
    let send = &conn.send;
    let available = unsent.min(usable).min(allowed);
    let mut length = available / mss * mss;
    // The tail: everything that is left, when it fits.
    let is_tail = available == unsent;
    let fin = is_tail && send.fin == Fin::Queued && usable > unsent && start <= send.written;
    if is_tail && length < unsent {
        if fin || nagle::may_send_short(send, cx.tcp.nagle, conn.options.nodelay) {
            length = unsent;
        }
    } else if length == 0
        && usable < mss
        && usable < unsent
        && available == usable
        && fills_half_a_window(conn, usable)
    {
        length = usable;
    }
    let fin = fin && length == unsent && length <= most;
    let length = length.min(most);
    (length > 0 || fin).then_some(Text {
        start,
        end: start + length,
        fin,
    })
}

/// RFC 9293 §3.8.6.2.1 MUST-38, rule (3): nothing is on its way, and at least half of the largest window ever offered can be filled.
fn fills_half_a_window<R: Ring>(conn: &Connection<R>, usable: u64) -> bool {
    let half = u64::from(conn.send.max_wnd / 2).max(1);
    conn.recovery.in_flight() == 0 && usable >= half
}

/// CWND less what is in flight. What was SACKed, or stands for a duplicate, is not: so limited transmit (RFC 3042) is contained. A lone
/// FIN needs no CWND worth speaking of.
pub(super) fn allowed_by_congestion<R: Ring>(conn: &Connection<R>) -> u64 {
    u64::from(conn.congestion.cwnd()).saturating_sub(conn.recovery.in_flight())
}

/// RFC 5681 §4.1: after an idle time longer than the RTO the window says nothing about the path any more.
pub(super) fn restart_after_idle<R: Ring>(conn: &mut Connection<R>, cx: &Context<'_>) {
    if !conn.send.has_unacknowledged() && conn.send.has_unsent() {
        conn.congestion
            .on_idle(cx.now, conn.sent_at, conn.rtt.rto());
    }
}

/// Text of the largest super-segment, a multiple of the MSS.
fn largest_text<R: Ring>(conn: &Connection<R>, cx: &Context<'_>) -> u64 {
    let mss = u64::from(conn.send.mss);
    // An urgent pointer is an offset from its own segment: whoever cuts a super-segment would copy it as it is.
    if conn
        .send
        .urgent
        .is_some_and(|urgent| urgent > conn.send.una)
    {
        return mss;
    }
    let headers = u64::from(path_mtu::headers(&conn.pair, conn.timestamps.is_some()));
    let most = u64::from(cx.gso_max).min(65_535).saturating_sub(headers);
    let most = most.min(pacing::most(conn, cx));
    (most / mss * mss).max(mss)
}
