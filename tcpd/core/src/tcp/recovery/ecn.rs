//! What ECE leads to (RFC 3168 §6.1.2): CWND is reduced as after a loss, but nothing is sent again; once for a window of text, however
//! many marks there were in it.

use crate::tcp::buffer::Ring;
use crate::tcp::congestion::Signal;
use crate::tcp::ecn::{self, EcnMode};
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::recovery::{Phase, reaction};
use crate::tcp::segment::Segment;
use crate::tcp::timers::Timer;
use crate::wire::Flags;

/// An ACK was taken in that others have not overtaken; it has delivered so many bytes. Whether it echoes a mark; ECE on a SYN-ACK
/// is of the handshake.
pub(crate) fn acknowledged<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    delivered: u64,
    cx: &mut Context<'_>,
) -> bool {
    let Some(state) = conn.ecn.as_deref_mut() else {
        return false;
    };
    if state.mode != EcnMode::On || !seg.has(Flags::ECE) || seg.has(Flags::SYN) {
        return false;
    }
    state.ece_in += 1;
    cx.counters.ece_in += 1;
    // The text that tells the peer (CWR) goes out from `reduced_at` on: until it is acknowledged ECE is about the same marks.
    let is_news = state.reduced_at.is_none_or(|end| conn.send.una > end);
    if is_news && conn.recovery.phase() == Phase::Open {
        state.reductions += 1;
        cx.counters.ecn_reductions += 1;
        reduce(conn, delivered, cx);
    }
    true
}

fn reduce<R: Ring>(conn: &mut Connection<R>, delivered: u64, cx: &mut Context<'_>) {
    let cwnd = conn.congestion.cwnd();
    if cwnd < 2 * conn.send.mss {
        // RFC 3168 §6.1.2: a window of one segment cannot be reduced, so the next one waits for the timer.
        if let Some(state) = conn.ecn.as_deref_mut() {
            state.held = true;
        }
        ecn::window_reduced(conn);
        return;
    }
    // How much there was before the first ACK of those that echo the mark, nobody knows when nothing is left of it.
    let flight = match conn.send.nxt - conn.send.una {
        0 => u64::from(cwnd),
        outstanding => outstanding + delivered,
    };
    reaction::reduce(conn, Signal::Ecn, flight, delivered, cx);
}

/// After every ACK: the timer that ends the wait runs on when everything is acknowledged.
pub(crate) fn keep_hold<R>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if ecn::is_held(conn) {
        conn.timers.stop(Timer::ZeroWindow);
        conn.timers
            .set_if_idle(Timer::Retransmission, cx.now, conn.rtt.rto());
    }
}

/// The retransmission timer went off: new text may go out again.
pub(crate) fn release<R>(conn: &mut Connection<R>) {
    if let Some(state) = conn.ecn.as_deref_mut() {
        state.held = false;
    }
}
