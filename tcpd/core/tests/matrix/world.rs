//! One stack and its peer: real segments in, real calls, and everything that comes of them.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{
    Cause, ConnectOptions, ConnectionOptions, EndpointId, Event, IpCidr, KeepAlive, ListenOptions,
    ListenerId, Observer, ReceiveMeta, Stack, StackConfig, State, Status,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::tcp::drop_reason::DropReason;
use tcpd_core::time::Instant;
use tcpd_core::wire::{
    Flags, IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment, Timestamps, protocol,
};

use crate::common::packets::{packet, segment_packet};

/// Bytes of every receive ring: the window, where nothing is unread.
pub(crate) const RING: u32 = 4096;
/// What the peer offers, bytes: MAX.SND.WND.
pub(crate) const PEER_WINDOW: u16 = 1000;
const LOCAL_PORT: u16 = 80;
const PEER_PORT: u16 = 5000;
/// The peer of the connection that fills a listener's queue.
const OTHER_PORT: u16 = 5001;

/// The two families: every cell is played for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn local(self) -> IpAddr {
        match self {
            Self::V4 => [198, 18, 0, 2].into(),
            Self::V6 => [0xfd00, 0, 0, 0, 0, 0, 0, 2].into(),
        }
    }

    fn peer(self) -> IpAddr {
        match self {
            Self::V4 => [198, 18, 0, 1].into(),
            Self::V6 => [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(),
        }
    }
}

/// What an event needs to be true of the connection before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Both sides agree on timestamps.
    pub(crate) timestamps: bool,
    /// Ten bytes lie unread.
    pub(crate) unread: bool,
    /// The user asked for keepalive: 10 s, 1 s, two probes.
    pub(crate) keep_alive: bool,
    /// The user gave a user timeout shorter than the retransmission timeout.
    pub(crate) user_timeout: bool,
    /// The user gave an idle timeout of 15 s.
    pub(crate) idle_timeout: bool,
    /// The peer closed its window before anything new was sent.
    pub(crate) peer_window_closed: bool,
    /// What is to be acknowledged later is left so.
    pub(crate) acknowledgment_owed: bool,
}

impl Setup {
    /// Nothing special.
    pub(crate) const NONE: Self = Self {
        timestamps: false,
        unread: false,
        keep_alive: false,
        user_timeout: false,
        idle_timeout: false,
        peer_window_closed: false,
        acknowledgment_owed: false,
    };
}

/// What the observer and the event queue told since they were last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) transitions: Vec<(State, State, Cause)>,
    pub(crate) dropped: Vec<DropReason>,
}

#[derive(Clone, Debug, Default)]
struct Ear(Rc<RefCell<Told>>);

impl Observer for Ear {
    fn transition(&mut self, _: Instant, _: EndpointId, from: State, to: State, why: Cause) {
        self.0.borrow_mut().transitions.push((from, to, why));
    }

    fn dropped(&mut self, _: Instant, reason: DropReason, _: &[u8]) {
        self.0.borrow_mut().dropped.push(reason);
    }
}

/// A segment that tcpd sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// It goes to the connection that fills the listener's queue.
    pub(crate) to_another: bool,
    pub(crate) flags: Flags,
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    pub(crate) length: u32,
    pub(crate) window: u16,
}

/// A stack in some state, and the peer that brought it there.
pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) setup: Setup,
    pub(crate) now: Instant,
    pub(crate) stack: Stack<HeapRing>,
    /// The connection; in CLOSED and LISTEN a name that names nothing any more.
    pub(crate) id: EndpointId,
    /// The listener, if one is open; otherwise a name that names nothing any more.
    pub(crate) listener: ListenerId,
    /// The peer's initial sequence number.
    pub(crate) isn: SequenceNumber,
    /// What the peer offers.
    pub(crate) window: u16,
    /// The ISS of a SYN,ACK of which the stack keeps nothing.
    pub(crate) cookie: Option<SequenceNumber>,
    /// TSval of the peer's next segment, where timestamps are agreed.
    pub(crate) clock: u32,
    ear: Ear,
}

