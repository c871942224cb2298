//! Text leaves at the rate that congestion control asks for, if it asks for one (RFC 7661 §4.4, RFC 9406 §4.2).

use crate::tcp::buffer::Ring;
use crate::tcp::congestion::pacer::Allowance;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::segmentize;

/// Whether text has to wait for its time; then [`Timer::Pacing`] is set for it.
pub(crate) fn holds_back<R: Ring>(conn: &mut Connection<R>, cx: &Context<'_>) -> bool {
    conn.timers.stop(Timer::Pacing);
    if segmentize::cursor(conn) >= conn.send.end() {
        return false;
    }
    match allowance(conn, cx) {
        None | Some(Allowance::Bytes(_)) => false,
        Some(Allowance::NotBefore(at)) => {
            conn.timers.set(Timer::Pacing, at);
            true
        }
    }
}

/// How much text may leave at once.
pub(crate) fn most<R: Ring>(conn: &Connection<R>, cx: &Context<'_>) -> u64 {
    match allowance(conn, cx) {
        None => u64::MAX,
        Some(Allowance::Bytes(bytes)) => bytes,
        Some(Allowance::NotBefore(_)) => 0,
    }
}

fn allowance<R: Ring>(conn: &Connection<R>, cx: &Context<'_>) -> Option<Allowance> {
    conn.congestion.allowance(conn.rtt.srtt(), cx.now)
}

/// Text has left.
pub(crate) fn sent<R: Ring>(conn: &mut Connection<R>, bytes: u64, cx: &Context<'_>) {
    conn.congestion.on_sent(conn.rtt.srtt(), bytes, cx.now);
}
