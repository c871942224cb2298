//! From intents to packets: what [`Stack::poll_transmit`] hands out, and what the stack sends to itself.
//!
//! In this order: 1. whole packets (ICMP); 2. replies that belong to no connection's stream; 3. endpoints, in turn, one
//! segment or super-segment each. A packet to an own address does not leave the stack: it is copied, and comes back in.

use std::collections::VecDeque;

use crate::stack::slot::Slot;
use crate::stack::{EndpointId, Stack};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::Pair;
use crate::tcp::endpoint::connection::syn_window;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::transmit::{self, Outgoing, Reply};
use crate::time::Instant;
use crate::wire::{Flags, PartialChecksum, SuperSegment, fragmentation, tcp};

mod headers;
mod loopback;

use headers::IpWishes;

/// Packets the stack sends to itself in one call of [`Stack::poll_transmit`], at most: the owner gets its turn in between.
const LOOPBACK_BATCH: usize = 64;
/// Buffers kept, at most.
const SPARE: usize = LOOPBACK_BATCH;
/// How many whole packets (ICMP) may wait for the device.
const PACKETS_WAITING: usize = 256;

/// A packet or super-segment to be sent. It borrows from the stack: nothing was copied but the headers.
#[derive(Debug)]
pub struct Transmit<'a, R> {
    /// IP and TCP header, or a whole ICMP packet. The TCP checksum field holds the folded sum of the pseudo header, not complemented,
    /// as virtio wants it for a partial checksum.
    pub header: &'a [u8],
    /// The bytes that follow, if any.
    pub payload: Option<Payload<'a, R>>,
    /// Payload bytes at which the super-segment is cut; 0: one packet.
    pub segment_size: u16,
    /// What is left to be summed up; `None` when the packet is complete.
    pub checksum: Option<PartialChecksum>,
}

/// Bytes in a send ring.
#[derive(Debug)]
pub struct Payload<'a, R> {
    /// The ring.
    pub ring: &'a R,
    /// Position of the first byte.
    pub position: u64,
    /// How many bytes, more than 0.
    pub len: u32,
}

impl<R: Ring> Transmit<'_, R> {
    /// The software path: calls `f` with one complete, checksummed packet after the other, none larger than the MTU.
    pub fn write_packets(&self, f: impl FnMut(&[u8])) {
        let mut scratch = Vec::new();
        self.write_packets_with(&mut scratch, f);
    }

    /// The same, with room to build packets in that the caller keeps.
    pub fn write_packets_with(&self, scratch: &mut Vec<u8>, f: impl FnMut(&[u8])) {
        let segment = SuperSegment {
            header: self.header,
            checksum: self.checksum,
            payload_len: self.payload.as_ref().map_or(0, |payload| payload.len),
            segment_size: self.segment_size,
        };
        let read = |offset: u32, out: &mut [u8]| {
            if let Some(payload) = &self.payload {
                payload
                    .ring
                    .read_at(payload.position + u64::from(offset), out);
            }
        };
        segment.for_each_packet(scratch, read, f);
    }
}

/// What output keeps between calls.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The headers handed out last.
    header: Vec<u8>,
    /// Whole packets that wait.
    packets: VecDeque<Vec<u8>>,
    /// Packets to ourselves that wait.
    loopback: VecDeque<(Vec<u8>, u16)>,
    /// Buffers to use again for either.
    spare: Vec<Vec<u8>>,
    /// The last call of [`Stack::poll_transmit`] ran out of its budget.
    cut_short: bool,
}

