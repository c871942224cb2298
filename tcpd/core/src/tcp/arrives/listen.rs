//! LISTEN (§3.10.7.2): RST is ignored, ACK is answered with RST, SYN makes a half-open entry.

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::segment::Segment;
use crate::wire::Flags;

/// The checks before a SYN is taken, in the RFC's order. The caller answers [`DropReason::ListenAck`] with RST.
pub(crate) fn check(seg: &Segment<'_>) -> Step {
    // First, RST.
    if seg.has(Flags::RST) {
        return ControlFlow::Break(DropReason::ListenReset);
    }
    // Second, ACK: nothing was sent that it could acknowledge.
    if seg.has(Flags::ACK) {
        return ControlFlow::Break(DropReason::ListenAck);
    }
    // Third, SYN; with FIN it is no attempt to connect.
    if !seg.has(Flags::SYN) {
        return ControlFlow::Break(DropReason::ListenNoSyn);
    }
    if seg.has(Flags::FIN) {
        return ControlFlow::Break(DropReason::BadFlags);
    }
    ControlFlow::Continue(())
}
