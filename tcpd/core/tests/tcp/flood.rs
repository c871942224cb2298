//! SYN floods (RFC 4987): 100,000 SYNs a second from sources that never answer, and honest clients in between.
//!
//! `TCPD_FLOOD_SECONDS` makes it longer (`cargo xtask soak`).

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::wire::{LEFT, RIGHT, TestStack, config, pattern, stack};
use tcpd_core::random::Generator;
use tcpd_core::stack::{
    ConnectOptions, EndpointId, ListenOptions, ListenerId, ReceiveMeta, StackConfig, State,
};
use tcpd_core::time::Instant;
use tcpd_core::wire::{
    Flags, IpAddresses, IpFields, SequenceNumber, TcpOptions, TcpSegment, Timestamps, protocol,
};

/// Time between two SYNs: 100,000 a second.
const PERIOD: Duration = Duration::from_micros(10);
/// One way between the honest clients and the victim.
const DELAY: Duration = Duration::from_millis(25);
/// The initial RTO (RFC 6298 §2.1).
const RTO: Duration = Duration::from_secs(1);
const TRUSTED: ReceiveMeta = ReceiveMeta {
    checksum_trusted: true,
    segment_size: None,
};

/// An honest client: sends 10,000 bytes as soon as it is connected, and waits for their echo.
struct Client {
    id: EndpointId,
    started: Instant,
    sent: bool,
    echoed: Vec<u8>,
    done_after: Option<Duration>,
}

/// The victim on the right, the clients' stack on the left, and the flood.
struct Flood {
    now: Instant,
    victim: TestStack,
    listener: ListenerId,
    clients: TestStack,
    wire: VecDeque<(Instant, bool, Vec<u8>)>,
    /// How many packets of a client's port are lost yet, from the client (true) and to it.
    losses: BTreeMap<(u16, bool), u32>,
    connected: Vec<Client>,
    serving: Vec<EndpointId>,
    random: Generator,
    syn_acks: u64,
    resets: u64,
    scratch: Vec<u8>,
}

impl Flood {
    fn new(tweak: impl FnOnce(&mut StackConfig)) -> Self {
        let now = Instant::from_secs(5000);
        let mut victim_config = config(RIGHT.into());
        tweak(&mut victim_config);
        let mut victim = stack(victim_config, 1, now);
        let options = ListenOptions {
            port: 80,
            ..ListenOptions::default()
        };
        let listener = victim.listen(now, options).expect("listen");
        Self {
            now,
            victim,
            listener,
            clients: stack(config(LEFT.into()), 2, now),
            wire: VecDeque::new(),
            losses: BTreeMap::new(),
            connected: Vec::new(),
            serving: Vec::new(),
            random: Generator::from_seed(7),
            syn_acks: 0,
            resets: 0,
            scratch: Vec::new(),
        }
    }

    /// One segment of the flood, from a source that is nobody.
    fn forged(&mut self, flags: Flags) -> Vec<u8> {
        let dice = self.random.next_u64();
        let source = Ipv4Addr::from(0x0a00_0000 | (dice as u32 & 0x00ff_ffff));
        let options = TcpOptions {
            mss: Some(1460),
            timestamps: (dice & 1 << 60 != 0).then_some(Timestamps {
                value: dice as u32,
                echo: 0,
            }),
            window_scale: (dice & 1 << 61 != 0).then_some(7),
            ..TcpOptions::default()
        };
        let segment = TcpSegment {
            source_port: (dice >> 32) as u16 | 1,
            destination_port: 80,
            seq: SequenceNumber(self.random.next_u64() as u32),
            ack: SequenceNumber(self.random.next_u64() as u32),
            flags,
            window: 65_535,
            options,
            ..TcpSegment::default()
        };
        let addresses = IpAddresses {
            source: source.into(),
            destination: RIGHT.into(),
        };
        let mut packet = Vec::with_capacity(80);
        IpFields::new(addresses, protocol::TCP).emit(segment.header_len(), &mut packet);
        segment.emit_header(&mut packet);
        packet
    }

