//! What an ACK, a timer and a sending mean for recovery, for CWND, and for the timers of recovery.
//!
//! An ACK, in this order:
//! 1. what it delivers leaves the scoreboard, is timed, and is told to RACK;
//! 2. D-SACK: something went out twice for nothing; a tail loss probe that has repaired a loss hides it (RFC 8985 §7.4.2), and the window has
//!    to come down all the same;
//! 3. an ongoing reduction ends, is undone, or goes on;
//! 4. ECE begins a reduction (RFC 3168);
//! 5. what is lost by now is marked, and may begin a recovery;
//! 6. CWND: PRR in a reduction, otherwise the congestion controller;
//! 7. timers.

use std::time::Duration;

use super::prr::{During, Prr};
use super::rate::{Gathering, RateSample};
use super::scoreboard::Stretch;
use super::tail_loss::{self, Verdict};
use super::{DUPLICATE_THRESHOLD, Frto, Phase};
use crate::tcp::buffer::Ring;
use crate::tcp::congestion::{Acknowledged, Signal};
use crate::tcp::ecn;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::path_mtu;
use crate::tcp::segment::Segment;
use crate::tcp::timers::Timer;
use crate::time::Instant;

/// What one ACK has delivered.
#[derive(Debug, Default)]
struct Delivered {
    /// Bytes acknowledged or SACKed for the first time.
    bytes: u64,
    /// Bytes SND.UNA moved over.
    acknowledged: u64,
    /// The round trip of the oldest and of the newest piece, if none of them was sent twice.
    oldest: Option<Duration>,
    newest: Option<Duration>,
    /// Something arrived that was sent once only, and before the last timeout.
    original: bool,
    again: bool,
    /// The ACK echoes a mark.
    marked: bool,
    rate: Option<RateSample>,
}

/// An ACK whose field is acceptable: `ack` is its position, at SND.UNA or beyond, and `duplicate` says whether it is a duplicate as RFC
/// 5681 §2 has it.
pub(crate) fn on_ack<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    ack: u64,
    duplicate: bool,
    cx: &mut Context<'_>,
) {
    let (una, in_flight) = (conn.send.una, conn.recovery.in_flight());
    let was = conn.recovery.phase;
    if duplicate || !seg.sack.is_empty() {
        note_sign_of_loss(conn);
    }
    let mut delivered = deliver(conn, seg, ack, duplicate, cx);
    let dsack = dsack(conn, seg, ack, cx);
    measure(conn, seg, &delivered, cx);
    let bare = ack == una && seg.sack.is_empty() && seg.len() == 0;
    if conn.recovery.tail.on_ack(ack, dsack, bare) == Verdict::Repaired {
        let flight = conn.send.nxt - conn.send.una + delivered.bytes;
        reduce(conn, Signal::Loss, flight, delivered.bytes, cx);
    }
    progress(conn, seg, &delivered, cx);
    delivered.marked = super::ecn::acknowledged(conn, seg, delivered.bytes, cx);
    let lost = detect(conn, cx);
    if lost > 0 && !path_mtu::on_loss(conn, cx) {
        begin_recovery(conn, delivered.bytes, cx);
    }
    window(conn, was, lost, in_flight, &delivered, cx);
    if conn.send.una > una
        && conn.recovery.phase == Phase::Open
        && conn.recovery.board.sacked() == 0
    {
        conn.recovery.duplicates = 0;
        conn.recovery.flight = 0;
    }
}

/// RFC 5681 §3.2 (2): what limited transmit sends from now on is no part of the flight that a loss halves.
fn note_sign_of_loss<R: Ring>(conn: &mut Connection<R>) {
    if conn.recovery.flight == 0 {
        conn.recovery.flight = conn.send.nxt - conn.send.una;
    }
}

