//! Loss detection and recovery without SACK: three duplicates, fast retransmit, NewReno (RFC 5681 §3.2, RFC 6582),
//! limited transmit (RFC 3042).

#[cfg(test)]
mod tests;

/// Where a connection stands in recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    /// Duplicate acknowledgments in a row.
    pub(crate) duplicates: u32,
    /// What was in flight when the first of them came, bytes.
    pub(crate) flight: u64,
    /// Whether fast recovery is under way.
    pub(crate) active: bool,
    /// `recover` of RFC 6582 §3.2: the highest position sent when the last recovery, or the last timeout, began.
    /// `None` before the first: the initial value is the ISS, which every acknowledgment exceeds.
    pub(crate) recover: Option<u64>,
}

/// What a duplicate acknowledgment leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicate {
    /// One of the first two: one new segment may go out (RFC 3042).
    LimitedTransmit,
    /// The third: the segment at SND.UNA is lost.
    Lost,
    /// A further one in recovery: one more segment has left the network.
    Inflate,
    /// Counted, nothing else.
    Ignored,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self {
            duplicates: 0,
            flight: 0,
            active: false,
            recover: None,
        }
    }

    /// `flight` bytes are in flight and a duplicate acknowledgment has come. RFC 5681 §3.2 (2): what limited transmit sends from
    /// now on is no part of the flight that a loss halves.
    pub(crate) fn note_flight(&mut self, flight: u64) {
        if self.duplicates == 0 {
            self.flight = flight;
        }
    }

    /// A duplicate acknowledgment for `una` came; `nxt` is SND.NXT.
    pub(crate) fn on_duplicate(&mut self, una: u64, nxt: u64) -> Duplicate {
        self.duplicates = self.duplicates.saturating_add(1);
        if self.active {
            return Duplicate::Inflate;
        }
        match self.duplicates {
            1 | 2 => Duplicate::LimitedTransmit,
            // RFC 6582 §3.2 step 2: duplicates of segments sent again after a timeout must not begin a recovery.
            3 if self.recover.is_none_or(|recover| una > recover) => {
                self.active = true;
                self.recover = Some(nxt);
                Duplicate::Lost
            }
            _ => Duplicate::Ignored,
        }
    }

    /// `una` moved. Whether this ended the recovery (`Some(true)`), was a partial acknowledgment in it
    /// (`Some(false)`), or found none (`None`).
    pub(crate) fn on_acknowledged(&mut self, una: u64) -> Option<bool> {
        self.duplicates = 0;
        if !self.active {
            return None;
        }
        let complete = self.recover.is_none_or(|recover| una >= recover);
        self.active = !complete;
        Some(complete)
    }

    /// The retransmission timer went off: fast recovery ends, and duplicates up to `nxt` begin none (RFC 6582 §4).
    pub(crate) fn on_timeout(&mut self, nxt: u64) {
        self.active = false;
        self.duplicates = 0;
        self.recover = Some(nxt);
    }

    /// How many segments limited transmit allows beyond CWND.
    pub(crate) fn limited_transmit(&self) -> u32 {
        if self.active {
            0
        } else {
            self.duplicates.min(2)
        }
    }
}
