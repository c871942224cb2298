//! Second, the RST bit (§3.10.7.4, §3.5.3; RFC 5961 §3).

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason, State};
use crate::tcp::segment::Segment;
use crate::wire::Flags;

/// Exactly at RCV.NXT: the connection is reset, also by a RST with text (RFC 9293 §3.5.3 SHLD-2) and with a closed window (§3.4 MUST-66).
/// Elsewhere in the window: a challenge ACK, which a real peer answers with an exact one.
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if !seg.has(Flags::RST) {
        return ControlFlow::Continue(());
    }
    if conn.receive.position_of(seg.seq) != conn.receive.nxt as i64 {
        conn.challenge_ack(cx);
        return ControlFlow::Break(DropReason::ResetChallenged);
    }
    // RFC 9293 §3.6 MUST-12: the user is told that it was reset and not closed.
    let reason = match conn.state {
        // §3.10.7.4 knows of no signal here: both have closed. But text that the peer has not acknowledged may be lost, and MUST-12 has
        // the user know. A FIN alone loses nothing.
        State::Closing | State::LastAck if conn.send.una < conn.send.written => EndReason::Reset,
        State::Closing | State::LastAck | State::TimeWait => EndReason::Closed,
        State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait => {
            EndReason::Reset
        }
        State::Closed | State::Listen | State::SynSent | State::SynReceived => EndReason::Reset,
    };
    cx.counters.resets_in += 1;
    conn.finish(reason, Cause::ResetArrived, cx);
    ControlFlow::Continue(())
}
