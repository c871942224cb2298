//! Ends of connections and sessions: what the peer sees, and what becomes of slots.

use super::*;

#[test]
fn a_connection_closed_by_both_gives_its_slots_back() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 2), daemon.client(2, 2));
    for round in 0..3 {
        let (mut a, mut b) = daemon.pair(one, two);
        a.write(b"last words");
        let closed = daemon.close(&a, None);
        assert_eq!(daemon.answer(one, closed), Some(Reply::Done));
        daemon.pass(Duration::from_millis(100)); // The peer's ACK is delayed.
        assert_eq!(daemon.slots_of(one), 0, "everything is acknowledged");
        assert_eq!(b.read(100), b"last words");
        assert!(b.is_at(SlotState::PEER_CLOSED));
        b.write(b"to nobody");
        daemon.close(&b, None);
        daemon.pass(Duration::from_secs(3));
        daemon.assert_nothing_left();
        // Both rings of two slots, and before that the receive ring of the one that stayed open.
        assert!(daemon.bridge.counts.punched >= 4 * (round + 1));
    }
    daemon.pass(Duration::from_secs(100));
    assert_eq!(daemon.stack.endpoints().count(), 0);
}

#[test]
fn a_slot_stays_until_its_last_byte_is_acknowledged() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(8192);
    let mut sent = a.write(&bytes);
    daemon.pass(Duration::from_secs(1));
    sent += a.write(&bytes[sent..]);
    daemon.close(&a, None);
    daemon.pass(Duration::from_secs(1));
    assert_eq!(daemon.slots_of(one), 1, "the peer's window is closed");
    let mut got = Vec::new();
    while got.len() < sent {
        got.extend(b.read(1000));
        daemon.pass(Duration::from_secs(1));
    }
    assert_eq!(got, bytes[..sent]);
    assert_eq!(daemon.slots_of(one), 0);
    assert!(b.is_at(SlotState::PEER_CLOSED));
}

#[test]
fn lingering_answers_when_everything_is_acknowledged() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    a.write(b"hello");
    let closing = daemon.close(&a, Some(5000));
    daemon.pass(Duration::from_millis(100));
    assert_eq!(daemon.answer(one, closing), Some(Reply::Done));
    assert_eq!(daemon.slots_of(one), 0);
    assert_eq!(b.read(100), b"hello");
    daemon.close(&b, None);
    daemon.assert_nothing_left();
}

#[test]
fn lingering_ends_in_time_and_the_rest_is_sent_nevertheless() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(8000);
    let mut sent = a.write(&bytes);
    daemon.pass(Duration::from_secs(1));
    sent += a.write(&bytes[sent..]);
    let closing = daemon.close(&a, Some(5000));
    daemon.pass(Duration::from_millis(4999));
    assert_eq!(daemon.answer(one, closing), None);
    daemon.pass(Duration::from_millis(1));
    let answer = daemon.answer(one, closing);
    assert_eq!(error_of(answer), ErrorCode::TimedOut);
    let mut got = Vec::new();
    while got.len() < sent {
        got.extend(b.read(1000));
        daemon.pass(Duration::from_secs(1));
    }
    assert_eq!(got, bytes[..sent]);
    assert_eq!(daemon.slots_of(one), 0);
}

#[test]
fn lingering_does_not_call_a_reset_success() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, b) = daemon.pair(one, two);
    let bytes = pattern(8000);
    let sent = a.write(&bytes);
    daemon.pass(Duration::from_secs(1));
    a.write(&bytes[sent..]);
    let closing = daemon.close(&a, Some(5000));
    assert_eq!(
        daemon.call(two, Request::Abort { connection: b.id }),
        Reply::Done
    );
    let answer = daemon.answer(one, closing);
    assert_eq!(error_of(answer), ErrorCode::ConnectionReset);
    daemon.assert_nothing_left();
}

#[test]
fn an_abort_is_a_reset_to_the_peer_and_frees_both() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, b) = daemon.pair(one, two);
    a.write(b"lost");
    assert_eq!(
        daemon.call(one, Request::Abort { connection: a.id }),
        Reply::Done
    );
    assert_eq!(daemon.slots_of(one), 0);
    assert_eq!(b.end_reason(), Some(EndReason::Reset));
    daemon.close(&b, None);
    daemon.assert_nothing_left();
}

