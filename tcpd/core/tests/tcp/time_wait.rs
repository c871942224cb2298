//! TIME-WAIT (RFC 9293 §3.6.1, RFC 1337, RFC 6191), and the ports it holds.

use std::net::IpAddr;
use std::time::Duration;

use tcpd_core::stack::{EndpointId, ListenOptions, ListenerId, OpenError, State, Summary};
use tcpd_core::wire::Timestamps;

use crate::peer::Peer;
use crate::wire::{RIGHT, Wire};

/// The only listener.
pub(crate) fn listener_of(peer: &Peer) -> ListenerId {
    let listening = |line: &Summary| line.state == State::Listen;
    let listener = peer.stack.endpoints().find(listening).expect("listener");
    ListenerId::from_bits(listener.id.to_bits())
}

/// A connection in TIME-WAIT: RCV.NXT is 2, SND.NXT is 2, and its user has let go.
pub(crate) fn waiting(peer: &mut Peer) -> EndpointId {
    let id = peer.established();
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.tell("F.", 1, 2, b"");
    peer.out();
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    id
}

#[test]
fn it_holds_pair_and_port_for_twice_the_segment_lifetime_to_the_nanosecond() {
    // RFC 9293 §3.4.2, §3.6.1 MUST-13. The default, and the choices that are documented beside it.
    let lengths = [7, 30, 60, 120].map(Duration::from_secs);
    for (msl, again) in lengths
        .into_iter()
        .flat_map(|msl| [(msl, false), (msl, true)])
    {
        let mut peer = Peer::new(|config| config.tcp.msl = msl);
        let id = waiting(&mut peer);
        let listener = listener_of(&peer);
        peer.stack.close_listener(peer.now, listener);
        let options = ListenOptions {
            port: 80,
            ..ListenOptions::default()
        };
        let almost = 2 * msl - Duration::from_nanos(1);
        if again {
            // The FIN again starts it anew.
            peer.wait(almost);
            peer.tell("F.", 1, 2, b"");
            assert_eq!(peer.out(), [". 2(0) ack 2"]);
        }
        peer.wait(almost);
        assert_eq!(peer.stack.state(id), Some(State::TimeWait));
        let taken = peer.stack.listen(peer.now, options);
        assert_eq!(taken, Err(OpenError::AddressInUse), "the port");
        peer.tell(".", 1, 2, b"x");
        assert_eq!(peer.out(), [". 2(0) ack 2"], "the pair");
        peer.wait(Duration::from_nanos(1));
        assert_eq!(peer.stack.state(id), None);
        peer.tell(".", 1, 2, b"x");
        assert_eq!(peer.out(), ["R 2(0)"], "nobody is there");
        let free = peer.stack.listen(peer.now, options);
        free.expect("the port is free");
    }
}

