//! How large the receive ring should be: twice what the user reads in a round trip, so that the window lets the sender go on while the
//! user and the acknowledgments are on their way, and double its speed in slow start (dynamic right-sizing, Fisk and Feng 2001, as Linux
//! has it).
//!
//! 1. [`Tuner::arrived`], at each piece of text in order: what a round trip takes as the receiver sees it.
//! 2. [`Tuner::read`], when the user has read: once in a round trip, how much that was.
//! 3. [`Tuner::wanted`] is for the owner of the ring, who knows whether there is memory for it (the stack's view of a connection tells it).
//!
//! It only ever asks for more. What follows is that a user who reads slowly, or a sender who sends little, keeps the ring it began with.

use std::time::Duration;

use crate::time::Instant;

#[cfg(test)]
mod tests;

/// Segments beyond twice what was read: the tail of a flight that a delayed acknowledgment holds back, and little flows (Linux has as many).
const SPARE_SEGMENTS: u64 = 16;
/// Segments of the first flight (RFC 6928): nobody reads less in a round trip of a stream.
const FIRST_FLIGHT: u64 = 10;
/// A program is not there for what has come any sooner, however short the way.
const LEAST_TIME: Duration = Duration::from_millis(1);
/// Echoes come in milliseconds: below so many they say nothing about a round trip that is known better.
const COARSE: Duration = Duration::from_millis(2);

/// What is measured of one connection that receives.
#[derive(Clone, Debug)]
pub(crate) struct Tuner {
    /// A round trip; `None` before anything has measured one.
    rtt: Option<Duration>,
    /// The right edge that was offered at [`Tuner::edge_at`]: when text gets there, at least a round trip has passed.
    edge: u64,
    edge_at: Instant,
    /// The last timestamp echoed: only the first segment that brings an echo measures.
    echo: u32,
    /// When text last came.
    heard_at: Instant,
    /// What had been read when the present measurement began.
    from: u64,
    since: Instant,
    /// The most that was read in a round trip; half of the ring before anything was wanted.
    most: u64,
    /// The capacity that follows from it.
    wanted: u64,
}

/// A piece of text that has moved RCV.NXT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// RCV.NXT, as a position.
    pub(crate) nxt: u64,
    /// RCV.ADV: the right edge that the peer knows of.
    pub(crate) adv: u64,
    /// The timestamp that a segment of full size brings back, and how long ago it was sent.
    pub(crate) echo: Option<(u32, Duration)>,
}

impl Tuner {
    /// Begins with the round trip of the handshake, if one was measured, and `read` bytes read from a ring of `capacity` bytes. Whoever
    /// empties half of it in a round trip, or a first flight, may need more.
    pub(crate) fn new(rtt: Option<Duration>, read: u64, capacity: u32, now: Instant) -> Self {
        Self {
            rtt,
            edge: 0,
            edge_at: now,
            echo: 0,
            heard_at: now,
            from: read,
            since: now,
            most: u64::from(capacity / 2).max(1),
            wanted: 0,
        }
    }

    /// A round trip as the receiver sees it.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Bytes that the ring should hold; at most what 32 bits hold. 0: nothing was measured.
    pub(crate) fn wanted(&self) -> u32 {
        u32::try_from(self.wanted).unwrap_or(u32::MAX)
    }

    /// Text has moved RCV.NXT.
    pub(crate) fn arrived(&mut self, now: Instant, text: Arrival) {
        let paused = now.duration_since(self.heard_at);
        self.heard_at = now;
        if let Some((echo, elapsed)) = text.echo
            && echo != self.echo
        {
            self.echo = echo;
            self.echoed(elapsed, paused);
        }
        // Whoever fills the window waits a round trip for it to move; whoever does not takes longer.
        if self.edge == 0 {
            (self.edge, self.edge_at) = (text.adv, now);
        } else if text.nxt >= self.edge {
            let passed = now.duration_since(self.edge_at);
            self.rtt = Some(self.rtt.map_or(passed, |rtt| rtt.min(passed)));
            (self.edge, self.edge_at) = (text.adv, now);
        }
    }

    /// A timestamp of ours has come back with text, after `elapsed`; text had `paused` for so long before.
    fn echoed(&mut self, elapsed: Duration, paused: Duration) {
        let Some(rtt) = self.rtt else {
            self.rtt = Some(elapsed.max(COARSE / 2));
            return;
        };
        // A sender with nothing to say measures its own pause. Whatever a clock of milliseconds calls nothing or one is known better.
        if paused > 2 * rtt || (elapsed < COARSE && rtt < 2 * COARSE) {
            return;
        }
        let sample = elapsed.max(COARSE / 2).min(2 * rtt);
        self.rtt = Some(rtt * 7 / 8 + sample / 8);
    }

    /// The user has read up to position `read`. `full_size`: bytes of a full segment.
    pub(crate) fn read(&mut self, now: Instant, read: u64, full_size: u32) {
        let Some(rtt) = self.rtt else { return };
        let elapsed = now.duration_since(self.since);
        if elapsed < rtt.max(LEAST_TIME) {
            return;
        }
        let segment = u64::from(full_size);
        let before = match self.wanted {
            0 => self.most.min(FIRST_FLIGHT * segment),
            _ => self.most,
        };
        let count = read.saturating_sub(self.from);
        (self.from, self.since) = (read, now);
        if count <= before {
            return;
        }
        self.most = count;
        let mut wanted = 2 * count + SPARE_SEGMENTS * segment;
        // Slow start doubles once more before the window hears of it; reading late what was there for long says nothing of the kind.
        if elapsed < 2 * rtt.max(LEAST_TIME) {
            let growth = (count - before).min(before);
            wanted += 2 * (wanted * growth / before);
        }
        self.wanted = self.wanted.max(wanted);
    }
}
