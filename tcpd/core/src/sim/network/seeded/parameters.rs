//! What a seed means: hosts, the path, streams, and how all of it changes on the way.

use std::fmt;
use std::time::Duration;

use crate::sim::dice::Dice;
use crate::sim::link::{Burst, Impairment};
use crate::sim::network::traffic::{Stream, Traffic};
use crate::sim::network::{HostConfig, Router};
use crate::sim::pair::End;
use crate::sim::simulation::KEEP_ALIVE;
use crate::stack::{
    CongestionControl, ConnectionOptions, EcnPolicy, MtuProbing, Nagle, StackConfig,
};
use crate::tcp::path_mtu;

/// Everything about a network that chance decides beforehand.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// What all of this follows from.
    pub seed: u64,
    /// Which IP version.
    pub ipv6: bool,
    /// Nothing is lost, damaged, doubled or reordered, unless a queue overflows; and the path stays as it is.
    pub calm: bool,
    /// Who there is.
    pub hosts: Vec<HostConfig>,
    /// Left to right, and back, at first.
    pub links: [Impairment; 2],
    /// What happens to the path and to streams, in turn, after the start.
    pub changes: Vec<(Duration, Change)>,
    /// What crosses it.
    pub streams: Vec<Stream>,
}

/// Something that happens on the way.
#[derive(Debug, Clone)]
pub enum Change {
    /// One direction is another from now on.
    Link(End, Impairment),
    /// Everything of one direction is lost from now on, or no longer.
    Outage(End, bool),
    /// Packets of another size fit through one direction.
    Router(End, Router),
    /// The sender of a stream has another controller from now on.
    Controller(usize, CongestionControl),
}

impl Change {
    /// Makes it happen.
    pub(super) fn apply(&self, traffic: &mut Traffic) -> Result<(), String> {
        let network = &mut traffic.network;
        match self {
            Change::Link(side, link) => network.set_link(*side, link.clone()),
            Change::Outage(side, outage) => network.set_outage(*side, *outage),
            Change::Router(side, router) => network.set_router(*side, *router),
            Change::Controller(stream, kind) => return traffic.switch(*stream, *kind),
        }
        Ok(())
    }
}

impl Parameters {
    /// What `seed` means.
    #[must_use]
    pub fn from_seed(seed: u64) -> Parameters {
        let mut dice = Dice::from_seed(seed ^ 0x6e65_7477);
        let ipv6 = dice.chance(0.4);
        let calm = dice.chance(0.15);
        let counts = [dice.between(1, 3), dice.between(1, 3)];
        let mut hosts = Vec::new();
        for side in End::BOTH {
            for _ in 0..counts[side as usize] {
                hosts.push(host(&mut dice, side, ipv6, calm));
            }
        }
        let rate = dice.of(&[0, 60_000, 250_000, 1_250_000, 12_500_000, 125_000_000]);
        let mut links = [link(&mut dice, rate), link(&mut dice, rate)];
        let streams = streams(&mut dice, counts, rate);
        let mut changes = switches(&mut dice, streams.len());
        if calm {
            links = links.map(calmed);
        } else {
            // Nobody is put behind a black hole who was told not to look for one.
            let looks = |host: &HostConfig| host.stack.tcp.mtu_probing != MtuProbing::Off;
            let silent = hosts.iter().all(looks);
            changes.extend(path_changes(&mut dice, rate, ipv6, silent));
        }
        changes.sort_by_key(|(at, _)| *at);
        Parameters {
            seed,
            ipv6,
            calm,
            hosts,
            links,
            changes,
            streams,
        }
    }

    /// The smallest full segment that anybody sends, bytes; smaller when larger ones seemed to vanish somewhere (`black_hole`).
    pub(super) fn least_mss(&self, black_hole: bool) -> u64 {
        let hosts = self.hosts.iter().map(|host| host.stack.mtu);
        let routers = self.changes.iter().filter_map(|(_, change)| match change {
            Change::Router(_, router) => Some(router.mtu),
            Change::Link(..) | Change::Outage(..) | Change::Controller(..) => None,
        });
        let (base, last) = match self.ipv6 {
            true => (path_mtu::BASE_V6, path_mtu::BASE_V6),
            false => (path_mtu::BASE_V4, path_mtu::LAST_V4),
        };
        // A search begins with small packets where it is always on (RFC 4821 §7.2).
        let always = |host: &HostConfig| host.stack.tcp.mtu_probing == MtuProbing::On;
        let searched = self.hosts.iter().any(always).then_some(base);
        let shrunk = black_hole.then_some(last);
        let mtus = hosts.chain(routers).chain(searched).chain(shrunk);
        u64::from(mtus.min().unwrap_or(last)) - 80
    }

    /// Bytes that the rings of one connection may hold.
    pub(super) fn rings(&self) -> u64 {
        let of = |host: &HostConfig| {
            let tcp = &host.stack.tcp;
            u64::from(tcp.receive_ring_max) + u64::from(tcp.send_ring_max)
        };
        self.hosts.iter().map(of).max().unwrap_or(0)
    }

