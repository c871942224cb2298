//! Paths narrower than the interface, told of by routers or by nobody (RFC 1191, RFC 8201, RFC 4821, RFC 5927 §7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tcpd_core::stack::{
    ConnectOptions, EndpointId, ListenOptions, MtuProbing, ReceiveMeta, StackConfig,
};
use tcpd_core::wire::icmpv4::{self, Icmpv4Message};
use tcpd_core::wire::{IpAddresses, IpFields, TcpSegment, protocol};

use crate::common::packets::packet;
use crate::peer::Peer;
use crate::wire::{LEFT, RIGHT, Wire, config, ends, pattern};

/// Two stacks with a path between them that drops what is larger than `narrow` bytes, and says nothing.
struct Hole {
    wire: Wire,
    narrow: Arc<AtomicUsize>,
    /// The largest packet that arrived on the right.
    largest: Arc<AtomicUsize>,
    left: EndpointId,
    right: EndpointId,
    sent: usize,
}

impl Hole {
    fn new(ipv6: bool, probing: MtuProbing, sack: bool, narrow: usize) -> Self {
        Self::between(1500, ipv6, probing, sack, narrow)
    }

    /// Between interfaces of `link` bytes.
    fn between(link: u16, ipv6: bool, probing: MtuProbing, sack: bool, narrow: usize) -> Self {
        let (left, right) = ends(ipv6);
        let mut configs = [left, right].map(config);
        for config in &mut configs {
            config.mtu = link;
            config.tcp.mtu_probing = probing;
            config.tcp.sack = sack;
        }
        let [left, right] = configs;
        let mut wire = Wire::with(left, right);
        let (left, right) = wire.connect();
        let (narrow, largest) = (Arc::new(narrow.into()), Arc::new(AtomicUsize::new(0)));
        let (limit, seen): (Arc<AtomicUsize>, _) = (Arc::clone(&narrow), Arc::clone(&largest));
        wire.pass = Box::new(move |_, _, packet| {
            let passes = packet.len() <= limit.load(Ordering::Relaxed);
            if passes {
                seen.fetch_max(packet.len(), Ordering::Relaxed);
            }
            passes
        });
        Hole {
            wire,
            narrow,
            largest,
            left,
            right,
            sent: 0,
        }
    }

    /// 20 kB arrive, and `pause` passes.
    fn moves(&mut self, pause: Duration) {
        let text = pattern(20_000 + self.sent);
        let text = &text[self.sent..];
        let received = self.wire.transfer(true, self.left, self.right, text);
        assert_eq!(received, text);
        self.sent += text.len() % 7;
        self.wire.run(pause);
    }

    fn mtu(&self) -> u16 {
        self.wire.left.status(self.left).expect("status").path_mtu
    }
}

#[test]
fn a_black_hole_is_passed_and_the_largest_size_that_passes_is_found() {
    for (ipv6, narrow) in [
        (false, 1300),
        (false, 1499),
        (false, 600),
        (true, 1280),
        (true, 1400),
    ] {
        for sack in [true, false] {
            let case = format!("ipv6 {ipv6}, {narrow} bytes, sack {sack}");
            let mut hole = Hole::new(ipv6, MtuProbing::BlackHole, sack, narrow);
            let began = hole.wire.now;
            hole.moves(Duration::ZERO);
            let stalled = hole.wire.now.duration_since(began);
            // Three timeouts, or six.
            let patience = if narrow < 1064 { 14 } else { 2 };
            assert!(
                stalled < Duration::from_secs(patience),
                "{case}: {stalled:?}"
            );
            for _ in 0..60 {
                hole.moves(Duration::from_secs(1));
            }
            let counters = hole.wire.left.counters();
            let largest = hole.largest.load(Ordering::Relaxed);
            assert!(
                largest <= narrow && narrow - largest < 8,
                "{case}: {largest}"
            );
            assert_eq!(usize::from(hole.mtu()), largest, "{case}");
            let expected = if narrow < 1064 { 2 } else { 1 };
            assert_eq!(counters.path_mtu_black_holes, expected, "{case}");
            assert!(counters.path_mtu_probes_lost > 0, "{case}");
            let timeouts = counters.timeouts;
            hole.moves(Duration::from_secs(1));
            assert_eq!(hole.wire.left.counters().timeouts, timeouts, "{case}");
            // Who connects now knows it.
            let again = ConnectOptions::to((hole.wire.right_socket().ip(), 81).into());
            hole.wire.listen_on(81);
            let second = hole.wire.left.connect(hole.wire.now, again).unwrap();
            hole.wire.exchange();
            let status = hole.wire.left.status(second).expect("status");
            assert_eq!(usize::from(status.path_mtu), largest, "{case}");
        }
    }
}

