//! One stack, and a peer that sends whatever the test writes: numbers are relative, 0 is each side's SYN.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::stack::{
    ConnectOptions, EndpointId, Event, ListenOptions, ListenerId, ReceiveMeta, StackConfig,
};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment};

use crate::common::packets::segment_packet;
use crate::wire::{LEFT, RIGHT, TestStack, config, stack};

/// The stack is RIGHT, port 80; the peer is LEFT, port 5000.
pub(crate) struct Peer {
    pub(crate) now: Instant,
    pub(crate) stack: TestStack,
    pub(crate) port: u16,
    pub(crate) stack_port: u16,
    /// Our own SYN's number.
    pub(crate) isn: SequenceNumber,
    /// The stack's, once seen.
    pub(crate) iss: Option<SequenceNumber>,
    /// The window we offer, as it stands in the header.
    pub(crate) window: u16,
    pub(crate) options: TcpOptions,
    pub(crate) events: Vec<Event>,
}

impl Peer {
    /// Without timestamps, window scale and super-segments, so that the numbers are easy; `tweak` may turn them on.
    pub(crate) fn new(tweak: impl FnOnce(&mut StackConfig)) -> Self {
        let mut config = config(IpAddr::from(RIGHT));
        config.tcp.timestamps = false;
        config.tcp.window_scale = false;
        config.gso_max = 0;
        tweak(&mut config);
        let now = Instant::from_secs(5000);
        Self {
            now,
            stack: stack(config, 3, now),
            port: 5000,
            stack_port: 80,
            isn: SequenceNumber(0xffff_ff00),
            iss: None,
            window: 65_535,
            options: TcpOptions::default(),
            events: Vec::new(),
        }
    }

    pub(crate) fn listen(&mut self) -> ListenerId {
        let options = ListenOptions {
            port: 80,
            ..ListenOptions::default()
        };
        self.stack.listen(self.now, options).expect("listen")
    }

    /// A connection the peer opened, accepted; MSS 1000 both ways.
    pub(crate) fn established(&mut self) -> EndpointId {
        let listener = self.listen();
        self.options.mss = Some(1000);
        self.tell("S", 0, 0, b"");
        assert_eq!(self.out().len(), 1, "SYN-ACK");
        self.options.mss = None;
        self.tell(".", 1, 1, b"");
        self.stack.accept(self.now, listener).expect("accepted")
    }

    /// A connection the stack opens: SYN has been sent.
    pub(crate) fn connecting(&mut self) -> EndpointId {
        let remote = (IpAddr::from(LEFT), self.port).into();
        let options = ConnectOptions {
            local_port: 80,
            ..ConnectOptions::to(remote)
        };
        let id = self.stack.connect(self.now, options).expect("connect");
        assert_eq!(self.out(), ["S 0(0)"]);
        id
    }

    /// Sends one segment.
    pub(crate) fn tell(&mut self, flags: &str, seq: u32, ack: u32, data: &[u8]) {
        let segment = self.segment(flags, seq, ack, data);
        let packet = self.packet(&segment);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    pub(crate) fn segment<'a>(
        &self,
        flags: &str,
        seq: u32,
        ack: u32,
        data: &'a [u8],
    ) -> TcpSegment<'a> {
        let flags: Flags = flags.parse().expect("flags");
        let acknowledged = self.iss.unwrap_or(SequenceNumber(0)) + ack;
        TcpSegment {
            source_port: self.port,
            destination_port: self.stack_port,
            seq: self.isn + seq,
            ack: if flags.contains(Flags::ACK) {
                acknowledged
            } else {
                SequenceNumber(0)
            },
            flags,
            window: self.window,
            urgent_pointer: 0,
            options: self.options,
            payload: data,
        }
    }

    pub(crate) fn packet(&self, segment: &TcpSegment<'_>) -> Vec<u8> {
        let addresses = IpAddresses {
            source: LEFT.into(),
            destination: RIGHT.into(),
        };
        segment_packet(addresses, segment)
    }

    /// What the stack sends now, one word a segment: `S. 0(0) ack 1`, with `win` where it is asked for by [`Peer::out_with_window`].
    pub(crate) fn out(&mut self) -> Vec<String> {
        self.segments()
            .iter()
            .map(|(text, _, _)| text.clone())
            .collect()
    }

    pub(crate) fn out_with_window(&mut self) -> Vec<String> {
        self.segments()
            .iter()
            .map(|(text, window, _)| format!("{text} win {window}"))
            .collect()
    }

    pub(crate) fn segments(&mut self) -> Vec<(String, u16, TcpOptions)> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| packets.push(packet.to_vec()));
        }
        while let Some(event) = self.stack.poll_event() {
            self.events.push(event);
        }
        packets.iter().map(|packet| self.describe(packet)).collect()
    }

    fn describe(&mut self, packet: &[u8]) -> (String, u16, TcpOptions) {
        let header = IpHeader::parse(packet).expect("an IP packet");
        let bytes = &packet[header.payload.clone()];
        assert!(TcpSegment::verify(&header.addresses, bytes), "checksum");
        let segment = TcpSegment::parse(bytes).expect("a segment");
        if segment.flags.contains(Flags::SYN) {
            self.iss = Some(segment.seq);
        }
        let seq = match self.iss {
            Some(iss) => segment.seq.offset_from(iss),
            None => segment.seq.0,
        };
        let mut text = format!("{} {seq}({})", segment.flags, segment.payload.len());
        if segment.flags.contains(Flags::ACK) {
            text.push_str(&format!(" ack {}", segment.ack.offset_from(self.isn)));
        }
        (text, segment.window, segment.options)
    }

    /// Lets time pass, and tells what was sent and when, in milliseconds from now.
    pub(crate) fn wait(&mut self, duration: Duration) -> Vec<(u64, String)> {
        let (start, end) = (self.now, self.now + duration);
        let mut seen = Vec::new();
        let mut take = |peer: &mut Self| {
            let at = peer.now.duration_since(start).as_millis() as u64;
            seen.extend(peer.out().into_iter().map(|text| (at, text)));
        };
        take(self);
        while let Some(at) = self.stack.next_deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.stack.on_deadline(self.now);
            take(self);
        }
        self.now = end;
        seen
    }

    pub(crate) fn dropped(&self, name: &str) -> u64 {
        let mut found = None;
        self.stack.counters().each(|counter, _, value| {
            if counter == name {
                found = Some(value);
            }
        });
        found.expect("a counter of that name")
    }
}
