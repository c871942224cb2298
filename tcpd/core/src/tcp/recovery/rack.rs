//! RACK: a segment is lost when one sent sufficiently later has been delivered (RFC 8985 §6.2).
//!
//! 1. The newest of all that was delivered, by the time of its (last) sending: [`Rack::delivered`].
//! 2. Whether the network puts segments out of order: an original that arrives behind a later one says so.
//! 3. How long to wait for what may only be late: [`Rack::reordering_window`].
//!
//! The marking is the scoreboard's, [`super::scoreboard::Scoreboard::lose_overdue`].

use std::time::Duration;

use super::scoreboard::Stretch;
use crate::time::Instant;

#[cfg(test)]
mod tests;

/// DupThresh of RFC 8985 §5.1. With more SACKed segments than that nothing waits for reordering that was never seen. The RFC says "at
/// least"; one more lets a segment that only three have overtaken arrive first.
const DUPLICATE_THRESHOLD: u64 = 3;
/// Recoveries that the window stays wide after a D-SACK (§6.2 step 4).
const PERSISTS: u8 = 16;
/// The least window: timers and the times of a batch of ACKs are no finer.
const LEAST_WINDOW: Duration = Duration::from_micros(100);

/// RACK's variables of RFC 8985 §5.2.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of the newest that was delivered.
    newest: Option<(Instant, u64)>,
    /// RACK.rtt: its round trip.
    rtt: Duration,
    /// RACK.fack: the highest position delivered.
    highest: u64,
    /// RACK.reordering_seen.
    reordering_seen: bool,
    /// RACK.reo_wnd_mult: the window in quarters of the least round trip.
    quarters: u8,
    /// RACK.reo_wnd_persist: recoveries until that is one again.
    persist: u8,
    /// RACK.dsack_round: SND.NXT at the last D-SACK that widened the window; one widens it a round.
    round: Option<u64>,
}

impl Rack {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            rtt: Duration::ZERO,
            highest: 0,
            reordering_seen: false,
            quarters: 1,
            persist: 0,
            round: None,
        }
    }

    /// Steps 2 and 3, for one piece that was acknowledged or SACKed for the first time. `older`: it is known to be of
    /// before its last sending, by the timestamp that comes back or because it is but a part of what was sent.
    pub(crate) fn delivered(
        &mut self,
        piece: &Stretch,
        now: Instant,
        min_rtt: Option<Duration>,
        older: bool,
    ) {
        if piece.end > self.highest {
            self.highest = piece.end;
        } else if !piece.was_retransmitted() {
            self.reordering_seen = true;
        }
        let rtt = now.duration_since(piece.sent_at);
        // Which sending was delivered is not known: an earlier one, if the round trip is impossibly short.
        if piece.was_retransmitted() && (older || min_rtt.is_none_or(|least| rtt < least)) {
            return;
        }
        let key = (piece.sent_at, piece.end);
        if self.newest.is_none_or(|newest| key > newest) {
            self.newest = Some(key);
            self.rtt = rtt;
        }
    }

    /// A reduction was for nothing: what seemed to be retransmissions delivered were originals, sent long before.
    pub(crate) fn forget_newest(&mut self) {
        self.newest = None;
    }

    /// What was taken for lost behind later segments was only late. Step 3 cannot see that where all of it had been sent again by then; and
    /// without it no D-SACK would ever widen the window.
    pub(crate) fn note_reordering(&mut self) {
        self.reordering_seen = true;
    }

    /// The newest that was delivered, and its round trip.
    pub(crate) fn newest(&self) -> Option<((Instant, u64), Duration)> {
        self.newest.map(|newest| (newest, self.rtt))
    }

    /// Step 4: a D-SACK says that something was sent again for nothing, so the window was too short. Once a round.
    pub(crate) fn on_dsack(&mut self, una: u64, nxt: u64) {
        if self.round.is_some_and(|round| una >= round) {
            self.round = None;
        }
        if self.round.is_none() {
            self.round = Some(nxt);
            self.quarters = self.quarters.saturating_add(1);
            self.persist = PERSISTS;
        }
    }

    /// Step 4: a recovery has ended.
    pub(crate) fn on_recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.quarters = 1;
        }
    }

    /// RACK.reo_wnd: how much later than due something may still arrive. `recovering`: in fast recovery or after a timeout; `sacked`:
    /// bytes SACKed; `segment`: the largest payload of one segment.
    pub(crate) fn reordering_window(
        &self,
        min_rtt: Option<Duration>,
        srtt: Option<Duration>,
        recovering: bool,
        sacked: u64,
        segment: u64,
    ) -> Duration {
        if !self.reordering_seen && (recovering || sacked > DUPLICATE_THRESHOLD * segment) {
            return Duration::ZERO;
        }
        let quarter = min_rtt.unwrap_or(Duration::ZERO) / 4;
        let window = quarter.saturating_mul(u32::from(self.quarters));
        window.min(srtt.unwrap_or(Duration::MAX)).max(LEAST_WINDOW)
    }

    /// Whether an original ever arrived behind a later one.
    pub(crate) fn reordering_seen(&self) -> bool {
        self.reordering_seen
    }
}
