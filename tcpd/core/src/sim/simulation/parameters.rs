//! What a seed means: settings of the stacks, the network, and what the users want.

use std::fmt;
use std::time::Duration;

use super::user::User;
use crate::sim::dice::Dice;
use crate::sim::link::Impairment;
use crate::stack::{CongestionControl, KeepAlive, Nagle, StackConfig};

/// Everything about a conversation that chance decides beforehand.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// What all of this follows from.
    pub seed: u64,
    /// Which IP version.
    pub ipv6: bool,
    /// Both sides connect, nobody listens.
    pub simultaneous_open: bool,
    /// Super-segments travel uncut; the network then damages nothing.
    pub offload: bool,
    /// Users exchange rings and grow them on the way, as a daemon does.
    pub exchanges_rings: bool,
    /// Longest pause between two packets of a stranger off the path, if there is one.
    pub stranger: Option<Duration>,
    /// Left and right.
    pub stacks: [StackConfig; 2],
    /// Left to right, and back.
    pub links: [Impairment; 2],
    /// What each user writes, bytes.
    pub bytes: [u64; 2],
    /// Longest single write of each user, bytes.
    pub longest_write: [u32; 2],
    /// Longest single read of each user, bytes.
    pub longest_read: [u32; 2],
    /// Longest pause between two acts of each user.
    pub longest_pause: [Duration; 2],
    /// Probability that a user falls asleep for seconds between two acts.
    pub sleepiness: [f64; 2],
    /// After so many bytes read a user aborts, if it has got that far.
    pub aborts_after: [Option<u64>; 2],
}

/// What differs from seed to seed, a line a subject.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.ipv6 { "IPv6" } else { "IPv4" };
        let open = if self.simultaneous_open {
            ", simultaneous open"
        } else {
            ""
        };
        let offload = if self.offload { ", offload" } else { "" };
        let rings = if self.exchanges_rings {
            ", rings exchanged"
        } else {
            ""
        };
        let stranger = match self.stranger {
            Some(pause) => format!(", a stranger who pauses up to {pause:?}"),
            None => String::new(),
        };
        writeln!(f, "{version}{open}{offload}{rings}{stranger}")?;
        for (side, name) in ["left", "right"].into_iter().enumerate() {
            let (stack, tcp) = (&self.stacks[side], &self.stacks[side].tcp);
            writeln!(
                f,
                "{name} stack: mtu {}, gso {}, msl {:?}, rto_min {:?}, delayed_ack {:?}, window_scale {}, timestamps {} (required {}), \
                 sack {}, tail loss probe {}, {}, nagle {:?}, receive {}..{}, send {}..{}, ranges {}",
                stack.mtu,
                stack.gso_max,
                tcp.msl,
                tcp.rto_min,
                tcp.delayed_ack,
                tcp.window_scale,
                tcp.timestamps,
                tcp.timestamps_required,
                tcp.sack,
                tcp.tail_loss_probe,
                tcp.congestion.name(),
                tcp.nagle,
                tcp.receive_ring,
                tcp.receive_ring_max,
                tcp.send_ring,
                tcp.send_ring_max,
                stack.limits.out_of_order_ranges,
            )?;
            writeln!(
                f,
                "{name} user: {} bytes, writes up to {}, reads up to {}, pauses up to {:?}, sleepiness {}, aborts after {:?}",
                self.bytes[side],
                self.longest_write[side],
                self.longest_read[side],
                self.longest_pause[side],
                self.sleepiness[side],
                self.aborts_after[side],
            )?;
        }
        writeln!(f, "left to right: {:?}", self.links[0])?;
        write!(f, "right to left: {:?}", self.links[1])
    }
}

/// How users look after an idle connection here: a RST that is lost, or that arrives behind a hole while challenge ACKs are
/// limited (RFC 5961 §7), leaves a reader waiting for ever otherwise.
pub(in crate::sim) const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: Duration::from_secs(100),
    interval: Duration::from_secs(10),
    count: 20,
};

