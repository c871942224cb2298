//! How often a connection answers what may be forged, or what only two confused ends say to each other (RFC 5961 §7).
//!
//! Both limiters belong to one connection, and nothing they do can be seen on another (CVE-2016-5696). Neither ever stands before an
//! answer that an honest peer waits for: to text and FIN that came again or lie outside the window, to keepalive, to window probes.

use std::time::Duration;

use crate::tcp::endpoint::{Context, Pair};
use crate::time::Instant;

/// Challenge ACKs: at most one an interval, which varies, so that the rate tells nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeLimiter {
    next: Instant,
}

impl ChallengeLimiter {
    pub(crate) const fn new() -> Self {
        Self {
            next: Instant::ZERO,
        }
    }

    /// One may go now, or else from when on.
    pub(crate) fn allow(
        &mut self,
        pair: &Pair,
        interval: Duration,
        cx: &Context<'_>,
    ) -> Result<(), Instant> {
        if cx.now < self.next {
            return Err(self.next);
        }
        self.next = cx.now + interval + cx.jitter(pair, interval);
        Ok(())
    }
}

/// How many answers in a row to segments that say nothing new.
const ANSWERS: u8 = 3;
/// In so many intervals from the first of them.
const INTERVALS: u32 = 50;

/// ACKs that answer segments which take no sequence number and lie outside of the window, or acknowledge what was never sent. Two ends that
/// disagree would answer each other's for ever, however slowly; so there are a few, some time apart (20 ms by default) and within a
/// second of the first, and then none until SND.UNA or, over text, RCV.NXT has moved, which shows that they understand each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLimiter {
    pace: ChallengeLimiter,
    given: u8,
    /// When the first was given.
    first: Instant,
}

impl AnswerLimiter {
    pub(crate) const fn new() -> Self {
        Self {
            pace: ChallengeLimiter::new(),
            given: 0,
            first: Instant::ZERO,
        }
    }

    /// SND.UNA or, over text, RCV.NXT has moved.
    pub(crate) fn agreed(&mut self) {
        self.given = 0;
    }

    /// Whether to answer. An interval of zero: always.
    pub(crate) fn allow(&mut self, pair: &Pair, interval: Duration, cx: &Context<'_>) -> bool {
        if interval.is_zero() {
            return true;
        }
        let over = self.given > 0 && cx.now >= self.first + interval * INTERVALS;
        if over || self.given >= ANSWERS || self.pace.allow(pair, interval, cx).is_err() {
            return false;
        }
        if self.given == 0 {
            self.first = cx.now;
        }
        self.given += 1;
        true
    }
}
