//! Fourth, the SYN bit (§3.10.7.4; RFC 5961 §4).

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Context, State};
use crate::tcp::segment::Segment;
use crate::wire::Flags;

/// A SYN in a synchronised state is answered with a challenge ACK: a peer that has lost its connection answers that with RST.
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> Step {
    if !seg.has(Flags::SYN) || conn.state == State::Closed {
        return ControlFlow::Continue(());
    }
    conn.challenge_ack(cx);
    ControlFlow::Break(DropReason::SynChallenged)
}
