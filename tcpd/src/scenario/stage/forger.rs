//! Somebody who is neither side: he sends segments that seem to come from one of the two, or old packets once more, or speaks for a
//! host that has no stack here.

use std::net::IpAddr;

use tcpd_core::sim::pair::End;
use tcpd_core::wire::{Flags, IpAddresses, IpFields, SequenceNumber, TcpSegment, protocol};

use super::{CLIENT_PORT, Played, SERVER_PORT, Stage, Wrong};

/// A segment without options between the left side's client port and the right side's server port.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Forged {
    pub(in crate::scenario) flags: Flags,
    pub(in crate::scenario) seq: SequenceNumber,
    pub(in crate::scenario) ack: SequenceNumber,
    /// Bytes of text.
    pub(in crate::scenario) length: usize,
}

impl Stage {
    /// Sends `segment` to `to`, as if it came from the other side.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(in crate::scenario) fn forge(&mut self, to: End, segment: Forged) -> Played {
        let source = self.address(to.other());
        let ports = match to {
            End::Right => (CLIENT_PORT, SERVER_PORT),
            End::Left => (SERVER_PORT, CLIENT_PORT),
        };
        self.forge_from(source, ports, "forged", to, segment)
    }

    /// Sends `segment` to `to` from any address and port; `ports` are source and destination. `name` stands where the sender's state would.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(in crate::scenario) fn forge_from(
        &mut self,
        source: IpAddr,
        ports: (u16, u16),
        name: &'static str,
        to: End,
        segment: Forged,
    ) -> Played {
        let addresses = IpAddresses {
            source,
            destination: self.address(to),
        };
        let payload = vec![b'x'; segment.length];
        let tcp = TcpSegment {
            source_port: ports.0,
            destination_port: ports.1,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: 8_192,
            payload: &payload,
            ..TcpSegment::default()
        };
        let mut bytes = Vec::new();
        tcp.emit(&addresses, &mut bytes);
        let mut packet = Vec::new();
        IpFields::new(addresses, protocol::TCP).emit(bytes.len(), &mut packet);
        packet.extend_from_slice(&bytes);
        self.inject(to, name, &packet)
    }

    /// Sends a whole packet to `to` that no stack sent now; `name` stands where the sender's state would.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(in crate::scenario) fn inject(
        &mut self,
        to: End,
        name: &'static str,
        packet: &[u8],
    ) -> Played {
        self.journal.borrow_mut().foreign = Some(name);
        let outcome = self.pair.forge(to, packet).map_err(Wrong);
        self.journal.borrow_mut().foreign = None;
        outcome
    }
}
