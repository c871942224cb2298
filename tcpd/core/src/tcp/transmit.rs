//! What to send (RFC 9293 §3.7, §3.8): the only place where segments are made.
//!
//! Calls, arrivals and timeouts leave intents on a connection. When the device has room, [`next`] turns them into one segment
//! (or super-segment) at a time, in this order:
//! 1. a keepalive probe;
//! 2. an ACK with SACK blocks;
//! 3. a zero-window probe;
//! 4. the segment at SND.UNA, after a timeout;
//! 5. the probe for a lost tail;
//! 6. what was lost, and new text, with FIN behind the last byte;
//! 7. an ACK of its own, if nothing carried it.

use crate::tcp::buffer::Ring;
use crate::tcp::ecn::{self, EcnState};
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Context, State};
use crate::tcp::path_mtu::{self, Probing};
use crate::tcp::recovery::reaction;
use crate::tcp::timers::Timer;
use crate::wire::{Ecn, Flags, SackBlocks, SequenceNumber, Timestamps};
use limit::SendLimit;

pub(crate) mod limit;
mod nagle;
mod pacing;
mod probes;
mod replies;
mod segmentize;
#[cfg(test)]
mod tests;

pub(crate) use replies::{Replies, Reply};

/// A segment to be built: everything but addresses and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    pub(crate) flags: Flags,
    /// The ECN field of its IP header.
    pub(crate) ecn: Ecn,
    pub(crate) window: u16,
    pub(crate) timestamps: Option<Timestamps>,
    /// What stands beyond a hole, and what came twice: on ACKs of their own only.
    pub(crate) sack: SackBlocks,
    /// Counts with URG.
    pub(crate) urgent_pointer: u16,
    /// Position of the first byte of text in the send ring.
    pub(crate) position: u64,
    /// Bytes of text; more than `segment_size` in a super-segment.
    pub(crate) length: u32,
    /// Bytes of text in each segment of the wire but the last.
    pub(crate) segment_size: u32,
}

/// Text, or a FIN, or both, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: u64,
    /// Position after the last byte; the FIN is not counted.
    pub(crate) end: u64,
    pub(crate) fin: bool,
}

impl Text {
    /// Positions it takes.
    fn sequence_end(&self) -> u64 {
        self.end + u64::from(self.fin)
    }
}

/// The next segment of `conn`, or `None` when it has nothing to send now.
pub(crate) fn next<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> Option<Outgoing> {
    if conn.state == State::Closed || conn.state == State::TimeWait {
        return None;
    }
    if std::mem::take(&mut conn.intents.keep_alive) {
        return Some(probes::keep_alive(conn, cx));
    }
    // RFC 2018 §4: blocks have room on an ACK of its own alone, and one with text is no duplicate (RFC 5681 §2); so it goes ahead of text.
    if conn.receive.sack.has_news(&conn.receive.out_of_order)
        && let Some(out) = acknowledgment(conn, cx)
    {
        return Some(out);
    }
    if std::mem::take(&mut conn.intents.probe)
        && let Some(text) = probes::zero_window(conn)
    {
        return Some(probe(conn, text, cx));
    }
    if std::mem::take(&mut conn.intents.retransmit_first)
        && let Some(text) = segmentize::first_unacknowledged(conn)
    {
        return Some(send_text(conn, text, cx));
    }
    if std::mem::take(&mut conn.intents.tail_probe) && conn.send.has_unacknowledged() {
        return Some(tail_probe(conn, cx));
    }
    let mut probe_waits = false;
    if !ecn::is_held(conn) {
        segmentize::restart_after_idle(conn, cx);
        if !pacing::holds_back(conn, cx) {
            match path_mtu::probe(conn, segmentize::allowed_by_congestion(conn), cx.now) {
                Probing::Probe(text) => return Some(size_probe(conn, text, cx)),
                Probing::Waits => probe_waits = true,
                Probing::No => {
                    if let Some(text) = segmentize::next_text(conn, cx) {
                        return Some(send_text(conn, text, cx));
                    }
                }
            }
        }
        note_who_limits(conn);
        probes::watch_window(conn, cx);
    }
    limit::note(conn);
    if probe_waits {
        conn.limit = Some(SendLimit::CongestionWindow);
    }
    acknowledgment(conn, cx)
}