fn deliver<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    ack: u64,
    duplicate: bool,
    cx: &mut Context<'_>,
) -> Delivered {
    let mut delivered = Delivered::default();
    let (una, mss) = (conn.send.una, conn.send.mss);
    let (now, min_rtt) = (cx.now, conn.rtt.least());
    let recovery = &mut conn.recovery;
    let recover = recovery.recover.unwrap_or(0);
    // RFC 8985 §6.2 step 2: whether the timestamp that comes back is of before the last sending. It is that of what SND.UNA moved over: beyond
    // a hole nothing sets what is echoed (RFC 7323 §4.3), so it says nothing about what is SACKed there.
    let stamps = conn.timestamps.zip(seg.timestamps);
    let is_older = |sent_at: Instant| {
        stamps.is_some_and(|(state, seg)| (seg.echo.wrapping_sub(state.value(sent_at)) as i32) < 0)
    };
    let mut gathering = Gathering::default();
    let (rack, rate) = (&mut recovery.rack, &mut recovery.rate);
    let mut take = |piece: &Stretch, as_sent: bool, in_order: bool| {
        rate.on_delivered(
            &mut gathering,
            now,
            piece.len(),
            &piece.stamp,
            piece.sent_at,
            piece.end,
        );
        delivered.bytes += piece.len();
        let rtt = now.duration_since(piece.sent_at);
        if piece.was_retransmitted() {
            delivered.again = true;
        } else {
            delivered.oldest = delivered.oldest.or(Some(rtt));
            delivered.newest = Some(rtt);
            delivered.original |= piece.end <= recover;
        }
        let known = in_order && piece.was_retransmitted();
        let older = !as_sent || (known && is_older(piece.sent_at));
        rack.delivered(piece, now, min_rtt, older);
    };
    if ack > una {
        recovery
            .board
            .acknowledge(ack, |piece| take(piece, true, true));
    }
    if conn.agreed.sack {
        let positions = |edge| conn.send.position_of(edge);
        for &(start, end) in seg.sack.as_slice() {
            let (start, end) = (positions(start), positions(end));
            if start >= end || end > conn.send.nxt as i64 {
                cx.counters.sack_blocks_refused += 1;
            } else if start > ack as i64 {
                let segment = u64::from(mss);
                recovery
                    .board
                    .sack(start as u64, end as u64, segment, |piece, as_sent| {
                        take(piece, as_sent, false);
                    });
            }
        }
    }
    delivered.rate = recovery.rate.finish(gathering, now, min_rtt);
    if delivered.again {
        // RFC 9293 §3.8.1 MUST-18, Karn; and what was sent once may have waited for what was sent again.
        (delivered.oldest, delivered.newest) = (None, None);
    }
    if duplicate {
        delivered.bytes += count_duplicate(conn, cx);
    }
    if ack > una {
        delivered.acknowledged = ack - una;
        delivered.bytes -= conn.recovery.settle_inferred(ack - una, mss);
        conn.send.acknowledge(ack);
    }
    delivered
}

/// A duplicate acknowledgment; the bytes that it stands for, where there is no SACK to tell.
fn count_duplicate<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> u64 {
    let recovery = &mut conn.recovery;
    recovery.duplicates = recovery.duplicates.saturating_add(1);
    conn.tally.duplicate_acks_in += 1;
    cx.counters.duplicate_acks_in += 1;
    // After a timeout they are echoes of what is sent again.
    if conn.agreed.sack || recovery.phase == Phase::Loss {
        return 0;
    }
    recovery.infer_delivered(conn.send.mss)
}

