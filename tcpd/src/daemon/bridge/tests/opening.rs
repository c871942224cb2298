//! Connect, listen, accept, adopt.

use super::*;
use crate::daemon::orders::ServiceOrder;

#[test]
fn a_refused_connect_is_answered_and_leaves_nothing() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    for _ in 0..3 {
        let connecting = daemon.connect_to(one, "198.18.0.2:9", 0);
        let answer = daemon.answer(one, connecting);
        assert_eq!(error_of(answer), ErrorCode::ConnectionRefused);
        daemon.assert_nothing_left();
    }
    assert_eq!(daemon.stack.endpoints().count(), 0);
}

#[test]
fn a_connect_ends_at_its_own_time_limit() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let connecting = daemon.connect_to(one, "198.18.0.99:7", 2500);
    daemon.pass(Duration::from_millis(2499));
    assert_eq!(daemon.answer(one, connecting), None);
    daemon.pass(Duration::from_millis(1));
    let answer = daemon.answer(one, connecting);
    assert_eq!(error_of(answer), ErrorCode::TimedOut);
    daemon.assert_nothing_left();
    assert_eq!(daemon.stack.endpoints().count(), 0);
}

#[test]
fn a_connect_ends_at_the_time_limit_of_the_stack() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let connecting = daemon.connect_to(one, "198.18.0.99:7", 0);
    daemon.pass(Duration::from_secs(600));
    let answer = daemon.answer(one, connecting);
    assert_eq!(error_of(answer), ErrorCode::TimedOut);
    daemon.assert_nothing_left();
}

#[test]
fn a_session_that_ends_while_it_connects_leaves_nothing() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    daemon.connect_to(one, "198.18.0.99:7", 2500);
    daemon.end_session(one);
    assert!(daemon.is_released(one));
    daemon.assert_nothing_left();
    assert_eq!(daemon.stack.endpoints().count(), 0);
}

#[test]
fn a_connection_still_connecting_cannot_be_closed_by_guessing_its_name() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let connecting = daemon.connect_to(one, "198.18.0.99:7", 2500);
    let connection = daemon.stack.endpoints().next().expect("SYN-SENT").id;
    let close = Request::Close {
        connection: connection.to_bits(),
        linger_ms: None,
    };
    let answer = daemon.call(one, close);
    assert_eq!(error_of(Some(answer)), ErrorCode::NoSuchConnection);
    daemon.pass(Duration::from_secs(3));
    let answer = daemon.answer(one, connecting);
    assert_eq!(error_of(answer), ErrorCode::TimedOut);
}

#[test]
fn accepts_wait_and_can_be_taken_back() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let listener = daemon.listen(two, 7);
    let at_once = daemon.accept(two, listener, true);
    let answer = daemon.answer(two, at_once);
    assert_eq!(error_of(answer), ErrorCode::WouldBlock);
    let (first, second) = (
        daemon.accept(two, listener, false),
        daemon.accept(two, listener, false),
    );
    let cancel = Request::CancelAccept { request: first };
    assert_eq!(daemon.call(two, cancel), Reply::Done);
    let answer = daemon.answer(two, first);
    assert_eq!(error_of(answer), ErrorCode::Cancelled);
    daemon.connect_to(one, "198.18.0.2:7", 0);
    daemon.end(two, second);
    // More than may wait.
    for _ in 0..4 {
        daemon.accept(two, listener, false);
    }
    let beyond = daemon.accept(two, listener, false);
    let answer = daemon.answer(two, beyond);
    assert_eq!(error_of(answer), ErrorCode::TooManyRequests);
}

#[test]
fn accepts_are_answered_when_the_listener_closes_and_when_the_daemon_stops() {
    let mut daemon = Daemon::new();
    let two = daemon.client(2, 4);
    let listener = daemon.listen(two, 7);
    let accepting = daemon.accept(two, listener, false);
    daemon.call(two, Request::CloseListener { listener });
    let answer = daemon.answer(two, accepting);
    assert_eq!(error_of(answer), ErrorCode::ListenerClosed);
    let listener = daemon.listen(two, 7);
    let accepting = daemon.accept(two, listener, false);
    daemon.bridge.drain(&mut daemon.stack, daemon.now);
    let answer = daemon.answer(two, accepting);
    assert_eq!(error_of(answer), ErrorCode::Draining);
    let late = daemon.accept(two, listener, false);
    let answer = daemon.answer(two, late);
    assert_eq!(error_of(answer), ErrorCode::Draining);
    assert_eq!(daemon.bridge.unfinished(&daemon.stack), 0);
}

