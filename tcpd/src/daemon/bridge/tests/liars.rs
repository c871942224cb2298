//! Clients that write what cannot be.

use super::*;

/// The name of a violation, and how a client commits it.
type Lie = (&'static str, fn(&mut End));

fn lies() -> [Lie; 4] {
    [
        ("transmit-write-back", |end| {
            let _ = end.slot.publish_written(1);
        }),
        ("transmit-write-beyond", |end| {
            let _ = end.slot.publish_written(u64::MAX);
        }),
        ("receive-read-back", |end| {
            let _ = end.slot.publish_read(1);
            let _ = end.slot.publish_written(end.written);
        }),
        ("receive-read-beyond", |end| {
            let _ = end.slot.publish_read(u64::MAX);
            let _ = end.slot.publish_written(end.written);
        }),
    ]
}

#[test]
fn a_lie_is_reported_once_and_nothing_of_its_session_is_looked_at_again() {
    for (name, lie) in lies() {
        let mut daemon = Daemon::new();
        let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
        let (mut a, mut b) = daemon.pair(one, two);
        let (mut c, mut d) = daemon.pair(one, two);
        a.write(b"truth");
        b.write(b"truth");
        daemon.turn();
        a.read(3);
        let _ = a.slot.publish_written(a.written); // A mark: so few bytes read are not told.
        daemon.turn();
        b.read(5);
        lie(&mut a);
        daemon.turn();
        assert_eq!(daemon.violations(), [(one, name)]);
        // Before the control thread ends the session: neither slots nor requests nor bells are heeded.
        lie(&mut a);
        c.write(b"not sent");
        daemon.bridge.hear_bell(one);
        daemon.turn();
        let asked = daemon.ask(one, Request::Abort { connection: c.id });
        assert_eq!(daemon.answer(one, asked), None);
        assert!(d.read(100).is_empty());
        daemon.turn();
        assert!(
            daemon.bridge.prepare_sleep(),
            "nobody keeps the daemon awake"
        );
        daemon.end_session(one);
        assert_eq!(daemon.violations(), [(one, name)]);
        assert_eq!(daemon.bridge.counts.violations, 1);
        assert_eq!(b.end_reason(), Some(EndReason::Reset));
        assert_eq!(d.end_reason(), Some(EndReason::Reset));
        assert!(daemon.is_released(one));
        assert_eq!(daemon.slots_of(two), 2);
    }
}

#[test]
fn a_lie_that_is_found_at_the_end_of_the_session_is_counted_too() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (a, b) = daemon.pair(one, two);
    let _ = a.slot.publish_written(1 << 40);
    daemon.end_session(one);
    assert_eq!(daemon.violations(), [(one, "transmit-write-beyond")]);
    assert_eq!(b.end_reason(), Some(EndReason::Reset));
    assert!(daemon.is_released(one));
}

#[test]
fn marks_everywhere_and_a_bell_rung_for_ever_are_only_spurious() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let (arena, bell) = &daemon.arenas[&one];
    for slot in 0..4096 {
        let _ = arena.doorbells(0).to_daemon.mark(slot);
    }
    while rustix::net::send(bell, &[0; 4096], SendFlags::DONTWAIT).is_ok() {}
    daemon.bridge.hear_bell(one);
    a.write(b"x");
    daemon.turn();
    assert_eq!(b.read(9), b"x");
    assert!(daemon.violations().is_empty());
}

#[test]
fn the_first_slots_do_not_starve_the_last() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1024), daemon.client(2, 1024));
    let mut pairs: Vec<_> = (0..700).map(|_| daemon.pair(one, two)).collect();
    for (a, _) in &mut pairs {
        a.write(b"x");
    }
    let arena = Arc::clone(&daemon.arenas[&one].0);
    for _ in 0..4 {
        daemon.bridge.poll_sessions(&mut daemon.stack, daemon.now);
        // Those that were looked at are busy again at once.
        for slot in 0..512 {
            let _ = arena.doorbells(0).to_daemon.mark(slot);
        }
    }
    let last = pairs.pop().expect("700 pairs").0;
    let view = daemon.stack.view(EndpointId::from_bits(last.id));
    assert_eq!(view.map(|view| view.send.written), Some(1));
}

#[test]
fn a_client_does_not_reach_connections_and_listeners_of_another() {
    let mut daemon = Daemon::new();
    let (one, two, three) = (
        daemon.client(1, 4),
        daemon.client(2, 4),
        daemon.client(3, 4),
    );
    let (a, b) = daemon.pair(one, two);
    let listener = daemon.listen(two, 99);
    for connection in [a.id, b.id, 0, u64::MAX] {
        for request in [
            Request::Abort { connection },
            Request::GrowTransmit { connection },
            Request::Close {
                connection,
                linger_ms: Some(1),
            },
            Request::Shutdown {
                connection,
                how: ShutdownHow::Both,
            },
        ] {
            let answer = daemon.call(three, request);
            assert_eq!(error_of(Some(answer)), ErrorCode::NoSuchConnection);
        }
    }
    let answer = daemon.call(three, Request::CloseListener { listener });
    assert_eq!(error_of(Some(answer)), ErrorCode::NoSuchListener);
    assert!(a.end_reason().is_none() && b.end_reason().is_none());
}
