//! `<`: a packet of the far end.

use std::net::IpAddr;

use super::{Check, Runner, Wrong};
use crate::sim::script::compare;
use crate::sim::script::flow::pattern;
use crate::sim::script::frame::{self, Segment};
use crate::sim::script::syntax::{
    Attributes, Body, IcmpContent, IcmpPacket, Options, Packet, TcpPacket,
};
use crate::stack::ReceiveMeta;
use crate::wire::ladder::Direction;
use crate::wire::{Flags, IpAddresses, protocol};

impl Runner<'_> {
    pub(super) fn inject(&mut self, packet: &Packet) -> Check {
        let peer = packet.attributes.peer.unwrap_or(1);
        let addresses = self.addresses(&packet.attributes)?;
        let (number, mut payload, text) = match &packet.body {
            Body::Tcp(tcp) => {
                let segment = self.segment(peer, tcp, &packet.attributes);
                (protocol::TCP, segment.emit(&addresses), text_of(tcp))
            }
            Body::Icmp(icmp) => self.icmp(peer, icmp, &addresses),
            Body::Udp(length) => self.udp(peer, *length, &addresses),
        };
        if packet.attributes.bad_checksum {
            let at = match number {
                protocol::TCP => 16,
                protocol::UDP => 6,
                _ => 2,
            };
            payload[at] ^= 0x10;
        }
        let ecn = packet.attributes.ecn.unwrap_or_default();
        let class = packet.attributes.traffic_class.unwrap_or(0) | ecn.bits();
        let mut bytes = frame::ip(&addresses, number, class, &payload);
        let trailer = usize::from(packet.attributes.trailer.unwrap_or(0));
        bytes.resize(bytes.len() + trailer, 0xa5);
        let meta = ReceiveMeta {
            checksum_trusted: false,
            segment_size: packet.attributes.segment_size,
        };
        self.stack.receive(self.now, &bytes, meta);
        let state = self.state_of(peer).to_owned();
        let shown = self.shown(self.now);
        let right = if peer == 1 {
            String::new()
        } else {
            format!("peer {peer}")
        };
        self.ladder
            .packet(shown, &state, Direction::Left, text, true, &right);
        Ok(())
    }

    fn addresses(&self, attributes: &Attributes) -> Check<IpAddresses> {
        let source: IpAddr = attributes.source.unwrap_or(self.remote);
        let destination = attributes.destination.unwrap_or(self.local);
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(Wrong::new(
                "expected both addresses of a packet to be of one IP version",
            ));
        }
        Ok(IpAddresses {
            source,
            destination,
        })
    }

    fn segment(&mut self, peer: u16, tcp: &TcpPacket, attributes: &Attributes) -> Segment {
        let state = self.state_of(peer);
        let flow = self.flow(peer);
        if tcp.flags.contains(Flags::SYN) && matches!(state, "CLOSED" | "SYN-SENT" | "TIME-WAIT") {
            flow.their_syn(tcp.seq);
            if state != "SYN-SENT" {
                flow.begin();
            }
        }
        if let Some(window) = tcp.window {
            flow.window = window;
        }
        let mut options = Vec::new();
        if let Options::These(list) = &tcp.options {
            for option in list {
                frame::emit_option(&flow.wire_option(option), &mut options);
            }
        }
        let syn = u32::from(tcp.flags.contains(Flags::SYN));
        let first = flow.their_position(tcp.seq.wrapping_add(syn));
        Segment {
            source_port: attributes.source_port.unwrap_or(flow.remote_port),
            destination_port: attributes.destination_port.unwrap_or(flow.local_port),
            seq: tcp.seq.wrapping_add(flow.theirs),
            ack: tcp.ack.map_or(0, |ack| ack.wrapping_add(flow.ours)),
            flags: tcp.flags,
            window: flow.window,
            urgent: tcp.urgent.unwrap_or(0),
            options,
            payload: (0..tcp.length)
                .map(|index| pattern(false, first.wrapping_add(index)))
                .collect(),
            reserved: attributes.reserved.unwrap_or(0),
            data_offset: attributes.data_offset,
        }
    }

    fn icmp(
        &mut self,
        peer: u16,
        icmp: &IcmpPacket,
        addresses: &IpAddresses,
    ) -> (u8, Vec<u8>, String) {
        let mut bytes = vec![icmp.kind, icmp.code, 0, 0];
        bytes.extend(icmp.rest.to_be_bytes());
        let text = match icmp.content {
            IcmpContent::Data(length) => {
                bytes.extend((0..u32::from(length)).map(|index| pattern(false, index)));
                format!("icmp {} code {} ({length})", icmp.kind, icmp.code)
            }
            IcmpContent::Quote { seq, length } => {
                bytes.extend(self.quote(peer, seq, length));
                format!(
                    "icmp {} code {} [{seq}:{}({length})]",
                    icmp.kind,
                    icmp.code,
                    seq.wrapping_add(length)
                )
            }
        };
        if addresses.source.is_ipv4() {
            let sum = crate::wire::checksum::of(&bytes);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
            (protocol::ICMPV4, bytes, text)
        } else {
            frame::fill_checksum(&mut bytes, 2, addresses, protocol::ICMPV6);
            (protocol::ICMPV6, bytes, text)
        }
    }

    /// The segment of ours that an ICMP error quotes: its IP header and the first 8 bytes of its TCP header (RFC 792).
    fn quote(&mut self, peer: u16, seq: u32, length: u32) -> Vec<u8> {
        let addresses = IpAddresses {
            source: self.local,
            destination: self.remote,
        };
        let flow = self.flow(peer);
        let segment = Segment {
            source_port: flow.local_port,
            destination_port: flow.remote_port,
            seq: seq.wrapping_add(flow.ours),
            flags: Flags::ACK,
            payload: vec![0; length as usize],
            ..Segment::default()
        };
        let mut packet = frame::ip(&addresses, protocol::TCP, 0, &segment.emit(&addresses));
        let header = if addresses.is_ipv6() { 40 } else { 20 };
        packet.truncate(header + 8);
        packet
    }

    fn udp(&mut self, peer: u16, length: u16, addresses: &IpAddresses) -> (u8, Vec<u8>, String) {
        let flow = self.flow(peer);
        let mut bytes = Vec::new();
        bytes.extend(flow.remote_port.to_be_bytes());
        bytes.extend(flow.local_port.to_be_bytes());
        bytes.extend((length + 8).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.resize(bytes.len() + usize::from(length), 0x55);
        frame::fill_checksum(&mut bytes, 6, addresses, protocol::UDP);
        (protocol::UDP, bytes, format!("udp ({length})"))
    }
}

/// A script's segment as ladders show one.
pub(super) fn text_of(tcp: &TcpPacket) -> String {
    let mut text = format!("{:<2} {}({})", tcp.flags, tcp.seq, tcp.length);
    if let Some(ack) = tcp.ack {
        text += &format!(" ack {ack}");
    }
    if let Some(window) = tcp.window {
        text += &format!(" win {window}");
    }
    if let Some(urgent) = tcp.urgent {
        text += &format!(" urg {urgent}");
    }
    if let Options::These(options) = &tcp.options
        && !options.is_empty()
    {
        text += &format!(" {}", compare::text_of(options));
    }
    text
}
