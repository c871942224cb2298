//! Two stacks joined by a [`Link`] each way under one virtual clock.
//!
//! [`Pair::step`] goes to the next thing that happens: a packet arrives, or a stack's deadline comes. The user acts in between,
//! then calls [`Pair::flush`], so that what the stacks want to send gets on its way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ladder::Ladder;
use super::link::{Fate, Impairment, Link};
use crate::random::{Generator, Secret};
use crate::stack::{IpCidr, ReceiveMeta, Stack, StackConfig};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;
use crate::wire::ladder::{Direction, brief, one_line};
use crate::wire::{IpHeader, SequenceNumber, TcpSegment, protocol};

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The left column of ladders.
    Left,
    /// The right one.
    Right,
}

impl End {
    /// Both.
    pub const BOTH: [End; 2] = [End::Left, End::Right];

    /// The other one.
    #[must_use]
    pub fn other(self) -> End {
        match self {
            End::Left => End::Right,
            End::Right => End::Left,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Hears of every packet that an end sends, complete and as it stands on the wire, and may refuse it.
pub type Watch = Box<dyn FnMut(Instant, End, &[u8]) -> Result<(), String>>;

/// What a [`Witness`] wants done with a packet before the link has its say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the link decides.
    Pass,
    /// It is lost.
    Lose,
}

/// Sees every packet leave and arrive, with the stack that has just sent or taken it, and may have packets lost. Everything passes,
/// and nothing is noted, by default.
pub trait Witness {
    /// A packet is about to leave `from`.
    fn judge(&mut self, now: Instant, from: End, packet: &[u8]) -> Verdict {
        let _ = (now, from, packet);
        Verdict::Pass
    }

    /// A packet has left `from`, whose stack is `stack`, and this becomes of it.
    fn sent(
        &mut self,
        now: Instant,
        from: End,
        packet: &[u8],
        fate: Fate,
        stack: &Stack<HeapRing>,
    ) {
        let _ = (now, from, packet, fate, stack);
    }

    /// A packet has arrived at `at`, and `stack` has taken or refused it.
    fn arrived(&mut self, now: Instant, at: End, packet: &[u8], stack: &Stack<HeapRing>) {
        let _ = (now, at, packet, stack);
    }
}

/// Two stacks and the network between them.
pub struct Pair {
    stacks: [Stack<HeapRing>; 2],
    /// `links[0]` leads from left to right.
    links: [Link; 2],
    now: Instant,
    ladder: Ladder,
    record: bool,
    /// Super-segments travel uncut, as through a device with TSO and GRO.
    offload: bool,
    sent: u64,
    watch: Option<Watch>,
    witness: Option<Box<dyn Witness>>,
    /// What `watch` did not like first.
    complaint: Option<String>,
    idle_deadlines: u32,
}

/// When every pair begins.
pub const START: Instant = Instant::from_secs(1_000);

/// So many deadlines in a row at one instant are a loop in a stack.
const MOST_DEADLINES_AT_ONCE: u32 = 10_000;

impl Pair {
    /// Two stacks whose addresses are set by the pair (see [`Pair::address`]); `links` lead left to right and right to left.
    pub fn new(configs: [StackConfig; 2], links: [Impairment; 2], ipv6: bool, seed: u64) -> Pair {
        let mut generator = Generator::from_seed(seed);
        let now = START;
        let [left, right] = configs;
        let stacks = [
            new_stack(left, End::Left, ipv6, &mut generator, now),
            new_stack(right, End::Right, ipv6, &mut generator, now),
        ];
        let [there, back] = links;
        Pair {
            stacks,
            links: [
                Link::new(there, generator.next_u64()),
                Link::new(back, generator.next_u64()),
            ],
            now,
            ladder: Ladder::default(),
            record: false,
            offload: false,
            sent: 0,
            watch: None,
            witness: None,
            complaint: None,
            idle_deadlines: 0,
        }
    }

    /// The address of an end.
    #[must_use]
    pub fn address(end: End, ipv6: bool) -> IpAddr {
        let last = end as u8 + 1;
        if ipv6 {
            Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, last.into()).into()
        } else {
            Ipv4Addr::new(198, 18, 0, last).into()
        }
    }

    /// Records every packet in [`Pair::ladder`] from now on.
    pub fn record(&mut self) {
        self.record = true;
    }

    /// Lets super-segments travel uncut from now on. Links must not damage packets then.
    pub fn offload(&mut self) {
        self.offload = true;
    }

    /// Has every packet sent looked at.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Has every packet judged and seen, as it leaves and as it arrives.
    pub fn set_witness(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    /// The host at `end` crashes and starts again: a new stack without memory of the old one, whose secret and seed come from `seed`.
    /// What travels goes on travelling. The new stack has no observer.
    pub fn restart(&mut self, end: End, config: StackConfig, seed: u64) {
        let ipv6 = self.stacks[end.index()]
            .config()
            .addresses
            .iter()
            .any(|own| own.addr.is_ipv6());
        let mut generator = Generator::from_seed(seed);
        self.stacks[end.index()] = new_stack(config, end, ipv6, &mut generator, self.now);
    }

    /// Somebody who is neither end sends a packet, which travels as if the other end of `to` had sent it.
    ///
    /// # Errors
    /// What the watch complained about.
    pub fn forge(&mut self, to: End, packet: &[u8]) -> Result<(), String> {
        let from = to.other();
        self.send(from, packet, 0);
        self.complaint.take().map_or(Ok(()), Err)
    }

    /// How many packets travel in either direction.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.links.iter().map(Link::in_flight).sum()
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The stack of an end.
    pub fn stack(&mut self, end: End) -> &mut Stack<HeapRing> {
        &mut self.stacks[end.index()]
    }

    /// What was recorded.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// How many packets both ends have sent.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.sent
    }

    /// Changes the path from `end` to the other.
    pub fn set_link(&mut self, end: End, config: Impairment) {
        self.links[end.index()].reconfigure(config);
    }

    /// When the next thing happens by itself.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let arrivals = self.links.iter().filter_map(Link::next_arrival);
        let deadlines = self.stacks.iter().filter_map(Stack::next_deadline);
        arrivals.chain(deadlines).min()
    }

