//! Somebody off the path who knows addresses and ports, and guesses numbers: RFC 5961 and RFC 5927 promise that he cannot end the
//! conversation, nor put a byte into it.
//!
//! He never guesses right here: the one RST in 2³² at RCV.NXT, and text with a good acknowledgment, would do what they say.

use std::time::Duration;

use crate::random::Generator;
use crate::sim::pair::{End, Pair};
use crate::stack::{ReceiveMeta, Stack, State, Status};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;
use crate::wire::icmpv4::Icmpv4Message;
use crate::wire::icmpv6::Icmpv6Message;
use crate::wire::ip::IpFields;
use crate::wire::{Flags, IpAddresses, SequenceNumber, TcpSegment, protocol};

/// The stranger of one conversation.
#[derive(Debug)]
pub(super) struct Stranger {
    generator: Generator,
    longest_pause: Duration,
    next: Instant,
    /// Packets he sent.
    pub(super) sent: u64,
}

impl Stranger {
    pub(super) fn new(seed: u64, longest_pause: Duration) -> Stranger {
        Stranger {
            generator: Generator::from_seed(seed ^ 0x5712_a19e),
            longest_pause,
            next: Instant::ZERO,
            sent: 0,
        }
    }

    /// When he strikes again.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Sends one packet to a connection of either end, if there is one that knows its numbers.
    pub(super) fn act(&mut self, now: Instant, pair: &mut Pair) {
        if now < self.next {
            return;
        }
        let most = u64::try_from(self.longest_pause.as_nanos()).unwrap_or(u64::MAX - 1);
        self.next = now + Duration::from_nanos(self.generator.below(most) + 100_000);
        let end = End::BOTH[self.generator.below(2) as usize];
        let stack = pair.stack(end);
        let Some(victim) = victim(stack) else {
            return;
        };
        let packet = match self.generator.below(4) {
            0 => self.icmp(&victim),
            _ => self.segment(&victim),
        };
        self.sent += 1;
        let meta = ReceiveMeta {
            checksum_trusted: false,
            segment_size: None,
        };
        stack.receive(now, &packet, meta);
    }

    /// Near RCV.NXT on either side, or anywhere; never exactly there.
    fn guess(&mut self, right: SequenceNumber) -> SequenceNumber {
        let distance = 1 + self.generator.below(70_000) as u32;
        match self.generator.below(4) {
            0 => right - distance,
            1 => right + 0x4000_0000 + distance,
            _ => right + distance,
        }
    }

    fn segment(&mut self, victim: &Status) -> Vec<u8> {
        let flags = match self.generator.below(5) {
            0 => Flags::RST,
            1 => Flags::RST | Flags::ACK,
            2 => Flags::SYN,
            3 => Flags::SYN | Flags::ACK,
            _ => Flags::PSH | Flags::ACK,
        };
        let mut text = [0; 32];
        self.generator.fill(&mut text);
        let segment = TcpSegment {
            source_port: victim.remote.port(),
            destination_port: victim.local.port(),
            seq: self.guess(victim.rcv_nxt),
            // Never sent, or so long ago that it counts for nothing (RFC 5961 §5.2).
            ack: victim.snd_nxt + 1 + self.generator.below(0x4000_0000) as u32,
            flags,
            window: self.generator.below(65_536) as u16,
            payload: match flags.contains(Flags::PSH) {
                true => &text,
                false => &[],
            },
            ..TcpSegment::default()
        };
        let addresses = towards(victim);
        let mut bytes = Vec::new();
        segment.emit(&addresses, &mut bytes);
        packet(addresses, protocol::TCP, &bytes)
    }

    /// An error about a segment that was never sent.
    fn icmp(&mut self, victim: &Status) -> Vec<u8> {
        let addresses = towards(victim);
        let quoted = TcpSegment {
            source_port: victim.local.port(),
            destination_port: victim.remote.port(),
            seq: victim.snd_nxt + 1 + self.generator.below(0x4000_0000) as u32,
            flags: Flags::ACK,
            ..TcpSegment::default()
        };
        let mut bytes = Vec::new();
        quoted.emit(&addresses.reversed(), &mut bytes);
        let quote = packet(addresses.reversed(), protocol::TCP, &bytes);
        let (code, mtu) = (
            self.generator.below(6) as u8,
            600 + self.generator.below(900),
        );
        let mut message = Vec::new();
        if addresses.is_ipv6() {
            let (mtu, quote) = (mtu as u32 + 680, quote.as_slice());
            match code {
                2 => Icmpv6Message::PacketTooBig { mtu, quote },
                code => Icmpv6Message::Unreachable { code, quote },
            }
            .emit(&addresses, &mut message);
            return packet(addresses, protocol::ICMPV6, &message);
        }
        let (mtu, quote) = (mtu as u16, quote.as_slice());
        Icmpv4Message::Unreachable { code, mtu, quote }.emit(&mut message);
        packet(addresses, protocol::ICMPV4, &message)
    }
}

/// A connection that has both its numbers, and a peer to lose. TIME-WAIT has not: a newer SYN may reopen it (RFC 6191).
fn victim(stack: &Stack<HeapRing>) -> Option<Status> {
    let summary = stack
        .endpoints()
        .find(|summary| summary.state.is_synchronised() && summary.state != State::TimeWait)?;
    stack.status(summary.id)
}

/// The addresses of a packet that pretends to come from the peer.
fn towards(victim: &Status) -> IpAddresses {
    IpAddresses {
        source: victim.remote.ip(),
        destination: victim.local.ip(),
    }
}

fn packet(addresses: IpAddresses, number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    IpFields::new(addresses, number).emit(payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}
