//! First, the sequence number (§3.10.7.4), with PAWS (RFC 7323 §5.3) before it.

use std::ops::ControlFlow;

use crate::tcp::arrives::{Step, step5_ack, step6_urgent};
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Context, State};
use crate::tcp::segment::Segment;
use crate::wire::Flags;

#[cfg(test)]
mod tests;

/// Checks PAWS and acceptability, takes TS.Recent over, and cuts the segment to the window.
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &mut Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    seg.start = conn.receive.position_of(seg.seq) + i64::from(seg.has(Flags::SYN));
    paws(conn, seg, cx)?;
    if !is_acceptable(conn, seg) && !is_exact_reset(conn, seg) {
        return refuse(conn, seg, cx);
    }
    place(conn, seg);
    ControlFlow::Continue(())
}

/// Takes TS.Recent over and cuts an acceptable segment to the window.
pub(crate) fn place<R: Ring>(conn: &mut Connection<R>, seg: &mut Segment<'_>) {
    seg.start = conn.receive.position_of(seg.seq) + i64::from(seg.has(Flags::SYN));
    let edge = conn.receive.adv.max(conn.receive.nxt);
    seg.trim_left(conn.receive.nxt);
    seg.trim_right(edge);
}

/// RFC 7323 §5.3 R1 and §3.2: an old timestamp, or none at all, though they were agreed. RST is exempt. So is SYN: a peer that comes back
/// after a crash has another clock, or no timestamps at all, and is to be challenged whatever it says (RFC 5961 §4.2); nor may
/// it move TS.Recent.
fn paws<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
    let Some(state) = &mut conn.timestamps else {
        return ControlFlow::Continue(());
    };
    if seg.flags.intersects(Flags::RST | Flags::SYN) {
        return ControlFlow::Continue(());
    }
    let Some(timestamps) = seg.timestamps else {
        return if cx.tcp.timestamps_required && !state.may_be_missing {
            ControlFlow::Break(DropReason::TimestampMissing)
        } else {
            ControlFlow::Continue(())
        };
    };
    if state.refuses(timestamps.value, cx.now) {
        answer(conn, seg, cx);
        return ControlFlow::Break(DropReason::Paws);
    }
    // §4.3: only a segment that spans what was acknowledged last may set what is echoed. Its value is newer, or TS.Recent is void.
    if seg.start <= conn.acked_to as i64 && is_acceptable_or_next(&conn.receive, seg) {
        state.remember(timestamps.value, cx.now);
    }
    ControlFlow::Continue(())
}

/// The four cases of §3.4, table 6.
fn is_acceptable<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    acceptable(
        seg.start - i64::from(seg.has(Flags::SYN)),
        seg.len(),
        conn.receive.nxt,
        conn.receive.window(),
    )
}

/// RFC 9293 §3.4 MUST-66, RFC 5961 §3.2: a RST at RCV.NXT counts though the window is closed, and though it carries text (SHLD-2).
fn is_exact_reset<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    seg.has(Flags::RST) && conn.receive.position_of(seg.seq) == conn.receive.nxt as i64
}

/// `start` and `length` of a segment against RCV.NXT and RCV.WND. A FIN has a length: at a closed window it is refused and comes again, as
/// §3.10.7.4 has it (Linux takes it in). Its sender goes on trying, as with text (MUST-37), and a user who does not read would not
/// learn of it anyhow before what stands in front of it.
fn acceptable(start: i64, length: u32, nxt: u64, window: u64) -> bool {
    let (first, window) = (start - nxt as i64, window as i64);
    let last = first + i64::from(length) - 1;
    match (length, window) {
        (0, 0) => first == 0,
        (0, _) => (0..window).contains(&first),
        (_, 0) => false,
        _ => {
            (0..window).contains(&first)
                || (0..window).contains(&last)
                || (first < 0 && last >= window)
        }
    }
}

