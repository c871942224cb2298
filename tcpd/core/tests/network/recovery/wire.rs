//! A sender, a reader, and a wire between them that does to each packet what a test says.
//!
//! The reader reads at once and compares every byte; what had arrived before is counted where it comes out, so nobody's word is taken
//! for what was sent for nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::sim::network::traffic::pattern;
use tcpd_core::sim::pair::{End, Pair, START};
use tcpd_core::stack::{
    ConnectOptions, EndpointId, IpCidr, ListenOptions, ListenerId, ReceiveError, ReceiveMeta,
    SendError, Stack, StackConfig, Status,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpHeader, TcpSegment};

/// Milliseconds.
pub(crate) const MS: Duration = Duration::from_millis(1);
const PORT: u16 = 80;
/// The longest piece that is written or read at once, bytes.
const PIECE: usize = 16 << 10;

/// One packet, as it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    /// When, after the beginning.
    pub(crate) at: Duration,
    /// From the sender of text; otherwise from the reader.
    pub(crate) forth: bool,
    /// The first byte of text, by its place in the stream.
    pub(crate) start: u64,
    /// Bytes of text.
    pub(crate) length: u64,
    /// Of packets with text: how many were sent before it.
    pub(crate) number: u64,
    /// Some of its text was sent before.
    pub(crate) again: bool,
}

impl Packet {
    /// The place behind the last byte of text.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// How long a packet is under way; `None`: it is lost.
pub(crate) type Rule = Box<dyn FnMut(&Packet) -> Option<Duration>>;

/// A wire that sends one packet after the other, each for `spacing`, and takes `delay`.
pub(crate) struct Line {
    delay: Duration,
    spacing: Duration,
    free: Duration,
}

impl Line {
    pub(crate) fn new(delay: Duration, spacing: Duration) -> Line {
        Line {
            delay,
            spacing,
            free: Duration::ZERO,
        }
    }

    /// How long a packet is under way that is sent `at`.
    pub(crate) fn passes(&mut self, at: Duration) -> Duration {
        self.free = self.free.max(at) + self.spacing;
        self.free + self.delay - at
    }
}

/// A path whose way back takes `back`; what `forth` says becomes of what the sender sends.
pub(crate) fn one_way(
    back: Duration,
    mut forth: impl FnMut(&Packet) -> Option<Duration> + 'static,
) -> Rule {
    Box::new(move |packet: &Packet| match packet.forth {
        true => forth(packet),
        false => Some(back),
    })
}

/// What an ACK found at the sender, and what went out for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgment {
    /// When it arrived, after the beginning.
    pub(crate) at: Duration,
    /// CWND after it, bytes.
    pub(crate) cwnd: u32,
    /// SSTHRESH after it, bytes.
    pub(crate) ssthresh: Option<u32>,
    /// Whether a fast recovery is under way after it.
    pub(crate) in_recovery: bool,
    /// Packets that were sent because of it.
    pub(crate) released: u64,
}

/// What is under way: when it arrives, its age, whether it comes from the sender, its bytes.
type Travelling = (Instant, u64, bool, Vec<u8>);

/// Both ends and what is between them.
pub(crate) struct Wire {
    now: Instant,
    sender: Stack<HeapRing>,
    reader: Stack<HeapRing>,
    from: EndpointId,
    to: Option<EndpointId>,
    listener: ListenerId,
    rule: Rule,
    travelling: BinaryHeap<Reverse<Travelling>>,
    count: u64,
    highest: u64,
    /// Bytes the user has asked to be sent, and those the ring has taken.
    wanted: u64,
    written: u64,
    /// Bytes that came out.
    pub(crate) read: u64,
    /// When the last of them did.
    pub(crate) read_at: Duration,
    /// Which of them came in: an entry a byte.
    seen: Vec<bool>,
    /// Packets whose text had arrived before, all of it.
    pub(crate) came_twice: u64,
    /// Every packet with text.
    pub(crate) sent: Vec<Packet>,
    /// Every ACK that arrived at the sender.
    pub(crate) acknowledgments: Vec<Acknowledgment>,
}

impl Wire {
    /// A connection over `rule`, established, from a sender to a reader who both are as `tweak` would have them, with rings that never limit.
    pub(crate) fn new(tweak: impl Fn(&mut StackConfig), rule: Rule) -> Wire {
        let stack = |end: End| {
            let mut config = StackConfig {
                addresses: vec![IpCidr::new(Pair::address(end, false), 24)],
                ..StackConfig::default()
            };
            let tcp = &mut config.tcp;
            (tcp.receive_ring, tcp.receive_ring_max) = (4 << 20, 4 << 20);
            (tcp.send_ring, tcp.send_ring_max) = (4 << 20, 4 << 20);
            tweak(&mut config);
            Stack::new(config, Secret::new([end as u8; 16]), end as u64, START)
        };
        let (mut sender, mut reader) = (stack(End::Left), stack(End::Right));
        let options = ListenOptions {
            port: PORT,
            ..ListenOptions::default()
        };
        let listener = reader.listen(START, options).expect("a listener");
        let remote = SocketAddr::new(Pair::address(End::Right, false), PORT);
        let from = sender.connect(START, ConnectOptions::to(remote));
        let mut wire = Wire {
            now: START,
            sender,
            reader,
            from: from.expect("a connection"),
            to: None,
            listener,
            rule,
            travelling: BinaryHeap::new(),
            count: 0,
            highest: 0,
            wanted: 0,
            written: 0,
            read: 0,
            read_at: Duration::ZERO,
            seen: Vec::new(),
            came_twice: 0,
            sent: Vec::new(),
            acknowledgments: Vec::new(),
        };
        wire.flush();
        let limit = START + Duration::from_secs(60);
        while wire.to.is_none() && wire.step(limit) {}
        assert!(wire.to.is_some(), "no connection comes about");
        wire
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now.duration_since(START)
    }