    /// Packets beyond those that carry bytes and their ACKs: openings, probes, keepalives, windows that open little by little.
    pub(super) fn more_packets(&self) -> u64 {
        let pieces = |stream: &Stream| {
            let count = |way: Option<(u32, Duration)>| {
                way.map_or(0, |(piece, _)| stream.bytes / u64::from(piece) + 1)
            };
            2 * count(stream.reads) + 3 * count(stream.writes)
        };
        400 + self.streams.iter().map(pieces).sum::<u64>()
    }

    /// For how long a packet may wait in a queue.
    pub(super) fn queueing(&self) -> Duration {
        let longest = self.links.iter().map(|link| match link.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(f64::from(link.queue) / rate as f64),
        });
        longest.max().unwrap_or_default()
    }
}

fn link(dice: &mut Dice, rate: u64) -> Impairment {
    Impairment {
        delay: dice.millis(0, 150),
        jitter: match dice.chance(0.5) {
            true => Duration::ZERO,
            false => dice.millis(0, 20),
        },
        rate,
        queue: dice.of(&[10_000, 40_000, 150_000, 600_000]),
        loss: dice.probability(0.08),
        // Bursts are counted in packets: on a silent path a long one would last until everybody has given up.
        burst: dice.burst(0.2).map(|burst| Burst {
            leave: burst.leave.max(0.3),
            ..burst
        }),
        ce_threshold: if rate == 0 {
            0
        } else {
            dice.of(&[0, 5_000, 50_000])
        },
        reorder: dice.probability(0.1),
        reorder_delay: dice.millis(1, 40),
        duplicate: dice.probability(0.05),
        corrupt: dice.probability(0.02),
    }
}

/// The same without anything that goes wrong by chance.
fn calmed(link: Impairment) -> Impairment {
    Impairment {
        loss: 0.0,
        burst: None,
        reorder: 0.0,
        duplicate: 0.0,
        corrupt: 0.0,
        ..link
    }
}

fn host(dice: &mut Dice, side: End, ipv6: bool, calm: bool) -> HostConfig {
    let mut stack = StackConfig {
        mtu: match ipv6 {
            true => dice.of(&[1280, 1500, 1500, 9000]),
            false => dice.of(&[576, 1500, 1500, 9000]),
        },
        gso_max: dice.of(&[0, 20_000, 65_535]),
        ..StackConfig::default()
    };
    let tcp = &mut stack.tcp;
    tcp.msl = Duration::from_secs(1);
    tcp.rto_min = Duration::from_millis(dice.of(&[200, 200, 1_000]));
    // Where every timeout is looked at, ACKs are not delayed for as long as the least timeout.
    let delays = if calm {
        &[0, 5, 40]
    } else {
        [0, 5, 40, 200].as_slice()
    };
    tcp.delayed_ack = Duration::from_millis(dice.of(delays));
    tcp.ecn = dice.of(&[
        EcnPolicy::Off,
        EcnPolicy::Passive,
        EcnPolicy::On,
        EcnPolicy::On,
    ]);
    tcp.mtu_probing = match dice.chance(0.15) {
        true => MtuProbing::Off,
        false => dice.of(&[MtuProbing::BlackHole, MtuProbing::BlackHole, MtuProbing::On]),
    };
    tcp.window_scale = dice.chance(0.9);
    tcp.timestamps = dice.chance(0.7);
    tcp.sack = dice.chance(0.75);
    tcp.tail_loss_probe = dice.chance(0.8);
    tcp.congestion = dice.of(&CongestionControl::ALL);
    tcp.nagle = dice.of(&[Nagle::Off, Nagle::Classic, Nagle::Minshall]);
    tcp.syn_time = Duration::from_secs(1_800);
    tcp.syn_ack_retries = 10;
    tcp.orphan_timeout = Duration::from_secs(1_800);
    tcp.receive_ring = dice.of(&[4_096, 65_536, 65_536, 1 << 20]);
    tcp.receive_ring_max = tcp.receive_ring.max(dice.of(&[65_536, 4 << 20]));
    tcp.send_ring = dice.of(&[16_384, 65_536, 1 << 20]);
    tcp.send_ring_max = tcp.send_ring.max(dice.of(&[65_536, 4 << 20]));
    stack.limits.out_of_order_ranges = dice.of(&[4, 128, 128]);
    HostConfig {
        stack,
        side,
        delay: match dice.chance(0.5) {
            true => Duration::ZERO,
            false => dice.millis(0, 80),
        },
    }
}