/// RFC 2883 §4: the first block lies below SEG.ACK, or within the second one.
fn dsack<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    ack: u64,
    cx: &mut Context<'_>,
) -> Option<(u64, u64)> {
    let &(start, end) = seg.sack.as_slice().first().filter(|_| conn.agreed.sack)?;
    let position = |edge| conn.send.position_of(edge);
    let (start, end) = (position(start), position(end));
    let within = seg
        .sack
        .as_slice()
        .get(1)
        .is_some_and(|&(left, right)| position(left) <= start && end <= position(right));
    if start < 0 || start >= end || end > conn.send.nxt as i64 || !(end <= ack as i64 || within) {
        return None;
    }
    let block = (start as u64, end as u64);
    let recovery = &mut conn.recovery;
    recovery.count().dsacks += 1;
    recovery.count().spurious += (block.1 - block.0).div_ceil(u64::from(conn.send.mss));
    recovery.undo.duplicate(block.0, block.1);
    recovery.rack.on_dsack(conn.send.una, conn.send.nxt);
    cx.counters.dsacks_in += 1;
    Some(block)
}

/// A round trip for the retransmission timer, one a round trip: of what was sent once, or by the timestamp that comes back (RFC 7323
/// §4.1). The least of all pieces for RACK.
fn measure<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    delivered: &Delivered,
    cx: &mut Context<'_>,
) {
    if let Some(rtt) = delivered.newest {
        conn.rtt.note(rtt, cx.now);
    }
    if delivered.acknowledged == 0 || conn.send.una < conn.recovery.sample_at {
        return;
    }
    let by_timestamp = || {
        let elapsed = conn
            .timestamps
            .zip(seg.timestamps)
            .filter(|(_, stamps)| stamps.echo != 0);
        let elapsed =
            elapsed.map(|(state, stamps)| state.value(cx.now).wrapping_sub(stamps.echo))?;
        // An echo from the future, or of ages ago, is no measurement.
        (elapsed < 1 << 20).then(|| Duration::from_millis(u64::from(elapsed)))
    };
    if let Some(rtt) = delivered.oldest.or_else(by_timestamp) {
        conn.rtt.sample(rtt);
        conn.recovery.sample_at = conn.send.nxt;
    }
}

/// The window comes down although nothing waits to be sent again: the network has marked packets (RFC 3168 §6.1.2), or a probe has
/// repaired a loss; `flight` bytes were on their way then. Nothing in a reduction that goes on already.
pub(crate) fn reduce<R: Ring>(
    conn: &mut Connection<R>,
    event: Signal,
    flight: u64,
    delivered: u64,
    cx: &mut Context<'_>,
) {
    if conn.recovery.phase != Phase::Open {
        return;
    }
    conn.congestion.on_congestion(event, flight, cx.now);
    ecn::window_reduced(conn);
    if !conn.send.has_unacknowledged() {
        // There is no ACK by which it could come down in steps.
        conn.congestion.on_recovered(cx.now);
        return;
    }
    let (una, nxt) = (conn.send.una, conn.send.nxt);
    conn.recovery
        .begin_reduction(Phase::Reducing, una, nxt, delivered);
    // There is no retransmission that could turn out to be spurious.
    conn.recovery.undo = super::Undo::default();
}

/// The reduction that is under way: is it over, was it for nothing, does a partial acknowledgment show the next hole?
fn progress<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    delivered: &Delivered,
    cx: &mut Context<'_>,
) {
    let phase = conn.recovery.phase;
    if phase == Phase::Open {
        return;
    }
    let advanced = delivered.acknowledged > 0;
    if phase != Phase::Reducing && was_spurious(conn, seg, delivered) {
        undo(conn, cx);
        return;
    }
    let over = conn
        .recovery
        .recover
        .is_none_or(|recover| conn.send.una >= recover);
    match phase {
        Phase::Open => {}
        Phase::Reducing | Phase::Recovery if over => {
            conn.congestion.on_recovered(cx.now);
            conn.recovery.rack.on_recovered();
            conn.recovery.end_reduction();
        }
        Phase::Reducing => {}
        Phase::Recovery => {
            if advanced && !conn.agreed.sack {
                lose_first(conn, cx);
            }
        }
        Phase::Loss if over => {
            conn.recovery.rack.on_recovered();
            conn.recovery.end_reduction();
        }
        Phase::Loss => after_timeout(conn, delivered),
    }
}

