//! Round trips counted by acknowledgments: a round ends when what was sent at its beginning is acknowledged.

/// Where the present round ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    /// `UNKNOWN` until it is known what the acknowledgment that ended the round before has let out.
    end: u64,
}

const UNKNOWN: u64 = u64::MAX;

impl Round {
    /// SND.UNA has come to `una`; before anything is sent for that, SND.NXT is `nxt`. Whether a round ended, and so the next one begins.
    ///
    /// What the acknowledgment that ends a round lets out belongs to that round still. Otherwise rounds would begin ever earlier than
    /// the bursts of slow start, and HyStart++ would take the delay within a burst for a growing one.
    pub(crate) fn ends(&mut self, una: u64, nxt: u64) -> bool {
        if self.end == UNKNOWN {
            self.end = nxt;
        }
        let ends = una >= self.end;
        if ends {
            self.end = UNKNOWN;
        }
        ends
    }
}
