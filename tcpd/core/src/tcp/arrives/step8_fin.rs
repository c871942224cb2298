//! Eighth, the FIN bit (§3.10.7.4): once everything before it has arrived.

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Changes, Context, State};
use crate::tcp::segment::Segment;
use crate::tcp::timeouts;
use crate::wire::Flags;

/// Takes the FIN in if it is next, whether it came with this segment or earlier.
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if !conn.state.may_receive() {
        return ControlFlow::Continue(());
    }
    if !conn.receive.take_fin() {
        if seg.has(Flags::FIN) && seg.payload.is_empty() {
            // It came too early: a duplicate acknowledgment shows the hole.
            conn.intents.duplicate_acks = conn.intents.duplicate_acks.saturating_add(1);
        }
        return ControlFlow::Continue(());
    }
    if !seg.has(Flags::FIN) {
        // It waited behind a hole that this segment has filled (RFC 5681 §4.2).
        conn.intents.ack = true;
    }
    if !conn.reading_closed {
        conn.changed(Changes::PEER_CLOSED);
    } else {
        conn.receive.read = conn.receive.data_end();
    }
    match conn.state {
        State::Established => {
            cx.transition(&mut conn.state, State::CloseWait, Cause::FinArrived);
            // A user who closes at once lets one segment carry both the ACK and our FIN.
            timeouts::start_delayed_ack(conn, cx);
        }
        // Our FIN is not acknowledged, or the fifth step would have left FIN-WAIT-1.
        State::FinWait1 => {
            cx.transition(&mut conn.state, State::Closing, Cause::FinArrived);
            conn.intents.ack = true;
        }
        State::FinWait2 => {
            // The peer waits in LAST-ACK: never delayed.
            conn.intents.ack = true;
            conn.enter_time_wait(Cause::FinArrived, cx);
        }
        State::Closed
        | State::Listen
        | State::SynSent
        | State::SynReceived
        | State::CloseWait
        | State::Closing
        | State::LastAck
        | State::TimeWait => {}
    }
    ControlFlow::Continue(())
}