/// Without SACK: the segment at SND.UNA is lost.
fn lose_first<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> u64 {
    let before = conn.recovery.board.lost();
    let end = (conn.send.una + u64::from(conn.send.mss)).min(conn.send.nxt);
    conn.recovery.board.lose(conn.send.una, end);
    let lost = conn.recovery.board.lost() - before;
    count_lost(conn, lost, cx);
    lost
}

fn count_lost<R: Ring>(conn: &mut Connection<R>, bytes: u64, cx: &mut Context<'_>) {
    conn.recovery.count().lost += bytes.div_ceil(u64::from(conn.send.mss));
    cx.counters.bytes_lost += bytes;
}

/// Eifel (RFC 3522), D-SACK (RFC 3708), and F-RTO (RFC 5682 §3.1 step 3: an original that was outstanding at the timeout has arrived).
fn was_spurious<R: Ring>(conn: &Connection<R>, seg: &Segment<'_>, delivered: &Delivered) -> bool {
    let recovery = &conn.recovery;
    if conn.send.una < recovery.undone_to {
        return false;
    }
    let echo = seg.timestamps.map(|stamps| stamps.echo);
    let late = delivered.acknowledged > 0 && recovery.undo.is_older(echo);
    let frto = match recovery.frto {
        Frto::Off => false,
        // With SACK an original that arrives is one that had not been reported before the timeout.
        Frto::Retransmitted => conn.agreed.sack && delivered.original,
        Frto::SendsNew | Frto::SentNew => delivered.acknowledged > 0 && delivered.original,
    };
    late || frto || recovery.undo.all_were_duplicates()
}

/// Everything is as it was before the reduction, and what was not sent again need not be.
fn undo<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if conn.recovery.phase == Phase::Recovery {
        conn.recovery.rack.note_reordering();
    }
    conn.congestion.undo(cx.now);
    conn.recovery.board.revive_lost();
    conn.recovery.rack.forget_newest();
    conn.recovery.undone_to = conn.send.nxt;
    conn.recovery.count().undone += 1;
    cx.counters.spurious_reductions += 1;
    conn.recovery.end_reduction();
}

/// RFC 5682 §3.1 steps 2 and 3: the first ACK after a timeout that acknowledges something lets new text out; one that acknowledges nothing
/// then says that there was a loss.
fn after_timeout<R: Ring>(conn: &mut Connection<R>, delivered: &Delivered) {
    let advanced = delivered.acknowledged > 0;
    if conn.recovery.frto == Frto::SentNew && !advanced && !conn.agreed.sack {
        // §2.1 step 3a: without SACK the new text fills the window until the loss is repaired.
        conn.congestion.set_cwnd(3 * conn.send.mss);
    }
    conn.recovery.frto = match conn.recovery.frto {
        Frto::Retransmitted if advanced => Frto::SendsNew,
        Frto::Retransmitted if delivered.bytes == 0 && conn.recovery.duplicates == 0 => {
            Frto::Retransmitted
        }
        Frto::Retransmitted | Frto::SendsNew | Frto::SentNew | Frto::Off => Frto::Off,
    };
}

/// What is lost by now: bytes newly found to be. Sets the reordering timer for what may only be late.
pub(crate) fn detect<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> u64 {
    if !conn.agreed.sack {
        let recovery = &conn.recovery;
        // RFC 6582 §3.2 step 2: duplicates of segments sent again after a timeout must not begin a recovery.
        let begins = recovery.phase == Phase::Open
            && recovery.duplicates == DUPLICATE_THRESHOLD
            && recovery
                .recover
                .is_none_or(|recover| conn.send.una > recover)
            && conn.send.has_unacknowledged();
        return if begins { lose_first(conn, cx) } else { 0 };
    }
    conn.timers.stop(Timer::Reordering);
    let window = reordering_window(conn);
    let recovery = &mut conn.recovery;
    let Some((newest, rtt)) = recovery.rack.newest() else {
        return 0;
    };
    let (lost, next) = recovery.board.lose_overdue(newest, rtt + window, cx.now);
    if let Some(next) = next {
        conn.timers.set(Timer::Reordering, next);
    }
    count_lost(conn, lost, cx);
    lost
}

