//! RECEIVE (§3.10.3).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::EndReason;
use crate::tcp::endpoint::connection::Connection;
use crate::time::Instant;

/// Why a RECEIVE was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// "error: connection does not exist".
    #[error("connection does not exist")]
    NoSuchConnection,
    /// Nothing has arrived yet.
    #[error("nothing has arrived yet")]
    Empty,
    /// The connection ended otherwise than in order, and everything was read.
    #[error("the connection ended: {}", .0.name())]
    Ended(EndReason),
    /// A position that lies behind what was read, or beyond what has arrived.
    #[error("a position outside of the ring")]
    OutOfRange,
}

/// Copies what has arrived into `out`. `Ok(0)`: the peer has closed and everything was read, or `out` is empty.
pub(crate) fn receive_into<R: Ring>(
    conn: &mut Connection<R>,
    out: &mut [u8],
    now: Instant,
) -> Result<usize, ReceiveError> {
    let unread = usize::try_from(conn.receive.unread()).unwrap_or(usize::MAX);
    if unread == 0 {
        return nothing_unread(conn);
    }
    let count = unread.min(out.len());
    conn.rings
        .receive
        .read_at(conn.receive.read, &mut out[..count]);
    read_up_to(conn, conn.receive.read + count as u64, now);
    Ok(count)
}

/// RFC 9293 §3.8.5 MUST-33: how many bytes lie before the urgent pointer and were not read; those that have yet to arrive count. 0:
/// nothing is urgent.
pub(crate) fn urgent<R>(conn: &Connection<R>) -> u64 {
    conn.receive
        .urgent
        .map_or(0, |pointer| pointer.saturating_sub(conn.receive.read))
}

/// The bytes up to position `up_to` were read from the ring.
pub(crate) fn consumed<R: Ring>(
    conn: &mut Connection<R>,
    up_to: u64,
    now: Instant,
) -> Result<(), ReceiveError> {
    if up_to < conn.receive.read || up_to > conn.receive.data_end() {
        return Err(ReceiveError::OutOfRange);
    }
    read_up_to(conn, up_to, now);
    Ok(())
}

/// RFC 9293 §3.6 MUST-12: the end of the stream after a FIN, an error after a RST.
fn nothing_unread<R>(conn: &Connection<R>) -> Result<usize, ReceiveError> {
    // After the peer's FIN this direction is complete, whatever becomes of the other: end of file, and the reason stands in the event and
    // in what SEND says (as Linux has it). Without it a RST is never an end of file.
    match conn.end {
        Some(EndReason::Closed) => Ok(0),
        Some(EndReason::Reset) if conn.receive.is_finished() => Ok(0),
        Some(reason) => Err(ReceiveError::Ended(reason)),
        None if conn.receive.is_finished() || conn.reading_closed => Ok(0),
        None => Err(ReceiveError::Empty),
    }
}

/// Frees the ring up to `position`; a window update follows when it is worth one (§3.8.6.2.2).
fn read_up_to<R: Ring>(conn: &mut Connection<R>, position: u64, now: Instant) {
    conn.receive.read_up_to(now, position);
    if conn.state.may_receive() && conn.receive.wants_window_update() {
        conn.intents.ack = true;
    }
}