    /// Everything the sender knows.
    pub(crate) fn status(&self) -> Status {
        self.sender
            .status(self.from)
            .expect("the connection is there")
    }

    /// The user writes `bytes` more, as there is room.
    pub(crate) fn write(&mut self, bytes: u64) {
        self.wanted += bytes;
        self.pump();
        self.flush();
    }

    /// Lets so much time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Lets time pass until all that was written is read; for `limit` at most.
    pub(crate) fn finish(&mut self, limit: Duration) {
        let until = self.now + limit;
        while self.read < self.wanted {
            assert!(
                self.step(until),
                "{} of {} bytes are read after {limit:?}: {:?}",
                self.read,
                self.wanted,
                self.status()
            );
        }
    }

    /// Writes `bytes` and lets time pass until they are read.
    pub(crate) fn transfer(&mut self, bytes: u64, limit: Duration) {
        self.write(bytes);
        self.finish(limit);
    }

    /// The next thing happens, if it does before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let arrival = self.travelling.peek().map(|Reverse((at, ..))| *at);
        let deadlines = [self.sender.next_deadline(), self.reader.next_deadline()];
        let next = deadlines.into_iter().chain([arrival]).flatten().min();
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        for stack in [&mut self.sender, &mut self.reader] {
            if stack.next_deadline().is_some_and(|at| at <= self.now) {
                stack.on_deadline(self.now);
            }
        }
        self.flush();
        while let Some(Reverse((at, ..))) = self.travelling.peek()
            && *at <= self.now
            && let Some(Reverse((_, _, forth, bytes))) = self.travelling.pop()
        {
            self.arrive(forth, &bytes);
        }
        true
    }

    fn arrive(&mut self, forth: bool, bytes: &[u8]) {
        if forth {
            self.note_arrival(bytes);
            self.reader.receive(self.now, bytes, ReceiveMeta::default());
            self.consume();
            self.flush();
            return;
        }
        self.sender.receive(self.now, bytes, ReceiveMeta::default());
        self.pump();
        let before = self.sent.len();
        self.flush();
        let status = self.status();
        self.acknowledgments.push(Acknowledgment {
            at: self.elapsed(),
            cwnd: status.cwnd,
            ssthresh: status.ssthresh,
            in_recovery: status.in_recovery,
            released: (self.sent.len() - before) as u64,
        });
    }

    fn note_arrival(&mut self, bytes: &[u8]) {
        let Some((start, length)) = self.text_of(bytes).filter(|(_, length)| *length > 0) else {
            return;
        };
        let (start, end) = (start as usize, (start + length) as usize);
        if self.seen.len() < end {
            self.seen.resize(end, false);
        }
        let stretch = &mut self.seen[start..end];
        self.came_twice += u64::from(stretch.iter().all(|seen| *seen));
        stretch.fill(true);
    }

    /// Where the text of a packet of the sender lies in the stream.
    fn text_of(&self, packet: &[u8]) -> Option<(u64, u64)> {
        let header = IpHeader::parse(packet).expect("a packet");
        let segment = TcpSegment::parse(&packet[header.payload.clone()]).expect("a segment");
        if segment.flags.contains(Flags::SYN) {
            return None;
        }
        let start = segment.seq.offset_from(self.status().iss).wrapping_sub(1);
        Some((start.into(), segment.payload.len() as u64))
    }

    /// The user of the sender writes as much as there is room for.
    fn pump(&mut self) {
        while self.written < self.wanted {
            let most = (self.wanted - self.written).min(PIECE as u64) as usize;
            let piece = pattern(0, self.written, most);
            match self.sender.send(self.now, self.from, piece) {
                Ok(count) => self.written += count as u64,
                Err(SendError::Full) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The user of the reader takes what is there.
    fn consume(&mut self) {
        if self.to.is_none() {
            self.to = self.reader.accept(self.now, self.listener);
        }
        let Some(to) = self.to else { return };
        let mut piece = [0; PIECE];
        loop {
            match self.reader.receive_into(self.now, to, &mut piece) {
                Ok(count) => {
                    assert!(
                        piece[..count] == *pattern(0, self.read, count),
                        "other bytes than were written after {}",
                        self.read
                    );
                    self.read += count as u64;
                    self.read_at = self.elapsed();
                }
                Err(ReceiveError::Empty) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn flush(&mut self) {
        for forth in [true, false] {
            let mut packets = Vec::new();
            let stack = if forth {
                &mut self.sender
            } else {
                &mut self.reader
            };
            while let Some(transmit) = stack.poll_transmit(self.now) {
                transmit.write_packets(|packet| packets.push(packet.to_vec()));
            }
            for packet in packets {
                self.depart(forth, packet);
            }
        }
    }

    fn depart(&mut self, forth: bool, bytes: Vec<u8>) {
        let (start, length) = match forth {
            true => self.text_of(&bytes).unwrap_or_default(),
            false => (0, 0),
        };
        let packet = Packet {
            at: self.elapsed(),
            forth,
            start,
            length,
            number: self.sent.len() as u64,
            again: length > 0 && start < self.highest,
        };
        if length > 0 {
            self.highest = self.highest.max(packet.end());
            self.sent.push(packet);
        }
        if let Some(long) = (self.rule)(&packet) {
            self.count += 1;
            let entry = (self.now + long, self.count, forth, bytes);
            self.travelling.push(Reverse(entry));
        }
    }
}