/// Nothing goes out now. With CWND to spare it is the user who has not written enough: what is measured until that is delivered says
/// little about the path.
fn note_who_limits<R: Ring>(conn: &mut Connection<R>) {
    let in_flight = conn.recovery.in_flight();
    let idle = conn.send.nxt >= conn.send.end() && conn.recovery.board.lost() == 0;
    if idle && in_flight < u64::from(conn.congestion.cwnd()) {
        conn.recovery.rate.limited_by_user(in_flight);
    }
}

/// A segment with text or FIN: keeps the books of everything that follows from sending it.
fn send_text<R: Ring>(conn: &mut Connection<R>, text: Text, cx: &mut Context<'_>) -> Outgoing {
    conn.limit = None;
    let length = (text.end - text.start) as u32;
    let again = text.start < conn.send.nxt;
    if again {
        conn.tally.bytes_retransmitted += (conn.send.nxt - text.start).min(u64::from(length));
        conn.tally.retransmissions += 1;
        cx.counters.retransmissions += 1;
    }
    if !u64::from(length).is_multiple_of(u64::from(conn.send.mss)) {
        conn.send.small_end = conn.send.small_end.max(text.end);
    }
    pacing::sent(conn, length.into(), cx);
    path_mtu::on_sent(conn, text, again);
    on_the_board(conn, text, cx);
    if again && text.start == conn.send.una {
        // RFC 6675 §5: what the timer waits for has just been sent.
        conn.timers
            .set(Timer::Retransmission, cx.now + conn.rtt.rto());
    }
    conn.timers
        .set_if_idle(Timer::Retransmission, cx.now, conn.rtt.rto());
    if !again {
        reaction::watch_tail(conn, cx);
    }
    conn.timers.stop(Timer::ZeroWindow);
    if let Some(patience) = conn.options.user_timeout {
        conn.timers.set_if_idle(Timer::User, cx.now, patience);
    }
    conn.sent_at = cx.now;
    let mut out = text_segment(conn, text, cx);
    if !again && length > 0 {
        ecn::mark_new_text(conn, &mut out);
    }
    out
}

/// New text in one segment longer than the others: whether the path carries it (RFC 4821 §7.2).
fn size_probe<R: Ring>(conn: &mut Connection<R>, text: Text, cx: &mut Context<'_>) -> Outgoing {
    cx.counters.path_mtu_probes += 1;
    // It is no short segment for Nagle, though no multiple of the MSS.
    let small_end = conn.send.small_end;
    let mut out = send_text(conn, text, cx);
    conn.send.small_end = small_end;
    out.segment_size = out.length;
    out
}

/// Text goes into the books: SND.NXT, the scoreboard, and whatever counts what goes out in a recovery.
fn on_the_board<R: Ring>(conn: &mut Connection<R>, text: Text, cx: &Context<'_>) {
    let value = conn.timestamps.map(|state| state.value(cx.now));
    let again = text.start < conn.send.nxt;
    let (end, mss) = (text.sequence_end(), conn.send.mss);
    conn.recovery
        .sent(text.start, end, again, value, mss, cx.now);
    conn.send.sent(end);
}

/// The probe for a lost tail (RFC 8985 §7.3); the retransmission timer starts anew.
fn tail_probe<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> Outgoing {
    let (text, again) = probes::tail(conn);
    let out = send_text(conn, text, cx);
    conn.recovery.tail.sent(conn.send.nxt, again);
    conn.recovery.count().tail_probes += 1;
    cx.counters.tail_loss_probes += 1;
    conn.timers.stop(Timer::TailLoss);
    out
}

