//! SYN cookies (RFC 4987 §3.6): when there is no room for half-open entries, a SYN is answered from its own bytes alone, and what
//! must be remembered of it travels in our ISS, which the peer's ACK brings back.
//!
//! The ISS stays that of RFC 9293 §3.4.1 (MUST-8, once RFC 6528), `M + F(pair, secret)`, but for the low 23 bits of M:
//!
//! ```text
//!  3                   2                   1                   0
//!  1 0 9 8 7 6 5 4 3 2 1 0 9 8 7 6 5 4 3 2 1 0 9 8 7 6 5 4 3 2 1 0
//! +-----------------+-----+-------+-+-----------------------------+
//! |     window      | MSS | shift |S|             MAC             |  + F(pair, secret) = ISS
//! +-----------------+-----+-------+-+-----------------------------+
//! ```
//!
//! * **window**: the upper bits of the 4 µs clock, one step each 33.6 s. So a pair's ISS still grows from window to window;
//!   within one, a cookie may stand below an ordinary ISN or an earlier cookie.
//! * **MSS**: the largest entry of [`MSS`] that is not above the peer's option. **shift**: the peer's window shift, 15 for none.
//!   **S**: SACK-permitted.
//! * **MAC**: SipHash-2-4 over the pair, the peer's ISN, the window and the bits before it, with a secret of its own.
//!
//! *What is lost*: the MSS is rounded down, and ECN is declined: a bit for it would have to come from the MAC. Timestamps need no bit: a peer whose offer was answered sends them on its
//! ACK, with a value to echo. They do not carry the other options either (as TSval does in Linux): a forger chooses which form he
//! claims, so bits saved in one form make nothing safer, and a box that strips the option from the ACK would break the connection.
//!
//! *What protects*: F is as secret as for any ISN, so a blind guess is good with a chance of 2⁻²³ (two windows and 256 combinations of
//! options are valid among 2³² numbers). A cookie is good for its window and the next, 33.6 s to 67.1 s; for no other pair and no other ISN of
//! the peer; and only while the listener remembers that it sent cookies lately. At other times an ACK to a listener is answered with
//! RST as ever.
//!
//! *What does not*: who has seen the ACK with a cookie can send it again within its life, and gets a connection if the first one is over
//! and did not leave the pair in TIME-WAIT.
//!
//! *What it costs*: nothing is kept, so SYN-ACK goes out once for each SYN (amplification 1) and its loss is the peer's to notice; its
//! round trip is not measured.

use crate::random::Secret;
use crate::stack::initial_sequence::{InitialSequence, TICK_NANOS};
use crate::time::Instant;
use crate::wire::{FlowTuple, MAX_WINDOW_SCALE, SequenceNumber, TcpOptions};

mod stateless;
#[cfg(test)]
mod tests;

/// What a cookie can say about the peer's MSS, bytes. 0 leaves it to the floor for tiny ones; 536 and 1220 are the defaults (MUST-15).
const MSS: [u16; 8] = [0, 536, 1220, 1360, 1400, 1440, 1460, 8900];
/// What stands for a SYN without window scale.
const NO_SHIFT: u8 = 15;
const MAC_BITS: u32 = 15;
/// Bits of the clock that a cookie takes the place of.
const COOKIE_BITS: u32 = MAC_BITS + 8;
/// How long one window lasts: 33.6 s.
const WINDOW_NANOS: u64 = TICK_NANOS << COOKIE_BITS;
/// How long a cookie may come back: its window and the next.
pub(crate) const LIFE_NANOS: u64 = 2 * WINDOW_NANOS;

/// What a SYN offers besides timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The peer's MSS option, or the default of the family; rounded down in a cookie.
    pub(crate) mss: u16,
    /// Its window shift, at most 14.
    pub(crate) window_scale: Option<u8>,
    /// SACK-permitted.
    pub(crate) sack_permitted: bool,
}

impl Offer {
    /// What `options` of a SYN say; `default_mss` where they name none.
    pub(crate) fn of(options: &TcpOptions, default_mss: u16) -> Self {
        Self {
            mss: options.mss.unwrap_or(default_mss),
            window_scale: options
                .window_scale
                .map(|shift| shift.min(MAX_WINDOW_SCALE)),
            sack_permitted: options.sack_permitted,
        }
    }

    fn pack(self) -> u32 {
        let mss = MSS.iter().rposition(|&known| known <= self.mss);
        let shift = self.window_scale.unwrap_or(NO_SHIFT);
        (mss.unwrap_or(0) as u32) << 5 | u32::from(shift) << 1 | u32::from(self.sack_permitted)
    }

    fn unpack(bits: u32) -> Self {
        let shift = (bits >> 1) as u8 & 0xf;
        Self {
            mss: MSS[(bits >> 5) as usize % MSS.len()],
            window_scale: (shift != NO_SHIFT).then_some(shift),
            sack_permitted: bits & 1 == 1,
        }
    }
}

/// Makes cookies and knows them again. It has no state but its secret.
#[derive(Clone, Debug)]
pub(crate) struct SynCookies {
    secret: Secret,
}

impl SynCookies {
    /// Keyed by a secret derived from `secret`.
    pub(crate) fn new(secret: &Secret) -> Self {
        Self {
            secret: secret.derive("syn cookies"),
        }
    }

    /// The ISS that answers a SYN with number `irs` of the peer; `flow` as our segments name it.
    pub(crate) fn issue(
        &self,
        initial: &InitialSequence,
        now: Instant,
        flow: &FlowTuple,
        irs: SequenceNumber,
        offer: Offer,
    ) -> SequenceNumber {
        let (window, bits) = (window_of(now), offer.pack());
        first_of(initial, window, flow) + (bits << MAC_BITS | self.mac(flow, irs, window, bits))
    }

    /// What the SYN offered, if `iss` is a cookie for it that is not too old.
    pub(crate) fn redeem(
        &self,
        initial: &InitialSequence,
        now: Instant,
        flow: &FlowTuple,
        irs: SequenceNumber,
        iss: SequenceNumber,
    ) -> Option<Offer> {
        let current = window_of(now);
        [Some(current), current.checked_sub(1)]
            .into_iter()
            .flatten()
            .find_map(|window| {
                let cookie = iss.offset_from(first_of(initial, window, flow));
                let bits = cookie >> MAC_BITS;
                let good = cookie >> COOKIE_BITS == 0
                    && cookie == (bits << MAC_BITS | self.mac(flow, irs, window, bits));
                good.then(|| Offer::unpack(bits))
            })
    }

    fn mac(&self, flow: &FlowTuple, irs: SequenceNumber, window: u64, bits: u32) -> u32 {
        let hash = self.secret.hash((flow, irs.0, window, bits));
        hash as u32 & ((1 << MAC_BITS) - 1)
    }
}

fn window_of(now: Instant) -> u64 {
    now.as_nanos() / WINDOW_NANOS
}

/// The ordinary ISN at the beginning of a window.
fn first_of(initial: &InitialSequence, window: u64, flow: &FlowTuple) -> SequenceNumber {
    initial.isn(Instant::from_nanos(window * WINDOW_NANOS), flow)
}
