//! A peer that says what the test makes it say. Numbers are stream positions: 0 is the byte after each side's SYN.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{
    EndpointId, IpCidr, ListenOptions, ListenerId, ReceiveMeta, SendError, Stack, StackConfig,
    Status,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment};

use crate::common::packets::segment_packet;

const VICTIM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 2));
const LIAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 1));
/// What the peer's windows are shifted by.
const SHIFT: u8 = 10;

/// A segment that the victim sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// The peer's port: which connection it is of.
    pub(crate) port: u16,
    pub(crate) flags: Flags,
    /// Position of the first byte; that of the SYN is 2³² − 1.
    pub(crate) position: u32,
    pub(crate) length: u32,
}

/// The victim, and the peer's side of one connection to it.
pub(crate) struct Liar {
    pub(crate) now: Instant,
    pub(crate) stack: Stack<HeapRing>,
    pub(crate) id: EndpointId,
    pub(crate) listener: ListenerId,
    isn: SequenceNumber,
    iss: SequenceNumber,
    pub(crate) port: u16,
    /// Every connection that was accepted, by the peer's port, with its ISS.
    connections: HashMap<u16, (EndpointId, SequenceNumber)>,
    /// The window every segment offers, bytes; SHIFT bits of it are lost.
    pub(crate) window: u32,
    /// How many segments the victim has sent.
    pub(crate) heard: u64,
}

impl Liar {
    /// A connection that the peer has opened with `mss`, with SACK and window scaling, without timestamps.
    pub(crate) fn new(mss: u16, tweak: impl FnOnce(&mut StackConfig)) -> Liar {
        let mut config = StackConfig {
            addresses: vec![IpCidr::new(VICTIM, 24)],
            ..StackConfig::default()
        };
        config.tcp.timestamps = false;
        config.tcp.receive_ring_max = 8 << 20;
        config.tcp.send_ring_max = 8 << 20;
        tweak(&mut config);
        let now = Instant::from_secs(5_000);
        let mut stack = Stack::new(config, Secret::new([7; 16]), 3, now);
        let options = ListenOptions {
            port: 80,
            backlog: 4_096,
            ..ListenOptions::default()
        };
        let listener = stack.listen(now, options).expect("listen");
        let mut liar = Liar {
            now,
            stack,
            id: EndpointId::from_bits(0),
            listener,
            isn: SequenceNumber(0xffff_0000),
            iss: SequenceNumber(0),
            port: 5_000,
            connections: HashMap::new(),
            window: 16 << 20,
            heard: 0,
        };
        liar.open(mss).expect("a connection");
        liar
    }

    /// Later segments are of the connection from this port, which is another one.
    pub(crate) fn turn_to(&mut self, port: u16) {
        (self.id, self.iss) = self.connections[&port];
        self.port = port;
    }

    /// One more connection, from the next port: later segments are of that one.
    pub(crate) fn open(&mut self, mss: u16) -> Option<EndpointId> {
        self.port += 1;
        let options = TcpOptions {
            mss: Some(mss),
            window_scale: Some(SHIFT),
            sack_permitted: true,
            ..TcpOptions::default()
        };
        self.tell(Flags::SYN, u32::MAX, u32::MAX, options, &[]);
        self.listen()
            .iter()
            .find(|sent| sent.flags.contains(Flags::SYN))?;
        self.ack(0);
        self.listen();
        self.id = self.stack.accept(self.now, self.listener)?;
        self.connections.insert(self.port, (self.id, self.iss));
        Some(self.id)
    }