impl Output {
    /// Lets `build` append a whole packet to a buffer that was used before; `None` when it says that there is none.
    pub(super) fn build(&mut self, build: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Vec<u8>> {
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        let built = build(&mut packet);
        if built {
            return Some(packet);
        }
        self.keep(packet);
        None
    }

    /// Lets `build` append a whole packet; it is queued when that says so and there is room.
    pub(super) fn packet(&mut self, build: impl FnOnce(&mut Vec<u8>) -> bool) {
        if let Some(packet) = self.build(build) {
            self.queue(packet);
        }
    }

    /// Queues a whole packet: as it is when it is not larger than `mtu`, or in fragments under one `identification`, all of them or none.
    pub(super) fn send(&mut self, packet: Vec<u8>, mtu: u16, identification: impl FnOnce() -> u32) {
        if packet.len() <= usize::from(mtu) {
            return self.queue(packet);
        }
        let mut pieces = Vec::new();
        fragmentation::split(&packet, mtu, identification(), |piece| pieces.push(piece));
        if self.packets.len() + pieces.len() <= PACKETS_WAITING {
            self.packets.extend(pieces);
        }
        self.keep(packet);
    }

    fn queue(&mut self, packet: Vec<u8>) {
        if self.packets.len() < PACKETS_WAITING {
            self.packets.push_back(packet);
        } else {
            self.keep(packet);
        }
    }

    /// A buffer that is not needed any more, to be used again.
    fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }

    /// Whether [`Stack::on_deadline`] and [`Stack::poll_transmit`] should be called again at once.
    pub(super) fn is_in_a_hurry(&self) -> bool {
        self.cut_short
    }
}

/// What the headers in [`Output::header`] are about.
#[derive(Clone, Copy)]
enum Ready {
    /// A whole packet.
    Packet,
    /// A segment without payload.
    Bare(Pair),
    /// A segment of a connection.
    Of(EndpointId, Pair, Outgoing),
}

