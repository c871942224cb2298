//! What limits sending: the rule that held text back when the stack last stopped sending (RFC 9293 §3.7.4, §3.8.6; RFC 5681).
//!
//! [`note`] is called at the one place where sending stops; sending text forgets it. So a connection whose packets only wait for the
//! device has no limit.

use crate::tcp::buffer::Ring;
use crate::tcp::ecn;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::recovery::Phase;
use crate::tcp::send_space::Fin;
use crate::tcp::timers::Timer;
use crate::tcp::transmit::segmentize;

#[cfg(test)]
mod tests;

/// Why no more is being sent, in the order in which the rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendLimit {
    /// The handshake is not finished.
    Handshake,
    /// The user has closed, and everything was sent and acknowledged; or the connection is over.
    Closed,
    /// Everything that was written is acknowledged: the user limits.
    NothingToSend,
    /// Everything that was written is on its way, and the user may write more.
    Acknowledgment,
    /// Everything that was written is on its way and fills the send ring: the ring limits.
    SendRing,
    /// The peer offers no window at all (§3.8.6.1).
    ZeroWindow,
    /// What is on its way fills the peer's window.
    PeerWindow,
    /// What is on its way fills CWND (RFC 5681).
    CongestionWindow,
    /// Loss recovery lets out only as much as was delivered (RFC 9937).
    Recovery,
    /// The pacer has not released the next segment yet.
    Pacing,
    /// The peer's window has room, but for less than a segment worth sending (§3.8.6.2.1).
    SillyWindow,
    /// A short segment waits for the acknowledgment of an earlier one (§3.7.4).
    Nagle,
}

impl SendLimit {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Handshake,
        Self::Closed,
        Self::NothingToSend,
        Self::Acknowledgment,
        Self::SendRing,
        Self::ZeroWindow,
        Self::PeerWindow,
        Self::CongestionWindow,
        Self::Recovery,
        Self::Pacing,
        Self::SillyWindow,
        Self::Nagle,
    ];

    /// Its name, in kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Closed => "closed",
            Self::NothingToSend => "nothing-to-send",
            Self::Acknowledgment => "acknowledgment",
            Self::SendRing => "send-ring",
            Self::ZeroWindow => "zero-window",
            Self::PeerWindow => "peer-window",
            Self::CongestionWindow => "congestion-window",
            Self::Recovery => "recovery",
            Self::Pacing => "pacing",
            Self::SillyWindow => "silly-window",
            Self::Nagle => "nagle",
        }
    }
}

/// Sending has stopped: remembers what for.
pub(crate) fn note<R: Ring>(conn: &mut Connection<R>) {
    conn.limit = Some(of(conn));
}

fn of<R: Ring>(conn: &Connection<R>) -> SendLimit {
    let send = &conn.send;
    let start = segmentize::cursor(conn);
    if start >= send.end() {
        return match send.has_unacknowledged() {
            true if send.room(conn.rings.send.capacity()) == 0 => SendLimit::SendRing,
            true => SendLimit::Acknowledgment,
            false if send.fin == Fin::Queued => SendLimit::Closed,
            false => SendLimit::NothingToSend,
        };
    }
    if send.wnd == 0 {
        return SendLimit::ZeroWindow;
    }
    let usable = send.window_edge().saturating_sub(start);
    if usable == 0 {
        return SendLimit::PeerWindow;
    }
    let unsent = send.written.saturating_sub(start);
    let segment = unsent.min(u64::from(send.mss));
    // RFC 3168 §6.1.2: a window of one segment, and ECE.
    if ecn::is_held(conn) {
        return SendLimit::CongestionWindow;
    }
    if segmentize::allowed_by_congestion(conn) < segment {
        return match conn.recovery.phase() {
            Phase::Reducing | Phase::Recovery => SendLimit::Recovery,
            Phase::Open | Phase::Loss => SendLimit::CongestionWindow,
        };
    }
    if conn.timers.is_running(Timer::Pacing) {
        return SendLimit::Pacing;
    }
    if usable < segment {
        return SendLimit::SillyWindow;
    }
    SendLimit::Nagle
}
