//! Connections that go from one session to another.

use super::*;

/// Hands off; what was reported.
pub(super) fn hand_off(daemon: &mut Daemon, end: &End, uid: Option<u32>) -> EndpointId {
    let connection = end.id;
    daemon.ask(end.session, Request::HandOff { connection, uid });
    daemon.take_reports();
    match daemon.told.pop() {
        Some(Report::HandedOff {
            session,
            endpoint,
            uid: told,
            ..
        }) => {
            assert_eq!((session, told), (end.session, uid));
            endpoint
        }
        other => panic!("{other:?}"),
    }
}

fn adopt(daemon: &mut Daemon, session: SessionId, endpoint: EndpointId) -> Reply {
    let id = daemon.next_request;
    daemon.next_request += 1;
    daemon
        .bridge
        .adopt_handoff(&mut daemon.stack, daemon.now, session, id, endpoint);
    daemon.turn();
    match daemon.told.pop() {
        Some(Report::HandoffAdopted {
            session: told,
            request_id,
            reply,
            ..
        }) => {
            assert_eq!((told, request_id), (session, id));
            reply
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn adopted(daemon: &mut Daemon, session: SessionId, endpoint: EndpointId) -> End {
    let reply = adopt(daemon, session, endpoint);
    let id = daemon.next_request;
    daemon.next_request += 1;
    daemon.replies.insert((session, id), reply);
    daemon.end(session, id)
}

#[test]
fn what_is_unread_and_what_is_unacknowledged_goes_along() {
    let mut daemon = Daemon::new();
    let (one, two, three) = (
        daemon.client(1, 1),
        daemon.client(2, 4),
        daemon.client(3, 4),
    );
    let (mut a, mut b) = daemon.pair(one, two);
    // Full both ways: rings of both sides hold what the other does not take.
    let bytes = pattern(20_000);
    let (mut sent, mut back) = (0, 0);
    for _ in 0..20 {
        sent += a.write(&bytes[sent..]);
        back += b.write(&bytes[back..]);
        daemon.pass(Duration::from_millis(300));
    }
    assert!(sent > RING as usize && a.written > a.slot.acknowledged());
    assert_eq!(a.read(100).len(), 100);
    let endpoint = hand_off(&mut daemon, &a, None);
    assert_eq!(daemon.slots_of(one), 0);
    // The giver may go, and its slot be somebody else's.
    let (c, _d) = daemon.pair(one, two);
    daemon.end_session(one);
    drop(c);
    let mut e = adopted(&mut daemon, three, endpoint);
    assert_eq!((e.read, e.written), (a.read, a.written));
    let mut got = e.read(usize::MAX);
    let mut there = b.read(usize::MAX);
    for _ in 0..200 {
        sent += e.write(&bytes[sent..]);
        back += b.write(&bytes[back..]);
        daemon.pass(Duration::from_millis(300));
        got.extend(e.read(usize::MAX));
        there.extend(b.read(usize::MAX));
    }
    assert!(there == bytes, "{} of {}", there.len(), bytes.len());
    assert!(got == bytes[100..], "{} of {}", got.len(), bytes.len());
    assert!(daemon.violations().is_empty());
}

#[test]
fn bytes_that_come_and_acknowledgments_too_are_taken_while_nobody_has_it() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(3000);
    assert_eq!(a.write(&bytes), 3000);
    let endpoint = hand_off(&mut daemon, &a, Some(77));
    assert_eq!(b.write(&bytes), 3000);
    daemon.pass(Duration::from_secs(1));
    assert_eq!(b.read(usize::MAX), bytes);
    assert_eq!(b.slot.acknowledged(), 3000);
    let mut e = adopted(&mut daemon, one, endpoint);
    assert_eq!(e.slot.acknowledged(), 3000);
    assert_eq!(e.read(usize::MAX), bytes);
    assert_eq!(e.write(b"on"), 2);
    daemon.pass(Duration::from_secs(1));
    assert_eq!(b.read(usize::MAX), b"on");
}

#[test]
fn a_connection_whose_reading_side_is_shut_reads_for_itself_afterwards_too() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (a, mut b) = daemon.pair(one, two);
    let connection = a.id;
    let how = ShutdownHow::Read;
    let shut = daemon.call(one, Request::Shutdown { connection, how });
    assert_eq!(shut, Reply::Done);
    let endpoint = hand_off(&mut daemon, &a, None);
    let mut e = adopted(&mut daemon, one, endpoint);
    for _ in 0..5 {
        assert_eq!(b.write(&pattern(1000)), 1000);
        daemon.pass(Duration::from_secs(1));
        assert_eq!(e.write(b"x"), 1);
        daemon.pass(Duration::from_secs(1));
    }
    assert_eq!(b.slot.acknowledged(), 5000, "thrown away as it came");
    assert!(daemon.violations().is_empty());
}

#[test]
fn a_session_without_room_cannot_adopt_and_the_connection_waits_on() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 4));
    let (a, mut b) = daemon.pair(one, two);
    let endpoint = hand_off(&mut daemon, &a, None);
    let (c, _d) = daemon.pair(one, two);
    let reply = adopt(&mut daemon, one, endpoint);
    assert_eq!(error_of(Some(reply)), ErrorCode::QuotaExceeded);
    daemon.close(&c, None);
    daemon.pass(Duration::from_secs(5));
    let mut e = adopted(&mut daemon, one, endpoint);
    assert_eq!(e.write(b"word"), 4);
    daemon.pass(Duration::from_secs(1));
    assert_eq!(b.read(9), b"word");
    // A session that is gone is no taker, and harms nothing.
    let endpoint = hand_off(&mut daemon, &e, None);
    let reply = adopt(&mut daemon, 99, endpoint);
    assert_eq!(error_of(Some(reply)), ErrorCode::Internal);
    adopted(&mut daemon, two, endpoint);
}

