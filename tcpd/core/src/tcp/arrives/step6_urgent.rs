//! Sixth, the URG bit (§3.10.7.4, §3.8.5).

use std::ops::ControlFlow;

use crate::tcp::arrives::Step;
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::endpoint::{Changes, Context};
use crate::tcp::segment::Segment;
use crate::wire::Flags;

/// RCV.UP = max(RCV.UP, SEG.UP) (RFC 9293 §3.8.5 MUST-30). Urgent bytes, however many (MUST-31), stay in line with the others (RFC 6093);
/// any value of the pointer is tolerated, for nothing is indexed with it. The user is told whenever it advances beyond what was read
/// (MUST-32).
pub(crate) fn check<R: Ring>(
    conn: &mut Connection<R>,
    seg: &Segment<'_>,
    _cx: &mut Context<'_>,
) -> Step {
    if seg.has(Flags::URG) && conn.state.may_receive() {
        let pointer = conn.receive.position_of(seg.seq) + i64::from(seg.urgent_pointer);
        let pointer = pointer.max(0) as u64;
        if pointer > conn.receive.read && conn.receive.urgent.is_none_or(|known| pointer > known) {
            conn.receive.urgent = Some(pointer);
            conn.changed(Changes::URGENT);
        }
    }
    ControlFlow::Continue(())
}
