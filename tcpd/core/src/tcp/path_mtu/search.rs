//! The search for the largest packet that gets through (RFC 4821 §7): between a size that does and one that does not, as far as is known.
//!
//! First the most there could be is tried: the usual case is a path that has become wide again, or was never narrow. Then the middle, again
//! and again, until less than [`GRAIN`] bytes are left; or, while the window has no room for so much, a size nearer to the one that gets
//! through. A probe may be lost for any reason, so a size counts as too large when two of its probes were lost. What was found holds for
//! [`AGE`]; then the most is tried again.

use std::time::Duration;

use super::AGE;
use crate::time::Instant;

/// From one probe that was lost to the next one.
pub(super) const RETRY: Duration = Duration::from_millis(500);
/// A search ends when less than this is left to find, bytes.
const GRAIN: u16 = 8;
/// Probes of one size that are lost before it counts as too large.
const PROBES: u8 = 2;

/// A probe that is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Its text, by position.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The whole packet, bytes.
    pub(super) size: u16,
}

/// A search that goes on, or waits to begin again. Sizes are whole IP packets, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// This size gets through.
    low: u16,
    /// Nothing above this does, as far as is known.
    high: u16,
    /// The most there could be.
    most: u16,
    /// Whether `high` itself is tried next, and not the middle.
    try_high: bool,
    /// Probes of the size `tried` that were lost.
    lost: u8,
    tried: u16,
    /// No probe is sent before this.
    next_at: Instant,
    pub(super) probe: Option<Probe>,
}

/// Where a search stands after a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    GoesOn,
    /// This size is what the path carries.
    Found(u16),
}

impl Search {
    /// `low` gets through, and nothing above `high` is tried until what was found has aged, nothing above `most` ever; no probe before `at`.
    pub(super) fn new(low: u16, high: u16, most: u16, at: Instant) -> Search {
        Search {
            low,
            high,
            most,
            try_high: true,
            lost: 0,
            tried: 0,
            next_at: at,
            probe: None,
        }
    }

    /// The size to be tried now, where packets of `room` bytes can be sent. A window that stays small does not end the search (RFC 4821 §7.4).
    pub(super) fn wanted(&self, room: u16, now: Instant) -> Option<u16> {
        if self.probe.is_some() || now < self.next_at || self.low >= self.high {
            return None;
        }
        let mut size = self.size();
        while size > room {
            let above = size - self.low;
            if above < GRAIN {
                return None;
            }
            size = self.low + above / 2;
        }
        Some(size)
    }

    fn size(&self) -> u16 {
        if self.try_high {
            self.high
        } else {
            self.low + (self.high - self.low).div_ceil(2)
        }
    }

    /// `size` got through.
    pub(super) fn got_through(&mut self, size: u16, now: Instant) -> Step {
        self.probe = None;
        self.lost = 0;
        self.low = self.low.max(size);
        self.narrowed(now)
    }

    /// The probe was lost, and nothing else.
    pub(super) fn lost(&mut self, size: u16, now: Instant) -> Step {
        self.probe = None;
        self.next_at = now + RETRY;
        if size != self.tried {
            (self.tried, self.lost) = (size, 0);
        }
        self.lost += 1;
        if self.lost < PROBES {
            return Step::GoesOn;
        }
        self.lost = 0;
        self.high = self.high.min(size.saturating_sub(1));
        self.try_high = false;
        self.narrowed(now)
    }

    /// A router says that the probe was too large, and that `size` passes (RFC 4821 §7.6.3).
    pub(super) fn told(&mut self, size: u16, now: Instant) -> Step {
        self.probe = None;
        self.lost = 0;
        self.high = self.high.min(size);
        self.try_high = true;
        self.narrowed(now)
    }

    /// The probe says nothing: other segments were lost with it.
    pub(super) fn inconclusive(&mut self, now: Instant) {
        if self.probe.take().is_some() {
            self.next_at = now + RETRY;
        }
    }

    /// Whether the search is over; if so it begins anew when its result has aged.
    fn narrowed(&mut self, now: Instant) -> Step {
        let untried = self.try_high && self.low < self.high;
        if untried || self.high.saturating_sub(self.low) >= GRAIN {
            return Step::GoesOn;
        }
        self.high = self.most;
        self.try_high = true;
        self.next_at = now + AGE;
        Step::Found(self.low)
    }

    /// Whether there is nothing left to find, ever.
    pub(super) fn is_over(&self) -> bool {
        self.low >= self.most
    }
}

#[cfg(test)]
mod tests;
