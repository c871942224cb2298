//! SEGMENT ARRIVES (RFC 9293 §3.10.7): one file a subsection, and one a step of §3.10.7.4.
//!
//! A step is `check(conn, seg, cx) -> ControlFlow<DropReason>`: it goes on, or the segment is refused with a name. A step
//! that ends the connection goes on as well; the steps after it find CLOSED and do nothing.

use std::ops::ControlFlow;

use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::segment::Segment;

pub(crate) mod closed;
pub(crate) mod half_open;
pub(crate) mod listen;
mod step1_sequence;
mod step2_reset;
mod step4_syn;
mod step5_ack;
mod step6_urgent;
mod step7_text;
mod step8_fin;
pub(crate) mod syn_sent;
pub(crate) mod time_wait;

/// The outcome of a step.
pub(crate) type Step = ControlFlow<DropReason>;

/// §3.10.7.4: a segment for a connection in a synchronised state.
pub(crate) fn synchronised<R: Ring>(
    conn: &mut Connection<R>,
    mut seg: Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    conn.tally.segments_in += u64::from(seg.parts());
    let outcome = steps(conn, &mut seg, cx);
    if let ControlFlow::Break(reason) = outcome {
        conn.count_dropped(reason);
    }
    outcome
}

fn steps<R: Ring>(conn: &mut Connection<R>, seg: &mut Segment<'_>, cx: &mut Context<'_>) -> Step {
    step1_sequence::check(conn, seg, cx)?;
    heard(conn, cx);
    step2_reset::check(conn, seg, cx)?;
    // Third, security: RFC 9293 leaves nothing to do without the IP security option.
    step4_syn::check(conn, seg, cx)?;
    acknowledged(conn, *seg, cx)
}

/// The fifth step and those after it: where a segment that has just completed a handshake goes on.
pub(crate) fn acknowledged<R: Ring>(
    conn: &mut Connection<R>,
    mut seg: Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    step5_ack::check(conn, &seg, cx)?;
    step6_urgent::check(conn, &seg, cx)?;
    step7_text::check(conn, &mut seg, cx)?;
    step8_fin::check(conn, &seg, cx)
}

/// A segment that completes a handshake: cut to the window, then on with the fifth step.
pub(crate) fn completes_handshake<R: Ring>(
    conn: &mut Connection<R>,
    mut seg: Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    conn.tally.segments_in += u64::from(seg.parts());
    heard(conn, cx);
    step1_sequence::place(conn, &mut seg);
    acknowledged(conn, seg, cx)
}

/// The peer is alive: keepalive starts anew (§3.8.4).
fn heard<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.heard_at = cx.now;
    conn.keep_alives_unanswered = 0;
}