    /// Lets `duration` pass. With `attack` a SYN comes each period, and with every tenth a forged ACK.
    fn run(&mut self, duration: Duration, attack: bool) {
        let end = self.now + duration;
        let mut count = 0u32;
        while self.now < end {
            if attack {
                let syn = self.forged(Flags::SYN);
                self.victim.receive(self.now, &syn, TRUSTED);
                count += 1;
                if count.is_multiple_of(10) {
                    let ack = self.forged(Flags::ACK);
                    self.victim.receive(self.now, &ack, TRUSTED);
                }
                self.now += PERIOD;
            } else {
                let next = self.next_event().unwrap_or(end);
                self.now = self.now.max(next).min(end);
            }
            self.turn();
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let arrival = self.wire.front().map(|(at, _, _)| *at);
        let deadlines = [self.victim.next_deadline(), self.clients.next_deadline()];
        deadlines.into_iter().flatten().chain(arrival).min()
    }

    /// Whatever is due now.
    fn turn(&mut self) {
        while let Some((_, from_client, packet)) =
            self.wire.pop_front_if(|(at, _, _)| *at <= self.now)
        {
            let receiver = if from_client {
                &mut self.victim
            } else {
                &mut self.clients
            };
            receiver.receive(self.now, &packet, ReceiveMeta::default());
        }
        for stack in [&mut self.victim, &mut self.clients] {
            if stack.next_deadline().is_some_and(|at| at <= self.now) {
                stack.on_deadline(self.now);
            }
        }
        self.collect(true);
        self.serve();
        self.collect(false);
    }

    /// Takes what a stack sends: packets between the two go on the wire, those to forged sources are counted.
    fn collect(&mut self, from_client: bool) {
        let stack = if from_client {
            &mut self.clients
        } else {
            &mut self.victim
        };
        while let Some(transmit) = stack.poll_transmit(self.now) {
            let flags = Flags(transmit.header[33]);
            if !from_client {
                self.syn_acks += u64::from(flags.contains(Flags::SYN));
                self.resets += u64::from(flags.contains(Flags::RST));
            }
            if transmit.header[16] == 10 {
                continue;
            }
            let (wire, losses, at) = (&mut self.wire, &mut self.losses, self.now + DELAY);
            transmit.write_packets_with(&mut self.scratch, |packet| {
                let port = if from_client {
                    &packet[20..22]
                } else {
                    &packet[22..24]
                };
                let port = u16::from_be_bytes([port[0], port[1]]);
                match losses.get_mut(&(port, from_client)) {
                    Some(left) if *left > 0 => *left -= 1,
                    _ => wire.push_back((at, from_client, packet.to_vec())),
                }
            });
        }
    }

    /// The programs at both ends: the victim's echoes, the clients say their piece and listen.
    fn serve(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(id) = self.victim.accept(self.now, self.listener) {
            self.serving.push(id);
        }
        for &id in &self.serving {
            while let Ok(count @ 1..) = self.victim.receive_into(self.now, id, &mut buffer) {
                let sent = self.victim.send(self.now, id, &buffer[..count]);
                assert_eq!(sent, Ok(count), "the echo fits");
            }
        }
        for client in &mut self.connected {
            if !client.sent && self.clients.state(client.id) == Some(State::Established) {
                client.sent = true;
                let sent = self.clients.send(self.now, client.id, &pattern(10_000));
                assert_eq!(sent, Ok(10_000));
            }
            while let Ok(count @ 1..) = self.clients.receive_into(self.now, client.id, &mut buffer)
            {
                client.echoed.extend_from_slice(&buffer[..count]);
            }
            if client.echoed.len() == 10_000 && client.done_after.is_none() {
                client.done_after = Some(self.now.duration_since(client.started));
            }
        }
        while self.clients.poll_event().is_some() {}
        while self.victim.poll_event().is_some() {}
    }

    /// An honest client from `port`.
    fn connect(&mut self, port: u16) {
        let options = ConnectOptions {
            local_port: port,
            ..ConnectOptions::to((IpAddr::from(RIGHT), 80).into())
        };
        let id = self.clients.connect(self.now, options).expect("connect");
        self.connected.push(Client {
            id,
            started: self.now,
            sent: false,
            echoed: Vec::new(),
            done_after: None,
        });
    }
}

fn seconds() -> u64 {
    let wish = std::env::var("TCPD_FLOOD_SECONDS").ok();
    wish.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// RFC 4987 §3.6.
#[test]
fn clients_connect_within_two_timeouts_during_a_flood_and_lose_no_option() {
    let mut flood = Flood::new(|_| {});
    let limits = flood.victim.config().limits.clone();
    let share = limits.half_open_per_listener;
    flood.run(Duration::from_millis(500), true);
    assert!(
        flood.victim.counters().syn_cookies_sent > 10_000,
        "the share is full"
    );

    // One client has luck; one loses the first SYN-ACK; one the ACK, so that its text comes first.
    flood.connect(1000);
    flood.losses.insert((1001, false), 1);
    flood.connect(1001);
    flood.connect(1002);
    flood.turn();
    flood.losses.insert((1002, true), 1);
    flood.run(Duration::from_secs(seconds()), true);

    for (index, client) in flood.connected.iter().enumerate() {
        let took = client.done_after.expect("an echo");
        assert!(took <= 2 * RTO, "{took:?}");
        assert_eq!(
            took >= RTO,
            index == 1,
            "{took:?}: whose SYN had to go again"
        );
        assert!(client.echoed == pattern(10_000));
        let status = flood.clients.status(client.id).expect("status");
        assert!(status.timestamps, "timestamps");
        assert_eq!(status.window_scale_peer, Some(7));
        assert!(status.sack, "SACK");
        assert_eq!(status.mss_send, 1448);
    }
    for &id in &flood.serving {
        let status = flood.victim.status(id).expect("status");
        assert!(status.timestamps && status.passive == Some(true));
        assert_eq!(status.window_scale_peer, Some(7));
        assert!(status.sack, "SACK");
        assert_eq!(status.mss_send, 1448);
    }
    let counters = flood.victim.counters().clone();
    assert_eq!(flood.serving.len(), 3);
    assert_eq!(counters.syn_cookies_accepted, 3, "no forged one");
    assert!(counters.syn_cookies_refused > 10_000);

    // What a SYN may cost: at most one entry of the share, and SYN-ACKs in proportion.
    let entries = flood.victim.endpoints().count() - 1 - flood.serving.len();
    assert!((share / 2..=share).contains(&entries), "{entries}");
    assert_eq!(counters.half_open_evicted, 0);
    assert_eq!(counters.replies_lost, 0);
    let retries = u64::from(flood.victim.config().tcp.syn_ack_retries);

    // The flood is over: everything is given up, and no SYN was answered more often than entries are.
    flood.run(Duration::from_secs(70), false);
    assert_eq!(flood.victim.endpoints().count(), 1 + flood.serving.len());
    let counters = flood.victim.counters();
    let most = counters.syn_cookies_sent + counters.passive_opens * (1 + retries);
    assert_eq!(flood.syn_acks, most, "cookies are sent once");
    let accepted = counters.syn_cookies_accepted;
    let ack = flood.forged(Flags::ACK);
    let resets = flood.resets;
    flood.victim.receive(flood.now, &ack, TRUSTED);
    flood.turn();
    assert_eq!(flood.resets, resets + 1, "LISTEN as ever");
    assert_eq!(flood.victim.counters().syn_cookies_accepted, accepted);
}

/// Without cookies the flood's own entries make way, but so do the client's: it has to be quick. Memory is bounded all the same.
#[test]
fn without_cookies_the_table_stays_bounded_and_the_oldest_go() {
    let mut flood = Flood::new(|config| {
        config.tcp.syn_cookies = false;
        config.limits.half_open = 1000;
    });
    flood.run(Duration::from_millis(50), true);
    assert_eq!(flood.victim.endpoints().count(), 1 + 1000);
    let counters = flood.victim.counters();
    assert_eq!(counters.half_open_evicted, 4000);
    assert_eq!(counters.syn_cookies_sent, 0);
    // 1000 entries last for 10 ms of this flood, and a client answers after 50 ms: this is what the cookies are for.
    flood.connect(1000);
    flood.run(Duration::from_millis(500), true);
    assert_eq!(flood.serving.len(), 0);
}

/// A cookie only comes back while some are about: with the table half empty an ACK is always reset.
#[test]
fn no_cookie_is_taken_when_none_was_sent() {
    let mut flood = Flood::new(|_| {});
    for _ in 0..2000 {
        let ack = flood.forged(Flags::ACK);
        flood.victim.receive(flood.now, &ack, TRUSTED);
        flood.turn();
    }
    let counters = flood.victim.counters();
    assert_eq!(counters.syn_cookies_accepted, 0);
    assert_eq!(
        counters.syn_cookies_refused, 0,
        "they are not even looked at"
    );
    assert_eq!(flood.resets, 2000);
}