#[test]
fn nobody_comes_and_the_connection_is_reset() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (a, b) = daemon.pair(one, two);
    let endpoint = hand_off(&mut daemon, &a, None);
    daemon
        .bridge
        .abort_handoff(&mut daemon.stack, daemon.now, endpoint);
    daemon.pass(Duration::from_secs(1));
    assert_eq!(b.end_reason(), Some(EndReason::Reset));
    let reply = adopt(&mut daemon, two, endpoint);
    assert_eq!(error_of(Some(reply)), ErrorCode::NoSuchConnection);
    // Nor is it there after an operator's reset.
    let (a, _b) = daemon.pair(one, two);
    let endpoint = hand_off(&mut daemon, &a, None);
    let operator = Credentials { uid: 0, all: true };
    daemon
        .bridge
        .end_connection(&mut daemon.stack, daemon.now, 1, endpoint, true, operator);
    daemon.turn();
    daemon.told.clear();
    let reply = adopt(&mut daemon, two, endpoint);
    assert_eq!(error_of(Some(reply)), ErrorCode::NoSuchConnection);
    assert!(daemon.bridge.handed_off.is_empty());
}

#[test]
fn who_adopts_sees_how_the_connection_has_ended_meanwhile() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    for reset in [false, true] {
        let (a, mut b) = daemon.pair(one, two);
        assert_eq!(b.write(b"last words"), 10);
        let endpoint = hand_off(&mut daemon, &a, None);
        daemon.pass(Duration::from_millis(500));
        let connection = b.id;
        let request = match reset {
            true => Request::Abort { connection },
            false => Request::Close {
                connection,
                linger_ms: None,
            },
        };
        assert_eq!(daemon.call(two, request), Reply::Done);
        daemon.pass(Duration::from_secs(1));
        let mut e = adopted(&mut daemon, one, endpoint);
        match reset {
            true => assert_eq!(e.end_reason(), Some(EndReason::Reset)),
            false => {
                assert!(e.is_at(SlotState::PEER_CLOSED));
                assert_eq!(e.read(99), b"last words");
            }
        }
        daemon.close(&e, None);
        daemon.pass(Duration::from_secs(300));
    }
    daemon.assert_nothing_left();
}

#[test]
fn only_the_owner_of_an_open_connection_can_hand_it_off() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (a, _b) = daemon.pair(one, two);
    let connection = a.id;
    let uid = None;
    for (session, connection) in [(two, connection), (one, 0), (one, u64::MAX)] {
        let reply = daemon.call(session, Request::HandOff { connection, uid });
        assert_eq!(error_of(Some(reply)), ErrorCode::NoSuchConnection);
    }
    hand_off(&mut daemon, &a, None);
    let again = daemon.call(one, Request::HandOff { connection, uid });
    assert_eq!(error_of(Some(again)), ErrorCode::NoSuchConnection);
}
