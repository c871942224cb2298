//! What the stack sends to itself: copied, and taken in again like a packet of the device.

use crate::stack::ip_input::Origin;
use crate::stack::output::{LOOPBACK_BATCH, Ready};
use crate::stack::slot::Slot;
use crate::stack::{ReceiveMeta, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::Connection;
use crate::time::Instant;

impl<R: Ring> Stack<R> {
    /// Copies the packet that stands ready, for ourselves. Its checksum is left as it is: it never leaves this memory.
    pub(super) fn loop_back(&mut self, ready: Ready) {
        let mut packet = self.output.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(&self.output.header);
        let mut segment_size = 0;
        if let Ready::Of(id, _, out) = ready
            && out.length > 0
        {
            let start = packet.len();
            packet.resize(start + out.length as usize, 0);
            if let Some(conn) = self.endpoints.get(id.key()).and_then(Slot::connection) {
                let conn: &Connection<R> = conn;
                conn.rings.send.read_at(out.position, &mut packet[start..]);
            }
            segment_size = out.segment_size as u16;
        }
        self.counters.loopback_packets += 1;
        self.output.loopback.push_back((packet, segment_size));
    }

    pub(super) fn deliver_one(&mut self, now: Instant) -> bool {
        let Some((packet, segment_size)) = self.output.loopback.pop_front() else {
            return false;
        };
        let meta = ReceiveMeta {
            checksum_trusted: true,
            segment_size: (segment_size > 0).then_some(segment_size),
        };
        self.receive_from(now, &packet, meta, Origin::Loopback);
        self.output.keep(packet);
        true
    }

    /// Delivers what waits for ourselves since an earlier call ran out of its budget.
    pub(in crate::stack) fn run_loopback(&mut self, now: Instant) {
        for _ in 0..LOOPBACK_BATCH {
            if !self.deliver_one(now) {
                return;
            }
        }
    }
}
