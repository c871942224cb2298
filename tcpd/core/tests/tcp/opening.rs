//! Opening a connection (RFC 9293 §3.5): handshakes, crossings, half-open discovery, refusals.

use std::net::IpAddr;
use std::time::Duration;

use crate::peer::Peer;
use crate::wire::{self, LEFT, RIGHT, Wire};
use tcpd_core::stack::{ConnectOptions, EndReason, ListenOptions, OpenError, State, Timer};
use tcpd_core::wire::Timestamps;

/// RFC 9293 §3.8.3 MUST-22, MUST-23: R2 of a SYN, and what follows it.
#[test]
fn syn_is_retried_for_at_least_three_minutes_and_then_times_out() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    let tries: Vec<u64> = peer
        .wait(Duration::from_secs(179))
        .iter()
        .map(|(at, _)| *at / 1000)
        .collect();
    assert_eq!(tries, [1, 3, 7, 15, 31, 63, 123]);
    assert_eq!(peer.stack.state(id), Some(State::SynSent));
    assert_eq!(peer.wait(Duration::from_secs(121)), []);
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::TimedOut(Timer::Handshake))
    );
}

#[test]
fn syn_ack_is_retried_and_the_entry_given_up() {
    let mut peer = Peer::new(|_| {});
    peer.listen();
    peer.tell("S", 0, 0, b"");
    let tries = peer.wait(Duration::from_secs(100));
    assert!(tries.iter().all(|(_, text)| text == "S. 0(0) ack 1"));
    let at: Vec<u64> = tries.iter().map(|(at, _)| at / 1000).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31]);
    assert_eq!(peer.stack.endpoints().count(), 1, "only the listener");
}

#[test]
fn a_repeated_syn_gets_the_same_syn_ack() {
    let mut peer = Peer::new(|_| {});
    peer.listen();
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
    let iss = peer.iss;
    peer.now += Duration::from_millis(300);
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
    assert_eq!(peer.iss, iss);
}

#[test]
fn data_on_the_final_ack_is_taken_and_the_fin_too() {
    let mut peer = Peer::new(|_| {});
    let listener = peer.listen();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell("FP.", 1, 1, b"hello");
    let id = peer.stack.accept(peer.now, listener).expect("accepted");
    assert_eq!(peer.stack.state(id), Some(State::CloseWait));
    let mut out = [0; 10];
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(5));
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(0));
}

#[test]
fn syns_that_cross_make_one_connection() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.stack.state(id), Some(State::SynReceived));
    assert_eq!(peer.out(), ["S. 0(0) ack 1"], "the same ISS");
    // The peer's own SYN-ACK: one left of RCV.NXT, and yet it completes the handshake.
    peer.tell("S.", 0, 1, b"");
    assert_eq!(peer.stack.state(id), Some(State::Established));
    assert_eq!(peer.out(), Vec::<String>::new());
}

#[test]
fn a_crossing_completes_with_a_bare_ack_as_well() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.stack.state(id), Some(State::Established));
}

#[test]
fn a_reset_of_a_crossing_refuses_it() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell("R", 1, 0, b"");
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Refused)
    );
}

#[test]
fn two_stacks_that_open_to_each_other_at_once_are_connected() {
    for lost in 0..6 {
        let mut wire = Wire::new();
        let address = |left: bool| IpAddr::from(if left { LEFT } else { RIGHT });
        let open = |port: u16, remote: (IpAddr, u16)| ConnectOptions {
            local_port: port,
            ..ConnectOptions::to(remote.into())
        };
        wire.pass = Box::new(move |_, number, _| number != lost);
        let left = wire
            .left
            .connect(wire.now, open(1111, (address(false), 2222)))
            .expect("connect");
        let right = wire
            .right
            .connect(wire.now, open(2222, (address(true), 1111)))
            .expect("connect");
        wire.run(Duration::from_secs(10));
        assert_eq!(
            wire.left.state(left),
            Some(State::Established),
            "packet {lost} lost"
        );
        assert_eq!(
            wire.right.state(right),
            Some(State::Established),
            "packet {lost} lost"
        );
        let bytes = wire::pattern(50_000);
        assert!(wire.transfer(true, left, right, &bytes) == bytes);
        assert!(wire.transfer(false, right, left, &bytes) == bytes);
    }
}

#[test]
fn a_bad_ack_in_syn_sent_is_reset_and_a_new_syn_goes_out_at_once() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell(".", 300, 77, b"");
    assert_eq!(peer.out(), ["R 77(0)", "S 0(0)"]);
    assert_eq!(peer.stack.state(id), Some(State::SynSent));
    // Only once: the rest waits for the timeout.
    peer.tell(".", 300, 77, b"");
    assert_eq!(peer.out(), ["R 77(0)"]);
    peer.tell("R.", 300, 77, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
    assert_eq!(peer.stack.state(id), Some(State::SynSent));
}