#[test]
fn a_probe_larger_than_the_window_holds_nothing_up() {
    let mut hole = Hole::between(9000, false, MtuProbing::BlackHole, true, 1500);
    hole.moves(Duration::ZERO);
    for _ in 0..60 {
        let began = hole.wire.now;
        hole.moves(Duration::ZERO);
        let took = hole.wire.now.duration_since(began);
        assert!(took < Duration::from_millis(500), "{took:?} for 20 kB");
        hole.wire.run(Duration::from_secs(1));
    }
    assert!((1493..=1500).contains(&hole.mtu()), "{}", hole.mtu());
}

#[test]
fn a_path_that_becomes_wide_again_is_used_after_ten_minutes() {
    let mut hole = Hole::new(false, MtuProbing::BlackHole, true, 1300);
    for _ in 0..40 {
        hole.moves(Duration::from_secs(1));
    }
    assert!(hole.mtu() <= 1300);
    hole.narrow.store(9000, Ordering::Relaxed);
    hole.moves(Duration::from_secs(500));
    hole.moves(Duration::from_secs(100));
    assert!(hole.mtu() <= 1300, "it is left alone for so long");
    hole.moves(Duration::from_secs(1));
    hole.moves(Duration::from_secs(1));
    assert_eq!(hole.mtu(), 1500);
}

#[test]
fn probing_from_the_beginning_needs_no_timeout() {
    for (narrow, expected) in [(9000, 1500), (1300, 1293)] {
        let mut hole = Hole::new(false, MtuProbing::On, true, narrow);
        assert_eq!(hole.mtu(), 1064);
        for _ in 0..40 {
            hole.moves(Duration::from_secs(1));
        }
        let counters = hole.wire.left.counters();
        assert!(hole.mtu() >= expected && usize::from(hole.mtu()) <= narrow);
        assert_eq!((counters.timeouts, counters.path_mtu_black_holes), (0, 0));
        assert_eq!(counters.path_mtu_probes_lost > 0, narrow < 1500);
    }
}

#[test]
fn without_probing_a_black_hole_is_one() {
    let mut hole = Hole::new(false, MtuProbing::Off, true, 1300);
    let id = hole.left;
    hole.wire
        .left
        .send(hole.wire.now, id, &pattern(20_000))
        .unwrap();
    hole.wire.run(Duration::from_secs(60));
    let status = hole.wire.left.status(id).expect("status");
    assert_eq!((status.snd_una, status.path_mtu), (status.iss + 1, 1500));
    assert_eq!(hole.wire.left.counters().path_mtu_black_holes, 0);
}

impl Wire {
    fn listen_on(&mut self, port: u16) {
        let options = ListenOptions {
            port,
            ..ListenOptions::default()
        };
        self.right.listen(self.now, options).expect("listen");
    }
}

