//! Which bytes beyond RCV.NXT already stand in the ring: a sorted list of disjoint ranges of positions.
//!
//! The bytes themselves lie at their place in the ring (design: by position), so a range costs 16 bytes and an
//! overlap nothing. The number of ranges is bounded: an attacker who sends every second byte fills the list, not the memory.

#[cfg(test)]
mod tests;

/// Positions `start..end`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Position of the first byte.
    pub start: u64,
    /// Position after the last byte.
    pub end: u64,
}

/// What became of a range offered to [`RangeSet::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// All of it is remembered.
    Kept,
    /// The list is full and everything in it lies nearer to RCV.NXT: nothing is remembered.
    Refused,
}

/// A sorted set of disjoint, non-adjacent ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeSet {
    /// Allocated at the first hole; kept after that.
    ranges: Vec<Range>,
}

impl RangeSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[Range] {
        &self.ranges
    }

    /// Position after the last byte of the last range.
    pub(crate) fn end(&self) -> Option<u64> {
        self.ranges.last().map(|range| range.end)
    }

    /// The range in which `position` lies.
    pub(crate) fn containing(&self, position: u64) -> Option<Range> {
        let after = self.ranges.partition_point(|range| range.start <= position);
        let range = self.ranges[..after].last()?;
        (position < range.end).then_some(*range)
    }

    /// The first of the bytes `start..end` that are in the set already, as far as they hang together.
    pub(crate) fn overlap(&self, start: u64, end: u64) -> Option<Range> {
        let first = self.ranges.partition_point(|range| range.end <= start);
        let range = self.ranges.get(first).filter(|range| range.start < end)?;
        Some(Range {
            start: range.start.max(start),
            end: range.end.min(end),
        })
    }

    /// Bytes in all ranges.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }

    /// Adds `start..end`, merging what it touches. With `limit` ranges already there, a new one takes the place of
    /// the farthest or is refused: nearer bytes are worth more.
    pub(crate) fn insert(&mut self, start: u64, end: u64, limit: usize) -> Inserted {
        debug_assert!(start < end);
        // The usual case: the next segment after the last one.
        if let Some(last) = self.ranges.last_mut()
            && last.end == start
        {
            last.end = end;
            return Inserted::Kept;
        }
        let first = self.ranges.partition_point(|range| range.end < start);
        let after = self.ranges.partition_point(|range| range.start <= end);
        if first < after {
            let merged = Range {
                start: start.min(self.ranges[first].start),
                end: end.max(self.ranges[after - 1].end),
            };
            self.ranges[first] = merged;
            self.ranges.drain(first + 1..after);
            return Inserted::Kept;
        }
        if self.ranges.len() >= limit.max(1) {
            if first == self.ranges.len() {
                return Inserted::Refused;
            }
            self.ranges.pop();
        }
        self.ranges.insert(first, Range { start, end });
        Inserted::Kept
    }

    /// RCV.NXT came to `next`: takes out what lies at or below it, and says how far the bytes go on from there.
    pub(crate) fn advance(&mut self, next: u64) -> u64 {
        let done = self.ranges.partition_point(|range| range.start <= next);
        let reached = self.ranges[..done]
            .iter()
            .map(|range| range.end)
            .max()
            .unwrap_or(next);
        self.ranges.drain(..done);
        reached.max(next)
    }
}
