//! The receive sequence space (RFC 9293 §3.3.1) and the window that is offered (§3.8.6).
//!
//! ```text
//!        1          2          3
//!    ----------|----------|----------
//!           RCV.NXT    RCV.NXT
//!                     +RCV.WND = RCV.ADV
//! 1 old and acknowledged   2 allowed to arrive   3 not yet allowed
//! ```
//!
//! Everything is kept as a *position*: u64, 0 is the byte after the peer's SYN, and the FIN takes one position after
//! the last byte. Positions never wrap, so they compare with `<`; sequence numbers appear only in
//! [`ReceiveSpace::sequence_of`] and [`ReceiveSpace::position_of`].
//!
//! RCV.ADV, the right edge, never moves left (RFC 9293 §3.8.6 SHLD-14; except for the rounding of a scaled window that cannot be avoided,
//! RFC 7323 §2.4): it is at most `read` + capacity, both of which only grow, and out-of-order bytes lie inside it, so they are paid for already.
//!
//! The window may be *held* ([`ReceiveSpace::held`]): from then on the edge moves right only where less than that would be open and unread.
//! What was promised stays promised, so the window closes from the left, by what arrives, and opens again as it is read.

use std::time::Duration;

use crate::tcp::buffer::MAX_CAPACITY;
use crate::time::Instant;
use crate::wire::SequenceNumber;

pub(crate) mod ranges;
pub(crate) mod sack;
#[cfg(test)]
mod tests;
pub(crate) mod tuner;

use ranges::{Inserted, RangeSet};
use sack::{Blocks, Sack};
use tuner::{Arrival, Tuner};

/// What has arrived and what may arrive.
#[derive(Clone, Debug)]
pub(crate) struct ReceiveSpace {
    /// IRS, the peer's initial sequence number.
    pub(crate) irs: SequenceNumber,
    /// RCV.NXT as a position; counts the FIN once it was taken in.
    pub(crate) nxt: u64,
    /// RCV.ADV: the right edge the peer was told of.
    pub(crate) adv: u64,
    /// How far the user has read.
    pub(crate) read: u64,
    /// Bytes that the ring holds.
    pub(crate) capacity: u32,
    /// How far beyond what was read new promises go at most; [`u32::MAX`]: as far as the ring holds.
    pub(crate) held: u32,
    /// The shift of the windows we send (Rcv.Wind.Shift, RFC 7323 §2.3).
    pub(crate) shift: u8,
    /// What the peer's full-size segments look like: the largest payload seen, at least the default MSS.
    pub(crate) full_size: u32,
    /// Where the peer's FIN stands, once one was seen (possibly out of order).
    pub(crate) fin: Option<u64>,
    /// RCV.UP: the position after the latest urgent byte, when there is one (§3.8.5).
    pub(crate) urgent: Option<u64>,
    /// Bytes beyond RCV.NXT that stand in the ring already.
    pub(crate) out_of_order: RangeSet,
    /// What of it, and of duplicates, the next ACK reports.
    pub(crate) sack: Sack,
    /// Measures how large the ring should be, from the first text on.
    pub(crate) tuner: Option<Box<Tuner>>,
}

impl ReceiveSpace {
    /// The space right after the handshake, in which a window of `advertised` bytes was offered on the SYN.
    pub(crate) fn new(irs: SequenceNumber, capacity: u32, shift: u8, advertised: u32) -> Self {
        Self {
            irs,
            nxt: 0,
            adv: u64::from(advertised.min(capacity)),
            read: 0,
            capacity,
            held: u32::MAX,
            shift,
            full_size: 536,
            fin: None,
            urgent: None,
            out_of_order: RangeSet::default(),
            sack: Sack::default(),
            tuner: None,
        }
    }

    /// The sequence number of `position`.
    pub(crate) fn sequence_of(&self, position: u64) -> SequenceNumber {
        self.irs + 1 + position as u32
    }

    /// RCV.NXT.
    pub(crate) fn next_sequence(&self) -> SequenceNumber {
        self.sequence_of(self.nxt)
    }

    /// The position of `sequence`, taken to be the one nearest to RCV.NXT; negative left of the first byte.
    pub(crate) fn position_of(&self, sequence: SequenceNumber) -> i64 {
        self.nxt as i64 + i64::from(sequence.signed_offset_from(self.next_sequence()))
    }