/// RACK.reo_wnd as it is now.
pub(crate) fn reordering_window<R: Ring>(conn: &Connection<R>) -> Duration {
    let recovery = &conn.recovery;
    let recovering = matches!(recovery.phase, Phase::Recovery | Phase::Loss);
    let (sacked, segment) = (recovery.board.sacked(), u64::from(conn.send.mss));
    let (least, srtt) = (conn.rtt.least(), conn.rtt.srtt());
    recovery
        .rack
        .reordering_window(least, srtt, recovering, sacked, segment)
}

/// Something was lost: fast recovery begins, unless a recovery is under way. Where the window is coming down already it goes on doing so.
pub(crate) fn begin_recovery<R: Ring>(
    conn: &mut Connection<R>,
    delivered: u64,
    cx: &mut Context<'_>,
) {
    let (una, nxt) = (conn.send.una, conn.send.nxt);
    match conn.recovery.phase {
        Phase::Open => {
            let flight = match conn.recovery.flight {
                0 => nxt - una,
                flight => flight,
            };
            conn.congestion.on_congestion(Signal::Loss, flight, cx.now);
            ecn::window_reduced(conn);
            conn.recovery
                .begin_reduction(Phase::Recovery, una, nxt, delivered);
        }
        Phase::Reducing => {
            conn.recovery.phase = Phase::Recovery;
            conn.recovery.recover = Some(nxt);
        }
        Phase::Recovery | Phase::Loss => return,
    }
    conn.tally.fast_retransmits += 1;
    cx.counters.fast_retransmits += 1;
    conn.timers.stop(Timer::TailLoss);
}

/// CWND after an ACK.
fn window<R: Ring>(
    conn: &mut Connection<R>,
    was: Phase,
    lost: u64,
    in_flight: u64,
    delivered: &Delivered,
    cx: &mut Context<'_>,
) {
    if delivered.bytes > 0 || delivered.acknowledged > 0 {
        let bytes = match (was, conn.recovery.phase) {
            // RFC 3168 §6.1.2: nor does an ACK with ECE.
            (Phase::Open | Phase::Loss, Phase::Open | Phase::Loss) if delivered.marked => 0,
            // A duplicate does not open the window (RFC 5681 §3.2, RFC 3042).
            (Phase::Open | Phase::Loss, Phase::Open | Phase::Loss) => delivered.acknowledged,
            // It is SSTHRESH now, or what it was before.
            (Phase::Reducing | Phase::Recovery, Phase::Open) => 0,
            _ => delivered.bytes,
        };
        conn.congestion.on_acknowledged(&Acknowledged {
            now: cx.now,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            in_flight,
            una: conn.send.una,
            nxt: conn.send.nxt,
            latest_rtt: delivered.newest,
            min_rtt: conn.rtt.least(),
            srtt: conn.rtt.srtt(),
            rate: delivered.rate,
        });
    }
    match conn.recovery.phase {
        Phase::Reducing | Phase::Recovery => {
            if delivered.bytes > 0 || lost > 0 {
                reduce_proportionally(
                    conn,
                    delivered.bytes,
                    delivered.acknowledged > 0 && lost == 0,
                );
            }
        }
        Phase::Open | Phase::Loss => {}
    }
}

