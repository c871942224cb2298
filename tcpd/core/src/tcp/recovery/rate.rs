//! How fast bytes reach the peer: the delivery rate of the BBR draft (draft-ietf-ccwg-bbr §4.1), which every controller may use and
//! which STATUS tells.
//!
//! ```text
//!   first_sent_at          sent_at                       delivered_at (then)        now
//!        |--- send_elapsed ---|                                 |---- ack_elapsed ---|
//!        sent when as much was delivered as …                   … when this was sent
//! ```
//!
//! 1. [`DeliveryRate::on_sent`] gives a [`RateStamp`] to every segment that goes out, again when it goes out again.
//! 2. Whatever is acknowledged or SACKed for the first time hands its stamp back to [`DeliveryRate::on_delivered`].
//! 3. When an acknowledgment was looked through, [`DeliveryRate::finish`] makes one sample of the youngest stamp: what was delivered
//!    since that segment left, over the longer of the time it took to send that much and the time it took to acknowledge it. So
//!    neither a compressed burst of acknowledgments nor a burst sent at once is taken for a fast path.

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// What stood when a segment left; kept in its send record. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateStamp {
    /// Bytes delivered by then, times two; the lowest bit says that the user had not written enough to fill the window.
    delivered_and_limited: u64,
    /// When the latest of those were delivered.
    delivered_at: Instant,
    /// When the segment left that began this flight of sending.
    first_sent_at: Instant,
}

impl RateStamp {
    fn delivered(&self) -> u64 {
        self.delivered_and_limited >> 1
    }

    fn app_limited(&self) -> bool {
        self.delivered_and_limited & 1 == 1
    }
}

/// One measurement of the path, from one acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateSample {
    /// Bytes delivered in `interval`.
    pub(crate) delivered: u64,
    /// Never zero.
    pub(crate) interval: Duration,
    /// Bytes delivered on the whole connection when the measured segment left: a model's round trips end by it.
    pub(crate) prior_delivered: u64,
    /// The user did not write enough: the path may be faster than this.
    pub(crate) app_limited: bool,
}

impl RateSample {
    /// Bytes a second.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        let nanos = self.interval.as_nanos().max(1);
        u64::try_from(u128::from(self.delivered) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// The youngest stamp that one acknowledgment handed back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gathering {
    youngest: Option<Youngest>,
}

#[derive(Clone, Copy, Debug)]
struct Youngest {
    stamp: RateStamp,
    sent_at: Instant,
}

/// What a connection remembers of its deliveries.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryRate {
    /// Bytes acknowledged or SACKed so far, each once.
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    /// The end of the youngest segment delivered: decides between segments sent in the same instant.
    youngest_end: u64,
    /// Samples are limited by the user until so many bytes are delivered; 0: they are not.
    limited_until: u64,
    /// Of the latest sample that says something, bytes a second; 0: none yet.
    rate: u64,
}

impl DeliveryRate {
    pub(crate) const fn new() -> Self {
        Self {
            delivered: 0,
            delivered_at: Instant::ZERO,
            first_sent_at: Instant::ZERO,
            youngest_end: 0,
            limited_until: 0,
            rate: 0,
        }
    }

    /// A segment leaves, for the first time or again. `idle`: nothing was in flight before it.
    pub(crate) fn on_sent(&mut self, now: Instant, idle: bool) -> RateStamp {
        if idle {
            // What passed before says nothing about the path.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        RateStamp {
            delivered_and_limited: self.delivered << 1 | u64::from(self.limited_until != 0),
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
        }
    }

    /// The user has nothing more to send, `in_flight` bytes are on their way, and CWND would let out more: until those are delivered
    /// samples show what the user wrote, not what the path carries.
    pub(crate) fn limited_by_user(&mut self, in_flight: u64) {
        self.limited_until = (self.delivered + in_flight).max(1);
    }

    /// `bytes` of a segment that was sent at `sent_at` and ends at position `end` were delivered, for the first time.
    pub(crate) fn on_delivered(
        &mut self,
        gathering: &mut Gathering,
        now: Instant,
        bytes: u64,
        stamp: &RateStamp,
        sent_at: Instant,
        end: u64,
    ) {
        self.delivered += bytes;
        self.delivered_at = now;
        let younger = sent_at > self.first_sent_at
            || (sent_at == self.first_sent_at && end > self.youngest_end);
        if gathering.youngest.is_none() || younger {
            gathering.youngest = Some(Youngest {
                stamp: *stamp,
                sent_at,
            });
            // The next flight of sending is measured from here.
            self.first_sent_at = sent_at;
            self.youngest_end = end;
        }
    }

    /// The sample of an acknowledgment at `now`; `None` when it delivered nothing, or when the sample would span less than the least
    /// round trip `min_rtt`, which no true one does: such are made by a segment delivered once and sent twice.
    pub(crate) fn finish(
        &mut self,
        gathering: Gathering,
        now: Instant,
        min_rtt: Option<Duration>,
    ) -> Option<RateSample> {
        if self.limited_until != 0 && self.delivered > self.limited_until {
            self.limited_until = 0;
        }
        let Youngest { stamp, sent_at } = gathering.youngest?;
        let send_elapsed = sent_at.duration_since(stamp.first_sent_at);
        let ack_elapsed = now.duration_since(stamp.delivered_at);
        let interval = send_elapsed.max(ack_elapsed);
        if interval.is_zero() || min_rtt.is_some_and(|least| interval < least) {
            return None;
        }
        let sample = RateSample {
            delivered: self.delivered - stamp.delivered(),
            interval,
            prior_delivered: stamp.delivered(),
            app_limited: stamp.app_limited(),
        };
        let rate = sample.bytes_per_second();
        if !sample.app_limited || rate > self.rate {
            self.rate = rate;
        }
        Some(sample)
    }

    /// The latest rate that says something about the path, bytes a second: one limited by the user counts only when it is higher.
    pub(crate) fn latest(&self) -> Option<u64> {
        (self.rate != 0).then_some(self.rate)
    }
}
