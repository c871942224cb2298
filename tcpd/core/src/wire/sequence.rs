//! Sequence numbers: 32 bits that wrap (RFC 9293 §3.4).
//!
//! There is no `<` on them: "less" on a circle needs a name. [`SequenceNumber::before`] holds when `other` lies less
//! than 2³¹ ahead.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A TCP sequence number, modulo 2³².
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// `self < other` on the circle.
    pub const fn before(self, other: SequenceNumber) -> bool {
        self.signed_offset_from(other) < 0
    }

    /// `self =< other` on the circle.
    pub const fn before_or_equal(self, other: SequenceNumber) -> bool {
        self.signed_offset_from(other) <= 0
    }

    /// `self > other` on the circle.
    pub const fn after(self, other: SequenceNumber) -> bool {
        self.signed_offset_from(other) > 0
    }

    /// `self >= other` on the circle.
    pub const fn after_or_equal(self, other: SequenceNumber) -> bool {
        self.signed_offset_from(other) >= 0
    }

    /// How many numbers lie from `earlier` up to `self`, modulo 2³².
    pub const fn offset_from(self, earlier: SequenceNumber) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// How many numbers lie from `self` up to `later`, modulo 2³².
    pub const fn distance_to(self, later: SequenceNumber) -> u32 {
        later.0.wrapping_sub(self.0)
    }

    /// The distance from `other` to `self` in −2³¹..2³¹; negative when `self` is before.
    pub const fn signed_offset_from(self, other: SequenceNumber) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// Whether `start =< self < start + length`.
    pub const fn within(self, start: SequenceNumber, length: u32) -> bool {
        self.offset_from(start) < length
    }

    /// The later of two numbers less than 2³¹ apart.
    #[must_use]
    pub const fn later_of(self, other: SequenceNumber) -> SequenceNumber {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two numbers less than 2³¹ apart.
    #[must_use]
    pub const fn earlier_of(self, other: SequenceNumber) -> SequenceNumber {
        if self.after(other) { other } else { self }
    }

    /// The stream position of this number, given that `anchor` is the number of `anchor_position`; `None` when it would lie before
    /// position 0.
    pub const fn position_near(self, anchor: SequenceNumber, anchor_position: u64) -> Option<u64> {
        anchor_position.checked_add_signed(self.signed_offset_from(anchor) as i64)
    }
}

impl Add<u32> for SequenceNumber {
    type Output = SequenceNumber;
    fn add(self, count: u32) -> SequenceNumber {
        SequenceNumber(self.0.wrapping_add(count))
    }
}

impl Sub<u32> for SequenceNumber {
    type Output = SequenceNumber;
    fn sub(self, count: u32) -> SequenceNumber {
        SequenceNumber(self.0.wrapping_sub(count))
    }
}

impl AddAssign<u32> for SequenceNumber {
    fn add_assign(&mut self, count: u32) {
        *self = *self + count;
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;
