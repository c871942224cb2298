//! Two stacks on a wire without delay, under one clock that moves from deadline to deadline.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tcpd_core::random::Secret;
use tcpd_core::stack::{
    Changes, ConnectOptions, EndpointId, Event, IpCidr, ListenOptions, ListenerId, ReceiveError,
    ReceiveMeta, SendError, Stack, StackConfig,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;

pub(crate) type TestStack = Stack<HeapRing>;

/// Whether a packet arrives: from the left?, its number, its bytes.
pub(crate) type Filter = Box<dyn FnMut(bool, usize, &[u8]) -> bool>;

/// Both ends and the wire between them.
pub(crate) struct Wire {
    pub(crate) now: Instant,
    pub(crate) left: TestStack,
    pub(crate) right: TestStack,
    /// Decides for each packet whether it arrives.
    pub(crate) pass: Filter,
    pub(crate) count: usize,
    pub(crate) events: Vec<(bool, Event)>,
}

pub(crate) const LEFT: [u8; 4] = [198, 18, 0, 1];
pub(crate) const RIGHT: [u8; 4] = [198, 18, 0, 2];
pub(crate) const LEFT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const RIGHT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Both ends, left and right.
pub(crate) fn ends(ipv6: bool) -> (IpAddr, IpAddr) {
    match ipv6 {
        true => (LEFT_V6.into(), RIGHT_V6.into()),
        false => (LEFT.into(), RIGHT.into()),
    }
}

pub(crate) fn config(address: IpAddr) -> StackConfig {
    StackConfig {
        addresses: vec![IpCidr {
            addr: address,
            prefix: if address.is_ipv6() { 64 } else { 24 },
        }],
        ..StackConfig::default()
    }
}

pub(crate) fn stack(config: StackConfig, seed: u64, now: Instant) -> TestStack {
    let mut key = [7; 16];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut stack = Stack::new(config, Secret::new(key), seed, now);
    stack.check_every_event();
    stack
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::with(config(IpAddr::from(LEFT)), config(IpAddr::from(RIGHT)))
    }

    pub(crate) fn with(left: StackConfig, right: StackConfig) -> Self {
        let now = Instant::from_secs(1000);
        Self {
            now,
            left: stack(left, 1, now),
            right: stack(right, 2, now),
            pass: Box::new(|_, _, _| true),
            count: 0,
            events: Vec::new(),
        }
    }

    /// Exchanges packets until both are silent; time does not move.
    pub(crate) fn exchange(&mut self) {
        let mut waiting: VecDeque<(bool, Vec<u8>)> = VecDeque::new();
        for _ in 0..1_000_000 {
            self.collect(&mut waiting);
            let Some((from_left, packet)) = waiting.pop_front() else {
                self.collect_events();
                return;
            };
            let receiver = if from_left {
                &mut self.right
            } else {
                &mut self.left
            };
            receiver.receive(self.now, &packet, ReceiveMeta::default());
        }
        panic!("the two never fall silent");
    }

    fn collect(&mut self, waiting: &mut VecDeque<(bool, Vec<u8>)>) {
        for from_left in [true, false] {
            let sender = if from_left {
                &mut self.left
            } else {
                &mut self.right
            };
            while let Some(transmit) = sender.poll_transmit(self.now) {
                transmit.write_packets(|packet| {
                    self.count += 1;
                    if (self.pass)(from_left, self.count, packet) {
                        waiting.push_back((from_left, packet.to_vec()));
                    }
                });
            }
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.left.poll_event() {
            self.events.push((true, event));
        }
        while let Some(event) = self.right.poll_event() {
            self.events.push((false, event));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.left.next_deadline(), self.right.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets `duration` pass, deadline by deadline.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.exchange();
        while let Some(at) = self.next_deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.left.on_deadline(self.now);
            self.right.on_deadline(self.now);
            self.exchange();
        }
        self.now = end;
    }

    /// The listeners are closed, time runs out for TIME-WAIT, orphans and whatever was lost; then nothing is left on either side: no
    /// endpoint, no timer, no port, and no packet follows.
    pub(crate) fn assert_nothing_left(&mut self) {
        for stack in [&mut self.left, &mut self.right] {
            let listening = stack.endpoints().filter(|line| line.remote.port() == 0);
            let listeners: Vec<_> = listening.map(|line| line.id.to_bits()).collect();
            for listener in listeners {
                stack.close_listener(self.now, ListenerId::from_bits(listener));
            }
        }
        self.run(Duration::from_secs(600));
        for stack in [&self.left, &self.right] {
            assert_eq!(stack.endpoints().next(), None, "still there");
            assert_eq!(stack.next_deadline(), None, "a timer of nobody");
            // Tables, gauges and ports are what the endpoints say, of which there is none.
            stack.assert_invariants();
        }
        let count = self.count;
        self.exchange();
        assert_eq!(self.count, count, "words of nobody");
    }

    /// A listener on the right, port 80.
    pub(crate) fn listen(&mut self) -> ListenerId {
        let options = ListenOptions {
            port: 80,
            ..ListenOptions::default()
        };
        self.right.listen(self.now, options).expect("listen")
    }

    pub(crate) fn right_socket(&self) -> SocketAddr {
        SocketAddr::new(self.right.config().addresses[0].addr, 80)
    }

    /// A connection from the left to port 80 on the right, accepted.
    pub(crate) fn connect(&mut self) -> (EndpointId, EndpointId) {
        let listener = self.listen();
        self.connect_to(listener)
    }

    pub(crate) fn connect_to(&mut self, listener: ListenerId) -> (EndpointId, EndpointId) {
        let left = self
            .left
            .connect(self.now, ConnectOptions::to(self.right_socket()))
            .expect("connect");
        self.exchange();
        let right = self.right.accept(self.now, listener).expect("accepted");
        (left, right)
    }

    /// Sends `bytes` from one side to the other and reads them there, time moving as needed.
    pub(crate) fn transfer(
        &mut self,
        from_left: bool,
        from: EndpointId,
        to: EndpointId,
        bytes: &[u8],
    ) -> Vec<u8> {
        let mut sent = 0;
        let mut received = Vec::new();
        let mut buffer = vec![0; 65_536];
        for _ in 0..1_000_000 {
            let now = self.now;
            let (sender, receiver) = if from_left {
                (&mut self.left, &mut self.right)
            } else {
                (&mut self.right, &mut self.left)
            };
            if sent < bytes.len() {
                match sender.send(now, from, &bytes[sent..]) {
                    Ok(count) => sent += count,
                    Err(SendError::Full) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            match receiver.receive_into(now, to, &mut buffer) {
                Ok(count) => received.extend_from_slice(&buffer[..count]),
                Err(ReceiveError::Empty) => {
                    if received.len() == bytes.len() {
                        return received;
                    }
                    self.exchange();
                    if self.nothing_readable(from_left, to)
                        && let Some(at) = self.next_deadline()
                    {
                        self.now = self.now.max(at);
                        self.left.on_deadline(self.now);
                        self.right.on_deadline(self.now);
                        self.exchange();
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the transfer never ends");
    }

    fn nothing_readable(&self, from_left: bool, to: EndpointId) -> bool {
        let receiver = if from_left { &self.right } else { &self.left };
        receiver
            .view(to)
            .is_some_and(|view| view.receive.read == view.receive.next)
    }

    /// All changes told of `id` so far, and forgets them.
    pub(crate) fn changes(&mut self, on_left: bool, id: EndpointId) -> Changes {
        let mut all = Changes::NONE;
        self.events.retain(|(left, event)| match event {
            Event::Changed { endpoint, changes } if *left == on_left && *endpoint == id => {
                all |= *changes;
                false
            }
            _ => true,
        });
        all
    }
}

/// Bytes that tell their place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 251) as u8).collect()
}
