//! The two ends joined, and why each packet was sent.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::half::Half;
use crate::random::Generator;
use crate::sim::ladder::Ladder;
use crate::stack::{ReceiveMeta, Stack, State};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;
use crate::wire::ladder::{Direction, brief};
use crate::wire::{Flags, IpHeader, SequenceNumber, TcpSegment};

/// So many packets are a storm, whatever their cause: twice what all pending text, byte by byte, could need.
const MOST_PACKETS: u64 = 4_000;

/// So many answers to answers are let pass beyond the patience, in all the time that a couple is watched: a keepalive probe may cross text
/// (one couple in half a million).
const MOST_LATE: u32 = 1;

/// The depth of an answer.
const ANSWER: u32 = 2;

/// Ordered by arrival, then by age.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Travelling {
    arrives: Instant,
    number: u64,
    to: usize,
    /// Half steps from its cause. 0: a timer, a user or progress; else [`ANSWER`] more than the packet that it answers, but one more than
    /// a packet that looks like keepalive: those are always answered, and one may look so by crossing another.
    depth: u32,
    packet: Vec<u8>,
}

/// What can get done: state, SND.UNA and RCV.NXT of whatever there is.
type Standing = Vec<(State, SequenceNumber, SequenceNumber)>;

pub(super) struct Network {
    halves: [Half; 2],
    delay: Duration,
    now: Instant,
    travelling: BinaryHeap<Reverse<Travelling>>,
    packets: u64,
    quiet_since: Instant,
    ladder: Option<Ladder>,
    met: Instant,
    /// When a packet last moved a state, SND.UNA or RCV.NXT.
    done_at: Instant,
    patience: Duration,
    /// Answers to answers beyond the patience, of each side.
    late: [u32; 2],
}

impl Network {
    /// From now on the two hear each other, and nobody else.
    pub(super) fn join(halves: [Half; 2], delay: Duration, generator: &mut Generator) -> Network {
        let met = halves[0].now.max(halves[1].now) + Duration::from_micros(generator.below(5_000));
        Network {
            halves,
            delay,
            now: met,
            travelling: BinaryHeap::new(),
            packets: 0,
            quiet_since: met,
            ladder: None,
            met,
            done_at: met,
            patience: Duration::ZERO,
            late: [0; 2],
        }
    }

    pub(super) fn record(&mut self) {
        self.ladder = Some(Ladder::default());
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// When the last answer to an answer was sent.
    pub(super) fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    /// Watches them until `end`; `patience` after they met, and after the last time that something got done, they must be quiet.
    pub(super) fn run(&mut self, patience: Duration, end: Instant) -> Result<(), String> {
        self.patience = patience;
        for side in [0, 1] {
            self.halves[side].stack.on_deadline(self.now);
            self.send(side, 0)?;
        }
        loop {
            let arrival = self.travelling.peek().map(|Reverse(next)| next.arrives);
            let deadlines = self.halves.iter().map(|half| half.stack.next_deadline());
            let next = deadlines.flatten().chain(arrival).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                return Ok(());
            };
            self.now = self.now.max(next);
            for side in [0, 1] {
                let stack = &mut self.halves[side].stack;
                if stack.next_deadline().is_some_and(|at| at <= self.now) {
                    stack.on_deadline(self.now);
                    self.send(side, 0)?;
                    self.act(side)?;
                }
            }
            while let Some(Reverse(packet)) = self.travelling.peek()
                && packet.arrives <= self.now
            {
                let Some(Reverse(packet)) = self.travelling.pop() else {
                    break;
                };
                self.arrive(packet)?;
            }
        }
    }

    fn arrive(&mut self, packet: Travelling) -> Result<(), String> {
        let side = packet.to;
        let before = standing(&self.halves[side].stack);
        let meta = ReceiveMeta {
            checksum_trusted: true,
            segment_size: None,
        };
        self.halves[side]
            .stack
            .receive(self.now, &packet.packet, meta);
        let depth = if standing(&self.halves[side].stack) != before {
            self.done_at = self.now;
            0
        } else if looks_like_keepalive(&packet.packet, &before) {
            packet.depth.max(1) + 1
        } else {
            packet.depth + ANSWER
        };
        self.send(side, depth)?;
        self.act(side)
    }

