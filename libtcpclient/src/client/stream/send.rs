//! Writing: from the caller's buffers into the transmit ring.
//!
//! 1. Look how far the peer acknowledged; if there is room, copy, say how far it is written, and mark the slot.
//! 2. If the ring is about to wrap around or is full, and may be larger: ask for that first.
//! 3. If there is no room: `WouldBlock`, or look again for a moment, then say that a thread waits,
//!    look once more, and sleep.

use std::io::IoSlice;
use std::sync::atomic::Ordering;

use super::{Inner, timeout};
use crate::client::clock;
use crate::client::error::{SendError, SessionError};
use crate::client::session::{Session, UNASKED, lock};
use crate::protocol::{Reply, Request};
use crate::shm::{ClientSlot, Direction, Geometry, SharedRing};

/// Bytes are handed over at least this often while a large write is copied, so that sending begins.
const PIECE: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct SendHalf {
    ring: SharedRing,
    /// What `transmit.write` says; our own copy, so that nobody can change it.
    written: u64,
    /// The last acknowledgment seen.
    acknowledged: u64,
    /// How far the ring may grow.
    maximum: u32,
    /// After a refusal: do not ask again before this position.
    ask_from: u64,
    /// Shut down by this side.
    pub(super) shut: bool,
}

impl SendHalf {
    pub(super) fn new(
        session: &Session,
        slot: &ClientSlot,
        written: u64,
        maximum: u32,
    ) -> Option<SendHalf> {
        let geometry = slot.transmit_geometry()?;
        let (capacity, base) = (geometry.capacity, geometry.base);
        let arena = session.arena().clone();
        let ring = SharedRing::new(arena, slot.slot(), Direction::Transmit, capacity, base)?;
        let acknowledged = slot.acknowledged();
        let fits = written.wrapping_sub(acknowledged) <= u64::from(capacity);
        fits.then_some(SendHalf {
            ring,
            written,
            acknowledged,
            maximum,
            ask_from: 0,
            shut: false,
        })
    }

    fn used(&self) -> u64 {
        self.written.wrapping_sub(self.acknowledged)
    }

    /// Where in the ring the next byte goes.
    fn offset(&self) -> u64 {
        self.written.wrapping_sub(self.ring.geometry().base) % u64::from(self.ring.capacity())
    }

    fn free(&self) -> usize {
        self.ring.capacity() as usize - self.used() as usize
    }

    /// The acknowledgment at which a writer goes on, when it can choose: a quarter of the ring free, or
    /// everything acknowledged. A write per segment would cost more than it gives.
    fn worth_waking(&self) -> u64 {
        let quarter = u64::from(self.ring.capacity()) / 4;
        self.written.min(self.acknowledged + quarter)
    }

    /// Whether now is the time to grow, `wanted` being what the daemon would have the ring hold: the peer does not keep up (half of
    /// the ring is used), the used part stands in one piece, and the next byte would go around the end. Later it could not grow.
    fn should_grow(&self, wanted: u32) -> bool {
        let capacity = self.ring.capacity();
        capacity < self.maximum.min(wanted)
            && self.written >= self.ask_from
            && self.used() >= u64::from(capacity) / 2
            && self.offset() == 0
            && self.ring.is_linear(self.acknowledged, self.written)
    }
}

impl Inner {
    pub(super) fn send(&self, buffers: &[IoSlice<'_>]) -> Result<usize, SendError> {
        self.session.check_fork()?;
        if let Some(len) = self.try_send(buffers)? {
            return Ok(len);
        }
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(SendError::WouldBlock);
        }
        let deadline = clock::deadline(timeout(&self.write_timeout));
        loop {
            let enough = lock(&self.send).worth_waking();
            self.send_spin.until(|| self.slot.acknowledged() >= enough);
            let Some(seen) = self.prepare_wait_acknowledged() else {
                return Err(SendError::NoSuchConnection);
            };
            if let Some(len) = self.try_send(buffers)? {
                return Ok(len);
            }
            let left = match deadline.map(clock::left) {
                None => None,
                Some(Some(left)) => Some(left),
                Some(None) => return Err(SendError::TimedOut),
            };
            // Whether it is over is looked up above; a timeout shows in `left`.
            let _ = self.slot.wait_acknowledged(seen, left);
        }
    }

