//! CLOSE (§3.10.4), of one direction or of both.

use crate::tcp::buffer::Ring;
use crate::tcp::calls::abort;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::{Cause, Context, EndReason, Owner, State};
use crate::tcp::send_space::Fin;
use crate::tcp::timers::Timer;

/// Why a CLOSE was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// "error: connection does not exist".
    #[error("connection does not exist")]
    NoSuchConnection,
    /// "error: connection closing": that side was closed before.
    #[error("connection closing")]
    Closing,
    /// The connection is over.
    #[error("the connection ended: {}", .0.name())]
    Ended(EndReason),
}

/// The user sends no more: FIN follows what is queued. The state changes at once, whatever the window says.
pub(crate) fn shutdown_write<R: Ring>(
    conn: &mut Connection<R>,
    cx: &mut Context<'_>,
) -> Result<(), CloseError> {
    let next = match conn.state {
        State::Established => State::FinWait1,
        State::CloseWait => State::LastAck,
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
            return Err(CloseError::Closing);
        }
        State::TimeWait | State::Closed => {
            return Err(conn
                .end
                .map_or(CloseError::NoSuchConnection, CloseError::Ended));
        }
        State::Listen | State::SynSent | State::SynReceived => {
            return Err(CloseError::NoSuchConnection);
        }
    };
    conn.send.fin = Fin::Queued;
    cx.transition(&mut conn.state, next, Cause::CloseCall);
    Ok(())
}

/// CLOSE of the sending side in the SYN-RECEIVED of a simultaneous open. A passive one has no user who could close it before ACCEPT.
///
/// RFC 9293 §3.10.4: "If no SENDs have been issued and there is no pending data to send, then form a FIN segment and send it, and
/// enter FIN-WAIT-1 state; otherwise, queue for processing after entering ESTABLISHED state." The first is the one way round
/// ESTABLISHED; our SYN stays unacknowledged meanwhile, and is sent again together with the FIN.
pub(crate) fn close_crossed<R>(open: &mut SynSent<R>, cx: &mut Context<'_>) {
    open.fin_queued = true;
    let mut state = open.state();
    let Some(half) = &mut open.crossed else {
        return;
    };
    if open.written > 0 || open.finishing {
        return;
    }
    cx.transition(&mut state, State::FinWait1, Cause::CloseCall);
    open.finishing = true;
    // Behind a closed window FIN waits like text, and is probed once our SYN is acknowledged.
    half.fin_sent = half.window > 0;
    open.fin_due = half.fin_sent;
}

/// The user reads no more: what is unread, and what still comes, is acknowledged and thrown away, as Linux does.
pub(crate) fn shutdown_read<R: Ring>(conn: &mut Connection<R>) {
    conn.reading_closed = true;
    conn.receive.read = conn.receive.data_end();
    if conn.state.may_receive() && conn.receive.wants_window_update() {
        conn.intents.ack = true;
    }
}

/// The user lets go. With unread bytes the peer is told by RST that they are lost (RFC 2525 §2.17, RFC 9293 §3.6.1 MAY-1, SHLD-3);
/// otherwise FIN follows what is queued, and what is left is an orphan.
pub(crate) fn close<R: Ring>(conn: &mut Connection<R>, cx: &mut Context<'_>) {
    conn.owner = Owner::Nobody;
    if conn.receive.unread() > 0 {
        abort(conn, cx);
        return;
    }
    // After a half-close the FIN is queued already, and the orphan goes on in its state.
    shutdown_write(conn, cx).ok();
    match conn.state {
        State::FinWait1 | State::Closing | State::LastAck => {
            conn.timers
                .set(Timer::Orphan, cx.now + cx.tcp.orphan_timeout);
        }
        State::FinWait2 => conn
            .timers
            .set(Timer::Orphan, cx.now + cx.tcp.fin_wait_2_timeout),
        State::Established
        | State::CloseWait
        | State::TimeWait
        | State::Closed
        | State::Listen
        | State::SynSent
        | State::SynReceived => {}
    }
}