    /// Sends one segment.
    pub(crate) fn tell(
        &mut self,
        flags: Flags,
        position: u32,
        ack: u32,
        options: TcpOptions,
        text: &[u8],
    ) {
        let segment = TcpSegment {
            source_port: self.port,
            destination_port: 80,
            seq: self.isn + 1 + position,
            ack: match flags.contains(Flags::ACK) {
                true => self.iss + 1 + ack,
                false => SequenceNumber(0),
            },
            flags,
            window: match flags.contains(Flags::SYN) {
                true => 65_535,
                false => (self.window >> SHIFT).min(65_535) as u16,
            },
            urgent_pointer: 0,
            options,
            payload: text,
        };
        let addresses = IpAddresses {
            source: LIAR,
            destination: VICTIM,
        };
        let packet = segment_packet(addresses, &segment);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    /// Acknowledges up to `position`.
    pub(crate) fn ack(&mut self, position: u32) {
        self.tell(Flags::ACK, 0, position, TcpOptions::default(), &[]);
    }

    /// Acknowledges up to `position`, and says to have these beyond.
    pub(crate) fn sack(&mut self, position: u32, blocks: &[(u32, u32)]) {
        let mut options = TcpOptions::default();
        for (start, end) in blocks {
            options
                .sack
                .push(self.iss + 1 + *start, self.iss + 1 + *end);
        }
        self.tell(Flags::ACK, 0, position, options, &[]);
    }

    /// Sends text.
    pub(crate) fn text(&mut self, position: u32, text: &[u8]) {
        self.tell(Flags::ACK, position, 0, TcpOptions::default(), text);
    }

    /// What the victim sends now.
    pub(crate) fn listen(&mut self) -> Vec<Sent> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| packets.push(packet.to_vec()));
        }
        while self.stack.poll_event().is_some() {}
        self.heard += packets.len() as u64;
        packets.iter().map(|packet| self.read(packet)).collect()
    }

    fn read(&mut self, packet: &[u8]) -> Sent {
        let header = IpHeader::parse(packet).expect("an IP packet");
        let segment = TcpSegment::parse(&packet[header.payload.clone()]).expect("a segment");
        if segment.flags.contains(Flags::SYN) && segment.destination_port == self.port {
            self.iss = segment.seq;
        }
        let port = segment.destination_port;
        let known = self.connections.get(&port);
        let iss = known.map_or(self.iss, |(_, iss)| *iss);
        Sent {
            port,
            flags: segment.flags,
            position: segment.seq.offset_from(iss).wrapping_sub(1),
            length: segment.payload.len() as u32,
        }
    }

    /// Lets time pass; what the victim sends meanwhile.
    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<Sent> {
        let end = self.now + duration;
        let mut sent = self.listen();
        while let Some(at) = self.stack.next_deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.stack.on_deadline(self.now);
            sent.extend(self.listen());
        }
        self.now = end;
        sent
    }

    /// The victim's user writes as much as there is room for; what is sent at once.
    pub(crate) fn write_all(&mut self) -> Vec<Sent> {
        self.write(usize::MAX)
    }

    /// The victim's user writes `most` bytes, or as much as there is room for.
    pub(crate) fn write(&mut self, mut most: usize) -> Vec<Sent> {
        let piece = [0x5a; 65_536];
        while most > 0 {
            match self
                .stack
                .send(self.now, self.id, &piece[..most.min(piece.len())])
            {
                Ok(count) => most -= count,
                Err(SendError::Full) => break,
                Err(error) => panic!("send: {error}"),
            }
        }
        self.listen()
    }

    pub(crate) fn status(&self) -> Status {
        self.stack.status(self.id).expect("the connection is there")
    }

    /// SND.UNA and SND.NXT as positions.
    pub(crate) fn outstanding(&self) -> (u32, u32) {
        let status = self.status();
        let of = |number: SequenceNumber| number.offset_from(self.iss).wrapping_sub(1);
        (of(status.snd_una), of(status.snd_nxt))
    }

    /// Acknowledges honestly, a round trip of 10 ms at a time, until `bytes` are outstanding. The user's ring is kept full.
    pub(crate) fn fill(&mut self, bytes: u32) {
        self.write_all();
        for _ in 0..200 {
            let (una, nxt) = self.outstanding();
            if nxt - una >= bytes {
                return;
            }
            self.now += Duration::from_millis(10);
            let mss = self.status().mss_send;
            let mut at = una;
            while at < nxt {
                at = nxt.min(at + 2 * mss);
                self.ack(at);
                self.write_all();
            }
        }
        panic!("{:?} outstanding, not {bytes}", self.outstanding());
    }
}
