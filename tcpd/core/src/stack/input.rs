//! From a packet to the endpoint it is for.
//!
//! 1. IP header and addresses (RFC 1122 §3.2.1.3); a fragment waits for the rest of its datagram;
//! 2. by protocol: ICMP, TCP, or nobody's;
//! 3. TCP checksum and header;
//! 4. the flow table, then the listeners, then CLOSED;
//! 5. the endpoint's shape decides which subsection of RFC 9293 §3.10.7 it gets.
//!
//! Every packet ends as accepted or under one [`DropReason`].

use std::net::IpAddr;
use std::ops::ControlFlow;

use crate::stack::ip_input::{AddressRefusal, Origin};
use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::arrives::{self, Step, closed, half_open, syn_sent, time_wait};
use crate::tcp::buffer::Ring;
use crate::tcp::drop_reason::DropReason;
use crate::tcp::endpoint::Pair;
use crate::tcp::endpoint::connection::syn_window;
use crate::tcp::segment::Segment;
use crate::time::Instant;
use crate::wire::{IpHeader, IpRefusal, ParseError, TcpSegment, protocol};

mod fragment;
mod icmp;
mod outcomes;

/// What the device says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReceiveMeta {
    /// The TCP checksum needs no look: the device verified it, or the packet never left this machine.
    pub checksum_trusted: bool,
    /// Payload bytes of each segment of a super-segment; `None` for an ordinary packet.
    pub segment_size: Option<u16>,
}

impl<R: Ring> Stack<R> {
    /// Takes in a whole IP packet, which may be a super-segment of up to 64 KiB.
    pub fn receive(&mut self, now: Instant, packet: &[u8], meta: ReceiveMeta) {
        self.receive_from(now, packet, meta, Origin::Device);
    }

    pub(super) fn receive_from(
        &mut self,
        now: Instant,
        packet: &[u8],
        meta: ReceiveMeta,
        origin: Origin,
    ) {
        self.counters.segments_in += 1;
        self.counters.bytes_in += packet.len() as u64;
        self.observer.packet_in(now, packet);
        match self.ip_arrives(now, packet, meta, origin) {
            ControlFlow::Continue(()) => self.counters.segments_accepted += 1,
            ControlFlow::Break(reason) => {
                self.counters.drop(reason);
                self.observer.dropped(now, reason, packet);
            }
        }
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
    }

    fn ip_arrives(
        &mut self,
        now: Instant,
        packet: &[u8],
        meta: ReceiveMeta,
        origin: Origin,
    ) -> Step {
        let header = match IpHeader::parse(packet) {
            Ok(header) => header,
            Err(refusal) => return self.refuse_ip(now, packet, &refusal),
        };
        if let Err(refusal) = self.addresses.judge(&header.addresses, origin) {
            return ControlFlow::Break(reason_of_addresses(refusal));
        }
        if header.source_routed {
            return ControlFlow::Break(DropReason::SourceRoute);
        }
        if let Some(fragment) = header.fragment {
            return self.fragment_arrives(now, &header, &fragment, packet);
        }
        self.datagram_arrives(now, &header, packet, meta)
    }

    /// A whole one.
    fn datagram_arrives(
        &mut self,
        now: Instant,
        header: &IpHeader,
        packet: &[u8],
        meta: ReceiveMeta,
    ) -> Step {
        match header.protocol {
            protocol::TCP => self.tcp_arrives(now, header, packet, meta),
            protocol::ICMPV4 | protocol::ICMPV6 => self.icmp_arrives(now, header, packet),
            _ => {
                let icmp = &mut self.icmp;
                self.output
                    .packet(|out| icmp.no_handler(now, header, packet, out));
                ControlFlow::Break(DropReason::UnknownProtocol)
            }
        }
    }

