//! Seventh, the segment text (§3.10.7.4), and when to acknowledge it (§3.8.6.3; RFC 5681 §4.2).

use std::ops::ControlFlow;
use std::time::Duration;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::ecn;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Changes, Context, EndReason, State};
use crate::tcp::receive_space::Stored;
use crate::tcp::segment::Segment;
use crate::tcp::timeouts;
use crate::wire::Flags;

/// Puts the text where it belongs in the ring, early text too (RFC 9293 §3.10.7.4 SHLD-31), and notes a FIN behind it. Only intents
/// are left: what has arrived before the next transmission is acknowledged by one segment (MUST-58, MUST-59).
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &mut Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if conn.state == State::Closed || (seg.payload.is_empty() && !seg.has(Flags::FIN)) {
        return ControlFlow::Continue(());
    }
    if !conn.state.may_receive() {
        // The peer's FIN was taken in: nothing can follow it. The RFC's "should not occur".
        conn.intents.ack = true;
        return ControlFlow::Break(DropReason::DataAfterFin);
    }
    if conn.is_orphan() && !seg.payload.is_empty() {
        // RFC 1122 §4.2.2.13, SHLD-3: nobody will ever read it, and the peer should know.
        conn.reset_peer(cx);
        conn.finish(EndReason::Aborted, Cause::DataAfterClose, cx);
        return ControlFlow::Break(DropReason::DataAfterClose);
    }
    conn.receive
        .note_old_text(seg.start - i64::from(seg.old), seg.start);
    note_fin(conn, seg);
    if seg.payload.is_empty() {
        return ControlFlow::Continue(());
    }
    store(conn, seg, cx)
}

/// Remembers an early FIN, and cuts what lies beyond the known one.
fn note_fin<R: Ring>(conn: &mut Connection<R>, seg: &mut Segment<'_>) {
    let end = seg.payload_end().max(0) as u64;
    let in_order = seg.start <= conn.receive.nxt as i64;
    if seg.has(Flags::FIN) && !conn.receive.note_fin(end, in_order) {
        seg.flags = seg.flags.without(Flags::FIN);
        // A number it takes is not wanted: its sender is told where we stand.
        conn.intents.ack = true;
    }
    if let Some(fin) = conn.receive.fin
        && end > fin
    {
        seg.trim_right(fin);
    }
}

fn store<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
    let (start, end) = (seg.start as u64, seg.payload_end() as u64);
    if start == end {
        conn.intents.ack = true;
        return ControlFlow::Continue(());
    }
    let had_hole = !conn.receive.out_of_order.is_empty();
    let stored = conn
        .receive
        .store(start, end, cx.limits.out_of_order_ranges);
    if stored == Stored::Refused {
        conn.intents.ack = true;
        return ControlFlow::Break(DropReason::TooManyRanges);
    }
    ecn::receiver::text_arrived(conn, seg, cx);
    conn.tally.bytes_in += end - start;
    conn.tally.out_of_order_in += u64::from(start > conn.receive.data_end());
    let known = u32::from(conn.our_mss);
    conn.receive.full_size = conn.receive.full_size.max(seg.segment_size.min(known));
    if conn.reading_closed {
        conn.receive.read = conn.receive.data_end();
    } else {
        conn.rings.receive.write_at(start, seg.payload);
    }
    match stored {
        Stored::InOrder => {
            conn.text_at = cx.now;
            measure(conn, seg, cx);
            conn.outside_window.agreed();
            if !conn.reading_closed {
                conn.changed(Changes::READABLE);
            }
            acknowledge_in_order(conn, had_hole, cx);
        }
        // RFC 5681 §4.2, RFC 9293 §3.10.7.4 MAY-13: a duplicate acknowledgment at once for each, or the peer learns of the hole too late.
        Stored::OutOfOrder | Stored::Refused => {
            let parts = u8::try_from(seg.parts()).unwrap_or(u8::MAX);
            conn.intents.duplicate_acks = conn.intents.duplicate_acks.saturating_add(parts).min(16);
        }
    }
    ControlFlow::Continue(())
}

/// What a round trip takes as the receiver sees it, for the size of its ring.
fn measure<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &Context<'_>) {
    let full = seg.segment_size >= conn.receive.full_size;
    let echo = conn
        .timestamps
        .zip(seg.timestamps)
        .filter(|_| full)
        .map(|(state, timestamps)| {
            let elapsed = state.value(cx.now).wrapping_sub(timestamps.echo);
            (timestamps.echo, elapsed)
        })
        // An echo from the future, or of ages ago, is no measurement.
        .filter(|&(_, elapsed)| elapsed < 1 << 20)
        .map(|(echo, elapsed)| (echo, Duration::from_millis(u64::from(elapsed))));
    let rtt = conn.rtt.srtt();
    conn.receive.measure(cx.now, rtt, echo);
}

/// SHLD-18, SHLD-19: at least every second full-size segment at once, the rest within the delay. A segment
/// that fills a hole is acknowledged at once (RFC 5681 §4.2).
fn acknowledge_in_order<R: Ring>(conn: &mut Connection<R>, had_hole: bool, cx: &mut Context<'_>) {
    let unacknowledged = conn.receive.nxt - conn.acked_to;
    // RFC 2883 §4: the peer sent something for nothing, and should know soon.
    let twice = conn.receive.sack.owes_duplicate();
    if had_hole || twice || unacknowledged >= 2 * u64::from(conn.receive.full_size) {
        conn.intents.ack = true;
    } else {
        timeouts::start_delayed_ack(conn, cx);
    }
}
