//! What the routers on both sides of the bottleneck do with packets that do not fit: drop them, and say so or not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::icmpv4::Icmpv4Message;
use crate::wire::icmpv6::Icmpv6Message;
use crate::wire::{IpAddresses, IpFields, IpHeader, protocol};

/// How large packets may be on one way through the bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    /// The largest IP packet that passes, bytes.
    pub mtu: u16,
    /// Whether the sender of a larger one is told (RFC 1191, RFC 8201); otherwise it is a black hole (RFC 2923).
    pub tells: bool,
}

impl Default for Router {
    /// Lets everything through.
    fn default() -> Router {
        Router {
            mtu: u16::MAX,
            tells: true,
        }
    }
}

impl Router {
    /// Whether the packet passes.
    pub(super) fn passes(self, packet: &[u8]) -> bool {
        packet.len() <= usize::from(self.mtu)
    }

    /// What the sender of a packet that does not pass is told.
    pub(super) fn complaint(self, packet: &[u8]) -> Option<Vec<u8>> {
        let header = IpHeader::parse(packet).ok().filter(|_| self.tells)?;
        let own: IpAddr = match header.addresses.source {
            IpAddr::V4(_) => Ipv4Addr::new(198, 18, 0, 254).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, 254).into(),
        };
        let addresses = IpAddresses {
            source: own,
            destination: header.addresses.source,
        };
        let mut message = Vec::new();
        let number = match own {
            IpAddr::V4(_) => {
                // As much as RFC 1812 §4.3.2.3 has a router quote: what fits into 576 bytes.
                let quote = &packet[..packet.len().min(548)];
                Icmpv4Message::Unreachable {
                    code: 4,
                    mtu: self.mtu,
                    quote,
                }
                .emit(&mut message);
                protocol::ICMPV4
            }
            IpAddr::V6(_) => {
                let quote = &packet[..packet.len().min(1_232)];
                let mtu = self.mtu.into();
                Icmpv6Message::PacketTooBig { mtu, quote }.emit(&addresses, &mut message);
                protocol::ICMPV6
            }
        };
        let mut out = Vec::new();
        IpFields::new(addresses, number).emit(message.len(), &mut out);
        out.extend_from_slice(&message);
        Some(out)
    }
}
