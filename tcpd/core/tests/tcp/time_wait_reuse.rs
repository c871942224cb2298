//! A pair in TIME-WAIT used again: by a newer SYN of the peer (RFC 9293 §3.6.1 MAY-2, SHLD-4; RFC 6191), by an own connect.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::stack::{ConnectOptions, EndpointId, ListenerId, OpenError, StackConfig, State};
use tcpd_core::wire::Timestamps;

use crate::peer::Peer;
use crate::time_wait::{listener_of, waiting};
use crate::wire::{LEFT, RIGHT, Wire, config};

fn value(value: u32) -> Option<Timestamps> {
    Some(Timestamps { value, echo: 0 })
}

#[test]
fn every_case_of_rfc_6191() {
    // Old value, our timestamps now, value and number of the SYN; the old RCV.NXT is 2, the last number seen 1.
    let cases = [
        // The old connection used timestamps, the new one would.
        (Some(5000), true, Some(5001), 0, true),
        (Some(5000), true, Some(0x8000_0000 + 4999), 0, true),
        (Some(5000), true, Some(5000), 2, true),
        (Some(5000), true, Some(5000), 1, false),
        (Some(5000), true, Some(4999), 100, false),
        // It would not.
        (Some(5000), true, None, 2, true),
        (Some(5000), true, None, 1, false),
        // The old one did not, the new one would.
        (None, true, Some(1), 0, true),
        // Nor the new one: the peer, or we, have none.
        (None, true, None, 2, true),
        (None, true, None, 1, false),
        (None, false, Some(9), 2, true),
        (None, false, Some(9), 1, false),
    ];
    for (old, ours, new, seq, reopens) in cases {
        let mut peer = Peer::new(|config| config.tcp.timestamps = ours);
        peer.options.timestamps = old.and_then(value);
        let id = waiting(&mut peer);
        peer.options.timestamps = new.and_then(value);
        peer.tell("S", seq, 0, b"");
        let out = peer.out();
        let what = format!("{old:?} {ours} {new:?} {seq}: {out:?}");
        assert_eq!(out.len(), 1, "{what}");
        assert_eq!(out[0].starts_with("S."), reopens, "{what}");
        assert_eq!(out[0] == ". 2(0) ack 2", !reopens, "{what}");
        assert_eq!(peer.stack.state(id).is_none(), reopens, "{what}");
    }
}

#[test]
fn the_peers_repeated_fin_brings_the_timestamp_that_counts() {
    // RFC 6191 §2: "the last timestamp seen on the previous incarnation".
    let mut peer = Peer::new(|config| config.tcp.timestamps = true);
    peer.options.timestamps = value(5000);
    waiting(&mut peer);
    peer.options.timestamps = value(7000);
    peer.tell("F.", 1, 2, b"");
    let echoed = peer.segments()[0].2.timestamps.expect("timestamps").echo;
    assert_eq!(echoed, 7000);
    peer.options.timestamps = value(6000);
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), [". 2(0) ack 2"]);
    peer.options.timestamps = value(7001);
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
}

#[test]
fn the_new_incarnation_goes_on_with_numbers_and_timestamps_above_the_old_ones() {
    for seconds in [0, 1, 59] {
        let mut peer = Peer::new(|config| config.tcp.timestamps = true);
        peer.options.timestamps = value(5000);
        waiting(&mut peer);
        let old = peer.iss.expect("seen") + 2;
        peer.tell("F.", 1, 2, b"");
        let last = peer.segments()[0].2.timestamps.expect("timestamps").value;
        peer.wait(Duration::from_secs(seconds));
        peer.options.timestamps = value(6000);
        peer.tell("S", 0, 0, b"");
        let (text, _, options) = peer.segments().remove(0);
        assert_eq!(text, "S. 0(0) ack 1");
        let step = peer.iss.expect("seen").signed_offset_from(old);
        assert!(step > 65_535, "beyond SND.NXT and any window of it: {step}");
        let now = options.timestamps.expect("timestamps").value;
        assert_eq!(now.wrapping_sub(last), seconds as u32 * 1000);
    }
}

#[test]
fn a_syn_that_turns_out_an_old_duplicate_returns_the_pair_to_time_wait() {
    // RFC 9293 §3.6.1 MAY-2 (2).
    let mut peer = Peer::new(|config| config.tcp.syn_ack_retries = 0);
    waiting(&mut peer);
    let old = peer.iss;
    let listener = listener_of(&peer);
    peer.wait(Duration::from_secs(10));
    for way in ["reset", "abort", "timeout"] {
        peer.tell("S", 2, 0, b"");
        assert_eq!(peer.out(), ["S. 0(0) ack 3"]);
        assert_eq!(state_of_the_pair(&peer), Some(State::SynReceived));
        match way {
            "reset" => peer.tell("R", 3, 0, b""),
            "abort" => {
                let half = id_of_the_pair(&peer).expect("half-open");
                peer.stack.abort(peer.now, half).expect("abort");
            }
            _ => {
                peer.wait(Duration::from_secs(1));
            }
        }
        peer.out();
        assert_eq!(state_of_the_pair(&peer), Some(State::TimeWait), "{way}");
    }
    peer.iss = old;
    peer.tell(".", 1, 2, b"x");
    assert_eq!(peer.out(), [". 2(0) ack 2"], "as it stood before");
    // What is left of the 2MSL goes on: 11 of 60 seconds are over.
    peer.wait(Duration::from_secs(49) - Duration::from_nanos(1));
    assert_eq!(state_of_the_pair(&peer), Some(State::TimeWait));
    peer.wait(Duration::from_nanos(1));
    assert_eq!(state_of_the_pair(&peer), None);
    let ended = |peer: &Peer| {
        peer.stack
            .counters()
            .transitions(State::TimeWait, State::Closed)
    };
    assert_eq!(ended(&peer), 1);
    peer.stack.close_listener(peer.now, listener);
    assert_eq!(peer.stack.endpoints().count(), 0);
    peer.listen();
}