/// A zero-window probe: not timed, not watched by the retransmission timer; what it carries is marked to be sent again.
fn probe<R: Ring>(conn: &mut Connection<R>, text: Text, cx: &mut Context<'_>) -> Outgoing {
    cx.counters.zero_window_probes += 1;
    conn.tally.zero_window_probes += 1;
    on_the_board(conn, text, cx);
    conn.recovery.board.lose_all();
    // RFC 9293 §3.8.6.1 SHLD-30: ever longer between probes.
    let backoff = conn.rtt.rto().saturating_mul(1 << conn.probes.min(16));
    conn.timers
        .set(Timer::ZeroWindow, cx.now + backoff.min(cx.tcp.rto_max));
    conn.timers.stop(Timer::Retransmission);
    conn.timers.stop(Timer::TailLoss);
    conn.timers.stop(Timer::Reordering);
    text_segment(conn, text, cx)
}

fn text_segment<R: Ring>(conn: &mut Connection<R>, text: Text, cx: &mut Context<'_>) -> Outgoing {
    let mut flags = Flags::NONE;
    // RFC 9293 §3.9.1.2 MUST-61, SHLD-27: PSH on the last segment of what was written, however many calls wrote it.
    if text.end == conn.send.written && text.end > text.start {
        flags |= Flags::PSH;
    }
    if text.fin {
        flags |= Flags::FIN;
    }
    let mut out = segment(conn, text.start, flags, cx);
    out.length = (text.end - text.start) as u32;
    conn.tally.bytes_out += u64::from(out.length);
    out
}

/// An ACK of its own, if one is due. Each duplicate that is due goes out as one segment. It stands where the peer accepts it: two
/// closed windows that probe each other must hear each other's answers (RFC 9293 §3.8.6.1 MUST-37).
fn acknowledgment<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) -> Option<Outgoing> {
    if !conn.intents.ack && conn.intents.duplicate_acks == 0 {
        return None;
    }
    let more = conn.intents.duplicate_acks.saturating_sub(1);
    let position = conn.send.textless_position();
    let mut out = segment(conn, position, Flags::NONE, cx);
    out.sack = sack_blocks(conn);
    conn.intents.duplicate_acks = more;
    Some(out)
}

/// RFC 2018 §3: four blocks fit, or three beside timestamps.
fn sack_blocks<R: Ring>(conn: &mut Connection<R>) -> SackBlocks {
    let most = if conn.timestamps.is_some() {
        SackBlocks::MAX - 1
    } else {
        SackBlocks::MAX
    };
    let mut blocks = SackBlocks::default();
    for range in conn.receive.take_sack_blocks(most).iter() {
        let edges = [range.start, range.end].map(|edge| conn.receive.sequence_of(edge));
        blocks.push(edges[0], edges[1]);
    }
    blocks
}

/// A segment without text at `position`. Every segment acknowledges (§3.10.7.4) and tells the window.
fn segment<R: Ring>(
    conn: &mut Connection<R>,
    position: u64,
    flags: Flags,
    cx: &mut Context<'_>,
) -> Outgoing {
    conn.intents.ack = false;
    conn.intents.duplicate_acks = 0;
    conn.acked_to = conn.receive.nxt;
    conn.timers.stop(Timer::DelayedAck);
    conn.timers.stop(Timer::ChallengeAck);
    conn.tally.segments_out += 1;
    let urgent_pointer = conn.send.urgent_pointer(position);
    let urgent = match urgent_pointer {
        Some(_) => Flags::URG,
        None => Flags::NONE,
    };
    let echo = conn.ecn.as_deref().map_or(Flags::NONE, EcnState::echo);
    Outgoing {
        seq: conn.send.sequence_of(position),
        ack: conn.receive.next_sequence(),
        flags: flags | urgent | echo | Flags::ACK,
        ecn: Ecn::NotEct,
        window: conn.receive.take_window(),
        timestamps: conn.timestamps.map(|state| Timestamps {
            value: state.value(cx.now),
            echo: state.recent,
        }),
        sack: SackBlocks::default(),
        urgent_pointer: urgent_pointer.unwrap_or(0),
        position,
        length: 0,
        segment_size: conn.send.mss,
    }
}
