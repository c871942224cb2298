//! What is outstanding, stretch by stretch: when it was sent, how often, and whether it is in flight, lost or selectively acknowledged
//! (RFC 6675 §3, RFC 8985 §5.2).
//!
//! ```text
//!   SND.UNA                                              SND.NXT
//!      │ lost │ SACKed │ lost, sent again │   in flight     │
//! ─────┴──────┴────────┴──────────────────┴─────────────────┴────▶
//! ```
//!
//! A stretch is what went out at once, one segment or a super-segment; SACK blocks cut it. Together they cover what is unacknowledged
//! without a gap, so that every figure is a sum kept up to date: an ACK costs O(log n) for each stretch whose standing it changes,
//! and nothing for what it does not touch. Neighbours that are SACKed become one. SACK cuts no more stretches than there can be
//! segments, so that blocks of single bytes make the board no larger than honest ones (CVE-2019-11478).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rate::RateStamp;
use crate::time::Instant;

#[cfg(test)]
mod tests;

/// Where a stretch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Sent, and not known to be lost.
    InFlight,
    /// Lost, or never to arrive: to be sent again.
    Lost,
    /// The peer has it, it says; it may take that back (RFC 2018 §8).
    Sacked,
}

/// Bytes (or the FIN) that went out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// When it was sent last.
    pub(crate) sent_at: Instant,
    /// How often it was sent.
    pub(crate) transmissions: u8,
    pub(crate) standing: Standing,
    /// What the delivery rate is measured by.
    pub(crate) stamp: RateStamp,
}

impl Stretch {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn was_retransmitted(&self) -> bool {
        self.transmissions > 1
    }
}

/// Stretches that SACK may always make, however little is outstanding.
const ROOM: u64 = 64;

/// All stretches of a connection.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    /// By the position behind them: the front of one can be cut off without moving it.
    stretches: BTreeMap<u64, Stretch>,
    /// Those in flight in the order of RFC 8985 §6.2: by time of sending, then by end.
    by_time: BTreeSet<(Instant, u64)>,
    /// Ends of those that are lost.
    lost_ends: BTreeSet<u64>,
    in_flight: u64,
    lost: u64,
    sacked: u64,
    /// Stretches looked at since the connection began: the work that ACKs cause.
    steps: u64,
}

impl Scoreboard {
    /// Bytes in flight: `pipe` of RFC 6675 §4.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes that have to be sent again.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes SACKed beyond SND.UNA.
    pub(crate) fn sacked(&self) -> u64 {
        self.sacked
    }

    /// How many stretches there are.
    pub(crate) fn len(&self) -> usize {
        self.stretches.len()
    }

    /// Stretches looked at so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Positions `start..end` were sent, for the first time or again. `small` is the largest payload of one segment: where there are more
    /// stretches than segments of that size, short ones are put together.
    pub(crate) fn sent(
        &mut self,
        start: u64,
        end: u64,
        now: Instant,
        small: u64,
        stamp: RateStamp,
    ) {
        debug_assert!(start < end, "nothing was sent");
        let before = self.carve(start, end);
        let mut stretch = Stretch {
            start,
            end,
            sent_at: now,
            transmissions: before.saturating_add(1),
            standing: Standing::InFlight,
            stamp,
        };
        if !self.may_grow(small)
            && let Some(&last) = self.stretches.get(&start)
            && last.standing == Standing::InFlight
            && last.transmissions == stretch.transmissions
            && last.len() + stretch.len() <= small
        {
            self.remove(start);
            stretch.start = last.start;
        }
        self.insert(stretch);
    }

    /// SND.UNA is at `una`: calls `delivered` with each piece that was not SACKed before, in ascending order.
    pub(crate) fn acknowledge(&mut self, una: u64, mut delivered: impl FnMut(&Stretch)) {
        while let Some(mut entry) = self.stretches.first_entry() {
            let stretch = *entry.get();
            if stretch.start >= una {
                return;
            }
            self.steps += 1;
            let piece = Stretch {
                end: stretch.end.min(una),
                ..stretch
            };
            if stretch.end > una {
                entry.get_mut().start = una;
                *self.sum_of(stretch.standing) -= piece.len();
            } else {
                self.remove(stretch.end);
            }
            if stretch.standing != Standing::Sacked {
                delivered(&piece);
            }
        }
    }

