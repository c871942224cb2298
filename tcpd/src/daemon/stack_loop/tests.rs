//! The loop, turned by hand.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use libtcpclient::shm::{Arena, Layout};
use libtcpclient::socket::Bell;
use tcpd_core::random::Secret;
use tcpd_core::stack::{IpCidr, ReceiveMeta, Stack, StackConfig};
use tcpd_core::tcp::DropReason;
use tcpd_core::wire::{IpAddresses, IpFields, protocol};

use super::*;
use crate::daemon::bridge::RingSizes;
use crate::daemon::channel::{self, OrderSender, ReportReceiver};
use crate::daemon::orders::Credentials;
use crate::device::channel::{Channel, channel};
use crate::device::impair::{Directions, RuleSpec, Target};

struct Daemon {
    turned: StackLoop,
    orders: OrderSender<Order>,
    reports: ReportReceiver<Report>,
    outside: Channel,
}

/// A loop with a small stack at 198.18.0.2, small rings and nobody's limits, and the other end of its device.
pub(in crate::daemon) fn small_loop(
    orders: Receiver<Order>,
    waiting: OwnedFd,
    reports: ReportSender<Report>,
) -> (StackLoop, Channel) {
    let (device, outside) = channel(1500, true).expect("a socketpair");
    let own = IpCidr {
        addr: "198.18.0.2".parse().expect("an address"),
        prefix: 24,
    };
    let config = StackConfig {
        addresses: vec![own],
        ..StackConfig::default()
    };
    let sizes = RingSizes {
        initial: 4096,
        maximum: 65_536,
    };
    let bridge = BridgeConfig {
        receive: sizes,
        transmit: sizes,
        pending_accepts: 4,
        keepalive: None,
        quotas: crate::daemon::stack_config::quotas(&Default::default()),
    };
    let stack = Stack::new(config, Secret::new([1; 16]), 1, clock::now());
    let device = Box::new(device);
    let turned = StackLoop::new(device, stack, bridge, orders, waiting, reports);
    (turned.expect("a loop"), outside)
}

fn daemon() -> Daemon {
    let (orders, receiver, waiting) = channel::orders().expect("an eventfd");
    let (sender, reports) = channel::reports().expect("an eventfd");
    let (turned, outside) = small_loop(receiver, waiting, sender);
    Daemon {
        turned,
        orders,
        reports,
        outside,
    }
}

impl Daemon {
    fn client(&mut self, session: SessionId) -> (Arc<Arena>, Bell) {
        let layout = Layout::new(1, 4, 65_536).expect("a layout");
        let arena = Arc::new(Arena::create(layout).expect("a memfd"));
        let (ours, theirs) = Bell::pair().expect("a socketpair");
        let opened = Order::SessionOpened {
            session,
            arena: Arc::clone(&arena),
            bell: OwnedFd::from(ours),
            credentials: Credentials {
                uid: 1000,
                all: false,
            },
            worker: false,
        };
        self.orders.send(opened).expect("a receiver");
        (arena, theirs)
    }

    /// What these send is impaired like this.
    fn impair(&mut self, target: Target, words: &str) {
        let rule = RuleSpec {
            target,
            directions: Directions::In,
            impairment: words.parse().expect("good words"),
            seed: 1,
        };
        let order = Order::ConfigureImpairment(vec![rule]);
        self.orders.send(order).expect("a receiver");
        self.turn();
    }

    /// A packet to its device.
    fn send(&mut self, packet: &[u8]) {
        let packet = OutPacket::whole(packet);
        self.outside.transmit(&packet).expect("room");
    }

    /// One turn after a look at who waits; packets that the stack has had so far, and how many of them were no TCP segment.
    fn look_and_turn(&mut self) -> (u64, u64) {
        let mut events = Events::with_capacity(16);
        let turned = &mut self.turned;
        turned
            .poll(&mut events, Some(Duration::ZERO))
            .expect("no error");
        turned.turn().expect("no error");
        let counters = turned.stack.counters();
        let malformed = counters.dropped(DropReason::MalformedTcp);
        (counters.segments_in, malformed)
    }

    /// One turn, with what follows it.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(16);
        assert!(
            self.turned.turn().expect("no error"),
            "there is always work"
        );
        self.turned.look_around(&mut events).expect("no error");
    }
}

