//! Timeouts (RFC 9293 §3.10.8): one file a timer, one dispatcher.

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::timers::Timer;

mod challenge_ack;
mod delayed_ack;
mod idle;
mod keep_alive;
mod orphan;
mod reordering;
mod retransmission;
mod tail_loss;
mod user;
mod zero_window;

pub(crate) use delayed_ack::start as start_delayed_ack;
pub(crate) use idle::start as start_idle_timeout;
pub(crate) use keep_alive::start as start_keep_alive;
pub(crate) use orphan::give_up as give_up_orphan;
pub(crate) use user::start as start_user_timeout;

/// `timer` of `conn` went off. SYN-SENT, half-open entries and TIME-WAIT have their one timer in the stack's wheel and are
/// not here.
pub(crate) fn dispatch<R: Ring>(conn: &mut Connection<R>, timer: Timer, cx: &mut Context<'_>) {
    match timer {
        Timer::TailLoss => tail_loss::expire(conn, cx),
        Timer::Reordering => reordering::expire(conn, cx),
        Timer::Retransmission => retransmission::expire(conn, cx),
        Timer::ZeroWindow => zero_window::expire(conn, cx),
        Timer::ChallengeAck => challenge_ack::expire(conn, cx),
        Timer::DelayedAck => delayed_ack::expire(conn),
        Timer::KeepAlive => keep_alive::expire(conn, cx),
        Timer::User => user::expire(conn, cx),
        Timer::Idle => idle::expire(conn, cx),
        Timer::Orphan => orphan::expire(conn, cx),
        // The connection is looked at again because something went off.
        Timer::Pacing => {}
        Timer::Handshake | Timer::TimeWait => {}
    }
}
