//! Fifth, the ACK field (§3.10.7.4; RFC 5961 §5, RFC 5681, RFC 6298, RFC 6582).
//!
//! 1. Is it an acknowledgment of something we sent, not long ago?
//! 2. What is newly acknowledged leaves the send buffer, is timed, and feeds congestion control.
//! 3. What is not new may be a duplicate, and a sign of loss.
//! 4. The window.
//! 5. The states in which our FIN is awaited.

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Changes, Context, EndReason, State};
use crate::tcp::path_mtu;
use crate::tcp::recovery::{self, reaction};
use crate::tcp::segment::Segment;
use crate::tcp::timeouts;
use crate::tcp::timers::Timer;
use crate::wire::Flags;

/// The fifth step.
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if conn.state == State::Closed {
        return ControlFlow::Continue(());
    }
    if !seg.has(Flags::ACK) {
        return ControlFlow::Break(DropReason::NoAck);
    }
    let ack = conn.send.position_of(seg.ack);
    in_bounds(conn, ack, seg, cx)?;
    conn.probes_unanswered = 0;
    // RFC 5482 §3.1: with the user timeout a local matter (not CHANGEABLE by the peer) its word is known, and nothing follows.
    conn.peer_user_timeout = seg.user_timeout.or(conn.peer_user_timeout);

    if ack > conn.send.una as i64 {
        newly_acknowledged(conn, ack as u64, seg, cx);
        window(conn, seg);
        after_fin(conn, cx);
    } else if ack == conn.send.una as i64 {
        let duplicate = is_duplicate(conn, seg);
        window(conn, seg);
        if duplicate || !seg.sack.is_empty() {
            reaction::on_ack(conn, seg, ack as u64, duplicate, cx);
        }
    }
    recovery::ecn::keep_hold(conn, cx);
    ControlFlow::Continue(())
}

/// Whether the ACK field acknowledges something for the first time: SND.UNA < SEG.ACK =< SND.NXT.
pub(crate) fn is_new<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    let ack = conn.send.position_of(seg.ack);
    ack > conn.send.una as i64 && ack <= conn.send.nxt as i64
}

/// RFC 5961 §5, RFC 9293 §3.10.7.4 MAY-12: SND.UNA − MAX.SND.WND =< SEG.ACK =< SND.NXT, and never below what was sent at all
/// (CVE-2023-52881).
fn in_bounds<R: Ring>(
    conn: &mut Connection<R>,
    ack: i64,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if ack > conn.send.nxt as i64 {
        conn.dataless_answer(cx);
        return ControlFlow::Break(DropReason::AckOfUnsent);
    }
    let oldest = (conn.send.una as i64 - i64::from(conn.send.max_wnd)).max(0);
    if ack < oldest {
        if seg.len() > 0 {
            conn.challenge_ack(cx);
        } else {
            conn.dataless_answer(cx);
        }
        return ControlFlow::Break(DropReason::AckTooOld);
    }
    ControlFlow::Continue(())
}

/// SND.UNA moves.
fn newly_acknowledged<R: Ring>(
    conn: &mut Connection<R>,
    ack: u64,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) {
    if conn.send.una < conn.send.written {
        conn.text_at = cx.now;
    }
    conn.outside_window.agreed();
    conn.retries = 0;
    conn.probes = 0;
    conn.soft_error = None;
    reaction::on_ack(conn, seg, ack, false, cx);
    path_mtu::on_acknowledged(conn, cx);
    if !conn.send.has_unacknowledged() {
        conn.intents.retransmit_first = false;
        conn.intents.tail_probe = false;
    }
    restart_timers(conn, cx);
    conn.changed(Changes::ACKNOWLEDGED);
}

/// RFC 6298 §5.2, §5.3: the timer stops with nothing outstanding, else it starts anew.
fn restart_timers<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    let outstanding = conn.send.has_unacknowledged();
    if outstanding {
        conn.timers
            .set(Timer::Retransmission, cx.now + conn.rtt.rto());
    } else {
        conn.timers.stop(Timer::Retransmission);
        conn.timers.stop(Timer::Reordering);
    }
    reaction::watch_tail(conn, cx);
    conn.timers.stop(Timer::ZeroWindow);
    timeouts::start_user_timeout(conn, cx);
    if conn.is_orphan() && conn.timers.is_running(Timer::Orphan) {
        conn.timers
            .set(Timer::Orphan, cx.now + cx.tcp.orphan_timeout);
    }
}

/// The five conditions of RFC 5681 §2.
fn is_duplicate<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> bool {
    // What a zero-window probe carried is not in flight, and its answers are no duplicates.
    conn.recovery.in_flight() > 0 && seg.len() == 0 && scaled_window(conn, seg) == conn.send.wnd
}

/// RFC 9293 §3.1 MUST-1, REC-1: unsigned, and in 32 bits.
fn scaled_window<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>) -> u32 {
    // RFC 7323 §2.2: the window of a SYN is never scaled.
    let shift = if seg.has(Flags::SYN) {
        0
    } else {
        conn.send.shift
    };
    u32::from(seg.window) << shift
}

/// SND.WND, unless an older segment than the last update tells it. Any value is taken: a window may shrink below what is in flight
/// (RFC 9293 §3.8.6 MUST-34).
///
/// What acknowledges more than the last update did was sent later, though it stands at an older number when it is text sent again. The
/// RFC's two conditions pass its window over; but SND.WND counts from SND.UNA, which it has moved, and the right edge would move with it
/// to where the peer never offered one.
fn window<R: Ring>(conn: &mut Connection<R>, seg: &Segment<'_>) {
    let offered = scaled_window(conn, seg);
    let send = &mut conn.send;
    let newer = send.wl1.before(seg.seq)
        || (send.wl1 == seg.seq && send.wl2.before_or_equal(seg.ack))
        || send.wl2.before(seg.ack);
    if !newer {
        return;
    }
    let was_zero = send.wnd == 0;
    send.update_window(offered, seg.seq, seg.ack);
    if was_zero && send.wnd > 0 {
        conn.probes = 0;
        conn.timers.stop(Timer::ZeroWindow);
    } else if send.wnd == 0 && conn.timers.is_running(Timer::ZeroWindow) {
        // A peer that answers a probe keeps the connection open for ever (MUST-36, MUST-37), as far as it is ours to say. A user
        // timeout goes on: see there.
        conn.retries = 0;
    }
}

/// What an acknowledgment of our FIN leads to.
fn after_fin<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if !conn.send.fin_acknowledged() {
        return;
    }
    match conn.state {
        State::FinWait1 => {
            cx.transition(&mut conn.state, State::FinWait2, Cause::FinAcknowledged);
            conn.timers.stop(Timer::Orphan);
            if conn.is_orphan() {
                conn.timers
                    .set(Timer::Orphan, cx.now + cx.tcp.fin_wait_2_timeout);
            }
        }
        State::Closing => conn.enter_time_wait(Cause::FinAcknowledged, cx),
        State::LastAck => conn.finish(EndReason::Closed, Cause::FinAcknowledged, cx),
        State::Closed
        | State::Listen
        | State::SynSent
        | State::SynReceived
        | State::Established
        | State::FinWait2
        | State::CloseWait
        | State::TimeWait => {}
    }
}
