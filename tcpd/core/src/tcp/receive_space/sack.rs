//! Which blocks an ACK reports (RFC 2018 §4), and what arrived twice (RFC 2883).
//!
//! ```text
//!      RCV.NXT      block 3        block 1             block 2
//!  ─────┼───────────██████─────────██████──────────────████──────▶
//!       hole            hole          ▲ newest segment     ▲ reported first before that
//! ```
//!
//! 1. A D-SACK block, if the newest segment brought bytes that were here already (RFC 2883 §4): those bytes, once. The range they lie
//!    in follows, when they lie beyond RCV.NXT.
//! 2. The range of the newest segment, then those that were reported first before it (RFC 2018 §4 (a), (c)).
//! 3. Ranges that are left, the lowest first, while there is room (RFC 2018 §4 (b)).
//!
//! What is not stored is never reported; what is dropped later (at the limit of ranges) is taken back silently, which RFC 2018 §8 allows.

use super::ranges::{Range, RangeSet};

#[cfg(test)]
mod tests;

/// How many ranges are remembered in the order of their news: as many as an ACK can carry.
const REMEMBERED: usize = 4;

/// The blocks of one ACK, in wire order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blocks {
    blocks: [Option<Range>; REMEMBERED],
    len: usize,
}

impl Blocks {
    /// Appends a block if there is room for it among `most`.
    fn push(&mut self, range: Range, most: usize) {
        if self.len < most.min(REMEMBERED) {
            self.blocks[self.len] = Some(range);
            self.len += 1;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.blocks.iter().copied().flatten()
    }
}

/// What is to be reported. Small while nothing was ever lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sack {
    /// SACK-permitted was offered and answered.
    pub(crate) permitted: bool,
    /// Allocated with the first news; kept after that.
    news: Option<Box<News>>,
}

#[derive(Clone, Debug, Default)]
struct News {
    /// A position in each of the ranges with news, the newest first.
    recent: [Option<u64>; REMEMBERED],
    /// The first that came once more since the last ACK.
    duplicate: Option<Range>,
}

impl Sack {
    /// The bytes from `start` on were stored beyond a hole.
    pub(crate) fn stored(&mut self, start: u64, ranges: &RangeSet) {
        let Some(range) = ranges.containing(start).filter(|_| self.permitted) else {
            return;
        };
        let news = self.news.get_or_insert_default();
        let mut kept = [Some(start), None, None, None];
        let older = news
            .recent
            .iter()
            .flatten()
            .filter(|position| !(range.start..range.end).contains(*position));
        for (slot, position) in kept[1..].iter_mut().zip(older) {
            *slot = Some(*position);
        }
        news.recent = kept;
    }

    /// A segment brought the bytes `start..end` once more.
    pub(crate) fn arrived_twice(&mut self, start: u64, end: u64) {
        if self.permitted && start < end {
            self.news.get_or_insert_default().duplicate = Some(Range { start, end });
        }
    }

    /// Whether something arrived twice that no ACK has reported.
    pub(crate) fn owes_duplicate(&self) -> bool {
        self.news
            .as_ref()
            .is_some_and(|news| news.duplicate.is_some())
    }

    /// Whether the next ACK has anything to report.
    pub(crate) fn has_news(&self, ranges: &RangeSet) -> bool {
        self.permitted && (!ranges.is_empty() || self.owes_duplicate())
    }

    /// At most `most` blocks for the next ACK. A duplicate is reported once only.
    pub(crate) fn take_blocks(&mut self, ranges: &RangeSet, most: usize) -> Blocks {
        let mut blocks = Blocks::default();
        let Some(news) = &mut self.news else {
            return blocks;
        };
        let duplicate = news.duplicate.take();
        if let Some(duplicate) = duplicate {
            blocks.push(duplicate, most);
        }
        let first = blocks.len;
        let by_news = duplicate
            .map(|twice| twice.start)
            .into_iter()
            .chain(news.recent.iter().copied().flatten());
        let ordered = by_news.filter_map(|position| ranges.containing(position));
        for range in ordered.chain(ranges.as_slice().iter().copied()) {
            let known = blocks.blocks[first..].contains(&Some(range));
            if !known {
                blocks.push(range, most);
            }
        }
        blocks
    }
}
