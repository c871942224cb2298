//! One end with a history: a real connection with a peer that is thrown away afterwards.

use std::net::SocketAddr;
use std::time::Duration;

use super::Secrets;
use crate::random::{Generator, Secret};
use crate::sim::pair::{End, Pair};
use crate::stack::{
    ConnectOptions, ConnectionOptions, EndpointId, IpCidr, KeepAlive, ListenOptions, ListenerId,
    ReceiveMeta, Stack, StackConfig, State,
};
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;

type TestStack = Stack<HeapRing>;

/// The port of each side.
const PORTS: [u16; 2] = [5000, 80];

/// Where a history is meant to stop.
const TARGETS: [State; 10] = [
    State::SynSent,
    State::SynReceived,
    State::Established,
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

/// An end without its peer.
pub(super) struct Half {
    pub(super) stack: TestStack,
    pub(super) connection: Option<EndpointId>,
    /// Whether its user reads what comes.
    pub(super) reads: bool,
    pub(super) now: Instant,
}

impl Half {
    /// The end of `side` (0 is left), with whatever history chance gave it.
    pub(super) fn draw(
        side: usize,
        ipv6: bool,
        secrets: &Secrets,
        generator: &mut Generator,
    ) -> Half {
        let mut history = History::new(side, ipv6, secrets, generator);
        history.open();
        history.talk();
        history.end();
        let reads = history.generator.chance(0.5);
        Half {
            stack: history.ours,
            connection: history.ids[0],
            reads,
            now: history.now,
        }
    }

    /// The state it is in; `None` for CLOSED.
    pub(super) fn state(&self) -> Option<State> {
        self.stack
            .endpoints()
            .find(|summary| summary.remote.port() != 0)
            .map(|summary| summary.state)
    }
}

/// What leads to a [`Half`]. Index 0 is ours, 1 the peer that will be forgotten.
struct History<'g> {
    generator: &'g mut Generator,
    now: Instant,
    target: State,
    ours: TestStack,
    theirs: TestStack,
    sockets: [SocketAddr; 2],
    ids: [Option<EndpointId>; 2],
    listener: Option<ListenerId>,
    options: ConnectionOptions,
}

impl<'g> History<'g> {
    fn new(side: usize, ipv6: bool, secrets: &Secrets, generator: &'g mut Generator) -> Self {
        let address = |side: usize| Pair::address(End::BOTH[side], ipv6);
        let sides = [side, 1 - side];
        let sockets = sides.map(|side| SocketAddr::new(address(side), PORTS[side]));
        // A tick of the clock of initial sequence numbers is 4 µs: the two histories may be a few numbers apart, or many.
        let apart = Duration::from_micros(match generator.below(3) {
            0 => 0,
            1 => generator.below(2_000),
            _ => generator.below(500_000),
        });
        let now = Instant::from_secs(1_000) + apart;
        let shared = config(generator);
        let stacks = sides.map(|of| {
            let config = StackConfig {
                addresses: vec![IpCidr::new(address(of), if ipv6 { 64 } else { 24 })],
                ..shared.clone()
            };
            let mut key = [9; 16];
            key[..8].copy_from_slice(&secrets.seeds[side][of].to_le_bytes());
            Stack::new(config, Secret::new(key), generator.next_u64(), now)
        });
        let [ours, theirs] = stacks;
        let target = TARGETS[generator.below(TARGETS.len() as u64) as usize];
        let keepalive = generator.chance(0.2).then_some(KeepAlive {
            idle: Duration::from_millis(700),
            interval: Duration::from_millis(300),
            count: 9,
        });
        let options = ConnectionOptions {
            keepalive,
            nodelay: generator.chance(0.5),
            ..ConnectionOptions::default()
        };
        History {
            now,
            target,
            ours,
            theirs,
            sockets,
            ids: [None; 2],
            listener: None,
            options,
            generator,
        }
    }

    /// The handshake, or as much of it as the target needs.
    fn open(&mut self) {
        let way = self.generator.below(5);
        match self.target {
            State::SynSent => {
                self.connect(0);
                self.pass(0.0, 0.0);
            }
            State::SynReceived => {
                if way == 0 {
                    self.connect(0);
                } else {
                    self.listen(0);
                }
                self.connect(1);
                self.pass(0.0, 1.0);
            }
            _ => {
                if way == 0 {
                    self.connect(0);
                    self.connect(1);
                    self.pass(1.0, 1.0);
                    return;
                }
                let (active, passive) = if way < 3 { (0, 1) } else { (1, 0) };
                self.listen(passive);
                self.connect(active);
                self.pass(1.0, 1.0);
                if let Some(listener) = self.listener {
                    let now = self.now;
                    self.ids[passive] = self.stack(passive).accept(now, listener);
                }
            }
        }
    }

    /// Some text each way, of which some is lost, unread or never sent.
    fn talk(&mut self) {
        if matches!(self.target, State::SynSent | State::SynReceived) {
            return;
        }
        for _ in 0..self.generator.below(12) {
            match self.generator.below(6) {
                0 | 1 => self.write(0),
                2 | 3 => self.write(1),
                4 => self.read(0),
                _ => self.read(1),
            }
            let chances = [0.0, 0.5, 1.0, 1.0];
            let (there, back) = (self.generator.below(4), self.generator.below(4));
            self.pass(chances[there as usize], chances[back as usize]);
            self.wait(60);
        }
    }