    /// The peer has `start..end`, it says: calls `delivered` with each piece that this is news of, and whether it can be what was sent last.
    /// `segment`: the largest payload of one segment.
    pub(crate) fn sack(
        &mut self,
        start: u64,
        end: u64,
        segment: u64,
        mut delivered: impl FnMut(&Stretch, bool),
    ) {
        let mut at = start;
        while at < end {
            let Some(stretch) = self.at(at).filter(|stretch| stretch.start < end) else {
                return;
            };
            self.steps += 1;
            at = stretch.end;
            let piece = Stretch {
                start: stretch.start.max(start),
                end: stretch.end.min(end),
                ..stretch
            };
            let whole = piece.len() == stretch.len();
            if stretch.standing == Standing::Sacked || !(whole || self.may_grow(segment)) {
                continue;
            }
            self.split(piece.start);
            self.split(piece.end);
            self.remove(piece.end);
            self.insert_sacked(Stretch {
                standing: Standing::Sacked,
                ..piece
            });
            // A segment arrives as a whole: a part of one is of an earlier sending, cut otherwise.
            delivered(&piece, whole || stretch.len() > segment);
        }
    }

    /// RFC 8985 §6.2 step 5: what was sent before the newest of what was delivered, and `patience` ago, is lost. Bytes that are lost by now,
    /// and when the next stretch will be, should it not be delivered before.
    pub(crate) fn lose_overdue(
        &mut self,
        newest: (Instant, u64),
        patience: Duration,
        now: Instant,
    ) -> (u64, Option<Instant>) {
        let before = self.lost;
        while let Some(&(sent_at, end)) = self.by_time.first() {
            if (sent_at, end) >= newest {
                break;
            }
            self.steps += 1;
            let due = sent_at + patience;
            if due > now {
                return (self.lost - before, Some(due));
            }
            self.stand(end, Standing::Lost);
        }
        (self.lost - before, None)
    }

    /// What was sent `patience` ago or earlier is lost (RFC 8985 §6.3).
    pub(crate) fn lose_sent_before(&mut self, patience: Duration, now: Instant) {
        self.lose_overdue((now + Duration::from_nanos(1), u64::MAX), patience, now);
    }

    /// Positions `start..end`, as far as they are in flight, are lost.
    pub(crate) fn lose(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        self.split(start);
        self.split(end);
        let ends: Vec<u64> = self
            .stretches
            .range(start + 1..=end)
            .map(|(&end, _)| end)
            .collect();
        for end in ends {
            self.steps += 1;
            if self.stretches[&end].standing == Standing::InFlight {
                self.stand(end, Standing::Lost);
            }
        }
    }

    /// What is in flight in segments that may be longer than `most` bytes is lost: the path drops those.
    pub(crate) fn lose_longer(&mut self, most: u64) {
        let ends: Vec<u64> = self
            .stretches
            .values()
            .filter(|stretch| stretch.standing == Standing::InFlight && stretch.len() > most)
            .map(|stretch| stretch.end)
            .collect();
        for end in ends {
            self.steps += 1;
            self.stand(end, Standing::Lost);
        }
    }

    /// From the first position that is lost to behind the last one.
    pub(crate) fn lost_span(&self) -> Option<(u64, u64)> {
        let first = self.stretches.get(self.lost_ends.first()?)?;
        Some((first.start, *self.lost_ends.last()?))
    }

    /// All that is in flight is lost.
    pub(crate) fn lose_all(&mut self) {
        while let Some(&(_, end)) = self.by_time.first() {
            self.stand(end, Standing::Lost);
        }
    }

    /// RFC 2018 §8: whatever was SACKed may have been thrown away again; it counts as lost.
    pub(crate) fn forget_sacked(&mut self) {
        self.turn_all(Standing::Sacked, Standing::Lost);
    }

    /// What was taken for lost, and was not sent again since, is in flight after all.
    pub(crate) fn revive_lost(&mut self) {
        self.turn_all(Standing::Lost, Standing::InFlight);
    }

    /// The first positions to be sent again, up to `most` of them or a little more.
    pub(crate) fn first_lost(&self, most: u64) -> Option<(u64, u64)> {
        let first = self.stretches[self.lost_ends.first()?];
        let mut end = first.end;
        while end - first.start < most {
            match self.at(end) {
                Some(next) if next.standing == Standing::Lost => end = next.end,
                _ => break,
            }
        }
        Some((first.start, end))
    }

    /// Whether the oldest byte outstanding is one the peer has said to have: it has taken that back.
    pub(crate) fn is_reneged(&self) -> bool {
        self.stretches
            .first_key_value()
            .is_some_and(|(_, first)| first.standing == Standing::Sacked)
    }

    /// The stretch in which `position` lies.
    fn at(&self, position: u64) -> Option<Stretch> {
        let (_, stretch) = self.stretches.range(position + 1..).next()?;
        Some(*stretch).filter(|stretch| stretch.start <= position)
    }

    /// Whether there may be one more stretch: not more than segments could be outstanding.
    fn may_grow(&self, segment: u64) -> bool {
        let outstanding = self.in_flight + self.lost + self.sacked;
        (self.stretches.len() as u64) < ROOM + outstanding / segment.max(1)
    }

