//! Hosts on two sides of one bottleneck, under one virtual clock.
//!
//! ```text
//!   host 0 ──┐                          ┌── host 2
//!   host 1 ──┤ router ══ Link ══ router ├── host 3
//!            ┘      (one each way)      └── …
//! ```
//!
//! A packet goes through the [`Link`] of its direction, which all hosts share, and then down the wire of the host it is for, which has
//! a delay and nothing else: so streams with different round trips meet in one queue. [`traffic`] makes streams over it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::ladder::Ladder;
use super::link::{Fate, Impairment, Link};
use super::marks::Marks;
use super::pair::End;
use super::right_edge::RightEdges;
use super::well_formed::segment_of;
use crate::random::{Generator, Secret};
use crate::stack::{Event, IpCidr, ReceiveMeta, Stack, StackConfig};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;
use crate::wire::ladder::Direction;

pub mod goodput;
mod router;
pub mod seeded;
pub mod traffic;

pub use router::Router;

/// One host of a network.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Its stack; the network sets the addresses.
    pub stack: StackConfig,
    /// Which side of the bottleneck it is on.
    pub side: End,
    /// What its own wire adds to the delay of every packet that comes for it.
    pub delay: Duration,
}

struct Host {
    stack: Stack<HeapRing>,
    side: End,
    delay: Duration,
    /// On the host's own wire, in order of arrival.
    arriving: VecDeque<(Instant, Vec<u8>)>,
    /// Something happened to its stack since it was last flushed.
    touched: bool,
}

/// Packets of one direction of the bottleneck.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets that came to it.
    pub packets: u64,
    /// Of these, lost by chance.
    pub lost: u64,
    /// Of these, lost because the queue was full.
    pub overflowed: u64,
    /// Of these, lost because they were too large.
    pub too_large: u64,
}

/// What is looked at of a pair of hosts.
#[derive(Debug, Default)]
struct Watch {
    edges: RightEdges,
    marks: Marks,
}

impl Watch {
    /// Looks at a packet that `end` sends, which will be `marked` or not on its way.
    fn check(&mut self, end: End, packet: &[u8], marked: bool) -> Result<(), String> {
        let (header, segment) = segment_of(end, packet)?;
        if let Some(segment) = &segment {
            self.edges.check(end, segment)?;
        }
        self.marks
            .check(end, header.ecn(), segment.as_ref(), marked)
    }
}

/// Hosts and the bottleneck between them.
pub struct Network {
    hosts: Vec<Host>,
    /// `links[0]` leads from left to right.
    links: [Link; 2],
    passed: [Passed; 2],
    /// Everything of either way is lost, whatever the link says.
    outage: [bool; 2],
    /// What fits through either way.
    routers: [Router; 2],
    now: Instant,
    ipv6: bool,
    ladder: Ladder,
    record: bool,
    /// By pair of hosts; `None` when packets are not looked at.
    watch: Option<Vec<Watch>>,
    complaint: Option<String>,
    rounds: u32,
    scratch: Vec<u8>,
}

/// When every network begins.
pub const START: Instant = super::pair::START;

/// So many steps in a row at one instant are a loop in a stack.
const MOST_STEPS_AT_ONCE: u32 = 100_000;
/// One call of a stack may not send more.
const MOST_PACKETS_AT_ONCE: u32 = 200_000;

impl Network {
    /// Hosts in the order of their numbers; `links` lead left to right and right to left.
    pub fn new(hosts: Vec<HostConfig>, links: [Impairment; 2], ipv6: bool, seed: u64) -> Network {
        let mut generator = Generator::from_seed(seed);
        let now = START;
        let hosts = hosts
            .into_iter()
            .enumerate()
            .map(|(number, config)| {
                let mut stack = config.stack;
                let prefix = if ipv6 { 64 } else { 24 };
                stack.addresses = vec![IpCidr::new(Network::address(number, ipv6), prefix)];
                let mut key = [0; 16];
                generator.fill(&mut key);
                Host {
                    stack: Stack::new(stack, Secret::new(key), generator.next_u64(), now),
                    side: config.side,
                    delay: config.delay,
                    arriving: VecDeque::new(),
                    touched: true,
                }
            })
            .collect();
        let links = links.map(|link| Link::new(link, generator.next_u64()));
        Network {
            hosts,
            links,
            passed: [Passed::default(); 2],
            outage: [false; 2],
            routers: [Router::default(); 2],
            now,
            ipv6,
            ladder: Ladder::default(),
            record: false,
            watch: None,
            complaint: None,
            rounds: 0,
            scratch: Vec::new(),
        }
    }