    /// From ESTABLISHED to the target.
    fn end(&mut self) {
        match self.target {
            State::FinWait1 => {
                self.close(0);
                self.pass(0.0, 0.5);
            }
            State::FinWait2 => {
                self.close(0);
                self.settle(State::FinWait2);
            }
            State::CloseWait => {
                self.close(1);
                self.settle(State::CloseWait);
            }
            State::Closing => {
                self.settle(State::Closing);
                self.close(0);
                self.pass(0.0, 0.0);
                self.close(1);
                self.pass(0.0, 1.0);
            }
            State::LastAck => {
                self.close(1);
                self.settle(State::CloseWait);
                self.close(0);
                self.pass(0.0, 0.0);
            }
            State::TimeWait => {
                self.close(0);
                self.settle(State::FinWait2);
                self.close(1);
                self.settle(State::TimeWait);
            }
            _ => {}
        }
        if self.generator.chance(0.3) {
            self.write(0);
        }
    }

    fn stack(&mut self, which: usize) -> &mut TestStack {
        match which {
            0 => &mut self.ours,
            _ => &mut self.theirs,
        }
    }

    fn connect(&mut self, which: usize) {
        let (now, connection) = (self.now, self.options);
        let options = ConnectOptions {
            local_port: self.sockets[which].port(),
            connection,
            ..ConnectOptions::to(self.sockets[1 - which])
        };
        self.ids[which] = self.stack(which).connect(now, options).ok();
    }

    fn listen(&mut self, which: usize) {
        let options = ListenOptions {
            port: self.sockets[which].port(),
            connection: self.options,
            ..ListenOptions::default()
        };
        let now = self.now;
        self.listener = self.stack(which).listen(now, options).ok();
    }

    fn write(&mut self, which: usize) {
        let bytes = vec![which as u8; 1 + self.generator.below(6_000) as usize];
        let now = self.now;
        if let Some(id) = self.ids[which] {
            // A full ring or a closed side takes less, or nothing.
            self.stack(which).send(now, id, &bytes).ok();
        }
    }

    fn read(&mut self, which: usize) {
        let now = self.now;
        if let Some(id) = self.ids[which] {
            self.stack(which)
                .receive_into(now, id, &mut [0; 4_000])
                .ok();
        }
    }

    /// FIN; our user may let go, which leaves an orphan.
    fn close(&mut self, which: usize) {
        let now = self.now;
        let lets_go = which == 0 && self.generator.chance(0.4);
        let Some(id) = self.ids[which] else { return };
        if lets_go {
            while self
                .ours
                .receive_into(now, id, &mut [0; 4_000])
                .is_ok_and(|count| count > 0)
            {}
            self.ours.close(now, id).ok();
            self.ids[0] = None;
        } else {
            self.stack(which).shutdown_write(now, id).ok();
        }
    }

    /// Lets the two get on with it until ours is in `state`, or for a while.
    fn settle(&mut self, state: State) {
        for _ in 0..20 {
            self.pass(1.0, 1.0);
            let reached = self
                .ours
                .endpoints()
                .any(|summary| summary.state == state && summary.remote.port() != 0);
            if reached {
                return;
            }
            self.read(0);
            self.read(1);
            self.wait(120);
        }
    }

    /// Lets up to `most` milliseconds pass.
    fn wait(&mut self, most: u64) {
        self.now += Duration::from_micros(self.generator.below(most * 1_000));
        self.ours.on_deadline(self.now);
        self.theirs.on_deadline(self.now);
    }

    /// Exchanges packets until both are silent; each arrives with the probability of its direction.
    fn pass(&mut self, there: f64, back: f64) {
        let meta = ReceiveMeta {
            checksum_trusted: true,
            segment_size: None,
        };
        for _ in 0..1_000 {
            let mut silent = true;
            let (now, generator) = (self.now, &mut *self.generator);
            let ways = [(&mut self.ours, there), (&mut self.theirs, back)];
            let mut packets: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
            for (index, (from, chance)) in ways.into_iter().enumerate() {
                while let Some(transmit) = from.poll_transmit(now) {
                    transmit.write_packets(|packet| {
                        if generator.chance(chance) {
                            packets[index].push(packet.to_vec());
                        }
                    });
                }
            }
            for (to, packets) in [&mut self.theirs, &mut self.ours].into_iter().zip(packets) {
                for packet in packets {
                    silent = false;
                    to.receive(now, &packet, meta);
                }
            }
            if silent {
                return;
            }
        }
    }
}

/// Both sides of a history have the same settings, as far as it matters.
fn config(generator: &mut Generator) -> StackConfig {
    let mut config = StackConfig {
        gso_max: 0,
        ..StackConfig::default()
    };
    config.tcp.timestamps = generator.chance(0.5);
    config.tcp.window_scale = generator.chance(0.5);
    config.tcp.receive_ring = 2_048 << generator.below(6);
    config.tcp.send_ring = 2_048 << generator.below(6);
    config.tcp.msl = Duration::from_millis(500 << generator.below(7));
    config
}
