//! Reading: from the receive ring into the caller's buffers.
//!
//! 1. Look how far the daemon wrote; if there is something, copy it and say how far it was read.
//! 2. If there is nothing: an end, or `WouldBlock`, or
//! 3. look again for a moment, then say that a thread waits, look once more, and sleep.

use std::io::IoSliceMut;
use std::sync::atomic::Ordering;

use super::{Inner, timeout};
use crate::client::clock;
use crate::client::error::{ReceiveError, SessionError};
use crate::client::session::{Session, lock};
use crate::protocol::EndReason;
use crate::shm::{ClientSlot, Direction, SharedRing, SlotState};

/// Space is given back at least this often while a large read is copied, so that the peer can go on.
const PIECE: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct ReceiveHalf {
    ring: SharedRing,
    /// What `receive.read` says; our own copy, so that nobody can change it.
    read: u64,
    /// Shut down by this side.
    pub(super) shut: bool,
}

impl ReceiveHalf {
    pub(super) fn new(session: &Session, slot: &ClientSlot, read: u64) -> Option<ReceiveHalf> {
        let geometry = slot.receive_geometry()?;
        let (capacity, base) = (geometry.capacity, geometry.base);
        let arena = session.arena().clone();
        Some(ReceiveHalf {
            ring: SharedRing::new(arena, slot.slot(), Direction::Receive, capacity, base)?,
            read,
            shut: false,
        })
    }
}

/// Why no more data comes.
#[derive(Debug)]
pub(super) enum Ending {
    PeerClosed,
    Ended(EndReason),
    Dead(SessionError),
    Retired,
}

impl Inner {
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        peek: bool,
    ) -> Result<usize, ReceiveError> {
        self.session.check_fork()?;
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        if let Some(len) = self.try_receive(buffers, peek)? {
            return Ok(len);
        }
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(ReceiveError::WouldBlock);
        }
        let deadline = clock::deadline(timeout(&self.read_timeout));
        loop {
            let before = lock(&self.receive).read;
            self.receive_spin.until(|| {
                self.slot.received() != before || self.slot.state().0 != SlotState::CONNECTED
            });
            let Some(seen) = self.prepare_wait_received() else {
                return Err(ReceiveError::NoSuchConnection);
            };
            if let Some(len) = self.try_receive(buffers, peek)? {
                return Ok(len);
            }
            let left = match deadline.map(clock::left) {
                None => None,
                Some(Some(left)) => Some(left),
                Some(None) => return Err(ReceiveError::TimedOut),
            };
            // Whether it is over is looked up above; a timeout shows in `left`.
            let _ = self.slot.wait_received(seen, left);
        }
    }

    /// Under the lock, because a slot that was given back must not be written to.
    fn prepare_wait_received(&self) -> Option<u32> {
        let _half = lock(&self.receive);
        (!self.retired.load(Ordering::Acquire)).then(|| self.slot.prepare_wait_received())
    }

    /// What is there; `None` when nothing is and more may come. 0 is the end.
    fn try_receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        peek: bool,
    ) -> Result<Option<usize>, ReceiveError> {
        let mut half = lock(&self.receive);
        if self.retired.load(Ordering::Acquire) {
            return Err(ReceiveError::NoSuchConnection);
        }
        if half.shut {
            return Ok(Some(0));
        }
        let mut end = self.slot.received();
        if end == half.read {
            let Some(ending) = self.ending() else {
                self.refresh();
                return Ok(None);
            };
            // Whatever ended it was published after the last bytes: look again for those.
            end = self.slot.received();
            if end == half.read {
                return match ending {
                    Ending::PeerClosed | Ending::Ended(EndReason::Closed) => Ok(Some(0)),
                    Ending::Ended(reason) => Err(ReceiveError::Ended(reason)),
                    Ending::Dead(error) => Err(error.into()),
                    Ending::Retired => Err(ReceiveError::NoSuchConnection),
                };
            }
        }
        // After `received`: the daemon publishes them in the other order.
        let fits = self
            .slot
            .receive_geometry()
            .is_some_and(|geometry| half.ring.set_geometry(geometry));
        let there = end.wrapping_sub(half.read);
        if !fits || there > u64::from(half.ring.capacity()) {
            let what = "a receive position or geometry that cannot be";
            return Err(self.session.bad_daemon(what).into());
        }
        let copied = self.copy_out(&mut half, buffers, there as usize, peek);
        if half.read == end {
            self.refresh();
        }
        Ok(Some(copied))
    }

    /// Copies at most `there` bytes.
    fn copy_out(
        &self,
        half: &mut ReceiveHalf,
        buffers: &mut [IoSliceMut<'_>],
        there: usize,
        peek: bool,
    ) -> usize {
        let start = half.read;
        let mut copied = 0;
        let mut unpublished = 0;
        for buffer in buffers {
            let want = buffer.len().min(there - copied);
            for piece in buffer[..want].chunks_mut(PIECE) {
                half.ring.copy_out(start + copied as u64, piece);
                copied += piece.len();
                unpublished += piece.len();
                if !peek && unpublished >= PIECE {
                    self.publish_read(half, start + copied as u64);
                    unpublished = 0;
                }
            }
        }
        if !peek && unpublished > 0 {
            self.publish_read(half, start + copied as u64);
        }
        copied
    }

    fn publish_read(&self, half: &mut ReceiveHalf, position: u64) {
        half.read = position;
        if self.slot.publish_read(position) {
            self.session.ring(self.slot.thread());
        }
    }

    /// Whether, and why, no more data comes.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.retired.load(Ordering::Acquire) {
            return Some(Ending::Retired);
        }
        let (state, _) = self.slot.state();
        if state.contains(SlotState::PEER_CLOSED) {
            return Some(Ending::PeerClosed);
        }
        match self.ended() {
            Ok(None) => self.session.check().err().map(Ending::Dead),
            Ok(Some(reason)) => Some(Ending::Ended(reason)),
            Err(error) => Some(Ending::Dead(error)),
        }
    }

    /// Why the connection as a whole ended, if it did.
    pub(super) fn ended(&self) -> Result<Option<EndReason>, SessionError> {
        match self.slot.state() {
            (state, _) if !state.contains(SlotState::ENDED) => Ok(None),
            (_, Some(reason)) => Ok(Some(reason)),
            (_, None) => Err(SessionError::BadDaemon("an end without a reason")),
        }
    }
}