#[test]
fn a_client_that_never_rests_keeps_neither_the_device_nor_a_sleeper_waiting() {
    let mut daemon = daemon();
    let (busy, _bell) = daemon.client(1);
    let (sleeper, bell) = daemon.client(2);
    daemon.turn();
    let mut events = Events::with_capacity(16);
    while daemon.turned.turn().expect("no error") {}
    assert!(daemon.turned.bridge.prepare_sleep());
    daemon
        .turned
        .poll(&mut events, Some(Duration::ZERO))
        .expect("no error");
    assert!(!daemon.turned.readable, "the device was read empty");
    let heard = daemon.turned.bridge.counts().bells_heard;
    // From now on one client always has something; then the device gets a packet, and the other client rings.
    assert!(busy.doorbells(0).to_daemon.mark(0));
    daemon.turned.bridge.hear_bell(1);
    daemon.send(&[0x45; 20]);
    assert!(sleeper.doorbells(0).to_daemon.mark(0), "it sleeps");
    rustix::io::write(&bell, &[1]).expect("room");
    let deadline = clock::now() + Duration::from_secs(10);
    while daemon.turned.device.statistics().packets_in == 0
        || daemon.turned.bridge.counts().bells_heard < heard + 2
    {
        assert!(clock::now() < deadline, "neither was seen");
        let _ = busy.doorbells(0).to_daemon.mark(0);
        daemon.turn();
    }
}

#[test]
fn a_stop_with_nothing_in_flight_ends_at_once() {
    let mut daemon = daemon();
    let grace = Duration::from_secs(3600);
    daemon
        .orders
        .send(Order::Stop { grace })
        .expect("a receiver");
    let before = clock::now();
    daemon.turned.run();
    assert!(clock::now().duration_since(before) < Duration::from_secs(60));
    daemon.reports.wake();
    let last = daemon.reports.next().expect("a report");
    assert!(matches!(last, Some(Report::Stopped { reset: 0 })));
}

const PEER: &str = "198.18.0.1";
/// A protocol that nobody handles (RFC 3692).
const UNKNOWN: u8 = 253;

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An IP packet to the stack without content; a TCP segment cannot be without.
fn empty_packet(from: &str, protocol: u8) -> Vec<u8> {
    let addresses = IpAddresses {
        source: address(from),
        destination: address("198.18.0.2"),
    };
    let mut packet = Vec::new();
    IpFields::new(addresses, protocol).emit(0, &mut packet);
    packet
}

#[test]
fn a_path_that_is_cleared_empties_a_batch_a_turn_and_before_anything_newer() {
    let mut daemon = daemon();
    daemon.impair(Target::Everything, "delay=60s");
    let (many, old) = (3 * RECEIVE_BATCH as u64, empty_packet(PEER, UNKNOWN));
    let layer = daemon.turned.impair.as_mut().expect("there is a rule");
    for _ in 0..many {
        assert!(layer.take_in(clock::now(), &old, &ReceiveMeta::default()));
    }
    let order = Order::ConfigureImpairment(Vec::new());
    daemon.orders.send(order).expect("a receiver");
    let newer = empty_packet(PEER, protocol::TCP);
    daemon.send(&newer);
    for turn in 1..=4 {
        let newer = u64::from(turn == 4);
        let old = many.min(turn * RECEIVE_BATCH as u64);
        assert_eq!(daemon.look_and_turn(), (old + newer, newer), "turn {turn}");
    }
    assert!(daemon.turned.impair.is_none(), "nothing is impaired");
}

#[test]
fn what_arrives_on_a_path_holds_others_back_only_while_a_turn_does_not_take_all_of_it() {
    let batch = RECEIVE_BATCH as u64;
    // Packets that have arrived, and what turns see: packets, and those of them from the device.
    for (arrived, turns) in [
        (1, vec![(2, 1)]),
        (batch - 1, vec![(batch, 1)]),
        // The path of a batch is empty, but nobody knows yet.
        (batch, vec![(batch + 1, 1), (batch + 1, 1), (batch + 3, 3)]),
        (2 * batch, vec![(batch + 1, 1), (2 * batch + 1, 1)]),
    ] {
        let mut daemon = daemon();
        daemon.impair(Target::peer(address(PEER), 32), "delay=1ms");
        let layer = daemon.turned.impair.as_mut().expect("there is a rule");
        let (long_ago, old) = (Instant::ZERO, empty_packet(PEER, UNKNOWN));
        for _ in 0..arrived {
            assert!(layer.take_in(long_ago, &old, &ReceiveMeta::default()));
        }
        let others = empty_packet("198.18.0.3", protocol::TCP);
        daemon.send(&others);
        for turn in turns {
            assert_eq!(daemon.look_and_turn(), turn, "{arrived} packets");
            daemon.send(&others);
        }
    }
}