#[test]
fn two_msl_may_end_while_the_new_handshake_is_under_way() {
    for completes in [false, true] {
        let mut peer = Peer::new(|config| config.tcp.syn_ack_retries = 1);
        waiting(&mut peer);
        peer.wait(Duration::from_secs(59));
        peer.tell("S", 2, 0, b"");
        assert_eq!(peer.out(), ["S. 0(0) ack 3"]);
        if completes {
            peer.tell(".", 3, 1, b"");
            assert_eq!(state_of_the_pair(&peer), Some(State::Established));
        }
        peer.wait(Duration::from_secs(30));
        let state = completes.then_some(State::Established);
        assert_eq!(state_of_the_pair(&peer), state);
        let ended = peer
            .stack
            .counters()
            .transitions(State::TimeWait, State::Closed);
        assert_eq!(ended, 1);
    }
}

fn id_of_the_pair(peer: &Peer) -> Option<EndpointId> {
    let line = peer.stack.endpoints().find(|line| line.remote.port() != 0);
    line.map(|line| line.id)
}

fn state_of_the_pair(peer: &Peer) -> Option<State> {
    id_of_the_pair(peer).and_then(|id| peer.stack.state(id))
}

/// The left end has closed first; its port.
fn left_in_time_wait(wire: &mut Wire) -> u16 {
    let listener = wire.listen();
    let (left, right) = wire.connect_to(listener);
    let port = wire.left.view(left).expect("view").local.port();
    wire.left.close(wire.now, left).expect("close");
    wire.exchange();
    wire.right.close(wire.now, right).expect("close");
    wire.exchange();
    assert_eq!(wire.left.state(left), Some(State::TimeWait));
    port
}

fn wire(tweak: impl Fn(&mut StackConfig)) -> Wire {
    let mut left = config(IpAddr::from(LEFT));
    tweak(&mut left);
    Wire::with(left, config(IpAddr::from(RIGHT)))
}

#[test]
fn an_own_connect_takes_the_pair_over_after_a_second_if_timestamps_protect_it() {
    for (timestamps, reuse) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut wire = wire(|config| config.tcp.timestamps = timestamps);
        let port = left_in_time_wait(&mut wire);
        let again = ConnectOptions {
            local_port: port,
            reuse,
            ..ConnectOptions::to(wire.right_socket())
        };
        wire.run(Duration::from_secs(1));
        let refused = Err(OpenError::AddressInUse);
        assert_eq!(wire.left.connect(wire.now, again), refused, "not yet");
        wire.run(Duration::from_nanos(1));
        let taken = wire.left.connect(wire.now, again);
        if !timestamps || !reuse {
            assert_eq!(taken, refused, "timestamps {timestamps}, reuse {reuse}");
            wire.run(Duration::from_secs(59));
            wire.left.connect(wire.now, again).expect("2MSL are over");
            continue;
        }
        let id = taken.expect("taken over");
        wire.exchange();
        assert_eq!(wire.left.state(id), Some(State::Established));
        assert_eq!(wire.left.counters().time_wait_reused, 1);
        wire.left.abort(wire.now, id).expect("abort");
        wire.exchange();
        let waiting = wire
            .right
            .endpoints()
            .find(|line| line.state == State::Listen);
        let listener = ListenerId::from_bits(waiting.expect("listener").id.to_bits());
        let reset = wire.right.accept(wire.now, listener).expect("accepted");
        wire.right.close(wire.now, reset).expect("let go");
        wire.assert_nothing_left();
    }
}

#[test]
fn an_ephemeral_port_of_a_pair_in_time_wait_is_taken_only_when_timestamps_protect_it() {
    for timestamps in [true, false] {
        let mut wire = wire(|config| {
            config.tcp.timestamps = timestamps;
            config.ports = 40_000..=40_001;
        });
        let first = left_in_time_wait(&mut wire);
        let to = ConnectOptions::to(wire.right_socket());
        let other = wire.left.connect(wire.now, to).expect("the other port");
        wire.exchange();
        let port = wire.left.view(other).expect("view").local.port();
        assert_eq!(port, 40_000 + (40_001 - first));
        assert_eq!(
            wire.left.connect(wire.now, to),
            Err(OpenError::NoFreePort),
            "both pairs are in use"
        );
        wire.run(Duration::from_millis(1_001));
        let again = wire.left.connect(wire.now, to);
        assert_eq!(again.is_ok(), timestamps, "{again:?}");
        assert_eq!(wire.left.counters().time_wait_reused, u64::from(timestamps));
    }
}
