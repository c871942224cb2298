//! What a segment costs: two stacks in one thread, no network between them. `cargo bench -p tcpd-core`.
//!
//! Numbers are for both ends together, copies between the two included.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{
    ConnectOptions, EndpointId, IpCidr, ListenOptions, ListenerId, ReceiveMeta, Stack, StackConfig,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;

type BenchStack = Stack<HeapRing>;

struct Pair {
    now: Instant,
    stacks: [BenchStack; 2],
    packet: Vec<u8>,
    segments: u64,
}

impl Pair {
    fn new(gso_max: u32, ring: u32) -> Self {
        let now = Instant::from_secs(1);
        let stack = |last: u8, key: u8| {
            let mut config = StackConfig {
                addresses: vec![IpCidr {
                    addr: IpAddr::from([10, 0, 0, last]),
                    prefix: 24,
                }],
                gso_max,
                ..StackConfig::default()
            };
            config.tcp.receive_ring = ring;
            config.tcp.send_ring = ring;
            config.limits.reset_rate = u32::MAX;
            Stack::new(config, Secret::new([key; 16]), 1, now)
        };
        Self {
            now,
            stacks: [stack(1, 1), stack(2, 2)],
            packet: Vec::new(),
            segments: 0,
        }
    }

    /// Carries packets until both are silent.
    fn exchange(&mut self) {
        loop {
            let mut any = false;
            for from in 0..2 {
                let [left, right] = &mut self.stacks;
                let (sender, receiver) = if from == 0 {
                    (left, right)
                } else {
                    (right, left)
                };
                for _ in 0..16 {
                    let Some(transmit) = sender.poll_transmit(self.now) else {
                        break;
                    };
                    any = true;
                    self.segments += 1;
                    self.packet.clear();
                    self.packet.extend_from_slice(transmit.header);
                    if let Some(payload) = &transmit.payload {
                        use tcpd_core::tcp::buffer::Ring;
                        let start = self.packet.len();
                        self.packet.resize(start + payload.len as usize, 0);
                        payload
                            .ring
                            .read_at(payload.position, &mut self.packet[start..]);
                    }
                    let segment_size = (transmit.segment_size > 0).then_some(transmit.segment_size);
                    let meta = ReceiveMeta {
                        checksum_trusted: true,
                        segment_size,
                    };
                    receiver.receive(self.now, &self.packet, meta);
                }
            }
            while self.stacks[0].poll_event().is_some() || self.stacks[1].poll_event().is_some() {}
            if !any {
                return;
            }
            self.now += Duration::from_micros(10);
        }
    }

    fn listen(&mut self) -> ListenerId {
        let options = ListenOptions {
            port: 80,
            backlog: 4096,
            ..ListenOptions::default()
        };
        self.stacks[1].listen(self.now, options).expect("listen")
    }

    fn connect(&mut self, listener: ListenerId) -> [EndpointId; 2] {
        let remote = (IpAddr::from([10, 0, 0, 2]), 80).into();
        let left = self.stacks[0]
            .connect(self.now, ConnectOptions::to(remote))
            .expect("connect");
        self.exchange();
        [
            left,
            self.stacks[1].accept(self.now, listener).expect("accepted"),
        ]
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn timed(work: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn bulk(name: &str, gso_max: u32) {
    let mut pair = Pair::new(gso_max, 1 << 20);
    let listener = pair.listen();
    let [left, right] = pair.connect(listener);
    let data = vec![7; 256 << 10];
    let mut out = vec![0; 256 << 10];
    let total = 2u64 << 30;
    let (mut sent, mut received) = (0u64, 0u64);
    pair.segments = 0;
    let seconds = timed(|| {
        while received < total {
            sent += pair.stacks[0].send(pair.now, left, &data).unwrap_or(0) as u64;
            pair.exchange();
            while let Ok(count) = pair.stacks[1].receive_into(pair.now, right, &mut out) {
                received += count as u64;
            }
            if let Some(at) = pair.stacks[1].next_deadline()
                && sent == received
            {
                pair.now = pair.now.max(at);
                pair.stacks[1].on_deadline(pair.now);
            }
        }
    });
    let gbits = received as f64 * 8.0 / seconds / 1e9;
    let nanos = seconds * 1e9 / pair.segments as f64;
    println!(
        "{name}: {gbits:.1} Gbit/s, {nanos:.0} ns a segment, {} segments",
        pair.segments
    );
}

fn request_response(name: &str, connections: usize) {
    let mut pair = Pair::new(65_535, 1 << 16);
    let listener = pair.listen();
    let ids: Vec<_> = (0..connections).map(|_| pair.connect(listener)).collect();
    let rounds = 400_000;
    let mut place = 0usize;
    let mut run = |rounds: u32, pair: &mut Pair| {
        let mut out = [0; 64];
        for _ in 0..rounds {
            place = (place + 7919) % ids.len();
            let [left, right] = ids[place];
            pair.stacks[0].send(pair.now, left, &[1; 64]).expect("send");
            pair.exchange();
            pair.stacks[1]
                .receive_into(pair.now, right, &mut out)
                .expect("request");
            pair.stacks[1]
                .send(pair.now, right, &[2; 64])
                .expect("send");
            pair.exchange();
            pair.stacks[0]
                .receive_into(pair.now, left, &mut out)
                .expect("response");
        }
    };
    // The rings are allocated at the first byte.
    run(connections as u32, &mut pair);
    pair.segments = 0;
    let seconds = timed(|| run(rounds, &mut pair));
    println!(
        "{name}: {:.0} ns a round trip, {:.0} ns a segment",
        seconds * 1e9 / f64::from(rounds),
        seconds * 1e9 / pair.segments as f64
    );
}

fn open_and_close() {
    let mut pair = Pair::new(65_535, 1 << 16);
    let listener = pair.listen();
    let count = 100_000u32;
    let seconds = timed(|| {
        for _ in 0..count {
            let [left, right] = pair.connect(listener);
            pair.stacks[0].close(pair.now, left).expect("close");
            pair.stacks[1].close(pair.now, right).expect("close");
            pair.exchange();
            pair.now += Duration::from_millis(3);
            for stack in &mut pair.stacks {
                while stack.next_deadline().is_some_and(|at| at <= pair.now) {
                    stack.on_deadline(pair.now);
                }
            }
        }
    });
    println!("open and close: {:.0} ns", seconds * 1e9 / f64::from(count));
}

fn main() {
    // `cargo test --benches` only sees that it builds.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    println!("HalfOpen and TimeWait are asserted to be at most 96 and 64 bytes");
    bulk("bulk, super-segments of 64 KiB", 65_535);
    bulk("bulk, segments of 1448 bytes", 0);
    request_response("request/response, 1 connection", 1);
    request_response("request/response, 10,000 connections", 10_000);
    open_and_close();
}