#[test]
fn a_reset_in_syn_sent_needs_an_acceptable_ack() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell("R", 0, 0, b"");
    peer.tell("R.", 0, 5, b"");
    assert_eq!(peer.stack.state(id), Some(State::SynSent));
    peer.tell("R.", 0, 1, b"");
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::Refused)
    );
}

#[test]
fn a_bad_ack_in_syn_received_is_reset_and_the_entry_stays() {
    let mut peer = Peer::new(|_| {});
    let listener = peer.listen();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell(".", 1, 9, b"");
    assert_eq!(peer.out(), ["R 9(0)"]);
    peer.tell(".", 1, 1, b"");
    assert!(peer.stack.accept(peer.now, listener).is_some());
}

#[test]
fn a_reset_of_a_passive_handshake_returns_to_listen() {
    let mut peer = Peer::new(|_| {});
    peer.listen();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell("R", 2, 0, b"");
    assert_eq!(
        peer.out(),
        [". 1(0) ack 1"],
        "not exactly at RCV.NXT: a challenge"
    );
    peer.tell("R", 1, 0, b"");
    assert_eq!(peer.stack.endpoints().count(), 1);
    let counters = peer.stack.counters();
    assert_eq!(counters.transitions(State::SynReceived, State::Listen), 1);
}

#[test]
fn a_listener_answers_rst_ack_and_syn_in_the_order_of_the_rfc() {
    let mut peer = Peer::new(|_| {});
    peer.listen();
    for flags in ["R", "RS", "R.", "RS."] {
        peer.tell(flags, 0, 5, b"");
        assert_eq!(peer.out(), Vec::<String>::new(), "{flags}");
    }
    peer.iss = Some(tcpd_core::wire::SequenceNumber(0));
    for flags in [".", "S.", "F."] {
        peer.tell(flags, 0, 5, b"");
        assert_eq!(peer.out(), ["R 5(0)"], "{flags}");
    }
    for flags in ["F", "P", "-", "U", "FS"] {
        peer.tell(flags, 0, 0, b"");
        assert_eq!(peer.out(), Vec::<String>::new(), "{flags}");
    }
    // ECE and CWR ask for ECN (RFC 3168 §6.1.1); the others mean nothing on a SYN.
    peer.tell("SPUEW", 0, 0, b"");
    assert_eq!(peer.out(), ["SE. 0(0) ack 1"]);
}

#[test]
fn nothing_there_answers_with_the_numbers_of_the_segment() {
    let mut peer = Peer::new(|_| {});
    peer.tell("S", 0, 0, b"abc");
    assert_eq!(peer.out(), ["R. 0(0) ack 4"]);
    peer.iss = Some(tcpd_core::wire::SequenceNumber(1000));
    peer.tell("F.", 7, 3, b"abc");
    assert_eq!(peer.out(), ["R 3(0)"]);
    peer.tell("R", 7, 3, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
}

#[test]
fn half_open_discovery_takes_less_than_a_timeout() {
    // RFC 9293 figure 9: A has crashed and opens the same pair again, B is still established.
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let port = wire.left.view(left).expect("view").local.port();
    let crashed = wire::stack(wire::config(LEFT.into()), 99, wire.now);
    wire.left = crashed;
    let options = ConnectOptions {
        local_port: port,
        ..ConnectOptions::to(wire.right_socket())
    };
    let again = wire.left.connect(wire.now, options).expect("connect");
    wire.exchange();
    assert_eq!(
        wire.right.view(right).and_then(|view| view.end),
        Some(EndReason::Reset)
    );
    assert_eq!(
        wire.left.state(again),
        Some(State::Established),
        "without any time passing"
    );
}

#[test]
fn a_full_accept_queue_drops_the_final_ack_and_a_later_one_completes() {
    let mut peer = Peer::new(|_| {});
    let options = ListenOptions {
        port: 80,
        backlog: 1,
        ..ListenOptions::default()
    };
    let listener = peer.stack.listen(peer.now, options).expect("listen");
    // Both SYNs come before either handshake is complete.
    for port in [5000, 5001] {
        peer.port = port;
        peer.tell("S", 0, 0, b"");
    }
    peer.out();
    peer.port = 5000;
    let first = peer.iss;
    // The two have different ISS: learn each by asking again.
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell(".", 1, 1, b"");
    peer.port = 5001;
    peer.tell("S", 0, 0, b"");
    peer.out();
    assert_ne!(peer.iss, None, "{first:?}");
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.dropped("accept-queue-full"), 1);
    assert_eq!(peer.out(), Vec::<String>::new());
    // A SYN finds the queue full.
    peer.port = 5002;
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
    assert!(peer.stack.accept(peer.now, listener).is_some());
    // SYN-ACK goes out again, and is answered again.
    peer.port = 5001;
    let again = peer.wait(Duration::from_secs(2));
    assert_eq!(again[0].1, "S. 0(0) ack 1");
    peer.tell(".", 1, 1, b"");
    assert!(peer.stack.accept(peer.now, listener).is_some());
}