    /// The address of host `number`, 0 to 253.
    #[must_use]
    pub fn address(number: usize, ipv6: bool) -> IpAddr {
        let last = number as u8 + 1;
        if ipv6 {
            Ipv6Addr::new(0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, last.into()).into()
        } else {
            Ipv4Addr::new(198, 18, 0, last).into()
        }
    }

    /// The address of host `number` in this network.
    #[must_use]
    pub fn address_of(&self, number: usize) -> IpAddr {
        Network::address(number, self.ipv6)
    }

    /// Records every packet in [`Network::ladder`] from now on.
    pub fn record(&mut self) {
        self.record = true;
    }

    /// Has every packet looked at from now on: well-formed, with a good checksum, no window that shrinks, and of ECN what RFC 3168 allows.
    /// Good for networks in which any two hosts have one connection at most.
    pub fn watch(&mut self) {
        let pairs = self.hosts.len() * self.hosts.len();
        self.watch = Some((0..pairs).map(|_| Watch::default()).collect());
    }

    /// What was recorded.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many hosts there are.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The stack of a host, to be used; what it sends goes out with the next [`Network::flush`].
    pub fn stack(&mut self, host: usize) -> &mut Stack<HeapRing> {
        self.hosts[host].touched = true;
        &mut self.hosts[host].stack
    }

    /// What the owner of a host's connections should look at next.
    pub fn poll_event(&mut self, host: usize) -> Option<Event> {
        self.hosts[host].stack.poll_event()
    }

    /// The stack of a host, to be looked at.
    #[must_use]
    pub fn look(&self, host: usize) -> &Stack<HeapRing> {
        &self.hosts[host].stack
    }

    /// What came to the bottleneck from `side`.
    #[must_use]
    pub fn passed(&self, side: End) -> Passed {
        self.passed[side as usize]
    }

    /// Changes the bottleneck from `side` to the other.
    pub fn set_link(&mut self, side: End, config: Impairment) {
        self.links[side as usize].reconfigure(config);
    }

    /// What the bottleneck from `side` does to packets.
    #[must_use]
    pub fn link(&self, side: End) -> &Impairment {
        self.links[side as usize].impairment()
    }

    /// Whether everything from `side` is lost from now on.
    pub fn set_outage(&mut self, side: End, outage: bool) {
        self.outage[side as usize] = outage;
    }

    /// Changes what fits through the bottleneck from `side`.
    pub fn set_router(&mut self, side: End, router: Router) {
        self.routers[side as usize] = router;
    }

