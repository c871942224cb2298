//! Loss detection and recovery: what of all that was sent is lost, and what goes out meanwhile.
//!
//! * [`scoreboard`]: every stretch that is outstanding, and where it stands (RFC 2018, RFC 6675);
//! * [`rack`]: when a stretch is lost (RFC 8985 §6); [`tail_loss`]: the probe when nothing tells (§7);
//! * [`prr`]: how much goes out in a recovery (RFC 9937); [`rate`]: how fast it is delivered;
//! * [`ecn`]: what the peer's echo of a mark leads to (RFC 3168);
//! * [`undo`]: whether it was for nothing (RFC 3522, RFC 3708);
//! * [`reaction`]: what an ACK or a timer makes of all of them, and of CWND.
//!
//! A peer without SACK is served by the same machine: each duplicate acknowledgment counts as one segment delivered, the third one means
//! that the segment at SND.UNA is lost, and so does each partial acknowledgment (RFC 6582).

use std::time::Duration;

use crate::time::Instant;

pub(crate) mod ecn;
pub(crate) mod prr;
pub(crate) mod rack;
pub(crate) mod rate;
pub(crate) mod reaction;
pub(crate) mod scoreboard;
pub(crate) mod tail_loss;
pub(crate) mod undo;

use prr::Prr;
use rack::Rack;
use rate::DeliveryRate;
use scoreboard::Scoreboard;
use tail_loss::TailLoss;
use undo::Undo;

/// Duplicates that make a loss without SACK (RFC 5681 §3.2).
const DUPLICATE_THRESHOLD: u32 = 3;

/// What the connection is doing about losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing: no loss that is not repaired. Duplicates or SACK blocks may hint at one.
    Open,
    /// The window comes down because the network has marked packets (RFC 3168), or a probe has repaired a loss; nothing is lost.
    Reducing,
    /// Fast recovery: the window comes down while what was lost is sent again.
    Recovery,
    /// After a retransmission timeout: slow start from one segment.
    Loss,
}

/// How far F-RTO is (RFC 5682 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frto {
    Off,
    /// The timer went off, the first segment was sent again, its ACK is awaited.
    Retransmitted,
    /// That ACK came; new text goes out instead of what counts as lost.
    SendsNew,
    /// It went out, and the next ACK decides.
    SentNew,
}

/// What a connection counts of its losses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossTally {
    /// Segments found to be lost.
    pub(crate) lost: u64,
    /// Segments that the peer says were sent again for nothing.
    pub(crate) spurious: u64,
    /// Reductions that were undone.
    pub(crate) undone: u64,
    /// D-SACKs received.
    pub(crate) dsacks: u64,
    /// Tail loss probes sent.
    pub(crate) tail_probes: u64,
}

/// Where a connection stands in recovery.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) board: Scoreboard,
    pub(crate) rack: Rack,
    pub(crate) tail: TailLoss,
    pub(crate) rate: DeliveryRate,
    /// Of most connections there is nothing to count.
    tally: Option<Box<LossTally>>,
    phase: Phase,
    /// `recover` of RFC 6582 §3.2, `RecoveryPoint` of RFC 6675: SND.NXT when the last reduction, or the last timeout, began. `None` before
    /// the first: the initial value is the ISS, which every acknowledgment exceeds.
    recover: Option<u64>,
    prr: Prr,
    undo: Undo,
    frto: Frto,
    /// Duplicate acknowledgments in a row.
    duplicates: u32,
    /// What was outstanding when the first sign of a loss came, bytes.
    flight: u64,
    /// Bytes that duplicates stand for, without SACK.
    inferred: u64,
    /// When something was sent last.
    latest: Instant,
    /// SND.UNA has to reach this before a reduction is undone again: it looks at all that is lost, so once a round trip.
    undone_to: u64,
    /// SND.UNA has to reach this before a round trip is measured again: one measurement a round trip (RFC 6298 §3).
    sample_at: u64,
}

