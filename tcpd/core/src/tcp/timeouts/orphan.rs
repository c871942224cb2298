//! The end of patience with a peer whose connection nobody holds any more: in FIN-WAIT-2, or with text it does not take.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Cause, Context, EndReason, State};
use crate::tcp::timers::Timer;

/// Its time is over.
pub(crate) fn expire<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    give_up(
        conn,
        EndReason::TimedOut(Timer::Orphan),
        Cause::TimedOut,
        cx,
    );
}

/// A quiet end in FIN-WAIT-2, where all was delivered; elsewhere text is lost, and the peer is told.
pub(crate) fn give_up<R: Ring>(
    conn: &mut Connection<R>,
    reason: EndReason,
    why: Cause,
    cx: &mut Context<'_>,
) {
    if conn.state != State::FinWait2 {
        conn.reset_peer(cx);
    }
    conn.finish(reason, why, cx);
}
