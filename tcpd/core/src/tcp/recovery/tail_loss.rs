//! The tail loss probe (RFC 8985 §7): when the end of a flight stays unanswered for two round trips, one more segment brings the ACK by
//! which RACK finds what is lost, long before the retransmission timer.

use std::time::Duration;

use crate::tcp::rtt::DELAYED_ACK;

#[cfg(test)]
mod tests;

/// Beyond two round trips: what a peer's delayed acknowledgment and our timers may be late at least.
const LEAST_MARGIN: Duration = Duration::from_millis(2);

/// The probe that is out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TailLoss {
    /// TLP.end_seq and TLP.is_retrans.
    probe: Option<(u64, bool)>,
}

/// What an ACK says about the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet, or nothing was lost.
    Nothing,
    /// The probe repaired a loss that nobody else saw: the window has to become smaller all the same.
    Repaired,
}

impl TailLoss {
    pub(crate) fn is_out(&self) -> bool {
        self.probe.is_some()
    }

    /// A probe was sent; SND.NXT is `nxt` now.
    pub(crate) fn sent(&mut self, nxt: u64, again: bool) {
        self.probe = Some((nxt, again));
    }

    /// A recovery or a timeout has taken over.
    pub(crate) fn forget(&mut self) {
        self.probe = None;
    }

    /// RFC 8985 §7.4.2: `dsack`: what the ACK reports as a duplicate; `bare`: a duplicate acknowledgment without SACK.
    pub(crate) fn on_ack(&mut self, ack: u64, dsack: Option<(u64, u64)>, bare: bool) -> Verdict {
        let Some((end, again)) = self.probe.filter(|&(end, _)| ack >= end) else {
            return Verdict::Nothing;
        };
        let twice = dsack.is_some_and(|(_, dsacked)| dsacked == end);
        if !again || twice {
            self.probe = None;
        } else if ack > end {
            self.probe = None;
            return Verdict::Repaired;
        } else if bare {
            // The original and the probe have both arrived.
            self.probe = None;
        }
        Verdict::Nothing
    }
}

/// RFC 8985 §7.2: the probe timeout, for a flight of one segment or of more.
pub(crate) fn timeout(srtt: Option<Duration>, single: bool) -> Duration {
    let Some(srtt) = srtt else {
        return Duration::from_secs(1);
    };
    let margin = if single { DELAYED_ACK } else { LEAST_MARGIN };
    srtt * 2 + margin
}