    /// Goes to the next thing that happens, at most to `until`, and lets it happen. False when nothing happens before.
    ///
    /// # Errors
    /// What the watch complained about, or that a stack asks to be woken at one instant for ever.
    pub fn step(&mut self, until: Instant) -> Result<bool, String> {
        let Some(next) = self.next().filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return Ok(false);
        };
        self.idle_deadlines = if next > self.now {
            0
        } else {
            self.idle_deadlines + 1
        };
        if self.idle_deadlines > MOST_DEADLINES_AT_ONCE {
            return Err(format!(
                "something wants to happen at {} for ever",
                self.now
            ));
        }
        self.now = self.now.max(next);
        for end in End::BOTH {
            let link = &mut self.links[end.index()];
            while let Some((packet, size)) = link.receive(self.now) {
                let meta = ReceiveMeta {
                    checksum_trusted: false,
                    segment_size: match size {
                        0 => None,
                        size if self.offload => Some(size),
                        _ => None,
                    },
                };
                let stack = &mut self.stacks[end.other().index()];
                stack.receive(self.now, &packet, meta);
                if let Some(witness) = &mut self.witness {
                    witness.arrived(self.now, end.other(), &packet, stack);
                }
            }
        }
        for stack in &mut self.stacks {
            if stack.next_deadline().is_some_and(|at| at <= self.now) {
                stack.on_deadline(self.now);
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Puts what the stacks want to send on its way.
    ///
    /// # Errors
    /// What the watch complained about.
    pub fn flush(&mut self) -> Result<(), String> {
        for end in End::BOTH {
            let mut packets = Vec::new();
            while let Some(mut transmit) = self.stacks[end.index()].poll_transmit(self.now) {
                let mut size = 0;
                if self.offload {
                    size = std::mem::take(&mut transmit.segment_size);
                }
                transmit.write_packets(|packet| packets.push((packet.to_vec(), size)));
                if packets.len() > 100_000 {
                    return Err(format!("100000 packets at once at {}", self.now));
                }
            }
            for (packet, size) in packets {
                self.send(end, &packet, size);
            }
        }
        match self.complaint.take() {
            Some(complaint) => Err(complaint),
            None => Ok(()),
        }
    }

    /// `size` is that at which a super-segment would be cut, 0 for what is none.
    fn send(&mut self, end: End, packet: &[u8], size: u16) {
        self.sent += 1;
        let verdict = match &mut self.witness {
            Some(witness) => witness.judge(self.now, end, packet),
            None => Verdict::Pass,
        };
        let fate = match verdict {
            Verdict::Pass => self.links[end.index()].send(self.now, packet.to_vec(), size),
            Verdict::Lose => Fate::Lost,
        };
        if let Some(witness) = &mut self.witness {
            witness.sent(self.now, end, packet, fate, &self.stacks[end.index()]);
        }
        if self.record {
            self.show(end, packet, fate);
        }
        if let Some(watch) = &mut self.watch
            && let Err(complaint) = watch(self.now, end, packet)
        {
            self.complaint.get_or_insert(complaint);
        }
    }

    fn show(&mut self, end: End, packet: &[u8], fate: Fate) {
        let remark = remark_of(fate);
        let direction = match end {
            End::Left => Direction::Right,
            End::Right => Direction::Left,
        };
        let states = End::BOTH.map(|end| self.state(end));
        let right = match remark {
            "" => states[1].to_owned(),
            remark => remark.to_owned(),
        };
        let arrives = matches!(fate, Fate::Arrives { .. });
        let at = Instant::ZERO + self.now.duration_since(START);
        self.ladder
            .packet(at, states[0], direction, text_of(packet), arrives, &right);
    }

    /// The state of an end's first connection that is neither a listener nor over.
    fn state(&self, end: End) -> &'static str {
        self.stacks[end.index()]
            .endpoints()
            .filter(|summary| summary.remote.port() != 0)
            .map(|summary| summary.state.name())
            .next()
            .unwrap_or("")
    }
}

fn new_stack(
    mut config: StackConfig,
    end: End,
    ipv6: bool,
    generator: &mut Generator,
    now: Instant,
) -> Stack<HeapRing> {
    let prefix = if ipv6 { 64 } else { 24 };
    config.addresses = vec![IpCidr::new(Pair::address(end, ipv6), prefix)];
    let mut key = [0; 16];
    generator.fill(&mut key);
    Stack::new(config, Secret::new(key), generator.next_u64(), now)
}

/// What a ladder says beside a packet.
pub(super) fn remark_of(fate: Fate) -> &'static str {
    match fate {
        Fate::Arrives { damaged: true, .. } => "damaged",
        Fate::Arrives { twice: true, .. } => "arrives twice",
        Fate::Arrives { .. } => "",
        Fate::Lost => "lost",
        Fate::QueueFull => "lost (queue full)",
    }
}

/// A packet as a ladder shows it.
pub(super) fn text_of(packet: &[u8]) -> String {
    if let Ok(header) = IpHeader::parse(packet)
        && header.protocol == protocol::TCP
        && let Ok(segment) = TcpSegment::parse(&packet[header.payload.clone()])
    {
        return brief(&segment, SequenceNumber(0), SequenceNumber(0));
    }
    one_line(packet)
}