impl Peer {
    /// A router says that the stack's segment at `seq` is too big for `mtu`.
    fn too_big(&mut self, seq: u32, mtu: u16) {
        let ours = IpAddresses {
            source: RIGHT.into(),
            destination: LEFT.into(),
        };
        let segment = TcpSegment {
            source_port: self.stack_port,
            destination_port: self.port,
            seq: self.iss.expect("a SYN was sent") + seq,
            ..TcpSegment::default()
        };
        let mut text = Vec::new();
        segment.emit(&ours, &mut text);
        let mut quote = Vec::new();
        IpFields::new(ours, protocol::TCP).emit(1480, &mut quote);
        quote.extend_from_slice(&text[..8]);
        let message = Icmpv4Message::Unreachable {
            code: icmpv4::code::FRAGMENTATION_NEEDED,
            mtu,
            quote: &quote,
        };
        let mut body = Vec::new();
        message.emit(&mut body);
        let packet = packet(ours.reversed(), protocol::ICMPV4, &body);
        self.stack
            .receive(self.now, &packet, ReceiveMeta::default());
    }

    fn path_mtu(&self, id: EndpointId) -> u16 {
        self.stack.status(id).expect("status").path_mtu
    }
}

/// A connection with an MSS of 1460 on which one segment of 1460 bytes has been acknowledged, and a second one is on its way.
fn proven(tweak: impl FnOnce(&mut StackConfig)) -> (Peer, EndpointId) {
    let mut peer = Peer::new(tweak);
    let listener = peer.listen();
    peer.options.mss = Some(1460);
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.options.mss = None;
    peer.tell(".", 1, 1, b"");
    let id = peer.stack.accept(peer.now, listener).expect("accepted");
    peer.stack.send(peer.now, id, &pattern(1460)).unwrap();
    assert_eq!(peer.out(), ["P. 1(1460) ack 1"]);
    peer.now += Duration::from_millis(10);
    peer.tell(".", 1, 1461, b"");
    peer.stack.send(peer.now, id, &pattern(1460)).unwrap();
    assert_eq!(peer.out(), ["P. 1461(1460) ack 1"]);
    (peer, id)
}

#[test]
fn a_message_that_contradicts_what_was_acknowledged_waits_and_is_forgotten_with_progress() {
    // RFC 5927 §7.2: packets of this size have got through.
    let (mut peer, id) = proven(|_| {});
    peer.too_big(1461, 1000);
    assert_eq!(peer.path_mtu(id), 1500);
    assert!(peer.out().is_empty());
    peer.tell(".", 1, 2921, b"");
    peer.stack.send(peer.now, id, &pattern(1460)).unwrap();
    assert_eq!(peer.out(), ["P. 2921(1460) ack 1"]);
    peer.wait(Duration::from_millis(300));
    assert_eq!(peer.path_mtu(id), 1500, "forgotten");
    assert_eq!(peer.stack.counters().path_mtu_lowered, 0);
}

#[test]
fn a_message_that_contradicts_what_was_acknowledged_is_believed_when_the_segment_times_out() {
    let (mut peer, id) = proven(|config| config.tcp.mtu_probing = MtuProbing::Off);
    peer.too_big(1461, 1000);
    let seen = peer.wait(Duration::from_millis(210));
    // SRTT is 1.25 ms. CWND is one segment of the former size.
    let expected = [". 1461(960) ack 1", "P. 2421(500) ack 1"];
    assert_eq!(seen, expected.map(|text| (201, text.to_owned())));
    assert_eq!(peer.path_mtu(id), 1000);
    assert_eq!(peer.stack.counters().path_mtu_lowered, 1);
}

#[test]
fn a_message_about_a_size_that_was_never_exceeded_is_ignored() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.send(peer.now, id, &pattern(500)).unwrap();
    assert_eq!(peer.out(), ["P. 1(500) ack 1"]);
    peer.too_big(1, 600);
    peer.wait(Duration::from_millis(300));
    assert_eq!(peer.path_mtu(id), 1500);
    assert_eq!(peer.stack.counters().path_mtu_lowered, 0);
}
