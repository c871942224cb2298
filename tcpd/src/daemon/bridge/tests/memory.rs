//! Receive rings that nobody uses give their memory back.

use super::*;

/// Bytes that the arena of a session occupies.
fn allocated(daemon: &Daemon, session: SessionId) -> u64 {
    let (arena, _) = &daemon.arenas[&session];
    arena.allocated_bytes().expect("fstat")
}

#[test]
fn an_idle_receive_ring_is_punched_and_nothing_wakes_up_afterwards() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    let before = allocated(&daemon, two);
    a.write(&pattern(4096));
    daemon.turn();
    let full = allocated(&daemon, two);
    assert!(full >= before + 4096);
    assert_eq!(b.read(usize::MAX), pattern(4096));
    daemon.pass(Duration::from_millis(900));
    assert_eq!(allocated(&daemon, two), full, "not yet");
    daemon.pass(Duration::from_millis(100));
    assert_eq!(allocated(&daemon, two), before);
    assert_eq!(daemon.bridge.counts.punched, 1);
    assert_eq!(daemon.bridge.next_deadline(), None);
    // And it is good for more.
    a.write(b"again");
    daemon.turn();
    assert_eq!(b.read(100), b"again");
    daemon.pass(Duration::from_secs(5));
    assert_eq!(daemon.bridge.counts.punched, 2);
    assert_eq!(daemon.bridge.next_deadline(), None);
}

#[test]
fn a_busy_ring_is_left_alone() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    for _ in 0..50 {
        a.write(b"tick");
        daemon.pass(Duration::from_millis(100));
        assert_eq!(b.read(100), b"tick");
    }
    assert_eq!(daemon.bridge.counts.punched, 0);
}

#[test]
fn a_large_ring_whose_stream_became_slow_gives_its_pages_back_while_it_is_used() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    daemon.stream(&mut a, &mut b, 1 << 20);
    let grown = daemon.stack.view(EndpointId::from_bits(b.id));
    assert_eq!(grown.map(|view| view.receive.capacity), Some(RING_MAX));
    assert!(allocated(&daemon, two) >= u64::from(RING_MAX));
    let mut most = 0;
    for second in 0..30 {
        for _ in 0..10 {
            a.write(&[9; 500]);
            daemon.turn();
            assert_eq!(b.read(1000), [9; 500]);
            daemon.pass(Duration::from_millis(100));
        }
        if second > 5 {
            most = most.max(allocated(&daemon, two));
        }
    }
    // A quarter, what comes in a second, and pages on either side.
    assert!(most <= u64::from(RING_MAX / 2), "{most}");
    assert!(daemon.bridge.counts.punched >= 5);
}

#[test]
fn a_ring_with_unread_bytes_waits_for_its_reader_without_a_timer() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, mut b) = daemon.pair(one, two);
    // Less than a quarter of the ring: the reader would not tell of its own accord.
    a.write(b"left lying");
    daemon.pass(Duration::from_secs(10));
    assert_eq!(daemon.bridge.counts.punched, 0);
    assert_eq!(daemon.bridge.next_deadline(), None);
    assert_eq!(b.read(4), b"left");
    daemon.pass(Duration::from_secs(10));
    assert_eq!(b.read(100), b" lying");
    daemon.pass(Duration::from_secs(1));
    assert_eq!(daemon.bridge.counts.punched, 1);
    assert_eq!(daemon.bridge.next_deadline(), None);
}

#[test]
fn a_lie_found_while_a_ring_is_looked_at_ends_the_session() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut a, b) = daemon.pair(one, two);
    a.write(b"hello");
    daemon.turn();
    assert!(daemon.bridge.prepare_sleep());
    let _ = b.slot.publish_read(99);
    daemon.now += Duration::from_secs(2);
    daemon.bridge.on_deadline(&mut daemon.stack, daemon.now);
    daemon.turn();
    assert_eq!(daemon.violations(), [(two, "receive-read-beyond")]);
}