    /// What the user does about it: reads, if he does, and lets go of what has ended.
    fn act(&mut self, side: usize) -> Result<(), String> {
        let half = &mut self.halves[side];
        while half.stack.poll_event().is_some() {}
        let Some(id) = half.connection else {
            return Ok(());
        };
        let Some(view) = half.stack.view(id) else {
            return Ok(());
        };
        if half.reads && view.receive.next > view.receive.read {
            let mut buffer = vec![0; view.receive.capacity as usize];
            half.stack.receive_into(self.now, id, &mut buffer).ok();
        }
        if view.end.is_some() {
            half.stack.close(self.now, id).ok();
            half.connection = None;
        }
        self.send(side, 0)
    }

    /// Puts what a side wants to send on its way.
    fn send(&mut self, side: usize, depth: u32) -> Result<(), String> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.halves[side].stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| packets.push(packet.to_vec()));
        }
        for packet in packets {
            self.packets += 1;
            let segment = parse(&packet);
            if self.ladder.is_some() {
                self.show(side, segment.as_ref(), depth);
            }
            let flags = segment.map_or(Flags::NONE, |segment| segment.flags);
            let is_reset = flags.contains(Flags::RST);
            // The quick SYN after a RST in SYN-SENT (§3.5.1): once a timeout, and thus as good as caused by one.
            let depth = if flags == Flags::SYN { 0 } else { depth };
            if depth >= 2 * ANSWER && !is_reset {
                self.quiet_since = self.now;
                self.late[side] += u32::from(self.now > self.done_at + self.patience);
                if self.late[side] > MOST_LATE {
                    return Err(format!(
                        "an answer to an answer at {:?}",
                        self.now.duration_since(self.met)
                    ));
                }
            }
            if self.packets > MOST_PACKETS {
                return Err(format!("a storm of {MOST_PACKETS} packets"));
            }
            self.travelling.push(Reverse(Travelling {
                arrives: self.now + self.delay,
                number: self.packets,
                to: 1 - side,
                depth,
                packet,
            }));
        }
        Ok(())
    }

    fn show(&mut self, side: usize, segment: Option<&TcpSegment<'_>>, depth: u32) {
        let zero = SequenceNumber(0);
        let text = segment.map_or_else(String::new, |segment| brief(segment, zero, zero));
        let states = [0, 1].map(|side| self.halves[side].state().map_or("", State::name));
        let remark = format!("{} depth {depth}", states[1]);
        let at = Instant::ZERO + self.now.duration_since(self.met);
        let direction = [Direction::Right, Direction::Left][side];
        if let Some(ladder) = &mut self.ladder {
            ladder.packet(at, states[0], direction, text, true, &remark);
        }
    }

    /// The last of the ladder.
    pub(super) fn picture(&self) -> String {
        let ladder = self.ladder.as_ref();
        ladder.map_or_else(String::new, |ladder| ladder.render_last(100))
    }

    /// What came in was accepted or dropped with a reason.
    pub(super) fn check_counters(&self) -> Result<(), String> {
        for half in &self.halves {
            let counters = half.stack.counters();
            let known = counters.segments_accepted + counters.dropped_in_all();
            if counters.segments_in != known {
                return Err(format!("{} in, {known} known", counters.segments_in));
            }
        }
        Ok(())
    }
}

fn parse(packet: &[u8]) -> Option<TcpSegment<'_>> {
    let header = IpHeader::parse(packet).ok()?;
    TcpSegment::parse(&packet[header.payload]).ok()
}

/// One left of RCV.NXT, without text.
fn looks_like_keepalive(packet: &[u8], before: &Standing) -> bool {
    parse(packet).is_some_and(|segment| {
        let bare = segment.payload.is_empty() && segment.flags == Flags::ACK;
        bare && before
            .iter()
            .any(|(_, _, rcv_nxt)| segment.seq + 1 == *rcv_nxt)
    })
}

fn standing(stack: &Stack<HeapRing>) -> Standing {
    stack
        .endpoints()
        .filter_map(|summary| stack.status(summary.id))
        .map(|status| (status.state, status.snd_una, status.rcv_nxt))
        .collect()
}
