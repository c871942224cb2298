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