impl Recovery {
    pub(crate) fn new() -> Self {
        Self {
            board: Scoreboard::default(),
            rack: Rack::new(),
            tail: TailLoss::default(),
            rate: DeliveryRate::new(),
            tally: None,
            phase: Phase::Open,
            recover: None,
            prr: Prr::default(),
            undo: Undo::default(),
            frto: Frto::Off,
            duplicates: 0,
            flight: 0,
            inferred: 0,
            latest: Instant::ZERO,
            undone_to: 0,
            sample_at: 0,
        }
    }

    /// Whether no loss is being repaired.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// What was counted so far.
    pub(crate) fn tally(&self) -> LossTally {
        self.tally.as_deref().copied().unwrap_or_default()
    }

    /// To count more.
    pub(crate) fn count(&mut self) -> &mut LossTally {
        self.tally.get_or_insert_default()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Duplicate acknowledgments in a row.
    pub(crate) fn duplicates(&self) -> u32 {
        self.duplicates
    }

    /// Bytes in flight: sent, and neither delivered nor lost as far as is known (`pipe` of RFC 6675 §4).
    pub(crate) fn in_flight(&self) -> u64 {
        self.board.in_flight().saturating_sub(self.inferred)
    }

    /// Positions `start..end` go out. `again`: they did before; `value`: our timestamp on them; `mss`: the largest payload of a segment.
    pub(crate) fn sent(
        &mut self,
        start: u64,
        end: u64,
        again: bool,
        value: Option<u32>,
        mss: u32,
        now: Instant,
    ) {
        let idle = self.in_flight() == 0;
        // What is sent in one instant is told apart, too: RFC 8985 §6.2 asks what went out first, not what lies lower.
        self.latest = now.max(self.latest + Duration::from_nanos(1));
        let stamp = self.rate.on_sent(now, idle);
        self.board
            .sent(start, end, self.latest, u64::from(mss), stamp);
        if matches!(self.phase, Phase::Reducing | Phase::Recovery) {
            self.prr.sent(end - start);
        }
        if !again && self.frto == Frto::SendsNew {
            self.frto = Frto::SentNew;
        }
        if again {
            self.undo.retransmitted(end - start, value);
        }
    }

    /// What goes out next of that which has to go out again, up to `most` positions or a little more.
    pub(crate) fn first_lost(&self, most: u64) -> Option<(u64, u64)> {
        self.board.first_lost(most)
    }

    /// Whether new text goes ahead of what counts as lost: F-RTO wants to see what comes back (RFC 5682 §3.1 step 2b).
    pub(crate) fn wants_new_text(&self) -> bool {
        matches!(self.frto, Frto::SendsNew | Frto::SentNew)
    }

    /// There is no new text now, or no room for it: if none went out F-RTO cannot tell, and what counts as lost may go. Whether it may.
    pub(crate) fn no_new_text(&mut self) -> bool {
        if self.frto == Frto::SendsNew {
            self.frto = Frto::Off;
        }
        self.frto == Frto::Off
    }

    /// A duplicate without SACK: one segment has left the network, of those that were outstanding when the first one came; so forged ones
    /// gain nothing. How many bytes are taken to be delivered.
    fn infer_delivered(&mut self, mss: u32) -> u64 {
        let room = self.flight.saturating_sub(u64::from(mss) + self.inferred);
        let more = u64::from(mss).min(room);
        self.inferred += more;
        more
    }

    /// SND.UNA moved over `bytes`: what duplicates stood for is acknowledged with them. Returns what of it was counted as delivered.
    fn settle_inferred(&mut self, bytes: u64, mss: u32) -> u64 {
        // The segment that was missing is the one that no duplicate stood for.
        let known = self
            .inferred
            .min(bytes.saturating_sub(u64::from(mss).min(bytes)));
        self.inferred -= known;
        known
    }

    fn begin_reduction(&mut self, phase: Phase, una: u64, nxt: u64, delivered: u64) {
        self.phase = phase;
        self.recover = Some(nxt);
        self.prr = Prr::begin(self.in_flight() + self.board.lost() + delivered);
        self.undo = Undo::begin(una);
        self.tail.forget();
    }

    fn end_reduction(&mut self) {
        self.phase = Phase::Open;
        self.frto = Frto::Off;
        self.inferred = 0;
        self.flight = 0;
        self.duplicates = 0;
        self.undo = Undo::default();
    }
}