impl<R: Ring> Stack<R> {
    /// The next packet or super-segment for the device; `None` when there is nothing to send now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_, R>> {
        let ready = self.next_for_device(now);
        if cfg!(debug_assertions) {
            self.check_now_and_then();
        }
        let ready = ready?;
        self.counters.segments_out += 1;
        let (id, length) = match &ready {
            Ready::Of(id, _, out) => (Some(*id), out.length),
            Ready::Packet | Ready::Bare(_) => (None, 0),
        };
        self.counters.bytes_out += (self.output.header.len() + length as usize) as u64;
        self.observer
            .packet_out(now, id, &self.output.header, length);
        Some(self.transmit_of(ready))
    }

    fn transmit_of(&self, ready: Ready) -> Transmit<'_, R> {
        let header = self.output.header.as_slice();
        match ready {
            Ready::Packet => Transmit {
                header,
                payload: None,
                segment_size: 0,
                checksum: None,
            },
            Ready::Bare(pair) => Transmit {
                header,
                payload: None,
                segment_size: 0,
                checksum: partial(&pair),
            },
            Ready::Of(id, pair, out) => {
                let ring = self
                    .endpoints
                    .get(id.key())
                    .and_then(Slot::connection)
                    .map(|conn| &conn.rings.send);
                let payload = ring.filter(|_| out.length > 0).map(|ring| Payload {
                    ring,
                    position: out.position,
                    len: out.length,
                });
                let segment_size = if out.length > out.segment_size {
                    out.segment_size as u16
                } else {
                    0
                };
                Transmit {
                    header,
                    payload,
                    segment_size,
                    checksum: partial(&pair),
                }
            }
        }
    }

    /// The next one that has to leave the stack; those to ourselves are delivered on the way.
    fn next_for_device(&mut self, now: Instant) -> Option<Ready> {
        let mut budget = LOOPBACK_BATCH;
        loop {
            while let Some(ready) = self.build_next(now) {
                let (Ready::Bare(pair) | Ready::Of(_, pair, _)) = ready else {
                    return Some(ready);
                };
                if !self.addresses.contains(pair.remote) {
                    return Some(ready);
                }
                self.loop_back(ready);
            }
            while budget > 0 && self.deliver_one(now) {
                budget -= 1;
            }
            let silent = self.is_silent();
            self.output.cut_short = !silent;
            if budget == 0 || silent {
                return None;
            }
        }
    }

    fn is_silent(&self) -> bool {
        self.output.loopback.is_empty()
            && self.output.packets.is_empty()
            && self.sendable.is_empty()
            && self.replies.is_empty()
    }

    /// Builds the headers of the next segment, whoever it is for.
    fn build_next(&mut self, now: Instant) -> Option<Ready> {
        if let Some(packet) = self.output.packets.pop_front() {
            self.counters.icmp_out += 1;
            let before = std::mem::replace(&mut self.output.header, packet);
            self.output.keep(before);
            return Some(Ready::Packet);
        }
        self.counters.replies_lost = self.replies.lost;
        if let Some(reply) = self.replies.pop() {
            self.build_reply(&reply);
            return Some(Ready::Bare(reply.pair));
        }
        if let Some(half) = self.replies.pop_syn_ack() {
            self.build_syn_ack(now, &half);
            return Some(Ready::Bare(half.pair));
        }
        while let Some(&id) = self.sendable.front() {
            if let Some(ready) = self.build_for(now, id) {
                // The next one in turn.
                self.sendable.rotate_left(1);
                return Some(ready);
            }
            self.sendable.pop_front();
        }
        None
    }

    /// The next segment of one endpoint.
    fn build_for(&mut self, now: Instant, id: EndpointId) -> Option<Ready> {
        let (slot, mut cx) = self.at(now, id)?;
        match slot {
            Slot::Connection(conn) => {
                let out = transmit::next(conn, &mut cx);
                if out.is_none() {
                    conn.queued = false;
                }
                let (pair, flow_label, dscp) = (conn.pair, conn.flow_label, conn.options.dscp);
                let earliest = conn.timers.earliest().map(|(_, at)| at);
                if cfg!(debug_assertions) {
                    conn.assert_invariants();
                    if out.is_none() {
                        conn.assert_not_stalled();
                    }
                }
                self.arm(id, earliest);
                debug_assert!(self.is_armed(id, earliest), "the wheel forgot {id}");
                let out = out?;
                let ecn = out.ecn;
                let wishes = IpWishes {
                    flow_label,
                    dscp,
                    ecn,
                };
                self.build_segment(&pair, wishes, &out);
                Some(Ready::Of(id, pair, out))
            }
            Slot::HalfOpen(half) => {
                if !std::mem::take(&mut half.synack_due) {
                    half.queued = false;
                    return None;
                }
                let half = **half;
                self.build_syn_ack(now, &half);
                Some(Ready::Bare(half.pair))
            }
            Slot::SynSent(open) => {
                let pair = open.pair;
                if std::mem::take(&mut open.syn_due) {
                    open.sent_at.get_or_insert(now);
                    self.build_syn(now, id);
                    return Some(Ready::Bare(pair));
                }
                if std::mem::take(&mut open.fin_due) {
                    let fin = fin_of(open, now)?;
                    self.build_reply(&fin);
                    return Some(Ready::Bare(pair));
                }
                open.queued = false;
                None
            }
            Slot::TimeWait(_, rest) => {
                if let Some(conn) = rest {
                    conn.queued = false;
                }
                None
            }
            Slot::Listener(_) => None,
        }
    }
}

/// `<SEQ=ISS+1><ACK=RCV.NXT><CTL=FIN,ACK>`: CLOSE in the SYN-RECEIVED of a simultaneous open (RFC 9293 §3.10.4).
fn fin_of<R: Ring>(open: &SynSent<R>, now: Instant) -> Option<Reply> {
    let half = open.crossed.as_ref()?;
    let window = syn_window(open.rings.receive.capacity());
    let mut fin = Reply::of_half_open(half, half.iss + 1, window, now);
    fin.flags |= Flags::FIN;
    Some(fin)
}

fn partial(pair: &Pair) -> Option<PartialChecksum> {
    Some(PartialChecksum {
        start: pair.ip_header_len() as u16,
        offset: tcp::CHECKSUM_OFFSET as u16,
    })
}
