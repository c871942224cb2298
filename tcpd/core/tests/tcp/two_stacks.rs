//! Two stacks talk to each other: opening, data, closing, as users see it.

use std::net::IpAddr;
use std::time::Duration;

use crate::wire::{Wire, config, pattern};
use tcpd_core::stack::{Changes, EndReason, ReceiveError, State};

#[test]
fn a_connection_opens_carries_data_both_ways_and_closes() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    assert_eq!(wire.left.state(left), Some(State::Established));
    assert_eq!(wire.right.state(right), Some(State::Established));
    assert!(wire.changes(true, left).contains(Changes::CONNECTED));

    let bytes = pattern(1 << 20);
    assert!(wire.transfer(true, left, right, &bytes) == bytes);
    assert!(wire.transfer(false, right, left, &bytes) == bytes);

    wire.left.close(wire.now, left).expect("close");
    wire.exchange();
    assert_eq!(wire.right.state(right), Some(State::CloseWait));
    assert_eq!(
        wire.right.receive_into(wire.now, right, &mut [0; 10]),
        Ok(0)
    );
    wire.right.close(wire.now, right).expect("close");
    wire.exchange();
    assert_eq!(wire.right.state(right), None);
    assert_eq!(wire.left.state(left), Some(State::TimeWait));
    wire.run(Duration::from_secs(60));
    assert_eq!(wire.left.state(left), None);
    wire.assert_nothing_left();
}

#[test]
fn the_same_over_ipv6() {
    let left: IpAddr = "fd00:7463:7064::1".parse().expect("address");
    let right: IpAddr = "fd00:7463:7064::2".parse().expect("address");
    let mut wire = Wire::with(config(left), config(right));
    let (left, right) = wire.connect();
    let bytes = pattern(300_000);
    assert!(wire.transfer(true, left, right, &bytes) == bytes);
}

#[test]
fn a_port_without_listener_refuses() {
    let mut wire = Wire::new();
    let remote = wire.right_socket();
    let id = wire
        .left
        .connect(wire.now, tcpd_core::stack::ConnectOptions::to(remote))
        .expect("connect");
    wire.exchange();
    assert_eq!(
        wire.left.view(id).and_then(|view| view.end),
        Some(EndReason::Refused)
    );
    assert_eq!(
        wire.left.receive_into(wire.now, id, &mut [0; 1]),
        Err(ReceiveError::Ended(EndReason::Refused))
    );
    wire.left.close(wire.now, id).expect("let go");
    assert_eq!(wire.left.endpoints().count(), 0);
}

#[test]
fn every_packet_is_accepted_or_dropped_for_a_reason() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    let bytes = pattern(100_000);
    wire.transfer(true, left, right, &bytes);
    wire.left.abort(wire.now, left).expect("abort");
    wire.run(Duration::from_secs(1));
    for stack in [&wire.left, &wire.right] {
        let counters = stack.counters();
        assert!(counters.segments_in > 0);
        assert_eq!(
            counters.segments_in,
            counters.segments_accepted + counters.dropped_in_all()
        );
    }
    assert_eq!(
        wire.right.view(right).and_then(|view| view.end),
        Some(EndReason::Reset)
    );
}
