//! ICMP errors about a segment of ours (RFC 9293 §3.9.2.2, RFC 5927).

use tcpd_core::wire::icmpv4::Icmpv4Message;
use tcpd_core::wire::icmpv6::Icmpv6Message;
use tcpd_core::wire::{Flags, SequenceNumber, TcpSegment, protocol};

use super::{Action, Event};
use crate::common::packets::segment_packet;
use crate::numbers::Numbers;
use crate::world::{Family, Setup, World};

/// What the error says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Icmp {
    /// Nobody on the port, about the segment at SND.UNA.
    Hard,
    /// No way to the host, about the segment at SND.UNA.
    Soft,
    /// Nobody on the port, about a segment that was never sent.
    Forged,
}

impl Icmp {
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Hard => "port unreachable, about snd.una",
            Self::Soft => "host unreachable, about snd.una",
            Self::Forged => "port unreachable, about snd.nxt+100",
        }
    }

    pub(super) fn play(self, world: &mut World, numbers: &Numbers) {
        let (codes, seq) = match self {
            Self::Hard => ((3, 4), numbers.una),
            Self::Soft => ((1, 3), numbers.una),
            Self::Forged => ((3, 4), numbers.nxt + 100),
        };
        let quote = quoted(world, seq);
        let mut body = Vec::new();
        let (code, protocol) = match world.family {
            Family::V4 => (codes.0, protocol::ICMPV4),
            Family::V6 => (codes.1, protocol::ICMPV6),
        };
        match world.family {
            Family::V4 => Icmpv4Message::Unreachable {
                code,
                mtu: 0,
                quote: &quote,
            }
            .emit(&mut body),
            Family::V6 => Icmpv6Message::Unreachable {
                code,
                quote: &quote,
            }
            .emit(&world.inbound(), &mut body),
        }
        let packet = world.packet_of(protocol, &body);
        world.receive(&packet);
    }
}

/// A packet of ours, as a router would quote it.
fn quoted(world: &World, seq: SequenceNumber) -> Vec<u8> {
    let addresses = world.inbound().reversed();
    let segment = TcpSegment {
        source_port: world.local().port(),
        destination_port: world.peer().port(),
        seq,
        flags: Flags::ACK,
        ..TcpSegment::default()
    };
    segment_packet(addresses, &segment)
}

const fn event(name: &'static str, icmp: Icmp) -> Event {
    Event {
        name,
        setup: Setup::NONE,
        action: Action::Icmp(icmp),
    }
}

pub(super) const EVENTS: &[Event] = &[
    event("icmp-hard", Icmp::Hard),
    event("icmp-soft", Icmp::Soft),
    event("icmp-forged", Icmp::Forged),
];