/// RFC 9937.
pub(crate) fn reduce_proportionally<R: Ring>(conn: &mut Connection<R>, delivered: u64, safe: bool) {
    let during = During {
        delivered,
        in_flight: conn.recovery.in_flight(),
        ssthresh: conn.congestion.ssthresh().unwrap_or(u32::MAX),
        mss: conn.send.mss,
        safe,
    };
    let cwnd = conn.recovery.prr.on_ack(during);
    conn.congestion.set_cwnd(cwnd.max(conn.send.mss));
}

/// RFC 2018 §8: at a timeout with the first byte outstanding SACKed, the peer has thrown away what it said to have; all of that is sent
/// again.
pub(crate) fn forget_reneged<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if conn.recovery.board.is_reneged() {
        conn.recovery.board.forget_sacked();
        cx.counters.sack_reneged += 1;
    }
}

/// The retransmission timer went off (RFC 6298 §5, RFC 8985 §6.3): what was sent long enough ago is lost, the first segment goes out again,
/// and F-RTO watches what comes back. `first`: not a timeout in a row.
pub(crate) fn on_timeout<R: Ring>(conn: &mut Connection<R>, first: bool, cx: &mut Context<'_>) {
    let (una, nxt) = (conn.send.una, conn.send.nxt);
    let flight = conn.recovery.in_flight() + conn.recovery.board.lost();
    let recovery = &mut conn.recovery;
    recovery.inferred = 0;
    let before = recovery.board.lost();
    match recovery.rack.newest().filter(|_| conn.agreed.sack) {
        Some((_, rtt)) => {
            let window =
                recovery
                    .rack
                    .reordering_window(conn.rtt.least(), conn.rtt.srtt(), true, 0, 1);
            recovery.board.lose_sent_before(rtt + window, cx.now);
            recovery
                .board
                .lose(una, (una + u64::from(conn.send.mss)).min(nxt));
        }
        None => recovery.board.lose_all(),
    }
    let lost = recovery.board.lost() - before;
    // RFC 5682 §3.1 step 1: not for a timeout of what was sent again already.
    let fresh = recovery.phase != Phase::Loss;
    recovery.frto = if fresh {
        Frto::Retransmitted
    } else {
        Frto::Off
    };
    if fresh {
        recovery.undo = super::Undo::begin(una);
    }
    recovery.phase = Phase::Loss;
    recovery.recover = Some(nxt);
    recovery.duplicates = 0;
    recovery.flight = 0;
    recovery.tail.forget();
    recovery.prr = Prr::default();
    count_lost(conn, lost, cx);
    conn.congestion.on_timeout(flight, first, cx.now);
    ecn::window_reduced(conn);
    conn.timers.stop(Timer::Reordering);
    conn.timers.stop(Timer::TailLoss);
}

/// RFC 8985 §6.2 step 5: what was only late until now is lost.
pub(crate) fn on_reordering_timer<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    if detect(conn, cx) == 0 || path_mtu::on_loss(conn, cx) {
        return;
    }
    begin_recovery(conn, 0, cx);
    if matches!(conn.recovery.phase, Phase::Reducing | Phase::Recovery) {
        reduce_proportionally(conn, 0, false);
    }
}

/// RFC 8985 §7.2: the probe's timer runs from the last new text or the last progress, while nothing hints at a loss.
pub(crate) fn watch_tail<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    let recovery = &conn.recovery;
    let watched = conn.agreed.sack
        && cx.tcp.tail_loss_probe
        && recovery.phase == Phase::Open
        && recovery.board.sacked() == 0
        && !recovery.tail.is_out()
        && !ecn::is_held(conn)
        && conn.send.has_unacknowledged();
    let Some(expiry) = conn.timers.get(Timer::Retransmission).filter(|_| watched) else {
        conn.timers.stop(Timer::TailLoss);
        return;
    };
    let single = conn.send.nxt - conn.send.una <= u64::from(conn.send.mss);
    let at: Instant = cx.now + tail_loss::timeout(conn.rtt.srtt(), single);
    conn.timers.set(Timer::TailLoss, at.min(expiry));
}