impl World {
    /// A stack without any endpoint.
    pub(crate) fn new(family: Family, setup: Setup, tweak: fn(&mut StackConfig)) -> Self {
        let mut config = StackConfig {
            addresses: vec![IpCidr {
                addr: family.local(),
                prefix: if family == Family::V6 { 64 } else { 24 },
            }],
            gso_max: 0,
            ..StackConfig::default()
        };
        config.tcp.window_scale = false;
        config.tcp.timestamps = setup.timestamps;
        config.tcp.receive_ring = RING;
        config.tcp.receive_ring_max = RING;
        config.tcp.r2 = 6;
        tweak(&mut config);
        let now = Instant::from_secs(5000);
        let mut stack = Stack::new(config, Secret::new([7; 16]), 1, now);
        let ear = Ear::default();
        stack.set_observer(Box::new(ear.clone()));
        let mut world = Self {
            family,
            setup,
            now,
            stack,
            id: EndpointId::from_bits(0),
            listener: ListenerId::from_bits(0),
            isn: SequenceNumber(0xffff_ff00),
            window: PEER_WINDOW,
            cookie: None,
            clock: 1000,
            ear,
        };
        // Names that were good once: of a listener that was closed again.
        world.listen(1);
        world.id = world.listener.endpoint();
        world.close_listener();
        world.quiet();
        world
    }

