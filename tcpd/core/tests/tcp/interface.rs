//! What a program may ask of TCP, and what TCP asks of IP (RFC 9293 §3.9).

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::stack::{
    Changes, ConnectOptions, EndReason, Event, ListenOptions, OpenError, ReceiveMeta, State,
    TcpConfig,
};
use tcpd_core::wire::{Flags, IpHeader, TcpSegment, checksum};

use crate::peer::Peer;
use crate::wire::{LEFT, RIGHT};

/// A second address of the stack's.
const OTHER: [u8; 4] = [198, 18, 0, 77];

fn with_two_addresses() -> Peer {
    Peer::new(|config| {
        config
            .addresses
            .push("198.18.0.77/24".parse().expect("an address"));
    })
}

/// The whole packets that the stack sends now.
fn packets(peer: &mut Peer) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some(transmit) = peer.stack.poll_transmit(peer.now) {
        transmit.write_packets(|packet| packets.push(packet.to_vec()));
    }
    packets
}

fn sources(packets: &[Vec<u8>]) -> Vec<IpAddr> {
    packets
        .iter()
        .map(|packet| IpHeader::parse(packet).expect("a header").addresses.source)
        .collect()
}

/// What has happened to the stack's one connection since the last look.
fn changes(peer: &mut Peer) -> Changes {
    peer.out();
    peer.events
        .drain(..)
        .fold(Changes::NONE, |all, event| match event {
            Event::Changed { changes, .. } => all | changes,
            Event::Incoming { .. } => all,
        })
}

/// RFC 9293 §3.9.1.1 MUST-43, MUST-45: an active OPEN may name the local address, and every segment comes from it.
#[test]
fn a_connection_keeps_the_local_address_that_it_was_opened_from() {
    let mut peer = with_two_addresses();
    let remote = (IpAddr::from(LEFT), peer.port).into();
    let options = ConnectOptions {
        local: Some(IpAddr::from(OTHER)),
        local_port: 80,
        ..ConnectOptions::to(remote)
    };
    let id = peer.stack.connect(peer.now, options).expect("connect");
    for _ in 0..3 {
        let sent = packets(&mut peer);
        assert_eq!(sources(&sent), [IpAddr::from(OTHER)]);
        peer.now += Duration::from_secs(10);
        peer.stack.on_deadline(peer.now);
    }
    assert_eq!(peer.stack.state(id), Some(State::SynSent));

    let not_ours = ConnectOptions {
        local: Some([198, 18, 0, 78].into()),
        ..options
    };
    assert_eq!(
        peer.stack.connect(peer.now, not_ours),
        Err(OpenError::AddressNotAvailable)
    );
}

/// RFC 9293 §3.9.1.1 MUST-44, MUST-45: without one the stack chooses, and a passive connection answers from the address it was called at.
#[test]
fn a_connection_whose_user_names_no_address_gets_the_one_that_fits() {
    let mut peer = with_two_addresses();
    let remote = (IpAddr::from(LEFT), 5001).into();
    peer.stack
        .connect(peer.now, ConnectOptions::to(remote))
        .expect("connect");
    assert_eq!(sources(&packets(&mut peer)), [IpAddr::from(RIGHT)]);

    peer.listen();
    let mut syn = peer.packet(&peer.segment("S", 0, 0, b""));
    readdress(&mut syn, OTHER);
    peer.stack.receive(peer.now, &syn, ReceiveMeta::default());
    assert_eq!(sources(&packets(&mut peer)), [IpAddr::from(OTHER)]);
}