impl Parameters {
    /// What `seed` means.
    pub fn from_seed(seed: u64) -> Parameters {
        let mut dice = Dice::from_seed(seed ^ 0x7463_7064);
        let ipv6 = dice.chance(0.4);
        let mut links = [link(&mut dice), link(&mut dice)];
        let offload = dice.chance(0.3);
        if offload {
            for link in &mut links {
                link.corrupt = 0.0;
                link.queue = link.queue.max(256_000);
            }
        }
        let stacks = [stack(&mut dice, ipv6), stack(&mut dice, ipv6)];
        let most = if dice.chance(0.1) { 400_000 } else { 60_000 };
        let longest = |dice: &mut Dice| dice.scaled(40_000) as u32 + 1;
        let longest_write = [longest(&mut dice), longest(&mut dice)];
        let longest_read = [longest(&mut dice), longest(&mut dice)];
        // What is written or read byte by byte is not long.
        let bytes = [0, 1].map(|side: usize| {
            let piece = longest_write[side].min(longest_read[1 - side]);
            let length = match dice.chance(0.5) {
                true => dice.scaled(most),
                false => dice.between(0, most),
            };
            length.min(1_500 * u64::from(piece))
        });
        Parameters {
            seed,
            ipv6,
            simultaneous_open: dice.chance(0.1),
            offload,
            exchanges_rings: dice.chance(0.5),
            stranger: dice.chance(0.25).then(|| dice.millis(1, 300)),
            bytes,
            longest_write,
            longest_read,
            longest_pause: [dice.millis(0, 50), dice.millis(0, 50)],
            sleepiness: [dice.probability(0.02), dice.probability(0.02)],
            aborts_after: [abort(&mut dice), abort(&mut dice)],
            links,
            stacks,
        }
    }

    pub(super) fn users(&self) -> [User; 2] {
        [0, 1].map(|side| User::new(self, side))
    }

    /// The smallest segment that either side may come to send.
    pub(super) fn least_mss(&self) -> u64 {
        let mtu = self
            .stacks
            .iter()
            .map(|stack| stack.mtu)
            .min()
            .unwrap_or(576);
        u64::from(mtu) - 80
    }
}

fn abort(dice: &mut Dice) -> Option<u64> {
    dice.chance(0.04).then(|| dice.scaled(60_000))
}

fn link(dice: &mut Dice) -> Impairment {
    let rate = if dice.chance(0.6) {
        0
    } else {
        dice.of(&[20_000, 125_000, 1_250_000, 12_500_000])
    };
    Impairment {
        delay: dice.millis(0, 120),
        jitter: dice.millis(0, 10),
        rate,
        queue: dice.of(&[8_000, 64_000, 256_000]),
        loss: dice.probability(0.1),
        burst: dice.burst(0.15),
        reorder: dice.probability(0.15),
        reorder_delay: dice.millis(1, 60),
        duplicate: dice.probability(0.1),
        corrupt: dice.probability(0.05),
        ..Impairment::default()
    }
}

fn stack(dice: &mut Dice, ipv6: bool) -> StackConfig {
    let mut config = StackConfig {
        mtu: match ipv6 {
            true => dice.of(&[1280, 1400, 1500, 9000]),
            false => dice.of(&[576, 1280, 1500, 9000]),
        },
        gso_max: dice.of(&[0, 20_000, 65_535]),
        ..StackConfig::default()
    };
    let tcp = &mut config.tcp;
    tcp.msl = dice.millis(1_000, 30_000);
    tcp.rto_min = dice.of(&[Duration::from_millis(200), Duration::from_secs(1)]);
    tcp.delayed_ack = dice.of(&[0, 5, 40, 200]).millis();
    tcp.window_scale = dice.chance(0.8);
    tcp.timestamps = dice.chance(0.7);
    tcp.timestamps_required = dice.chance(0.8);
    tcp.sack = dice.chance(0.75);
    tcp.tail_loss_probe = dice.chance(0.8);
    tcp.congestion = dice.of(&CongestionControl::ALL);
    tcp.nagle = dice.of(&[Nagle::Off, Nagle::Classic, Nagle::Minshall]);
    tcp.syn_ack_retries = 10;
    // Users here take their time; an orphan must outlive a reader who sleeps.
    tcp.orphan_timeout = Duration::from_secs(1_800);
    tcp.receive_ring = dice.of(&[2_048, 4_096, 16_384, 65_536]);
    tcp.receive_ring_max = tcp.receive_ring.max(dice.of(&[4_096, 65_536, 1 << 20]));
    tcp.send_ring = dice.of(&[2_048, 4_096, 16_384, 65_536]);
    tcp.send_ring_max = tcp.send_ring.max(1 << 20);
    config.limits.out_of_order_ranges = dice.of(&[1, 4, 128]);
    config
}

trait Millis {
    fn millis(self) -> Duration;
}

impl Millis for u64 {
    fn millis(self) -> Duration {
        Duration::from_millis(self)
    }
}
