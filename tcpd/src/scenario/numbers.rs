//! Short sequence numbers, as RFC 9293's figures have them: the left side counts from 100, the right one from 300, and whoever starts
//! anew gets the next hundreds. Which number belongs to which incarnation of a pair is decided by nearness: they lie far apart.

use std::net::SocketAddr;

use tcpd_core::sim::pair::End;
use tcpd_core::wire::ladder::{brief, one_line};
use tcpd_core::wire::{Flags, IpHeader, SequenceNumber, TcpSegment, protocol};

/// A connection seen from one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Flow {
    /// The sender's view of a TCP packet.
    pub(super) fn of_sent(packet: &[u8]) -> Option<Flow> {
        let (header, tcp) = parse(packet)?;
        let (source, destination) = (header.addresses.source, header.addresses.destination);
        Some(Flow {
            local: SocketAddr::new(source, tcp.source_port),
            remote: SocketAddr::new(destination, tcp.destination_port),
        })
    }

    /// The receiver's view.
    pub(super) fn of_received(packet: &[u8]) -> Option<Flow> {
        Flow::of_sent(packet).map(Flow::reversed)
    }

    fn reversed(self) -> Flow {
        Flow {
            local: self.remote,
            remote: self.local,
        }
    }
}

/// The TCP segment of a packet, if it is one.
pub(super) fn parse(packet: &[u8]) -> Option<(IpHeader, TcpSegment<'_>)> {
    let header = IpHeader::parse(packet).ok()?;
    if header.protocol != protocol::TCP {
        return None;
    }
    let tcp = TcpSegment::parse(packet.get(header.payload.clone())?).ok()?;
    Some((header, tcp))
}

/// Where one incarnation counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incarnation {
    pub(super) end: End,
    pub(super) flow: Flow,
    /// Its initial sequence number on the wire.
    pub(super) wire: SequenceNumber,
    /// What that is shown as.
    pub(super) short: u32,
}

/// Every incarnation so far.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) incarnations: Vec<Incarnation>,
    /// Show numbers as they stand on the wire.
    pub(super) on_the_wire: bool,
    /// Show window scale and timestamps of a SYN, too.
    pub(super) all_options: bool,
}

/// A number farther than this from every incarnation's first belongs to none.
const NEAR: u32 = 1 << 26;

impl Numbers {
    /// A SYN of `from` with a new number begins an incarnation.
    pub(super) fn learn(&mut self, from: End, packet: &[u8]) {
        let (Some(flow), Some((_, tcp))) = (Flow::of_sent(packet), parse(packet)) else {
            return;
        };
        let known =
            |known: &&Incarnation| known.end == from && known.flow == flow && known.wire == tcp.seq;
        if !tcp.flags.contains(Flags::SYN) || self.incarnations.iter().any(|one| known(&one)) {
            return;
        }
        let before = self.incarnations.iter().filter(|one| one.end == from);
        let first = match from {
            End::Left => 100,
            End::Right => 300,
        };
        let short = first + 400 * before.count() as u32;
        self.incarnations.push(Incarnation {
            end: from,
            flow,
            wire: tcp.seq,
            short,
        });
    }

    /// The packet with short numbers.
    pub(super) fn name(&self, from: End, packet: &[u8]) -> String {
        self.text(from, packet, false)
    }

    /// The packet as this ladder shows it.
    pub(super) fn show(&self, from: End, packet: &[u8]) -> String {
        self.text(from, packet, self.on_the_wire)
    }

    fn text(&self, from: End, packet: &[u8], on_the_wire: bool) -> String {
        let (Some(flow), Some((_, tcp))) = (Flow::of_sent(packet), parse(packet)) else {
            return one_line(packet);
        };
        let zero = SequenceNumber(0);
        let (seq, ack) = if on_the_wire {
            (zero, zero)
        } else {
            let ack = self.base(from.other(), flow.reversed(), tcp.ack);
            (self.base(from, flow, tcp.seq), ack)
        };
        let mut text = brief(&tcp, seq, ack);
        if self.all_options && tcp.flags.contains(Flags::SYN) {
            if let Some(shift) = tcp.options.window_scale {
                text += &format!(" wscale {shift}");
            }
            if tcp.options.sack_permitted {
                text += " sackOK";
            }
            if tcp.options.timestamps.is_some() {
                text += " ts";
            }
        }
        text
    }

    /// What to subtract from `number` of the side `end` to show it.
    fn base(&self, end: End, flow: Flow, number: SequenceNumber) -> SequenceNumber {
        let distance = |one: &&Incarnation| number.signed_offset_from(one.wire).unsigned_abs();
        self.incarnations
            .iter()
            .filter(|one| one.end == end && one.flow == flow)
            .min_by_key(distance)
            .filter(|one| distance(one) < NEAR && number != SequenceNumber(0))
            .map_or(SequenceNumber(0), |one| one.wire - one.short)
    }
}