    /// Whether the FIN was taken in: nothing can follow.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.nxt > fin)
    }

    /// The end of the bytes in order: RCV.NXT without the FIN.
    pub(crate) fn data_end(&self) -> u64 {
        self.fin.map_or(self.nxt, |fin| self.nxt.min(fin))
    }

    /// Bytes in order that the user has not read.
    pub(crate) fn unread(&self) -> u64 {
        self.data_end() - self.read
    }

    /// RCV.WND: bytes from RCV.NXT to the right edge the peer knows.
    pub(crate) fn window(&self) -> u64 {
        self.adv.saturating_sub(self.nxt)
    }

    /// The right edge that the space would allow.
    fn edge_allowed(&self) -> u64 {
        self.read + u64::from(self.capacity)
    }

    /// The most bytes beyond what was read that new promises make.
    pub(crate) fn offered(&self) -> u32 {
        self.held.min(self.capacity)
    }

    /// The right edge that is offered now: never left of what was.
    fn edge_offered(&self) -> u64 {
        self.adv.max(self.read + u64::from(self.offered()))
    }

    /// How far the right edge would move if a window were sent now, before silly-window avoidance.
    pub(crate) fn edge_gain(&self) -> u64 {
        let largest = self.nxt + (u64::from(u16::MAX) << self.shift);
        self.edge_offered()
            .min(largest)
            .saturating_sub(self.adv.max(self.nxt))
    }

    /// RFC 9293 §3.8.6.2.2 MUST-39: the least movement of the right edge worth telling: min(buffer / 2, MSS).
    fn least_gain(&self) -> u64 {
        u64::from((self.offered() / 2).min(self.full_size)).max(1)
    }

    /// The window field to send, and the right edge moved accordingly. Called once for each segment built.
    pub(crate) fn take_window(&mut self) -> u16 {
        let unit = 1u64 << self.shift;
        let most = u64::from(u16::MAX);
        if self.edge_gain() >= self.least_gain().max(unit) {
            let field = ((self.edge_offered() - self.nxt) >> self.shift).min(most);
            let edge = self.nxt + (field << self.shift);
            if edge >= self.adv {
                self.adv = edge;
                return field as u16;
            }
        }
        // The edge stays. A scaled window can only name multiples of the unit: round up while there is room, so that the
        // edge does not move left (RFC 7323 §2.4); without room round down.
        let remaining = self.window();
        let up = remaining.div_ceil(unit);
        if up <= most && self.nxt + (up << self.shift) <= self.edge_allowed() {
            self.adv = self.adv.max(self.nxt + (up << self.shift));
            return up as u16;
        }
        (remaining >> self.shift).min(most) as u16
    }

    /// Whether the user's reading made room that the peer should hear of without waiting for another reason to send.
    pub(crate) fn wants_window_update(&self) -> bool {
        if self.is_finished() {
            return false;
        }
        let gain = self.edge_gain();
        let remaining = self.window();
        gain >= u64::from(self.offered() / 2)
            || (remaining < 2 * u64::from(self.full_size)
                && gain >= self.least_gain().max(1 << self.shift))
    }

    /// Takes in the bytes `start..end`, which stand in the ring already and lie inside the window.
    ///
    /// Says whether RCV.NXT moved. A FIN that was remembered is taken in when it is reached.
    pub(crate) fn store(&mut self, start: u64, end: u64, range_limit: usize) -> Stored {
        debug_assert!(start >= self.nxt && end <= self.edge_allowed());
        if let Some(twice) = self.out_of_order.overlap(start, end)
            && !self.sack.owes_duplicate()
        {
            self.sack.arrived_twice(twice.start, twice.end);
        }
        if start > self.nxt {
            return match self.out_of_order.insert(start, end, range_limit) {
                Inserted::Kept => {
                    self.sack.stored(start, &self.out_of_order);
                    Stored::OutOfOrder
                }
                Inserted::Refused => Stored::Refused,
            };
        }
        self.nxt = if self.out_of_order.is_empty() {
            end
        } else {
            self.out_of_order.advance(end)
        };
        self.adv = self.adv.max(self.nxt);
        Stored::InOrder
    }

    /// RCV.NXT has moved over text at `now`. `rtt`: of the handshake, or as measured as a sender; `echo`: the timestamp that a segment of
    /// full size brought back, and how long ago it was sent.
    pub(crate) fn measure(
        &mut self,
        now: Instant,
        rtt: Option<Duration>,
        echo: Option<(u32, Duration)>,
    ) {
        let text = Arrival {
            nxt: self.nxt,
            adv: self.adv,
            echo,
        };
        let (read, capacity) = (self.read, self.capacity);
        let tuner = || Box::new(Tuner::new(rtt, read, capacity, now));
        self.tuner.get_or_insert_with(tuner).arrived(now, text);
    }

    /// The user has read up to `position`.
    pub(crate) fn read_up_to(&mut self, now: Instant, position: u64) {
        self.read = position;
        if let Some(tuner) = &mut self.tuner {
            tuner.read(now, position, self.full_size);
        }
    }

    /// The capacity that the ring should have by what was read in a round trip, bytes: never less than it has.
    pub(crate) fn wanted(&self) -> u32 {
        let wanted = self.tuner.as_ref().map_or(0, |tuner| tuner.wanted());
        self.capacity
            .max(wanted.min(MAX_CAPACITY).next_power_of_two())
    }

    /// Of a segment's text `start..end` the part left of RCV.NXT has arrived twice (RFC 2883 §4).
    pub(crate) fn note_old_text(&mut self, start: i64, end: i64) {
        let known = self.data_end() as i64;
        self.sack
            .arrived_twice(start.max(0) as u64, end.min(known).max(0) as u64);
    }

    /// The SACK blocks for an ACK that is sent now, at most `most`; none when SACK was not agreed.
    pub(crate) fn take_sack_blocks(&mut self, most: usize) -> Blocks {
        self.sack.take_blocks(&self.out_of_order, most)
    }

    /// Remembers where the peer's FIN stands. The first FIN counts: one elsewhere is refused, as is one below bytes that
    /// have arrived. Only a FIN in order displaces an early one behind it that was never reached: the peer has nothing else to
    /// send, and would repeat its FIN for ever. `in_order`: its segment begins at RCV.NXT.
    pub(crate) fn note_fin(&mut self, position: u64, in_order: bool) -> bool {
        match self.fin {
            Some(known) if known == position => true,
            Some(known) if !in_order || known < position => false,
            _ if position < self.nxt
                || self.out_of_order.end().is_some_and(|end| end > position) =>
            {
                false
            }
            _ => {
                self.fin = Some(position);
                true
            }
        }
    }

    /// Takes the FIN in if it is next. RCV.NXT moves over it.
    pub(crate) fn take_fin(&mut self) -> bool {
        if self.fin == Some(self.nxt) {
            self.nxt += 1;
            self.adv = self.adv.max(self.nxt);
            return true;
        }
        false
    }

    /// The ring is exchanged for one of `capacity` bytes. A smaller one is for those to whom nothing more will come: what
    /// was promised to the peer beyond it is taken back, and what arrived out of order forgotten.
    pub(crate) fn resize(&mut self, capacity: u32) {
        if capacity < self.capacity {
            self.out_of_order = RangeSet::default();
            self.fin = self.fin.filter(|&fin| fin < self.nxt);
        }
        self.capacity = capacity;
        self.adv = self.adv.min(self.edge_allowed()).max(self.nxt);
    }

    /// What must hold after every event.
    pub(crate) fn assert_invariants(&self) {
        assert!(
            self.read <= self.data_end(),
            "read {} beyond what arrived {}",
            self.read,
            self.data_end()
        );
        assert!(
            self.nxt <= self.edge_allowed() + 1,
            "RCV.NXT beyond the ring"
        );
        assert!(
            self.adv <= self.edge_allowed() + 1,
            "the window promises more than the ring holds"
        );
        assert!(self.adv >= self.nxt, "RCV.ADV left of RCV.NXT");
        assert!(
            self.out_of_order
                .as_slice()
                .first()
                .is_none_or(|first| first.start > self.nxt),
            "a hole of no size"
        );
        assert!(
            self.out_of_order.end().unwrap_or(0) <= self.edge_allowed(),
            "out-of-order bytes beyond the ring"
        );
        assert!(
            self.fin.is_none_or(|fin| self.nxt <= fin + 1),
            "RCV.NXT beyond the FIN"
        );
        assert!(
            self.fin
                .is_none_or(|fin| self.out_of_order.end().unwrap_or(0) <= fin),
            "bytes beyond the FIN"
        );
        assert!(
            self.out_of_order
                .as_slice()
                .windows(2)
                .all(|pair| pair[0].end < pair[1].start),
            "ranges that touch or are out of order"
        );
    }
}

/// What became of arrived bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// RCV.NXT moved.
    InOrder,
    /// They wait behind a hole.
    OutOfOrder,
    /// Too many holes: they will be sent again.
    Refused,
}