/// Whether the segment is plausible enough for its timestamp: acceptable, or touching RCV.NXT while the window is zero.
fn is_acceptable_or_next(
    receive: &crate::tcp::receive_space::ReceiveSpace,
    seg: &Segment<'_>,
) -> bool {
    let first = seg.start - i64::from(seg.has(Flags::SYN));
    acceptable(first, seg.len(), receive.nxt, receive.window().max(1))
}

/// An unacceptable segment: its ACK field may count all the same, then it is answered and dropped.
fn refuse<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
    if seg.has(Flags::RST) {
        return ControlFlow::Break(DropReason::ResetOutsideWindow);
    }
    if seg.has(Flags::SYN) {
        // RFC 5961 §4.2: whatever its number.
        conn.challenge_ack(cx);
        return ControlFlow::Break(DropReason::SynChallenged);
    }
    // RFC 2883 §4: what is answered at once is reported; a challenge that may be held back reports nothing.
    if is_near(conn, seg) {
        conn.receive.note_old_text(seg.start, seg.payload_end());
    }
    if acknowledgment_counts(conn, seg) && step5_ack::is_new(conn, seg) {
        step5_ack::check(conn, seg, cx)?;
    }
    // RFC 9293 §3.4 MUST-66: URG counts with a closed window, in the very segment that there is no room for.
    if seg.start == conn.receive.nxt as i64 {
        step6_urgent::check(conn, seg, cx)?;
    }
    answer(conn, seg, cx);
    ControlFlow::Break(DropReason::OutsideWindow)
}

/// Whether the number of an unacceptable segment is as exact as an acceptable one's would be, so that its ACK counts: the
/// last segment again (a FIN whose ACK of ours would else never count, RFC 9293 appendix A.2), a keepalive probe, or text
/// at RCV.NXT for which there is no window (§3.10.7.4: "special allowance"; §3.4 MUST-66).
fn acknowledgment_counts<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    let nxt = conn.receive.nxt as i64;
    let end = seg.start + i64::from(seg.len());
    seg.has(Flags::ACK) && (end == nxt || end + 1 == nxt || seg.start == nxt)
}

/// RFC 9293 §3.10.7.4 first: "If an incoming segment is not acceptable, an acknowledgment should be sent in reply".
///
/// 1. Text or FIN near the window is always answered: a peer that retransmits or probes waits for it. So is keepalive, and a window
///    probe without text: the number before RCV.NXT with a good acknowledgment, which is beyond guessing, and which the answer to it can
///    never look like.
/// 2. Text or FIN far away is challenged, as RST and SYN are: whoever forges it would have us send the peer duplicate
///    acknowledgments, which it takes for loss.
/// 3. The rest is limited (RFC 5961 §7), and not answered while we repeat ourselves for want of an answer: that says the same, and is no
///    answer to an answer.
fn answer<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &mut Context<'_>) {
    if conn.state == State::Closed {
        return;
    }
    if is_near(conn, seg) || is_probe(conn, seg) {
        conn.intents.ack = true;
    } else if seg.len() > 0 {
        conn.challenge_ack(cx);
    } else if !conn.repeats_itself() {
        conn.dataless_answer(cx);
    }
}

/// Text that an honest peer may send: again, as long ago as a whole window; or up to the right edge, where it probes.
fn is_near<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    let receive = &conn.receive;
    let oldest = receive.nxt as i64 - i64::from(receive.capacity.max(65_536));
    let edge = receive.adv.max(receive.nxt) as i64;
    seg.len() > 0 && seg.start <= edge && seg.start + i64::from(seg.len()) >= oldest
}

/// SHLD-27 (§3.8.4): SEG.SEQ = SND.NXT − 1 without text.
fn is_probe<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    let ack = conn.send.position_of(seg.ack);
    seg.start + 1 == conn.receive.nxt as i64
        && seg.has(Flags::ACK)
        && (conn.send.una as i64..=conn.send.nxt as i64).contains(&ack)
}
