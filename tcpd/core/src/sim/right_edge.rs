//! Follows the right edge of the window that each end offers, as an observer on the wire sees it.

use crate::sim::pair::End;
use crate::wire::{Flags, SequenceNumber, TcpSegment};

/// Both ends of one connection.
#[derive(Debug, Default)]
pub(super) struct RightEdges {
    ends: [Edge; 2],
}

#[derive(Debug, Default)]
struct Edge {
    /// The shift this end offered in its SYN.
    offered: Option<u8>,
    /// Ack plus window of the most that it has said.
    edge: Option<SequenceNumber>,
}

impl RightEdges {
    /// Looks at a segment that `end` sends.
    pub(super) fn check(&mut self, end: End, segment: &TcpSegment<'_>) -> Result<(), String> {
        let peer_scales = self.ends[end.other() as usize].offered;
        let this = &mut self.ends[end as usize];
        let syn = segment.flags.contains(Flags::SYN);
        if syn {
            this.offered = segment
                .options
                .window_scale
                .map(|shift| shift.min(crate::wire::MAX_WINDOW_SCALE));
        }
        if segment.flags.contains(Flags::RST) || !segment.flags.contains(Flags::ACK) {
            return Ok(());
        }
        let shift = match (syn, this.offered, peer_scales) {
            (false, Some(shift), Some(_)) => shift,
            _ => 0,
        };
        let edge = segment.ack + (u32::from(segment.window) << shift);
        // A scaled window cannot name every number: less than one unit may be lost (RFC 7323 §2.4).
        let slack = (1u32 << shift) - 1;
        if let Some(before) = this.edge
            && (edge + slack).before(before)
        {
            return Err(format!(
                "{end:?} moved the right edge of its window left by {}: {segment}",
                before.offset_from(edge)
            ));
        }
        this.edge = Some(this.edge.map_or(edge, |before| before.later_of(edge)));
        Ok(())
    }
}