#[test]
fn what_arrives_while_a_ring_is_swept_is_told_when_it_is_done_and_nobody_else_waits() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let (mut c, mut d) = daemon.pair(one, two);
    a.write(b"before");
    daemon.turn();
    assert_eq!(b.read(100), b"before");
    daemon.sweeps_held = true;
    daemon.pass(Duration::from_secs(1));
    a.write(&pattern(3000));
    c.write(b"beside it");
    daemon.turn();
    assert_eq!(d.read(100), b"beside it");
    assert!(b.read(100).is_empty(), "it is not there yet");
    a.write(b" and the end");
    daemon.close(&a, None);
    daemon.pass(Duration::from_secs(5));
    assert!(
        !b.is_at(SlotState::PEER_CLOSED),
        "that comes after the bytes"
    );
    assert!(b.read(100).is_empty());

    daemon.sweeps_held = false;
    daemon.turn();
    let mut all = pattern(3000);
    all.extend(b" and the end");
    assert_eq!(b.read(usize::MAX), all);
    assert!(b.is_at(SlotState::PEER_CLOSED));
    // And the other way it never stopped.
    b.write(b"bye");
    assert_eq!(daemon.close(&b, None), daemon.next_request - 1);
    daemon.close(&c, None);
    daemon.close(&d, None);
    daemon.pass(Duration::from_secs(100));
    daemon.assert_nothing_left();
}

#[test]
fn a_slot_that_is_swept_is_given_out_when_it_is_done() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 2), daemon.client(2, 2));
    let (a, b) = daemon.pair(one, two);
    daemon.close(&a, None);
    daemon.close(&b, None);
    daemon.turn();
    daemon.sweeps_held = true;
    daemon.pass(Duration::from_secs(2));
    assert_eq!(daemon.bridge.sweeper.under_way(), 2);
    let (c, _d) = daemon.pair(one, two);
    assert_ne!(c.slot.slot(), a.slot.slot());
    let listener = daemon.listen(two, 9);
    let accepting = daemon.accept(two, listener, false);
    let connecting = daemon.connect_to(one, "198.18.0.2:9", 0);
    let refused = daemon.answer(one, connecting);
    assert_eq!(error_of(refused), ErrorCode::QuotaExceeded);
    daemon.sweeps_held = false;
    daemon.turn();
    let connecting = daemon.connect_to(one, "198.18.0.2:9", 0);
    let again = (daemon.end(one, connecting), daemon.end(two, accepting));
    assert_eq!(again.0.slot.slot(), a.slot.slot());
    assert_eq!(again.1.slot.slot(), b.slot.slot());
}

#[test]
fn a_session_that_ends_while_it_is_swept_goes_when_that_is_done() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 2), daemon.client(2, 2));
    let (mut a, mut b) = daemon.pair(one, two);
    a.write(b"x");
    daemon.turn();
    assert_eq!(b.read(1), b"x");
    daemon.sweeps_held = true;
    daemon.pass(Duration::from_secs(1));
    daemon.end_session(two);
    assert!(!daemon.is_released(two), "somebody is at work there");
    daemon.sweeps_held = false;
    daemon.turn();
    assert!(daemon.is_released(two));
    daemon.end_session(one);
    daemon.pass(Duration::from_secs(100));
    assert!(daemon.is_released(one));
}

#[test]
fn a_user_who_keeps_sweeps_waiting_does_not_use_up_the_sweepers() {
    let mut daemon = Daemon::new();
    let mut ends = Vec::new();
    for session in 1..=8 {
        daemon.client(session, 2);
    }
    for session in [1, 3, 5, 7] {
        let (mut a, mut b) = daemon.pair(session, session + 1);
        a.write(&pattern(4096));
        daemon.turn();
        assert_eq!(b.read(usize::MAX), pattern(4096));
        ends.push((a, b));
    }
    daemon.sweeps_held = true;
    daemon.pass(Duration::from_secs(2));
    assert_eq!(
        daemon.bridge.sweeper.under_way(),
        2,
        "all sessions are one user's"
    );
    assert!(
        daemon.bridge.sweeper.has_room(Some(1001)),
        "another user finds one"
    );
    assert!(daemon.bridge.sweeper.has_room(None), "and so does a worker");
    daemon.sweeps_held = false;
    daemon.turn();
    assert_eq!(
        daemon.bridge.counts.punched, 4,
        "the others have their turn at once"
    );
    daemon.pass(Duration::from_secs(5));
    assert_eq!(daemon.bridge.counts.punched, 4);
    assert_eq!(daemon.bridge.next_deadline(), None);
}
