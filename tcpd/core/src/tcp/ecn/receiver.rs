//! The receiver's side (RFC 3168 §6.1.3): from CE in an IP header to ECE in ours, until the sender says CWR.

use crate::tcp::endpoint::Context;
use crate::tcp::endpoint::connection::Connection;
use crate::tcp::segment::Segment;
use crate::wire::{Ecn, Flags};

/// Text has arrived inside the window; what lies outside counts for nothing (§6.1.5), or a forger could slow the sender down. CWR comes
/// first: of what a device has put together only the first segment can have carried it, and a mark on any of them is a new one.
///
/// The sender hears of a change at once: a delayed ACK would keep it fast for longer, or reduce its window a second time.
pub(crate) fn text_arrived<R>(conn: &mut Connection<R>, seg: &Segment<'_>, cx: &mut Context<'_>) {
    let Some(ecn) = conn.ecn.as_deref_mut() else {
        return;
    };
    let (before, answered) = (ecn.echo, seg.has(Flags::CWR));
    if answered {
        ecn.echo = false;
    }
    if seg.ecn == Ecn::Ce {
        ecn.echo = true;
        ecn.ce_in += u64::from(seg.parts());
        cx.counters.ce_in += u64::from(seg.parts());
    }
    conn.intents.ack |= ecn.echo != before || (answered && ecn.echo);
}