    pub(crate) fn local(&self) -> SocketAddr {
        SocketAddr::new(self.family.local(), LOCAL_PORT)
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.family.peer(), PEER_PORT)
    }

    pub(crate) fn options(&self) -> ConnectionOptions {
        ConnectionOptions {
            keepalive: self.setup.keep_alive.then_some(KeepAlive {
                idle: Duration::from_secs(10),
                interval: Duration::from_secs(1),
                count: 2,
            }),
            user_timeout: self
                .setup
                .user_timeout
                .then_some(Duration::from_millis(100)),
            idle_timeout: self.setup.idle_timeout.then_some(Duration::from_secs(15)),
            mss_max: 1000,
            nodelay: true,
            ..ConnectionOptions::default()
        }
    }

    pub(crate) fn listen_options(&self, backlog: u32) -> ListenOptions {
        ListenOptions {
            port: LOCAL_PORT,
            backlog,
            connection: self.options(),
            ..ListenOptions::default()
        }
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            local_port: LOCAL_PORT,
            connection: self.options(),
            ..ConnectOptions::to(self.peer())
        }
    }

    pub(crate) fn listen(&mut self, backlog: u32) {
        let options = self.listen_options(backlog);
        self.listener = self.stack.listen(self.now, options).expect("listen");
    }

    pub(crate) fn close_listener(&mut self) {
        self.stack.close_listener(self.now, self.listener);
    }

    pub(crate) fn connect(&mut self) {
        let options = self.connect_options();
        self.id = self.stack.connect(self.now, options).expect("connect");
    }

    /// The endpoint that has the peer's pair, whoever holds it; one that lives before one that has ended.
    pub(crate) fn find(&self) -> Option<EndpointId> {
        let peer = self.peer();
        let found = self.stack.endpoints().filter(|one| one.remote == peer);
        found
            .max_by_key(|one| one.state != State::Closed)
            .map(|one| one.id)
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.stack.status(self.id)
    }

    /// SND.NXT and RCV.NXT as they are now.
    pub(crate) fn next(&self) -> (SequenceNumber, SequenceNumber) {
        let status = self.status().expect("a connection");
        (status.snd_nxt, status.rcv_nxt)
    }

    /// The peer sends one segment.
    pub(crate) fn tell(
        &mut self,
        flags: &str,
        seq: SequenceNumber,
        ack: SequenceNumber,
        text: &[u8],
    ) {
        let segment = self.segment(flags, seq, ack, text);
        let packet = self.packet(&segment);
        self.receive(&packet);
    }

    pub(crate) fn receive(&mut self, packet: &[u8]) {
        self.stack.receive(self.now, packet, ReceiveMeta::default());
    }

    /// A segment as an honest peer of this connection would make it.
    pub(crate) fn segment<'a>(
        &mut self,
        flags: &str,
        seq: SequenceNumber,
        ack: SequenceNumber,
        text: &'a [u8],
    ) -> TcpSegment<'a> {
        let flags: Flags = flags.parse().expect("flags");
        let syn = flags.contains(Flags::SYN);
        self.clock += 1;
        TcpSegment {
            source_port: PEER_PORT,
            destination_port: LOCAL_PORT,
            seq,
            ack: if flags.contains(Flags::ACK) {
                ack
            } else {
                SequenceNumber(0)
            },
            flags,
            window: self.window,
            options: TcpOptions {
                mss: syn.then_some(1000),
                timestamps: self.setup.timestamps.then_some(Timestamps {
                    value: self.clock,
                    echo: 0,
                }),
                ..TcpOptions::default()
            },
            payload: text,
            ..TcpSegment::default()
        }
    }

    pub(crate) fn packet(&self, segment: &TcpSegment<'_>) -> Vec<u8> {
        segment_packet(self.inbound(), segment)
    }

    /// A packet from the peer.
    pub(crate) fn packet_of(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        packet(self.inbound(), protocol, body)
    }

    pub(crate) fn inbound(&self) -> IpAddresses {
        IpAddresses {
            source: self.family.peer(),
            destination: self.family.local(),
        }
    }

    /// Another client's SYN; our answer to it.
    pub(crate) fn another_syn(&mut self) -> Sent {
        let mut segment = self.segment("S", SequenceNumber(1), SequenceNumber(0), b"");
        segment.source_port = OTHER_PORT;
        let packet = self.packet(&segment);
        self.receive(&packet);
        self.transmitted().pop().expect("SYN-ACK")
    }

    /// Another client's connection, so that the listener's queue is full.
    pub(crate) fn fill_queue(&mut self) {
        let answer = self.another_syn();
        let mut segment = self.segment(".", SequenceNumber(2), answer.seq + 1, b"");
        segment.source_port = OTHER_PORT;
        let packet = self.packet(&segment);
        self.receive(&packet);
    }

    /// What goes out now.
    pub(crate) fn transmitted(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            transmit.write_packets(|packet| sent.push(parse(packet)));
        }
        sent
    }

    /// What the owner is told now.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stack.poll_event()).collect()
    }

    /// What the observer was told since last time.
    pub(crate) fn told(&mut self) -> Told {
        std::mem::take(&mut *self.ear.0.borrow_mut())
    }

    /// Lets everything out that waits, and forgets it.
    pub(crate) fn quiet(&mut self) {
        self.transmitted();
        self.events();
        self.told();
    }

    /// Lets `duration` pass, deadline by deadline, and forgets what was sent.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.quiet();
        while let Some(at) = self.stack.next_deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.stack.on_deadline(self.now);
            self.quiet();
        }
        self.now = end;
    }

    /// Every packet that came in was accepted, or dropped for one reason.
    pub(crate) fn assert_counters_add_up(&self) {
        let counters = self.stack.counters();
        assert_eq!(
            counters.segments_in,
            counters.segments_accepted + counters.dropped_in_all(),
            "in = accepted + dropped"
        );
        assert_eq!(counters.forbidden_transitions, 0, "an arrow of figure 5");
    }
}

fn parse(packet: &[u8]) -> Sent {
    let header = IpHeader::parse(packet).expect("an IP packet");
    assert_eq!(header.protocol, protocol::TCP, "nothing but TCP is sent");
    let bytes = &packet[header.payload.clone()];
    assert!(TcpSegment::verify(&header.addresses, bytes), "checksum");
    let segment = TcpSegment::parse(bytes).expect("a segment");
    Sent {
        to_another: segment.destination_port == OTHER_PORT,
        flags: segment.flags,
        seq: segment.seq,
        ack: segment.ack,
        length: segment.payload.len() as u32,
        window: segment.window,
    }
}