/// Turns a packet to RIGHT into one to `destination`, with good checksums.
fn readdress(packet: &mut [u8], destination: [u8; 4]) {
    packet[16..20].copy_from_slice(&destination);
    packet[10..12].fill(0);
    let sum = checksum::of(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let header = IpHeader::parse(packet).expect("a header");
    let segment = TcpSegment::parse(&packet[20..]).expect("a segment");
    let mut again = Vec::new();
    segment.emit(&header.addresses, &mut again);
    packet[20..].copy_from_slice(&again);
}

/// RFC 9293 §3.9.1.1 MUST-42: a port can be listened on while a connection of it is in SYN-SENT, and neither disturbs the other.
#[test]
fn a_port_whose_connection_is_being_opened_can_be_listened_on() {
    let mut peer = Peer::new(|_| {});
    let remote = (IpAddr::from(LEFT), 6000).into();
    let options = ConnectOptions {
        local_port: 80,
        reuse: true,
        ..ConnectOptions::to(remote)
    };
    let opening = peer.stack.connect(peer.now, options).expect("connect");
    peer.out();
    let listener = peer
        .stack
        .listen(
            peer.now,
            ListenOptions {
                port: 80,
                reuse: true,
                ..ListenOptions::default()
            },
        )
        .expect("listen");
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
    peer.tell(".", 1, 1, b"");
    assert!(peer.stack.accept(peer.now, listener).is_some());
    assert_eq!(peer.stack.state(opening), Some(State::SynSent));
}

/// RFC 9293 §3.9.2 MUST-49: the TTL is what the configuration says, on every kind of segment; 64 otherwise.
#[test]
fn the_time_to_live_is_configured() {
    for (configured, expected) in [(None, 64), (Some(1), 1), (Some(255), 255)] {
        let mut peer = Peer::new(|config| {
            config.tcp.hop_limit = configured.unwrap_or(config.tcp.hop_limit);
        });
        let id = peer.established();
        peer.stack.send(peer.now, id, b"text").expect("send");
        peer.stack_port = 81;
        peer.tell("S", 0, 0, b"");
        let sent = packets(&mut peer);
        assert_eq!(sent.len(), 2, "text and a RST");
        for packet in sent {
            assert_eq!(IpHeader::parse(&packet).expect("IP").hop_limit, expected);
        }
    }
}

/// RFC 9293 §3.9.2 MUST-50: a segment counts whatever options its IP header has that mean nothing to us.
#[test]
fn ip_options_that_are_not_understood_are_ignored() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    // A timestamp, a record route, router alert, and a kind that nobody has defined.
    for (count, options) in [
        [68u8, 4, 5, 0],
        [7, 3, 4, 0],
        [148, 4, 0, 0],
        [0x9e, 3, 1, 0],
    ]
    .iter()
    .enumerate()
    {
        let seq = 1 + 4 * count as u32;
        let mut packet = peer.packet(&peer.segment("P.", seq, 1, b"text"));
        packet.splice(20..20, *options);
        packet[0] = 0x46;
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[10..12].fill(0);
        let sum = checksum::of(&packet[..24]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        peer.stack
            .receive(peer.now, &packet, ReceiveMeta::default());
        let arrived = peer.stack.view(id).expect("view").receive.next;
        assert_eq!(arrived, 4 * (count as u64 + 1), "{options:?}");
    }
}

/// RFC 9293 §3.9.1.8 MUST-47, §3.9.2.2 SHLD-25: an ICMP error that ends nothing is told, and STATUS says what it was.
#[test]
fn a_soft_error_is_told_to_the_user() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.events.clear();
    let packet = crate::limits::unreachable(&peer, 1, 0, 0);
    peer.stack
        .receive(peer.now, &packet, ReceiveMeta::default());
    assert_eq!(changes(&mut peer), Changes::TROUBLE);
    let known = |peer: &Peer| peer.stack.status(id).and_then(|status| status.soft_error);
    assert!(matches!(known(&peer), Some(EndReason::Unreachable(_))));
    peer.tell("S.", 0, 1, b"");
    assert_eq!(changes(&mut peer), Changes::CONNECTED);

    peer.stack.send(peer.now, id, b"text").expect("send");
    peer.out();
    let packet = crate::limits::unreachable(&peer, 1, 0, 1);
    peer.stack
        .receive(peer.now, &packet, ReceiveMeta::default());
    assert_eq!(changes(&mut peer), Changes::TROUBLE);
    assert!(matches!(known(&peer), Some(EndReason::Unreachable(_))));
    assert_eq!(peer.stack.state(id), Some(State::Established));
}

/// RFC 9293 §3.8.3 MUST-20 (a, b), SHLD-9, SHLD-10: at R1, three retransmissions, the path is suspected and the user told, long before R2.
#[test]
fn at_r1_the_path_is_suspected_and_the_user_told() {
    assert!(TcpConfig::default().r1 >= 3 && TcpConfig::default().r2 > TcpConfig::default().r1);
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    changes(&mut peer);
    peer.stack.send(peer.now, id, b"lost").expect("send");
    // RTO is at its minimum: sent again after 0.2, 0.6 and 1.4 s.
    peer.wait(Duration::from_millis(1300));
    assert_eq!(changes(&mut peer), Changes::NONE);
    assert_eq!(peer.stack.counters().paths_suspected, 0);
    peer.wait(Duration::from_millis(200));
    assert_eq!(changes(&mut peer), Changes::TROUBLE);
    assert_eq!(peer.stack.counters().paths_suspected, 1);
    assert_eq!(peer.stack.state(id), Some(State::Established));
    peer.wait(Duration::from_secs(30));
    assert_eq!(changes(&mut peer), Changes::NONE, "once");
}

