//! SEND (§3.10.2).

use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{EndReason, State};

/// Why a SEND was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// "error: connection does not exist".
    #[error("connection does not exist")]
    NoSuchConnection,
    /// "error: connection closing": the sending side was closed before.
    #[error("connection closing")]
    Closing,
    /// The connection is over.
    #[error("the connection ended: {}", .0.name())]
    Ended(EndReason),
    /// The send ring is full: try again once something was acknowledged.
    #[error("the send ring is full")]
    Full,
    /// A position that lies behind what was committed, or beyond what the ring holds.
    #[error("a position outside of the ring")]
    OutOfRange,
}

/// Copies as much of `bytes` into the send ring as fits.
pub(crate) fn send<R: Ring>(conn: &mut Connection<R>, bytes: &[u8]) -> Result<usize, SendError> {
    may_send(conn)?;
    let room = conn.send.room(conn.rings.send.capacity());
    let count = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
    if count == 0 && !bytes.is_empty() {
        return Err(SendError::Full);
    }
    conn.rings.send.write_at(conn.send.written, &bytes[..count]);
    conn.send.written += count as u64;
    Ok(count)
}

/// [`send`] with the URGENT flag: SND.UP points behind what was taken (§3.8.5). The peer is told at once if its window is closed.
pub(crate) fn send_urgent<R: Ring>(
    conn: &mut Connection<R>,
    bytes: &[u8],
) -> Result<usize, SendError> {
    let count = send(conn, bytes)?;
    if count > 0 {
        conn.send.urgent = Some(conn.send.written);
        conn.intents.ack |= conn.send.wnd == 0;
    }
    Ok(count)
}

/// The bytes up to position `end` stand in the send ring already.
pub(crate) fn committed<R: Ring>(conn: &mut Connection<R>, end: u64) -> Result<(), SendError> {
    may_send(conn)?;
    let capacity = u64::from(conn.rings.send.capacity());
    if end < conn.send.written || end - conn.send.una > capacity {
        return Err(SendError::OutOfRange);
    }
    conn.send.written = end;
    Ok(())
}

fn may_send<R>(conn: &Connection<R>) -> Result<(), SendError> {
    match conn.state {
        State::Established | State::CloseWait => Ok(()),
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
            Err(SendError::Closing)
        }
        State::TimeWait | State::Closed => Err(conn
            .end
            .map_or(SendError::NoSuchConnection, SendError::Ended)),
        State::Listen | State::SynSent | State::SynReceived => Err(SendError::NoSuchConnection),
    }
}