    fn refuse_ip(&mut self, now: Instant, packet: &[u8], refusal: &IpRefusal) -> Step {
        if let Some(problem) = &refusal.problem
            && let Some(own) = self.addresses.iter().find_map(|own| match own.addr {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
        {
            let icmp = &mut self.icmp;
            self.output
                .packet(|out| icmp.parameter_problem(now, own, packet, problem, out));
        }
        ControlFlow::Break(match refusal.reason {
            ParseError::Checksum => DropReason::IpChecksum,
            ParseError::ExtensionHeaders => DropReason::ExtensionHeaders,
            ParseError::Truncated
            | ParseError::Version
            | ParseError::HeaderLength
            | ParseError::TotalLength
            | ParseError::Options => DropReason::MalformedIp,
        })
    }

    fn tcp_arrives(
        &mut self,
        now: Instant,
        header: &IpHeader,
        packet: &[u8],
        meta: ReceiveMeta,
    ) -> Step {
        let bytes = &packet[header.payload.clone()];
        let Ok(tcp) = TcpSegment::parse(bytes) else {
            return ControlFlow::Break(DropReason::MalformedTcp);
        };
        if !meta.checksum_trusted && !TcpSegment::verify(&header.addresses, bytes) {
            return ControlFlow::Break(DropReason::TcpChecksum);
        }
        let pair = Pair {
            local: header.addresses.destination,
            remote: header.addresses.source,
            local_port: tcp.destination_port,
            remote_port: tcp.source_port,
        };
        let seg = Segment::new(&tcp, meta.segment_size, header.ecn());
        match self.flows.find(&self.endpoints, &pair) {
            Some(id) => self.segment_arrives(now, id, &tcp, seg),
            None => self.stranger_arrives(now, pair, &tcp, seg),
        }
    }

    /// No connection has this pair: LISTEN or CLOSED.
    fn stranger_arrives(
        &mut self,
        now: Instant,
        pair: Pair,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
    ) -> Step {
        let Some(listener) = self.listeners.find(pair.local, pair.local_port) else {
            let reason = if closed::reset_for(pair, &seg).is_none() {
                DropReason::ResetForNoConnection
            } else {
                DropReason::NoConnection
            };
            return self.refuse_with_reset(now, pair, &seg, reason);
        };
        match arrives::listen::check(&seg) {
            ControlFlow::Continue(()) => self.open_passively(now, listener, pair, tcp, &seg, None),
            ControlFlow::Break(DropReason::ListenAck) => {
                self.acknowledges_listener(now, listener, pair, tcp, seg)
            }
            ControlFlow::Break(reason) => ControlFlow::Break(reason),
        }
    }

    /// A RST for what belongs to nothing (§3.5.2), within its rate.
    pub(super) fn refuse_with_reset(
        &mut self,
        now: Instant,
        pair: Pair,
        seg: &Segment<'_>,
        reason: DropReason,
    ) -> Step {
        if let Some(reset) = closed::reset_for(pair, seg) {
            if !self.resets.allow(
                now,
                pair.remote,
                self.config.limits.reset_rate,
                &mut self.random,
            ) {
                return ControlFlow::Break(DropReason::RateLimited);
            }
            self.replies.push(reset);
        }
        ControlFlow::Break(reason)
    }

    fn segment_arrives(
        &mut self,
        now: Instant,
        id: EndpointId,
        tcp: &TcpSegment<'_>,
        seg: Segment<'_>,
    ) -> Step {
        let window = self.window_of_half_open(id);
        let Some((slot, mut cx)) = self.at(now, id) else {
            return ControlFlow::Break(DropReason::NoConnection);
        };
        match slot {
            Slot::Connection(conn) => {
                let step = arrives::synchronised(conn, seg, &mut cx);
                self.settle(now, id);
                step
            }
            Slot::SynSent(open) if open.crossed.is_none() => {
                let outcome = syn_sent::check(open, &seg, &mut cx);
                self.after_syn_sent(now, id, tcp, seg, outcome)
            }
            Slot::SynSent(open) => {
                let window = syn_window(open.rings.receive.capacity());
                let finishing = open.finishing;
                let Some(half) = &mut open.crossed else {
                    return ControlFlow::Break(DropReason::NoConnection);
                };
                let outcome = half_open::check(half, &seg, window, finishing, &mut cx);
                open.syn_due |= std::mem::take(&mut half.synack_due);
                self.after_crossed(now, id, seg, outcome)
            }
            Slot::HalfOpen(half) => {
                let outcome = half_open::check(half, &seg, window, false, &mut cx);
                self.after_half_open(now, id, seg, outcome)
            }
            Slot::TimeWait(old, _) => {
                let outcome = time_wait::check(old, &seg, cx.tcp);
                self.after_time_wait(now, id, tcp, &seg, outcome)
            }
            Slot::Listener(_) => ControlFlow::Break(DropReason::NoConnection),
        }
    }

    /// What the SYN-ACK of a half-open entry offers; 0 for anything else.
    fn window_of_half_open(&self, id: EndpointId) -> u32 {
        match self.endpoints.get(id.key()) {
            Some(Slot::HalfOpen(half)) => syn_window(self.receive_ring_of_listener(half.listener)),
            _ => 0,
        }
    }

    /// Capacity of the receive rings that the connections of a listener start with.
    pub(super) fn receive_ring_of_listener(&self, listener: EndpointId) -> u32 {
        match self.endpoints.get(listener.key()) {
            Some(Slot::Listener(listener)) if listener.options.connection.receive_ring != 0 => {
                listener.options.connection.receive_ring.next_power_of_two()
            }
            _ => self.config.tcp.receive_ring.next_power_of_two(),
        }
    }
}

fn reason_of_addresses(refusal: AddressRefusal) -> DropReason {
    match refusal {
        AddressRefusal::SourceMulticast
        | AddressRefusal::SourceBroadcast
        | AddressRefusal::SourceUnspecified
        | AddressRefusal::SourceLoopback
        | AddressRefusal::SourceReserved
        | AddressRefusal::SourceOurs => DropReason::MartianSource,
        AddressRefusal::DestinationMulticast
        | AddressRefusal::DestinationBroadcast
        | AddressRefusal::DestinationUnspecified
        | AddressRefusal::DestinationLoopback
        | AddressRefusal::NotForUs => DropReason::NotOurAddress,
    }
}