#[test]
fn the_fin_again_is_acknowledged_and_starts_it_anew_a_pure_ack_does_not() {
    let mut peer = Peer::new(|_| {});
    let id = waiting(&mut peer);
    peer.wait(Duration::from_secs(59));
    peer.tell("F.", 1, 2, b"");
    assert_eq!(peer.out(), [". 2(0) ack 2"]);
    peer.wait(Duration::from_secs(59));
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    peer.tell(".", 2, 2, b"");
    assert_eq!(peer.out(), Vec::<String>::new());
    peer.wait(Duration::from_secs(2));
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn a_reset_does_not_end_it_unless_configured() {
    let mut peer = Peer::new(|_| {});
    let id = waiting(&mut peer);
    peer.tell("R", 2, 0, b"");
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    assert_eq!(peer.dropped("time-wait-reset"), 1);

    let mut peer = Peer::new(|config| config.tcp.time_wait_ignores_reset = false);
    let id = waiting(&mut peer);
    peer.tell("R", 3, 0, b"");
    assert_eq!(
        peer.stack.state(id),
        Some(State::TimeWait),
        "not exactly at RCV.NXT"
    );
    peer.tell("R", 2, 0, b"");
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn a_newer_syn_opens_a_new_connection_with_a_number_above_the_old_ones() {
    let mut peer = Peer::new(|_| {});
    let id = waiting(&mut peer);
    let old = peer.iss.expect("seen");
    peer.tell("S", 1, 0, b"");
    assert_eq!(
        peer.out(),
        [". 2(0) ack 2"],
        "the last number seen: the FIN's"
    );
    peer.tell("S", 2, 0, b"");
    assert_eq!(peer.out(), ["S. 0(0) ack 3"]);
    assert!(peer.iss.expect("seen").after(old + 2));
    assert_eq!(peer.stack.state(id), None);
    assert_eq!(peer.stack.counters().time_wait_reopened, 1);
}

#[test]
fn timestamps_decide_where_there_are_some() {
    let cases = [
        (4999, 100, false),
        (5000, 100, true),
        (5000, 0, false),
        (5001, 0, true),
        (6000, 0x8000_0100, true),
    ];
    for (value, seq, reopens) in cases {
        let mut peer = Peer::new(|config| config.tcp.timestamps = true);
        peer.options.timestamps = Some(Timestamps {
            value: 5000,
            echo: 0,
        });
        waiting(&mut peer);
        peer.options.timestamps = Some(Timestamps { value, echo: 0 });
        peer.tell("S", seq, 0, b"");
        let out = peer.out();
        assert_eq!(out[0].starts_with("S."), reopens, "{value} {seq}: {out:?}");
    }
}

#[test]
fn without_a_listener_a_syn_is_only_acknowledged() {
    let mut peer = Peer::new(|_| {});
    waiting(&mut peer);
    let listener = listener_of(&peer);
    peer.stack.close_listener(peer.now, listener);
    peer.tell("S", 1000, 0, b"");
    assert_eq!(peer.out(), [". 2(0) ack 2"]);
}

#[test]
fn the_oldest_entry_makes_way() {
    let mut peer = Peer::new(|config| config.limits.time_wait = 3);
    let listener = peer.listen();
    let mut ids = Vec::new();
    for port in 1..=5 {
        peer.port = port;
        peer.tell("S", 0, 0, b"");
        peer.out();
        peer.tell(".", 1, 1, b"");
        let id = peer.stack.accept(peer.now, listener).expect("accepted");
        peer.stack.close(peer.now, id).expect("close");
        peer.out();
        peer.tell("F.", 1, 2, b"");
        peer.out();
        ids.push(id);
    }
    let alive: Vec<bool> = ids
        .iter()
        .map(|id| peer.stack.state(*id).is_some())
        .collect();
    assert_eq!(alive, [false, false, true, true, true]);
    assert_eq!(peer.stack.counters().time_wait_evicted, 2);
}

#[test]
fn a_server_that_restarts_finds_its_port_in_use_unless_it_shares() {
    let mut wire = Wire::new();
    let options = ListenOptions {
        port: 80,
        ..ListenOptions::default()
    };
    let sharing = ListenOptions {
        reuse: true,
        ..options
    };
    let listener = wire.right.listen(wire.now, sharing).expect("listen");
    let (left, right) = wire.connect_to(listener);
    assert_eq!(
        wire.right.listen(wire.now, sharing),
        Err(OpenError::AddressInUse),
        "two listeners never share"
    );
    wire.right.close_listener(wire.now, listener);
    assert_eq!(
        wire.right.listen(wire.now, options),
        Err(OpenError::AddressInUse),
        "a connection still uses it"
    );
    wire.right.close(wire.now, right).expect("close");
    wire.exchange();
    wire.left.close(wire.now, left).expect("close");
    wire.exchange();
    assert_eq!(wire.right.state(right), Some(State::TimeWait));
    assert_eq!(
        wire.right.listen(wire.now, options),
        Err(OpenError::AddressInUse),
        "TIME-WAIT as well"
    );
    let listener = wire.right.listen(wire.now, sharing).expect("both share");
    wire.right.close_listener(wire.now, listener);
    wire.run(Duration::from_secs(60));
    wire.right.listen(wire.now, options).expect("free again");
}

/// RFC 9293 §3.9.1.1 MUST-43: a passive OPEN may name a local address.
#[test]
fn listeners_conflict_where_their_addresses_overlap() {
    let mut wire = Wire::new();
    let at = |local: Option<IpAddr>| ListenOptions {
        local,
        port: 80,
        ..ListenOptions::default()
    };
    let any4: IpAddr = [0, 0, 0, 0].into();
    let any6: IpAddr = "::".parse().expect("address");
    let own = IpAddr::from(RIGHT);
    let now = wire.now;
    let exact = wire.right.listen(now, at(Some(own))).expect("exact");
    for other in [None, Some(any4), Some(any6), Some(own)] {
        assert_eq!(
            wire.right.listen(now, at(other)),
            Err(OpenError::AddressInUse),
            "{other:?}"
        );
    }
    let only6 = ListenOptions {
        v6only: true,
        ..at(Some(any6))
    };
    wire.right.listen(now, only6).expect("another family");
    wire.right.close_listener(now, exact);
    wire.right.listen(now, at(Some(any4))).expect("free");
    assert_eq!(
        wire.right.listen(now, at(Some([10, 0, 0, 1].into()))),
        Err(OpenError::AddressNotAvailable)
    );
    let picked = wire
        .right
        .listen(now, ListenOptions::default())
        .expect("any port");
    let port = wire
        .right
        .listener_status(picked)
        .expect("status")
        .local
        .port();
    assert!((32_768..=60_999).contains(&port));
}

#[test]
fn what_is_unread_outlives_it() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.shutdown_write(peer.now, id).expect("close");
    peer.out();
    peer.tell("FP.", 1, 2, b"last words");
    peer.out();
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    peer.wait(Duration::from_secs(61));
    assert_eq!(peer.stack.state(id), Some(State::Closed));
    let mut out = [0; 20];
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(10));
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(0));
    peer.stack.close(peer.now, id).expect("let go");
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn a_user_who_lets_go_of_unread_bytes_does_not_end_time_wait_twice() {
    for abort in [false, true] {
        let mut wire = Wire::new();
        let (left, right) = wire.connect();
        wire.left.shutdown_write(wire.now, left).expect("shutdown");
        wire.exchange();
        wire.right.send(wire.now, right, b"unread").expect("send");
        wire.right.close(wire.now, right).expect("close");
        wire.exchange();
        assert_eq!(wire.left.state(left), Some(State::TimeWait));
        if abort {
            // §3.10.5: "delete the TCB".
            wire.left.abort(wire.now, left).expect("abort");
            assert_eq!(wire.left.state(left), None);
        } else {
            wire.left.close(wire.now, left).expect("close");
            assert_eq!(wire.left.state(left), Some(State::TimeWait));
        }
        wire.run(Duration::from_secs(300));
        assert_eq!(wire.left.endpoints().count(), 0);
        let ended = wire
            .left
            .counters()
            .transitions(State::TimeWait, State::Closed);
        assert_eq!(ended, 1);
    }
}
