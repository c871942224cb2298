//! SYN-RECEIVED: what is kept between a SYN and the acknowledgment of ours. Small because floods make many.

use crate::tcp::ecn::EcnMode;
use crate::tcp::endpoint::{Pair, TimestampState};
use crate::tcp::id::EndpointId;
use crate::time::Instant;
use crate::wire::{MAX_WINDOW_SCALE, SequenceNumber, TcpOptions};

/// A handshake of which the last part is missing. No buffers; data on the SYN is not kept (the peer sends it again).
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) pair: Pair,
    pub(crate) iss: SequenceNumber,
    pub(crate) irs: SequenceNumber,
    /// SEG.WND of the SYN; never scaled (RFC 7323 §2.2).
    pub(crate) window: u16,
    /// The peer's MSS option, or the default for the family.
    pub(crate) peer_mss: u16,
    /// What is agreed.
    pub(crate) agreed: Agreed,
    /// How often SYN-ACK was sent again by its timer.
    pub(crate) retransmissions: u8,
    /// SYN-ACK was sent again because the SYN came again.
    pub(crate) answered_again: bool,
    /// SYN-ACK is to be sent.
    pub(crate) synack_due: bool,
    /// It stands in the transmit queue.
    pub(crate) queued: bool,
    /// Our FIN was sent though our SYN is not acknowledged (§3.10.4, CLOSE in SYN-RECEIVED); only after a simultaneous open.
    pub(crate) fin_sent: bool,
    pub(crate) ts_recent: u32,
    pub(crate) ts_offset: u32,
    /// Not before this, in milliseconds, another challenge ACK.
    pub(crate) challenge_after: u32,
    /// When SYN-ACK was sent first.
    pub(crate) sent_at: Instant,
    /// The listener; names nothing for an active open (simultaneous open).
    pub(crate) listener: EndpointId,
}

const _: () = assert!(size_of::<HalfOpen>() <= 96, "floods make many of these");

/// What we offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Our window shift, unless scaling is off.
    pub(crate) shift: Option<u8>,
    /// Timestamps.
    pub(crate) timestamps: bool,
    /// SACK-permitted.
    pub(crate) sack: bool,
}

/// The options both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Agreed {
    /// The peer's shift; `None`: no scaling in either direction (RFC 7323 §2.2).
    pub(crate) send_shift: Option<u8>,
    /// Our shift; counts only with `send_shift`.
    pub(crate) receive_shift: u8,
    /// Timestamps (RFC 7323 §3.2).
    pub(crate) timestamps: bool,
    /// SACK (RFC 2018 §2).
    pub(crate) sack: bool,
    /// ECN (RFC 3168 §6.1.1): a matter of flags, so whoever sees the segment fills it in.
    pub(crate) ecn: EcnMode,
}

impl Agreed {
    /// What the peer's options and our offer come to.
    pub(crate) fn of(theirs: &TcpOptions, ours: Ours) -> Self {
        let our_shift = ours.shift;
        Self {
            // RFC 7323 §2.3: a shift above 14 counts as 14.
            send_shift: our_shift
                .and(theirs.window_scale)
                .map(|shift| shift.min(MAX_WINDOW_SCALE)),
            receive_shift: our_shift.unwrap_or(0),
            timestamps: ours.timestamps && theirs.timestamps.is_some(),
            sack: ours.sack && theirs.sack_permitted,
            ecn: EcnMode::Off,
        }
    }

    /// Rcv.Wind.Shift.
    pub(crate) fn receive_shift(&self) -> u8 {
        if self.send_shift.is_some() {
            self.receive_shift
        } else {
            0
        }
    }
}

impl HalfOpen {
    /// Whether SYN-ACK was sent more than once, by its timer or for a SYN that came again.
    pub(crate) fn sent_again(&self) -> bool {
        self.retransmissions > 0 || self.answered_again
    }

    /// It came from LISTEN (RFC 9293 §3.10.7.4 MUST-11).
    pub(crate) fn is_passive(&self) -> bool {
        self.listener != EndpointId::from_bits(0)
    }

    pub(crate) fn rcv_nxt(&self) -> SequenceNumber {
        self.irs + 1
    }

    /// SND.NXT: behind our SYN, and behind our FIN if it was sent.
    pub(crate) fn snd_nxt(&self) -> SequenceNumber {
        self.iss + 1 + u32::from(self.fin_sent)
    }

    pub(crate) fn timestamp_state(&self, now: Instant) -> Option<TimestampState> {
        self.agreed.timestamps.then_some(TimestampState {
            offset: self.ts_offset,
            recent: self.ts_recent,
            recent_at: now,
            may_be_missing: false,
        })
    }
}
