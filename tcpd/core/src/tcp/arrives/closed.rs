//! CLOSED (§3.10.7.1): nothing is there. Everything but a RST is answered with a RST (§3.5.2).

use crate::tcp::endpoint::Pair;
use crate::tcp::segment::Segment;
use crate::tcp::transmit::Reply;
use crate::wire::Flags;

/// The RST that answers `seg` where no connection is, unless it is a RST itself: with ACK <SEQ=SEG.ACK><CTL=RST>,
/// without <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
pub(crate) fn reset_for(pair: Pair, seg: &Segment<'_>) -> Option<Reply> {
    if seg.has(Flags::RST) {
        None
    } else if seg.has(Flags::ACK) {
        Some(Reply::reset(pair, seg.ack))
    } else {
        Some(Reply::reset_and_ack(pair, seg.seq + seg.len()))
    }
}
