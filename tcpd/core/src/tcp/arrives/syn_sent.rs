//! SYN-SENT (§3.10.7.3).

use std::ops::ControlFlow;

use crate::tcp::arrives::closed;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::segment::Segment;
use crate::wire::Flags;

/// What an acceptable segment makes of SYN-SENT; the stack carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A RST that acknowledges our SYN: "error: connection refused".
    Refused,
    /// SYN and ACK: ESTABLISHED.
    Established,
    /// Only SYN: the SYNs have crossed, SYN-RECEIVED.
    Crossed,
}

/// The RFC's steps for SYN-SENT.
pub(crate) fn check<R>(
    syn_sent: &mut SynSent<R>,
    seg: &Segment<'_>,
    cx: &mut Context<'_>,
) -> ControlFlow<DropReason, Outcome> {
    // First, the ACK bit. SND.UNA = ISS and SND.NXT = ISS + 1: only one number is acceptable.
    let acknowledges = seg.has(Flags::ACK);
    if acknowledges && (seg.ack != syn_sent.iss + 1 || syn_sent.sent_at.is_none()) {
        if let Some(reset) = closed::reset_for(syn_sent.pair, seg) {
            cx.replies.push(reset);
            // §3.5.1, figure 9: the peer still has an old connection, which our RST ends. A new SYN at once, not at the next
            // timeout; only one before that, for a peer that answers each SYN like this must not make us flood it.
            if !syn_sent.quick_retry_done && syn_sent.sent_at.is_some() {
                syn_sent.quick_retry_done = true;
                syn_sent.syn_due = true;
            }
        }
        return ControlFlow::Break(DropReason::SynSentBadAck);
    }
    // Second, the RST bit: it counts only with an acceptable ACK.
    if seg.has(Flags::RST) {
        return if acknowledges {
            ControlFlow::Continue(Outcome::Refused)
        } else {
            ControlFlow::Break(DropReason::SynSentBlindReset)
        };
    }
    // Third, security: nothing to do. Fourth, the SYN bit.
    if !seg.has(Flags::SYN) {
        return ControlFlow::Break(DropReason::SynSentNoSyn);
    }
    if seg.has(Flags::FIN) {
        return ControlFlow::Break(DropReason::BadFlags);
    }
    ControlFlow::Continue(if acknowledges {
        Outcome::Established
    } else {
        Outcome::Crossed
    })
}
