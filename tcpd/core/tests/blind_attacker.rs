//! RFC 5961: somebody off the path, who knows addresses and ports of both ends of a transfer, forges 2^20 segments all over the sequence
//! space, 10,000 a second, half of them to each end.

#[path = "common"]
mod common {
    pub(crate) mod packets;
}

use std::net::SocketAddr;
use std::time::Duration;

use common::packets::segment_packet;
use tcpd_core::random::Generator;
use tcpd_core::sim::link::Impairment;
use tcpd_core::sim::pair::{End, Pair};
use tcpd_core::stack::{
    ConnectOptions, EndpointId, ListenOptions, ReceiveMeta, SendError, StackConfig, State,
};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, IpAddresses, SequenceNumber, TcpSegment};

/// How many segments he forges.
const FORGED: u32 = 1 << 20;
/// Time between two of them.
const PERIOD: Duration = Duration::from_micros(100);
/// One way.
const DELAY: Duration = Duration::from_millis(25);
const PORT: u16 = 7;

/// A transfer from left to right that goes on for as long as it is watched.
struct Transfer {
    pair: Pair,
    ids: [EndpointId; 2],
    sockets: [SocketAddr; 2],
    sent: u64,
    received: u64,
    buffer: Vec<u8>,
}

/// The byte at a position of the stream.
fn byte(position: u64) -> u8 {
    (position ^ position >> 8 ^ position >> 16) as u8
}

impl Transfer {
    fn begin() -> Transfer {
        let mut config = StackConfig::default();
        // 64 KiB of window, as the attacker of RFC 5961 §1 hopes for.
        config.tcp.receive_ring = 65_536;
        config.tcp.receive_ring_max = 65_536;
        config.tcp.send_ring = 262_144;
        // The attacker sends no timestamps; with them he would have even less of a chance.
        config.tcp.timestamps = false;
        let link = Impairment {
            delay: DELAY,
            ..Impairment::default()
        };
        let mut pair = Pair::new([config.clone(), config], [link.clone(), link], false, 5961);
        let now = pair.now();
        let remote = SocketAddr::new(Pair::address(End::Right, false), PORT);
        let options = ListenOptions {
            port: PORT,
            ..ListenOptions::default()
        };
        let listener = pair.stack(End::Right).listen(now, options).expect("listen");
        let left = pair
            .stack(End::Left)
            .connect(now, ConnectOptions::to(remote))
            .expect("connect");
        pair.flush().expect("flush");
        while pair.stack(End::Left).state(left) != Some(State::Established)
            || pair.stack(End::Right).endpoints().count() < 2
        {
            pair.step(Instant::MAX).expect("step");
        }
        pair.step(Instant::MAX).expect("step");
        let now = pair.now();
        let right = pair
            .stack(End::Right)
            .accept(now, listener)
            .expect("accepted");
        let view = pair.stack(End::Left).view(left).expect("view");
        Transfer {
            pair,
            ids: [left, right],
            sockets: [view.local, view.remote],
            sent: 0,
            received: 0,
            buffer: vec![0; 65_536],
        }
    }

    /// Both users do what they can now: write, read and compare.
    fn act(&mut self) {
        let now = self.pair.now();
        loop {
            let chunk = 16_384;
            for (index, place) in self.buffer[..chunk].iter_mut().enumerate() {
                *place = byte(self.sent + index as u64);
            }
            match self
                .pair
                .stack(End::Left)
                .send(now, self.ids[0], &self.buffer[..chunk])
            {
                Ok(count) => self.sent += count as u64,
                Err(SendError::Full) => break,
                Err(error) => panic!("at {now}: {error}"),
            }
        }
        let right = self.pair.stack(End::Right);
        let view = right.view(self.ids[1]).expect("view");
        assert_eq!(view.end, None, "at {now}");
        if view.receive.next == view.receive.read {
            return;
        }
        let count = right
            .receive_into(now, self.ids[1], &mut self.buffer)
            .expect("read");
        for (index, found) in self.buffer[..count].iter().enumerate() {
            let position = self.received + index as u64;
            assert_eq!(*found, byte(position), "byte {position} was forged");
        }
        self.received += count as u64;
    }

    /// Lets the transfer go on to `until`.
    fn run(&mut self, until: Instant) {
        self.pair.flush().expect("flush");
        while self.pair.step(until).expect("step") {
            self.act();
            self.pair.flush().expect("flush");
        }
    }

    /// The forged segment number `index`: each kind sweeps the whole space, in an order that chance decides.
    fn forge(&mut self, index: u32, generator: &mut Generator) {
        let victim = End::BOTH[(index & 1) as usize];
        let flags = match index >> 1 & 3 {
            0 => Flags::RST,
            1 => Flags::SYN,
            2 => Flags::ACK,
            _ => Flags::PSH | Flags::ACK,
        };
        let text = [b'!'; 100];
        // Multiplied by an odd number every value of 20 bits comes once; below it chance.
        let place = (index.wrapping_mul(0x9e37_79b1) & (FORGED - 1)) << 12;
        let from = self.sockets[victim.other() as usize];
        let to = self.sockets[victim as usize];
        let segment = TcpSegment {
            source_port: from.port(),
            destination_port: to.port(),
            seq: SequenceNumber(place | generator.below(1 << 12) as u32),
            ack: match flags.contains(Flags::ACK) {
                true => SequenceNumber(generator.next_u64() as u32),
                false => SequenceNumber(0),
            },
            flags,
            window: generator.below(65_536) as u16,
            payload: match flags.contains(Flags::PSH) {
                true => &text,
                false => &[],
            },
            ..TcpSegment::default()
        };
        let addresses = IpAddresses {
            source: from.ip(),
            destination: to.ip(),
        };
        let packet = segment_packet(addresses, &segment);
        let now = self.pair.now();
        self.pair
            .stack(victim)
            .receive(now, &packet, ReceiveMeta::default());
    }
}

/// Bytes a second that arrive in the time that the attack takes, with it and without.
fn goodput(attack: bool) -> f64 {
    let mut transfer = Transfer::begin();
    let start = transfer.pair.now();
    let mut generator = Generator::from_seed(20);
    transfer.act();
    for index in 0..FORGED {
        let now = transfer.pair.now();
        if attack {
            transfer.forge(index, &mut generator);
        }
        transfer.run(now + PERIOD);
    }
    if attack {
        for end in End::BOTH {
            let counters = transfer.pair.stack(end).counters();
            let came = counters.segments_in;
            assert_eq!(came, counters.segments_accepted + counters.dropped_in_all());
            assert_eq!(counters.resets_in, 0);
            assert!(
                counters.challenge_acks_limited > u64::from(FORGED) / 8,
                "{end:?}"
            );
        }
    }
    let duration = transfer.pair.now().duration_since(start);
    transfer.received as f64 / duration.as_secs_f64()
}

#[test]
fn a_blind_attacker_neither_resets_nor_changes_nor_slows_a_transfer() {
    let (with, without) = std::thread::scope(|scope| {
        let with = scope.spawn(|| goodput(true));
        let without = scope.spawn(|| goodput(false));
        let join = |handle: std::thread::ScopedJoinHandle<'_, f64>| match handle.join() {
            Ok(goodput) => goodput,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (join(with), join(without))
    });
    println!(
        "goodput {with:.0} bytes/s under attack, {without:.0} without: {:.3}",
        with / without
    );
    // Challenge ACKs carry the window, so under attack the window is known a little earlier: the number may be above 1.
    assert!(without > 600_000.0, "{without}");
    assert!(with >= 0.9 * without, "{with} of {without}");
}