/// One stream at most between each two hosts that the bottleneck separates, either way; no more than six.
fn streams(dice: &mut Dice, counts: [u64; 2], rate: u64) -> Vec<Stream> {
    let mut streams = Vec::new();
    // Ten seconds of the wire for all of them together, about.
    let most = if rate == 0 {
        400_000
    } else {
        (rate * 10).min(800_000)
    };
    for left in 0..counts[0] as usize {
        for right in counts[0] as usize..(counts[0] + counts[1]) as usize {
            if streams.len() < 6 && (streams.is_empty() || dice.chance(0.6)) {
                let (from, to) = match dice.chance(0.5) {
                    true => (left, right),
                    false => (right, left),
                };
                let writes = pausing_writer(dice);
                let patience = writes.map_or(u64::MAX, |(piece, _)| 300 * u64::from(piece));
                streams.push(Stream {
                    from,
                    to,
                    bytes: (dice.scaled(most) + 1).min(patience),
                    starts: dice.millis(0, 3_000),
                    reads: slow_reader(dice),
                    writes,
                    options: ConnectionOptions {
                        keepalive: Some(KEEP_ALIVE),
                        nodelay: dice.chance(0.3),
                        ..ConnectionOptions::default()
                    },
                });
            }
        }
    }
    streams
}

fn slow_reader(dice: &mut Dice) -> Option<(u32, Duration)> {
    dice.chance(0.2).then(|| {
        let piece = dice.of(&[2_000, 10_000, 60_000]);
        (piece, dice.millis(1, 120))
    })
}

/// One who trickles, or one who has much at a time and then nothing for a while.
fn pausing_writer(dice: &mut Dice) -> Option<(u32, Duration)> {
    dice.chance(0.35).then(|| match dice.chance(0.5) {
        true => (dice.between(1, 3_000) as u32, dice.millis(1, 200)),
        false => (dice.of(&[20_000, 60_000, 200_000]), dice.millis(100, 3_000)),
    })
}

/// Streams get another controller on the way, and perhaps another one.
fn switches(dice: &mut Dice, streams: usize) -> Vec<(Duration, Change)> {
    let mut changes = Vec::new();
    if dice.chance(0.3) {
        for _ in 0..dice.between(1, 5) {
            let stream = dice.between(0, streams as u64 - 1) as usize;
            let kind = dice.of(&CongestionControl::ALL);
            changes.push((dice.millis(100, 8_000), Change::Controller(stream, kind)));
        }
    }
    changes
}

/// The path becomes another, fails for a while, lets only smaller packets through, with a word or, where it may be `silent`, without.
fn path_changes(dice: &mut Dice, rate: u64, ipv6: bool, silent: bool) -> Vec<(Duration, Change)> {
    let mut changes = Vec::new();
    let side = |dice: &mut Dice| End::BOTH[dice.between(0, 1) as usize];
    if dice.chance(0.4) {
        for _ in 0..dice.between(1, 4) {
            let link = link(dice, rate);
            changes.push((dice.millis(100, 10_000), Change::Link(side(dice), link)));
        }
    }
    if dice.chance(0.25) {
        let (side, at) = (side(dice), dice.millis(50, 8_000));
        let long = dice.millis(10, 6_000);
        changes.push((at, Change::Outage(side, true)));
        changes.push((at + long, Change::Outage(side, false)));
    }
    if dice.chance(0.35) {
        let mtu = match ipv6 {
            true => dice.of(&[1280, 1400]),
            false => dice.of(&[576, 1000, 1400]),
        };
        let tells = !silent || dice.chance(0.5);
        let (side, at) = (side(dice), dice.millis(0, 5_000));
        changes.push((at, Change::Router(side, Router { mtu, tells })));
        if dice.chance(0.3) {
            let later = at + dice.millis(100, 20_000);
            changes.push((later, Change::Router(side, Router::default())));
        }
    }
    changes
}

/// What differs from seed to seed, a line a subject.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.ipv6 { "IPv6" } else { "IPv4" };
        let calm = if self.calm { ", calm" } else { "" };
        writeln!(f, "{version}{calm}")?;
        for (number, host) in self.hosts.iter().enumerate() {
            let (stack, tcp) = (&host.stack, &host.stack.tcp);
            writeln!(
                f,
                "host {number} ({:?}, {:?} away): mtu {}, gso {}, ranges {}, {tcp:?}",
                host.side, host.delay, stack.mtu, stack.gso_max, stack.limits.out_of_order_ranges
            )?;
        }
        for (number, stream) in self.streams.iter().enumerate() {
            writeln!(
                f,
                "stream {number}: {} bytes from host {} to host {} after {:?}, writes {:?}, reads {:?}, nodelay {}",
                stream.bytes,
                stream.from,
                stream.to,
                stream.starts,
                stream.writes,
                stream.reads,
                stream.options.nodelay
            )?;
        }
        for (at, change) in &self.changes {
            writeln!(f, "after {at:?}: {change:?}")?;
        }
        writeln!(f, "left to right: {:?}", self.links[0])?;
        write!(f, "right to left: {:?}", self.links[1])
    }
}