#[test]
fn a_client_that_goes_with_unread_data_resets_and_without_it_finishes() {
    for unread in [false, true] {
        let mut daemon = Daemon::new();
        let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
        let (mut a, mut b) = daemon.pair(one, two);
        b.write(b"question");
        daemon.turn();
        if !unread {
            // Read and written without a bell: the daemon looks for itself at the end.
            a.read(100);
        }
        a.write(b"the rest");
        daemon.end_session(one);
        if unread {
            assert_eq!(b.end_reason(), Some(EndReason::Reset));
        } else {
            assert_eq!(b.read(100), b"the rest");
            assert!(b.is_at(SlotState::PEER_CLOSED) && b.end_reason().is_none());
        }
        daemon.pass(Duration::from_millis(100));
        assert!(daemon.is_released(one));
        daemon.close(&b, None);
        daemon.end_session(two);
        daemon.pass(Duration::from_millis(100));
        assert!(daemon.is_released(two));
        daemon.assert_nothing_left();
    }
}

#[test]
fn a_worker_that_goes_without_closing_resets() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.open_session(2, 1, true));
    let (a, _b) = daemon.pair(one, two);
    daemon.end_session(two);
    assert_eq!(a.end_reason(), Some(EndReason::Reset));
    assert!(daemon.is_released(two));
}

#[test]
fn a_session_that_ends_while_it_lingers_still_sends_the_rest() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(8000);
    let mut sent = a.write(&bytes);
    daemon.pass(Duration::from_secs(1));
    sent += a.write(&bytes[sent..]);
    daemon.close(&a, Some(50_000));
    daemon.end_session(one);
    assert!(!daemon.is_released(one), "its bytes are still needed");
    let mut got = Vec::new();
    while got.len() < sent {
        got.extend(b.read(1000));
        daemon.pass(Duration::from_secs(1));
    }
    assert_eq!(got, bytes[..sent]);
    assert!(daemon.is_released(one));
}

fn operator_ends(daemon: &mut Daemon, id: u64, reset: bool) -> Inspected {
    let everyone = Credentials { uid: 0, all: true };
    let endpoint = EndpointId::from_bits(id);
    let (stack, now) = (&mut daemon.stack, daemon.now);
    daemon
        .bridge
        .end_connection(stack, now, 1, endpoint, reset, everyone);
    daemon.turn();
    match daemon.told.pop() {
        Some(Report::Inspected { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_hears_that_an_operator_has_reset_its_connection() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (a, b) = daemon.pair(one, two);
    let asleep = a.slot.prepare_wait_received();
    assert!(matches!(
        operator_ends(&mut daemon, a.id, true),
        Inspected::Done
    ));
    assert_eq!(a.end_reason(), Some(EndReason::Aborted));
    assert_ne!(a.slot.prepare_wait_received(), asleep, "who reads is woken");
    assert_eq!(b.end_reason(), Some(EndReason::Reset));
    let closed = daemon.close(&a, None);
    assert_eq!(daemon.answer(one, closed), Some(Reply::Done));
    assert_eq!(daemon.slots_of(one), 0);
}

#[test]
fn an_operator_ends_a_connect_and_its_client_hears_of_it() {
    for reset in [false, true] {
        let mut daemon = Daemon::new();
        let one = daemon.client(1, 1);
        let connecting = daemon.connect_to(one, "198.18.0.99:7", 0);
        let id = daemon.stack.endpoints().next().expect("SYN-SENT").id;
        let done = operator_ends(&mut daemon, id.to_bits(), reset);
        assert!(matches!(done, Inspected::Done));
        let answer = daemon.answer(one, connecting);
        assert_eq!(error_of(answer), ErrorCode::ConnectionAborted);
        daemon.assert_nothing_left();
    }
}

#[test]
fn to_close_what_is_closing_is_done() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (a, b) = daemon.pair(one, two);
    assert!(matches!(
        operator_ends(&mut daemon, a.id, false),
        Inspected::Done
    ));
    assert!(b.is_at(SlotState::PEER_CLOSED));
    assert!(matches!(
        operator_ends(&mut daemon, a.id, false),
        Inspected::Done
    ));
    daemon.close(&b, None);
    daemon.close(&a, None);
    daemon.assert_nothing_left();
    assert!(
        matches!(operator_ends(&mut daemon, a.id, false), Inspected::Done),
        "TIME-WAIT"
    );
    assert!(matches!(
        operator_ends(&mut daemon, 12345 << 32, true),
        Inspected::NoSuchEndpoint
    ));
}