/// RFC 9293 §3.8.3 MUST-22: of a SYN that nobody answers the user hears at R1 and at R2, as of data.
#[test]
fn an_open_in_trouble_is_told() {
    let mut peer = Peer::new(|_| {});
    peer.connecting();
    peer.wait(Duration::from_secs(5));
    assert_eq!(changes(&mut peer), Changes::NONE);
    peer.wait(Duration::from_secs(5));
    assert_eq!(changes(&mut peer), Changes::TROUBLE);
    peer.wait(Duration::from_secs(300));
    assert_eq!(changes(&mut peer), Changes::ENDED);
}

/// RFC 9293 §3.8.5 MUST-32, MUST-33: the user is told when the urgent pointer comes up and when it advances, and not again in between.
#[test]
fn the_user_is_told_whenever_the_urgent_pointer_advances() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    changes(&mut peer);
    let tell = |peer: &mut Peer, seq: u32, pointer: u16| {
        let mut segment = peer.segment("U.", seq, 1, b"four");
        segment.urgent_pointer = pointer;
        let packet = peer.packet(&segment);
        peer.stack
            .receive(peer.now, &packet, ReceiveMeta::default());
        changes(peer).contains(Changes::URGENT)
    };
    assert!(tell(&mut peer, 1, 10), "up to position 10");
    assert_eq!(peer.stack.urgent(id), 10);
    assert!(!tell(&mut peer, 5, 6), "the same place");
    assert!(!tell(&mut peer, 1, 9), "a place before, on an old segment");
    assert!(tell(&mut peer, 9, 20), "up to position 28");
    assert_eq!(peer.stack.urgent(id), 28);
    let mut out = [0; 100];
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(12));
    assert_eq!(peer.stack.urgent(id), 16, "16 that have yet to arrive");
    assert!(tell(&mut peer, 13, 65_535), "as far as it reaches");
}

/// RFC 9293 §3.8.5 MUST-31, MUST-62: more urgent bytes than the pointer can name: it names as far as it reaches, then comes down to the end.
#[test]
fn a_hundred_thousand_urgent_bytes_are_pointed_at() {
    let mut peer = Peer::new(|config| {
        config.tcp.send_ring = 1 << 17;
        config.tcp.window_scale = true;
    });
    peer.options.window_scale = Some(4);
    let id = peer.established();
    peer.options.window_scale = None;
    peer.stack
        .send_urgent(peer.now, id, &[0; 100_000])
        .expect("send");
    let mut acknowledged = 0;
    let mut checked = 0;
    while acknowledged < 100_000 {
        for packet in packets(&mut peer) {
            let segment = TcpSegment::parse(&packet[20..]).expect("a segment");
            let start = segment.seq.offset_from(peer.iss.expect("SYN-ACK") + 1);
            assert!(segment.flags.contains(Flags::URG));
            let expected = u16::try_from(100_000 - start).unwrap_or(u16::MAX);
            assert_eq!(segment.urgent_pointer, expected, "at {start}");
            acknowledged = acknowledged.max(start + segment.payload.len() as u32);
            checked += 1;
        }
        peer.tell(".", 1, 1 + acknowledged, b"");
    }
    assert_eq!(checked, 100);
}

/// RFC 9293 §3.10.2, §3.8.5 MUST-30: what was called urgent before the connection is open is urgent when it leaves.
#[test]
fn urgent_bytes_written_before_the_handshake_is_over_are_pointed_at() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.stack
        .send_urgent(peer.now, id, b"ten bytes!")
        .expect("queued");
    peer.stack.send(peer.now, id, b" and more").expect("queued");
    peer.tell("S.", 0, 1, b"");
    let sent = packets(&mut peer);
    let segments: Vec<TcpSegment<'_>> = sent
        .iter()
        .map(|packet| TcpSegment::parse(&packet[20..]).expect("a segment"))
        .collect();
    let text = segments
        .iter()
        .find(|segment| !segment.payload.is_empty())
        .expect("text");
    assert!(text.flags.contains(Flags::URG), "{text}");
    assert_eq!(text.urgent_pointer, 10);
}