#[test]
fn without_a_slot_the_connection_stays_in_the_backlog() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 1));
    let listener = daemon.listen(two, 7);
    let connects = [0; 2].map(|_| daemon.connect_to(one, "198.18.0.2:7", 0));
    let [first, second] = connects.map(|request| daemon.end(one, request));
    let accepting = daemon.accept(two, listener, false);
    let accepted = daemon.end(two, accepting);
    let accepting = daemon.accept(two, listener, false);
    let answer = daemon.answer(two, accepting);
    assert_eq!(error_of(answer), ErrorCode::QuotaExceeded);
    assert!(first.end_reason().is_none() && second.end_reason().is_none());
    daemon.close(&accepted, None);
    let accepting = daemon.accept(two, listener, false);
    daemon.end(two, accepting);
}

#[test]
fn a_listener_that_closes_resets_who_waits_in_its_backlog() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 1));
    daemon.listen(two, 7);
    let connecting = daemon.connect_to(one, "198.18.0.2:7", 0);
    let a = daemon.end(one, connecting);
    daemon.end_session(two);
    assert_eq!(a.end_reason(), Some(EndReason::Reset));
    assert!(daemon.is_released(two));
}

/// A connection to a service that the daemon has accepted.
fn accepted_by_a_service(daemon: &mut Daemon, from: SessionId) -> (End, EndpointId) {
    let (stack, now) = (&mut daemon.stack, daemon.now);
    let listen = Listen {
        address: None,
        port: 7,
        reuse: true,
        backlog: 16,
        options: StreamOptions::default(),
    };
    daemon
        .bridge
        .service_order(stack, now, 0, ServiceOrder::Listen(listen));
    let connecting = daemon.connect_to(from, "198.18.0.2:7", 0);
    let a = daemon.end(from, connecting);
    daemon
        .bridge
        .service_order(&mut daemon.stack, daemon.now, 0, ServiceOrder::Accept);
    daemon.turn();
    match daemon.told.pop() {
        Some(Report::ServiceAccepted {
            connection: Some((endpoint, ..)),
            ..
        }) => (a, endpoint),
        other => panic!("{other:?}"),
    }
}

fn adopt(daemon: &mut Daemon, session: SessionId, endpoint: EndpointId) -> u32 {
    daemon
        .bridge
        .adopt(&mut daemon.stack, daemon.now, session, 1000, endpoint);
    daemon.turn();
    1000
}

#[test]
fn an_adopted_connection_brings_along_what_came_before() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let (mut a, endpoint) = accepted_by_a_service(&mut daemon, one);
    a.write(b"early");
    daemon.turn();
    let worker = daemon.open_session(2, 1, true);
    let request = adopt(&mut daemon, worker, endpoint);
    let mut b = daemon.end(worker, request);
    assert_eq!(b.read(100), b"early");
    b.write(b"answer");
    daemon.turn();
    assert_eq!(a.read(100), b"answer");
    assert!(daemon.bridge.unclaimed.is_empty());
}

#[test]
fn a_connection_reset_before_its_worker_came_is_adopted_with_its_end() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let (a, endpoint) = accepted_by_a_service(&mut daemon, one);
    daemon.call(one, Request::Abort { connection: a.id });
    let worker = daemon.open_session(2, 1, true);
    let request = adopt(&mut daemon, worker, endpoint);
    let b = daemon.end(worker, request);
    assert_eq!(b.end_reason(), Some(EndReason::Reset));
    daemon.end_session(worker);
    assert!(daemon.is_released(worker));
    daemon.assert_nothing_left();
}

#[test]
fn what_nobody_adopts_is_reset() {
    let mut daemon = Daemon::new();
    let one = daemon.client(1, 1);
    let (a, endpoint) = accepted_by_a_service(&mut daemon, one);
    daemon
        .bridge
        .abort_unclaimed(&mut daemon.stack, daemon.now, endpoint);
    daemon.turn();
    assert_eq!(a.end_reason(), Some(EndReason::Reset));
    // The worker comes too late, and one whose session is gone does not keep it either.
    let worker = daemon.open_session(2, 1, true);
    let request = adopt(&mut daemon, worker, endpoint);
    let answer = daemon.answer(worker, request);
    assert_eq!(error_of(answer), ErrorCode::NoSuchConnection);
    assert!(daemon.bridge.unclaimed.is_empty());
}