#[test]
fn the_oldest_half_open_entry_makes_way() {
    let mut peer = Peer::new(|config| {
        config.limits.half_open = 10;
        config.tcp.syn_cookies = false;
    });
    peer.listen();
    for port in 1000..1100 {
        peer.port = port;
        peer.tell("S", 0, 0, b"");
    }
    assert_eq!(peer.stack.endpoints().count(), 11);
    assert_eq!(peer.stack.counters().half_open_evicted, 90);
    let newest = peer
        .stack
        .endpoints()
        .filter_map(|line| (line.remote.port() >= 1090).then_some(()))
        .count();
    assert_eq!(newest, 10);
}

#[test]
fn options_are_agreed_only_when_offered() {
    let mut peer = Peer::new(|config| {
        config.tcp.timestamps = true;
        config.tcp.window_scale = true;
    });
    peer.listen();
    peer.tell("S", 0, 0, b"");
    let (_, _, options) = peer.segments()[0].clone();
    assert_eq!(
        (options.mss, options.window_scale, options.timestamps),
        (Some(1460), None, None)
    );
    peer.port += 1;
    peer.options.window_scale = Some(3);
    peer.options.timestamps = Some(Timestamps { value: 7, echo: 0 });
    peer.tell("S", 0, 0, b"");
    let (_, _, options) = peer.segments()[0].clone();
    assert_eq!(options.window_scale, Some(7), "4 MiB into 16 bits");
    assert_eq!(
        options.timestamps.map(|timestamps| timestamps.echo),
        Some(7)
    );
}

#[test]
fn during_the_quiet_time_nothing_opens() {
    let mut peer = Peer::new(|config| config.quiet_time = Some(Duration::from_secs(30)));
    peer.listen();
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
    assert_eq!(peer.dropped("quiet-time"), 1);
    let remote = (IpAddr::from(LEFT), 9999).into();
    peer.stack
        .connect(peer.now, ConnectOptions::to(remote))
        .expect("connect");
    let sent = peer.wait(Duration::from_millis(30_500));
    assert_eq!(sent, [(30_000, "S 0(0)".to_string())]);
}

#[test]
fn a_stack_talks_to_itself_and_a_socket_to_itself() {
    let mut wire = Wire::new();
    let address = IpAddr::from(RIGHT);
    let listener = wire.listen();
    let client = wire
        .right
        .connect(wire.now, ConnectOptions::to((address, 80).into()))
        .expect("connect");
    assert!(
        wire.right.poll_transmit(wire.now).is_none(),
        "nothing leaves the stack"
    );
    let server = wire.right.accept(wire.now, listener).expect("accepted");
    assert_eq!(wire.right.state(client), Some(State::Established));
    assert_eq!(wire.right.send(wire.now, client, b"hello"), Ok(5));
    wire.exchange();
    let mut out = [0; 9];
    assert_eq!(wire.right.receive_into(wire.now, server, &mut out), Ok(5));

    let options = ConnectOptions {
        local_port: 7777,
        ..ConnectOptions::to((address, 7777).into())
    };
    let own = wire.right.connect(wire.now, options).expect("connect");
    wire.exchange();
    assert_eq!(
        wire.right.state(own),
        Some(State::Established),
        "a simultaneous open with itself"
    );
    assert_eq!(wire.right.send(wire.now, own, b"echo"), Ok(4));
    wire.exchange();
    assert_eq!(wire.right.receive_into(wire.now, own, &mut out), Ok(4));
    wire.right.shutdown_write(wire.now, own).expect("close");
    wire.run(Duration::from_secs(1));
    assert_eq!(wire.right.state(own), Some(State::TimeWait));
}

/// RFC 9293 §3.9.1.1 MUST-46: an OPEN to an address that is no host's is an error.
#[test]
fn what_nobody_can_be_connected_to_is_refused() {
    let mut peer = Peer::new(|_| {});
    let open = |peer: &mut Peer, remote: &str| {
        peer.stack.connect(
            peer.now,
            ConnectOptions::to(remote.parse().expect("socket")),
        )
    };
    for remote in [
        "224.0.0.1:80",
        "255.255.255.255:80",
        "0.0.0.0:80",
        "198.18.0.255:80",
        "198.18.0.1:0",
    ] {
        assert_eq!(
            open(&mut peer, remote),
            Err(OpenError::RemoteInvalid),
            "{remote}"
        );
    }
    assert_eq!(open(&mut peer, "[fd00::1]:80"), Err(OpenError::NoRoute));
}

#[test]
fn closing_a_listener_resets_what_waits_there() {
    let mut peer = Peer::new(|_| {});
    let listener = peer.listen();
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.tell(".", 1, 1, b"");
    peer.port = 5001;
    peer.tell("S", 0, 0, b"");
    peer.out();
    peer.stack.close_listener(peer.now, listener);
    let resets = peer.out();
    assert_eq!(resets.len(), 2);
    assert!(
        resets.iter().all(|text| text.starts_with('R')),
        "{resets:?}"
    );
    assert_eq!(peer.stack.endpoints().count(), 0);
}
