//! The loop, turned by hand.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use libtcpclient::shm::{Arena, Layout};
use libtcpclient::socket::Bell;
use tcpd_core::random::Secret;
use tcpd_core::stack::{IpCidr, ReceiveMeta, Stack, StackConfig};
use tcpd_core::tcp::DropReason;
use tcpd_core::wire::{IpAddresses, IpFields};

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
    let packet = OutPacket {
        header: &[0x45; 20],
        payload: [RawSlice::EMPTY; 2],
        segment_size: 0,
        checksum: None,
        ipv6: false,
    };
    daemon.outside.transmit(&packet).expect("room");
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

/// An IP packet to the stack without content, of a protocol that nobody handles or that cannot be without.
fn empty_packet(protocol: u8) -> Vec<u8> {
    let addresses = IpAddresses {
        source: "198.18.0.1".parse().expect("an address"),
        destination: "198.18.0.2".parse().expect("an address"),
    };
    let mut packet = Vec::new();
    IpFields::new(addresses, protocol).emit(0, &mut packet);
    packet
}

#[test]
fn a_path_that_is_cleared_empties_a_batch_a_turn_and_before_anything_newer() {
    let mut daemon = daemon();
    let delayed = RuleSpec {
        target: Target::Everything,
        directions: Directions::In,
        impairment: "delay=60s".parse().expect("good words"),
        seed: 1,
    };
    let order = Order::ConfigureImpairment(vec![delayed]);
    daemon.orders.send(order).expect("a receiver");
    daemon.turn();
    let (many, old) = (3 * RECEIVE_BATCH as u64, empty_packet(253));
    let layer = daemon.turned.impair.as_mut().expect("there is a rule");
    for _ in 0..many {
        assert!(layer.take_in(clock::now(), &old, &ReceiveMeta::default()));
    }
    let order = Order::ConfigureImpairment(Vec::new());
    daemon.orders.send(order).expect("a receiver");
    let newer = empty_packet(tcpd_core::wire::protocol::TCP);
    let packet = OutPacket {
        header: &newer,
        payload: [RawSlice::EMPTY; 2],
        segment_size: 0,
        checksum: None,
        ipv6: false,
    };
    daemon.outside.transmit(&packet).expect("room");
    let mut events = Events::with_capacity(16);
    for turn in 1..=4 {
        let turned = &mut daemon.turned;
        turned
            .poll(&mut events, Some(Duration::ZERO))
            .expect("no error");
        turned.turn().expect("no error");
        let counters = turned.stack.counters();
        let seen = (
            counters.segments_in,
            counters.dropped(DropReason::MalformedTcp),
        );
        let newer = u64::from(turn == 4);
        let old = many.min(turn * RECEIVE_BATCH as u64);
        assert_eq!(seen, (old + newer, newer), "turn {turn}");
    }
    assert!(daemon.turned.impair.is_none(), "nothing is impaired");
}