    /// When the next thing happens by itself.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let arrivals = self.links.iter().filter_map(Link::next_arrival);
        let hosts = self.hosts.iter().flat_map(|host| {
            let arrival = host.arriving.front().map(|(at, _)| *at);
            [arrival, host.stack.next_deadline()].into_iter().flatten()
        });
        arrivals.chain(hosts).min()
    }

    /// Goes to the next thing that happens, at most to `until`, and lets it happen; hosts that something happened to are flushed. False
    /// when nothing happens before.
    ///
    /// # Errors
    /// That a packet was not as it must be, or that a stack asks to be woken at one instant for ever.
    pub fn step(&mut self, until: Instant) -> Result<bool, String> {
        let Some(next) = self.next().filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return Ok(false);
        };
        self.rounds = if next > self.now { 0 } else { self.rounds + 1 };
        if self.rounds > MOST_STEPS_AT_ONCE {
            return Err(format!(
                "something wants to happen at {} for ever",
                self.now
            ));
        }
        self.now = self.now.max(next);
        self.leave_bottleneck();
        for host in &mut self.hosts {
            while host.arriving.front().is_some_and(|(at, _)| *at <= self.now) {
                let Some((_, packet)) = host.arriving.pop_front() else {
                    break;
                };
                let meta = ReceiveMeta {
                    checksum_trusted: false,
                    segment_size: None,
                };
                host.stack.receive(self.now, &packet, meta);
                host.touched = true;
            }
            if host.stack.next_deadline().is_some_and(|at| at <= self.now) {
                host.stack.on_deadline(self.now);
                host.touched = true;
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Puts what the hosts want to send on its way.
    ///
    /// # Errors
    /// That a packet was not as it must be, or that a stack does not stop sending.
    pub fn flush(&mut self) -> Result<(), String> {
        for number in 0..self.hosts.len() {
            if std::mem::take(&mut self.hosts[number].touched) {
                self.flush_host(number)?;
            }
        }
        self.complaint.take().map_or(Ok(()), Err)
    }

    /// What has crossed the bottleneck is on the wires of its hosts.
    fn leave_bottleneck(&mut self) {
        for side in End::BOTH {
            while let Some((packet, _)) = self.links[side as usize].receive(self.now) {
                let Some(to) = destination(&packet, self.hosts.len()) else {
                    continue;
                };
                let host = &mut self.hosts[to];
                host.arriving.push_back((self.now + host.delay, packet));
            }
        }
    }

    fn flush_host(&mut self, from: usize) -> Result<(), String> {
        let mut packets = 0;
        let host = &mut self.hosts[from];
        let mut way = Way {
            link: &mut self.links[host.side as usize],
            passed: &mut self.passed[host.side as usize],
            outage: self.outage[host.side as usize],
            router: self.routers[host.side as usize],
        };
        let mut seen = Vec::new();
        let look = self.record || self.watch.is_some();
        while let Some(transmit) = host.stack.poll_transmit(self.now) {
            transmit.write_packets_with(&mut self.scratch, |packet| {
                packets += 1;
                let (fate, complaint) = way.send(self.now, packet);
                if let Some(complaint) = complaint {
                    host.arriving.push_back((self.now + host.delay, complaint));
                }
                if look {
                    seen.push((packet.to_vec(), fate));
                }
            });
            if packets > MOST_PACKETS_AT_ONCE {
                return Err(format!("{packets} packets at once at {}", self.now));
            }
        }
        for (packet, fate) in seen {
            self.look_at(from, &packet, fate);
        }
        Ok(())
    }

    fn look_at(&mut self, from: usize, packet: &[u8], fate: Fate) {
        let Some(to) = destination(packet, self.hosts.len()) else {
            let complaint = format!("host {from} sent a packet to nobody");
            self.complaint.get_or_insert(complaint);
            return;
        };
        if self.record {
            let at = Instant::ZERO + self.now.duration_since(START);
            let side = self.hosts[from].side;
            let (left, right, direction) = match side {
                End::Left => (from, to, Direction::Right),
                End::Right => (to, from, Direction::Left),
            };
            let (text, remark) = (super::pair::text_of(packet), super::pair::remark_of(fate));
            let right = format!("host {right} {remark}");
            let arrives = matches!(fate, Fate::Arrives { .. });
            let left = format!("host {left}");
            self.ladder
                .packet(at, &left, direction, text, arrives, right.trim_end());
        }
        if let Some(watch) = &mut self.watch {
            let (low, high) = (from.min(to), from.max(to));
            let end = match from == low {
                true => End::Left,
                false => End::Right,
            };
            let watch = &mut watch[low * self.hosts.len() + high];
            // Damage may look like a mark: nothing protects that field in IPv6.
            let marked = match fate {
                Fate::Arrives {
                    marked, damaged, ..
                } => marked || damaged && self.ipv6,
                Fate::Lost | Fate::QueueFull => false,
            };
            if let Err(complaint) = watch.check(end, packet, marked) {
                self.complaint
                    .get_or_insert(format!("hosts {low} (left) and {high}: {complaint}"));
            }
        }
    }
}

/// One direction through the bottleneck.
struct Way<'n> {
    link: &'n mut Link,
    passed: &'n mut Passed,
    outage: bool,
    router: Router,
}

impl Way<'_> {
    /// What becomes of a packet, and what its sender is told.
    fn send(&mut self, now: Instant, packet: &[u8]) -> (Fate, Option<Vec<u8>>) {
        self.passed.packets += 1;
        if !self.router.passes(packet) {
            self.passed.too_large += 1;
            return (Fate::Lost, self.router.complaint(packet));
        }
        let fate = match self.outage {
            true => Fate::Lost,
            false => self.link.send(now, packet.to_vec(), 0),
        };
        match fate {
            Fate::Lost => self.passed.lost += 1,
            Fate::QueueFull => self.passed.overflowed += 1,
            Fate::Arrives { .. } => {}
        }
        (fate, None)
    }
}

/// The host that a packet is for, by the last byte of its destination address.
fn destination(packet: &[u8], hosts: usize) -> Option<usize> {
    let last = match packet.first()? >> 4 {
        4 => *packet.get(19)?,
        _ => *packet.get(39)?,
    };
    (usize::from(last).checked_sub(1)).filter(|number| *number < hosts)
}

#[cfg(test)]
mod tests;
