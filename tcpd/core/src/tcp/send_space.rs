//! The send sequence space (RFC 9293 §3.3.1) and the window the peer offers (§3.8.6).
//!
//! ```text
//!        1         2          3          4
//!   ----------|----------|----------|----------
//!          SND.UNA    SND.NXT    SND.UNA
//!                               +SND.WND
//! 1 acknowledged   2 sent, unacknowledged   3 may be sent now   4 not yet
//! ```
//!
//! Everything is kept as a *position*: u64, 0 is the byte after our SYN, and our FIN takes one position after the last
//! byte written. SND.NXT never goes back: what has to be sent again stands on the [scoreboard](crate::tcp::recovery::scoreboard).

use crate::wire::SequenceNumber;

#[cfg(test)]
mod tests;

/// How far our FIN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    /// The user may write more.
    NotYet,
    /// The user closed: FIN follows the last byte written.
    Queued,
}

/// What was written, sent and acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct SendSpace {
    /// ISS, our initial sequence number.
    pub(crate) iss: SequenceNumber,
    /// SND.UNA: the oldest position not acknowledged.
    pub(crate) una: u64,
    /// SND.NXT: the next position to send for the first time; counts the FIN once it was sent.
    pub(crate) nxt: u64,
    /// How far the user has written.
    pub(crate) written: u64,
    /// Whether the user has closed.
    pub(crate) fin: Fin,
    /// SND.UP: the position behind what the user last called urgent (§3.8.5).
    pub(crate) urgent: Option<u64>,
    /// SND.WND: the window the peer offers, in bytes from SND.UNA.
    pub(crate) wnd: u32,
    /// MAX.SND.WND: the largest window ever offered (RFC 5961 §5, §3.8.6.2.1).
    pub(crate) max_wnd: u32,
    /// SND.WL1: the sequence number of the segment that last updated the window.
    pub(crate) wl1: SequenceNumber,
    /// SND.WL2: its acknowledgment number.
    pub(crate) wl2: SequenceNumber,
    /// The shift of the windows we receive (Snd.Wind.Shift, RFC 7323 §2.3).
    pub(crate) shift: u8,
    /// The largest payload of one segment, options of the usual segment taken off (Eff.snd.MSS, §3.7.1).
    pub(crate) mss: u32,
    /// The end of the latest segment shorter than the MSS, for Nagle's rule as Minshall tells it.
    pub(crate) small_end: u64,
}

impl SendSpace {
    /// The space after the peer acknowledged our SYN. `mss` in bytes of payload, `wnd` in bytes.
    pub(crate) fn new(iss: SequenceNumber, shift: u8, mss: u32) -> Self {
        Self {
            iss,
            una: 0,
            nxt: 0,
            written: 0,
            fin: Fin::NotYet,
            urgent: None,
            wnd: 0,
            max_wnd: 0,
            wl1: SequenceNumber(0),
            wl2: SequenceNumber(0),
            shift,
            mss,
            small_end: 0,
        }
    }

    /// The sequence number of `position`.
    pub(crate) fn sequence_of(&self, position: u64) -> SequenceNumber {
        self.iss + 1 + position as u32
    }

    /// The position of `sequence`, taken to be the one nearest to SND.UNA; negative for ISS and below.
    pub(crate) fn position_of(&self, sequence: SequenceNumber) -> i64 {
        self.una as i64 + i64::from(sequence.signed_offset_from(self.sequence_of(self.una)))
    }

    /// Everything the user wants sent: the bytes, and the FIN when it was asked for.
    pub(crate) fn end(&self) -> u64 {
        self.written + u64::from(self.fin == Fin::Queued)
    }

    /// Whether the FIN was sent at least once.
    pub(crate) fn fin_sent(&self) -> bool {
        self.nxt > self.written
    }

    /// Whether the FIN was acknowledged: all else was, too.
    pub(crate) fn fin_acknowledged(&self) -> bool {
        self.una > self.written
    }

    /// Whether anything sent is unacknowledged.
    pub(crate) fn has_unacknowledged(&self) -> bool {
        self.una < self.nxt
    }

    /// Whether anything has never been sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.nxt < self.end()
    }

    /// How many bytes the user may still write into a ring of `capacity` bytes.
    pub(crate) fn room(&self, capacity: u32) -> u64 {
        u64::from(capacity).saturating_sub(self.written - self.una.min(self.written))
    }

    /// The right edge of the window the peer offers.
    pub(crate) fn window_edge(&self) -> u64 {
        self.una + u64::from(self.wnd)
    }

    /// RFC 9293 §3.8.5 MUST-30, MUST-62: the urgent pointer of a segment that begins at `position`, an offset to the byte behind the
    /// urgent ones; `None` when they lie before the segment. One too far off for 16 bits is named as far as they reach.
    pub(crate) fn urgent_pointer(&self, position: u64) -> Option<u16> {
        let ahead = self
            .urgent?
            .checked_sub(position)
            .filter(|&ahead| ahead > 0)?;
        Some(u16::try_from(ahead).unwrap_or(u16::MAX))
    }

    /// Where a segment without text stands: at SND.NXT, as far as the peer's window reaches (as Linux has it). A probe has taken SND.NXT
    /// beyond a closed window, and a peer may shrink its window over what is in flight (MUST-34): it refuses what stands beyond, and our
    /// acknowledgments with it. A scaled window is rounded down (RFC 7323 §2.3), so less than its unit beyond is no shrinking.
    pub(crate) fn textless_position(&self) -> u64 {
        let edge = self.window_edge();
        if self.wnd > 0 && self.nxt.saturating_sub(edge) < 1 << self.shift {
            self.nxt
        } else {
            self.nxt.min(edge)
        }
    }

    /// Positions up to `end` were put on the wire.
    pub(crate) fn sent(&mut self, end: u64) {
        self.nxt = self.nxt.max(end);
    }

    /// SND.UNA moves to `position`.
    pub(crate) fn acknowledge(&mut self, position: u64) {
        debug_assert!(position > self.una && position <= self.nxt);
        self.una = position;
    }

    /// SND.WND, SND.WL1 and SND.WL2 from a segment that passed the check for old ones (§3.10.7.4, fifth step).
    pub(crate) fn update_window(&mut self, wnd: u32, seq: SequenceNumber, ack: SequenceNumber) {
        self.wnd = wnd;
        self.max_wnd = self.max_wnd.max(wnd);
        self.wl1 = seq;
        self.wl2 = ack;
    }

    /// What must hold after every event.
    pub(crate) fn assert_invariants(&self, capacity: u32) {
        assert!(
            self.una <= self.nxt,
            "SND.UNA {} beyond SND.NXT {}",
            self.una,
            self.nxt
        );
        assert!(
            self.nxt <= self.end(),
            "SND.NXT {} beyond what was written {}",
            self.nxt,
            self.end()
        );
        assert!(
            self.written - self.una.min(self.written) <= u64::from(capacity),
            "more written than the ring holds"
        );
        assert!(self.mss > 0, "an MSS of nothing");
        assert!(
            self.wnd <= self.max_wnd,
            "SND.WND {} above the largest ever offered, {}",
            self.wnd,
            self.max_wnd
        );
        assert!(self.small_end <= self.nxt, "a short segment not yet sent");
        assert!(
            self.fin == Fin::Queued || self.nxt <= self.written,
            "a FIN was sent that nobody asked for"
        );
    }
}
