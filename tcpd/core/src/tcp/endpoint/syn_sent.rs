//! SYN-SENT: an active open that has not heard enough yet.

use crate::tcp::bill::Bill;
use crate::tcp::config::ConnectionOptions;
use crate::tcp::ecn::Offer;
use crate::tcp::endpoint::connection::Rings;
use crate::tcp::endpoint::half_open::{HalfOpen, Ours};
use crate::tcp::endpoint::{Changes, EndReason, Owner, Pair, State};
use crate::time::Instant;
use crate::wire::SequenceNumber;

/// An active open: in SYN-SENT, or in SYN-RECEIVED once the SYNs have crossed (`crossed`).
#[derive(Debug)]
pub(crate) struct SynSent<R> {
    pub(crate) pair: Pair,
    pub(crate) iss: SequenceNumber,
    pub(crate) options: ConnectionOptions,
    pub(crate) tag: u64,
    /// Whose it is, and what of its rings is on the bill.
    pub(crate) bill: Bill,
    pub(crate) reuse: bool,
    /// What the user wrote already waits here (§3.10.2).
    pub(crate) rings: Rings<R>,
    /// How far the user has written.
    pub(crate) written: u64,
    /// SND.UP of what was written with the URGENT flag (§3.10.2: it goes with the data).
    pub(crate) urgent: Option<u64>,
    /// The user closed its sending side already (§3.10.4: queued until ESTABLISHED).
    pub(crate) fin_queued: bool,
    pub(crate) reading_closed: bool,
    /// The user let go in SYN-RECEIVED: the handshake goes on without it.
    pub(crate) released: bool,
    /// The user closed in SYN-RECEIVED with nothing to send: FIN-WAIT-1, though our SYN is not acknowledged (§3.10.4).
    pub(crate) finishing: bool,
    /// The shift offered, unless scaling is off.
    pub(crate) shift: Option<u8>,
    pub(crate) timestamps: bool,
    /// SACK-permitted was offered.
    pub(crate) sack: bool,
    /// What our SYN says of ECN.
    pub(crate) ecn: Offer,
    pub(crate) ts_offset: u32,
    /// How often SYN was sent again after a timeout.
    pub(crate) retransmissions: u8,
    /// SYN (or SYN-ACK, once crossed) is to be sent.
    pub(crate) syn_due: bool,
    /// FIN is to be sent, after the SYN-ACK if that is due as well.
    pub(crate) fin_due: bool,
    pub(crate) queued: bool,
    pub(crate) event_queued: bool,
    pub(crate) changes: Changes,
    /// A quick SYN after a bad ACK was sent already; the next one waits for its timeout (§3.5.1, figure 9).
    pub(crate) quick_retry_done: bool,
    pub(crate) created: Instant,
    /// When SYN was sent first.
    pub(crate) sent_at: Option<Instant>,
    /// When SYN goes out again, or the open is given up.
    pub(crate) retry_at: Instant,
    /// When the open is given up at the latest.
    pub(crate) give_up_at: Instant,
    /// A soft error that ICMP told: reported if the open times out (RFC 5461 §2.2).
    pub(crate) soft_error: Option<EndReason>,
    /// Why the open failed; the user has yet to let go.
    pub(crate) end: Option<EndReason>,
    /// The crossing SYN was taken in: SYN-RECEIVED with the same ISS (§3.5, figure 7).
    pub(crate) crossed: Option<HalfOpen>,
}

impl<R> SynSent<R> {
    /// What our SYN offers.
    pub(crate) fn ours(&self) -> Ours {
        Ours {
            shift: self.shift,
            timestamps: self.timestamps,
            sack: self.sack,
        }
    }

    pub(crate) fn owner(&self) -> Owner {
        if self.released {
            Owner::Nobody
        } else {
            Owner::User
        }
    }

    /// Whether FIN has taken its number.
    pub(crate) fn fin_sent(&self) -> bool {
        self.crossed.is_some_and(|half| half.fin_sent)
    }

    pub(crate) fn state(&self) -> State {
        match (self.end, &self.crossed) {
            (Some(_), _) => State::Closed,
            (None, Some(_)) if self.finishing => State::FinWait1,
            (None, Some(_)) => State::SynReceived,
            (None, None) => State::SynSent,
        }
    }
}
