//! What travelled under rules that are no more.

use std::collections::VecDeque;

use tcpd_core::impairment::Pipe;
use tcpd_core::time::Instant;

use super::PACKET_COST;

/// The paths that rules of one direction left behind, the oldest first; each with something on it.
///
/// All of it has arrived, and is taken out packet by packet: to empty a path into a list would take as long as it is full.
#[derive(Debug, Default)]
pub(super) struct Released {
    pipes: VecDeque<Pipe>,
}

impl Released {
    pub(super) fn is_empty(&self) -> bool {
        self.pipes.is_empty()
    }

    /// The path of a rule that goes.
    pub(super) fn take_over(&mut self, pipe: Pipe) {
        if pipe.in_flight() > 0 {
            self.pipes.push_back(pipe);
        }
    }

    /// The next packet.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let first = self.pipes.front_mut()?;
        let packet = first.receive(Instant::MAX).map(|(packet, ())| packet);
        if first.in_flight() == 0 {
            self.pipes.pop_front();
        }
        packet
    }

    /// Memory of all of it, in bytes.
    pub(super) fn held(&self) -> usize {
        self.pipes.iter().map(held).sum()
    }
}

/// Memory of what is on a path, in bytes.
pub(super) fn held(pipe: &Pipe) -> usize {
    pipe.held() + pipe.in_flight() * PACKET_COST
}
