//! Where a stack tells what happens, for traces and tests. It is told, it never answers.

use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::{Cause, State};
use crate::tcp::id::EndpointId;
use crate::time::Instant;

/// Hears of every transition, packet and drop. All methods do nothing by default.
pub trait Observer {
    /// A connection went from one state to another.
    fn transition(&mut self, now: Instant, id: EndpointId, from: State, to: State, why: Cause) {
        let _ = (now, id, from, to, why);
    }

    /// A whole IP packet came in; it is not judged yet.
    fn packet_in(&mut self, now: Instant, packet: &[u8]) {
        let _ = (now, packet);
    }

    /// A packet or super-segment goes out: its headers, and how many bytes of payload follow. `id` is the connection's,
    /// where it is one's.
    fn packet_out(
        &mut self,
        now: Instant,
        id: Option<EndpointId>,
        header: &[u8],
        payload_len: u32,
    ) {
        let _ = (now, id, header, payload_len);
    }

    /// A packet was refused.
    fn dropped(&mut self, now: Instant, reason: DropReason, packet: &[u8]) {
        let _ = (now, reason, packet);
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
