//! Explicit congestion notification (RFC 3168): a router that is congested marks packets in place of dropping them, the receiver tells
//! the sender, and the sender slows down as for a loss, once a round trip.
//!
//! 1. `negotiation`: what SYN and SYN-ACK agree on (§6.1.1), and when to do without (§6.1.1.1).
//! 2. `receiver`: CE on text that counts is echoed by ECE on every segment, until CWR (§6.1.3).
//! 3. [`mark_new_text`]: text never sent before is ECT(0), and carries CWR after the window was reduced (§6.1.2). Nothing else is: no
//!    SYN, no ACK of its own (§6.1.4), no text sent again (§6.1.5), no window probe (§6.1.6), no RST.
//! 4. What ECE leads to is a matter of [`crate::tcp::recovery`].
//!
//! A connection without ECN has none of this state.
//!
//! AccECN (RFC 9768) would come in here: a mode of its own beside [`EcnMode::On`]; a third bit of the handshake (AE, the lowest reserved
//! one) in `negotiation`; the counter ACE on each ACK in place of the receiver's one bit; and its two options in
//! [`crate::wire::tcp_options`].

use crate::tcp::endpoint::connection::Connection;
use crate::tcp::transmit::Outgoing;
use crate::wire::{Ecn, Flags};

pub(crate) mod negotiation;
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

pub use negotiation::EcnMode;
pub(crate) use negotiation::Offer;

/// What a connection with ECN has to remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct EcnState {
    pub(crate) mode: EcnMode,
    /// CE was seen, and no CWR since: every segment says ECE.
    echo: bool,
    /// The window was reduced: the next new text says CWR.
    cwr_due: bool,
    /// ECE came while CWND was a single segment: new text waits for the retransmission timer (RFC 3168 §6.1.2).
    pub(crate) held: bool,
    /// SND.NXT when the window was last reduced, for ECE or a loss. ECE of before asks for nothing more.
    pub(crate) reduced_at: Option<u64>,
    /// Segments with text that came with CE.
    pub(crate) ce_in: u64,
    /// Acknowledgments that came with ECE.
    pub(crate) ece_in: u64,
    /// How often CWND was reduced for ECE.
    pub(crate) reductions: u64,
}

impl EcnState {
    /// The state for what a handshake has agreed on; `None` without ECN.
    pub(crate) fn of(mode: EcnMode) -> Option<Box<Self>> {
        (mode != EcnMode::Off).then(|| {
            Box::new(Self {
                mode,
                ..Self::default()
            })
        })
    }

    /// ECE, while it is due.
    pub(crate) fn echo(&self) -> Flags {
        if self.echo { Flags::ECE } else { Flags::NONE }
    }
}

/// The window was reduced: for ECE, for a loss, or by a timeout. The peer hears of it with the next new text, whatever the reason
/// (RFC 3168 §6.1.2), and what it echoed of the same window is answered for.
pub(crate) fn window_reduced<R>(conn: &mut Connection<R>) {
    if let Some(ecn) = conn.ecn.as_deref_mut()
        && ecn.mode == EcnMode::On
    {
        ecn.cwr_due = true;
        ecn.reduced_at = Some(conn.send.nxt);
    }
}

/// Whether the next new text tells the peer that the window was reduced.
pub(crate) fn owes_cwr<R>(conn: &Connection<R>) -> bool {
    conn.ecn.as_deref().is_some_and(|ecn| ecn.cwr_due)
}

/// Whether new text has to wait for the retransmission timer.
pub(crate) fn is_held<R>(conn: &Connection<R>) -> bool {
    conn.ecn.as_deref().is_some_and(|ecn| ecn.held)
}

/// `out` has text that is sent for the first time.
pub(crate) fn mark_new_text<R>(conn: &mut Connection<R>, out: &mut Outgoing) {
    if let Some(ecn) = conn.ecn.as_deref_mut()
        && ecn.mode == EcnMode::On
    {
        // RFC 3168 §5, RFC 8311 §2: a classic sender says ECT(0).
        out.ecn = Ecn::Ect0;
        if std::mem::take(&mut ecn.cwr_due) {
            out.flags |= Flags::CWR;
        }
    }
}