    /// Under the lock, because a slot that was given back must not be written to.
    fn prepare_wait_acknowledged(&self) -> Option<u32> {
        let _half = lock(&self.send);
        (!self.retired.load(Ordering::Acquire)).then(|| self.slot.prepare_wait_acknowledged())
    }

    /// What finds room; `None` when there is none and some may come.
    fn try_send(&self, buffers: &[IoSlice<'_>]) -> Result<Option<usize>, SendError> {
        let mut half = lock(&self.send);
        if self.retired.load(Ordering::Acquire) {
            return Err(SendError::NoSuchConnection);
        }
        if half.shut {
            return Err(SendError::ConnectionClosing);
        }
        self.session.check()?;
        if let Some(reason) = self.ended()? {
            return Err(SendError::Ended(reason));
        }
        let mut copied = 0;
        let mut unpublished = 0;
        for buffer in buffers {
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                let room = self.room(&mut half)?;
                if room == 0 {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(room).min(PIECE));
                half.ring.copy_in(half.written, piece);
                half.written += piece.len() as u64;
                copied += piece.len();
                unpublished += piece.len();
                if unpublished >= PIECE {
                    self.publish_written(&half);
                    unpublished = 0;
                }
                rest = after;
            }
        }
        if unpublished > 0 {
            self.publish_written(&half);
        }
        if half.free() == 0 {
            self.refresh();
        }
        let nothing_asked = buffers.iter().all(|buffer| buffer.is_empty());
        Ok((copied > 0 || nothing_asked).then_some(copied))
    }

    fn publish_written(&self, half: &SendHalf) {
        if self.slot.publish_written(half.written) {
            self.session.ring(self.slot.thread());
        }
    }

    /// How many bytes can be copied in one go: up to the ring's end where it may grow instead of wrapping.
    fn room(&self, half: &mut SendHalf) -> Result<usize, SendError> {
        let wanted = self.slot.transmit_wanted();
        if half.should_grow(wanted) || half.free() == 0 {
            let acknowledged = self.slot.acknowledged();
            if acknowledged.wrapping_sub(half.acknowledged) > half.used() {
                let what = "an acknowledgment of what was not written";
                return Err(self.session.bad_daemon(what).into());
            }
            half.acknowledged = acknowledged;
            if half.should_grow(wanted) {
                self.grow(half, wanted)?;
            }
        }
        if half.ring.capacity() >= half.maximum {
            return Ok(half.free());
        }
        let to_end = u64::from(half.ring.capacity()) - half.offset();
        Ok(half.free().min(to_end as usize))
    }

    /// Asks for a larger ring; no error when it stays as it is.
    fn grow(&self, half: &mut SendHalf, wanted: u32) -> Result<(), SendError> {
        // The daemon must see all that is written before it moves the base.
        self.publish_written(half);
        let connection = self.opened.connection;
        let reply = match self.session.call(&Request::GrowTransmit { connection }) {
            Ok(reply) => reply,
            // A quota, say. Ask again when the ring has gone round a few times.
            Err(SessionError::Refused(_)) => {
                half.ask_from = half.written + 16 * u64::from(half.ring.capacity());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Reply::Grown { capacity, base } = reply else {
            return Err(SendError::Session(UNASKED));
        };
        if capacity < half.ring.capacity() || !half.ring.set_geometry(Geometry { capacity, base }) {
            let what = "a transmit ring of impossible geometry";
            return Err(self.session.bad_daemon(what).into());
        }
        if !half.should_grow(wanted) {
            return Ok(());
        }
        // It stayed as it was.
        half.ask_from = half.written + 16 * u64::from(capacity);
        Ok(())
    }
}