    /// Makes `position` a boundary.
    fn split(&mut self, position: u64) {
        let Some(stretch) = self.at(position).filter(|stretch| stretch.start < position) else {
            return;
        };
        self.remove(stretch.end);
        self.insert(Stretch {
            end: position,
            ..stretch
        });
        self.insert(Stretch {
            start: position,
            ..stretch
        });
    }

    /// Takes `start..end` off the board; how often any of it was sent.
    fn carve(&mut self, start: u64, end: u64) -> u8 {
        if self.at(start).is_none() {
            return 0;
        }
        self.split(start);
        self.split(end);
        let mut transmissions = 0;
        while let Some(stretch) = self.at(start).or_else(|| self.next_after(start, end)) {
            self.steps += 1;
            if stretch.start >= end {
                break;
            }
            transmissions = transmissions.max(stretch.transmissions);
            self.remove(stretch.end);
        }
        transmissions
    }

    /// The first stretch that begins in `start..end`.
    fn next_after(&self, start: u64, end: u64) -> Option<Stretch> {
        let (_, stretch) = self.stretches.range(start + 1..=end).next()?;
        Some(*stretch)
    }

    fn turn_all(&mut self, from: Standing, to: Standing) {
        let ends: Vec<u64> = self
            .stretches
            .values()
            .filter(|stretch| stretch.standing == from)
            .map(|stretch| stretch.end)
            .collect();
        for end in ends {
            self.steps += 1;
            self.stand(end, to);
        }
    }

    fn stand(&mut self, end: u64, standing: Standing) {
        if let Some(stretch) = self.remove(end) {
            self.insert(Stretch {
                standing,
                ..stretch
            });
        }
    }

    /// Puts a SACKed stretch on the board, as one with its SACKed neighbours.
    fn insert_sacked(&mut self, mut stretch: Stretch) {
        let before = self.stretches.get(&stretch.start);
        if before.is_some_and(|before| before.standing == Standing::Sacked)
            && let Some(before) = self.remove(stretch.start)
        {
            stretch.start = before.start;
        }
        if let Some(after) = self.at(stretch.end)
            && after.standing == Standing::Sacked
        {
            self.remove(after.end);
            stretch.end = after.end;
        }
        self.insert(stretch);
    }

    fn insert(&mut self, stretch: Stretch) {
        *self.sum_of(stretch.standing) += stretch.len();
        match stretch.standing {
            Standing::InFlight => {
                self.by_time.insert((stretch.sent_at, stretch.end));
            }
            Standing::Lost => {
                self.lost_ends.insert(stretch.end);
            }
            Standing::Sacked => {}
        }
        self.stretches.insert(stretch.end, stretch);
    }

    fn remove(&mut self, end: u64) -> Option<Stretch> {
        let stretch = self.stretches.remove(&end)?;
        *self.sum_of(stretch.standing) -= stretch.len();
        match stretch.standing {
            Standing::InFlight => {
                self.by_time.remove(&(stretch.sent_at, stretch.end));
            }
            Standing::Lost => {
                self.lost_ends.remove(&stretch.end);
            }
            Standing::Sacked => {}
        }
        Some(stretch)
    }

    fn sum_of(&mut self, standing: Standing) -> &mut u64 {
        match standing {
            Standing::InFlight => &mut self.in_flight,
            Standing::Lost => &mut self.lost,
            Standing::Sacked => &mut self.sacked,
        }
    }

    /// What must hold after every event: the stretches cover `una..nxt`, and the sums are theirs. It looks at every stretch, so only at
    /// those of small boards.
    pub(crate) fn assert_invariants(&self, una: u64, nxt: u64) {
        assert_eq!(
            self.in_flight + self.lost + self.sacked,
            nxt - una,
            "the board does not cover what is outstanding"
        );
        if self.stretches.len() > 32 {
            return;
        }
        let (mut at, mut sums) = (una, [0u64; 3]);
        for (&end, stretch) in &self.stretches {
            assert_eq!((stretch.start, stretch.end), (at, end), "{self:?}");
            assert!(stretch.start < end, "{self:?}");
            sums[stretch.standing as usize] += stretch.len();
            at = end;
            let in_flight = stretch.standing == Standing::InFlight;
            assert_eq!(self.by_time.contains(&(stretch.sent_at, end)), in_flight);
            assert_eq!(
                self.lost_ends.contains(&end),
                stretch.standing == Standing::Lost
            );
        }
        assert_eq!(at, nxt, "{self:?}");
        assert_eq!(sums, [self.in_flight, self.lost, self.sacked]);
    }
}
