//! Data in both directions.

use super::*;

#[test]
fn data_goes_both_ways_and_around_the_end_of_the_ring() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(50_000);
    for _ in 0..2 {
        let mut sent = 0;
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            sent += a.write(&bytes[sent..(sent + 1000).min(bytes.len())]);
            daemon.pass(Duration::from_millis(50));
            got.extend(b.read(777));
        }
        assert_eq!(got, bytes);
        std::mem::swap(&mut a, &mut b);
    }
    daemon.turn();
    assert!(daemon.violations().is_empty());
}

#[test]
fn rings_grow_under_a_fast_stream_and_no_byte_is_lost() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(1_000_000);
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < bytes.len() {
        sent += a.write(&bytes[sent..]);
        daemon.turn();
        if a.written == a.slot.acknowledged() {
            let grow = Request::GrowTransmit { connection: a.id };
            assert!(matches!(daemon.call(one, grow), Reply::Grown { .. }));
        }
        got.extend(b.read(3000));
        daemon.pass(Duration::from_micros(100));
    }
    assert!(got == bytes, "every byte in its place");
    assert!(daemon.bridge.counts.receive_growths > 0);
    assert!(daemon.bridge.counts.transmit_growths > 0);
    assert!(daemon.violations().is_empty());
}

#[test]
fn a_reader_that_stopped_for_long_goes_on_and_the_writer_with_it() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let bytes = pattern(20_000);
    let mut sent = 0;
    for _ in 0..20 {
        sent += a.write(&bytes[sent..]);
        daemon.pass(Duration::from_secs(1));
    }
    assert!(sent < bytes.len(), "both rings are full");
    let waiting = a.slot.prepare_wait_acknowledged();
    let mut got = Vec::new();
    got.extend(b.read(usize::MAX));
    daemon.pass(Duration::from_millis(1));
    let woken = a.slot.prepare_wait_acknowledged() != waiting;
    assert!(woken, "the writer is woken without a timer");
    while got.len() < bytes.len() {
        sent += a.write(&bytes[sent..]);
        daemon.pass(Duration::from_millis(50));
        got.extend(b.read(usize::MAX));
    }
    assert_eq!(got, bytes);
}

#[test]
fn acknowledgments_alone_do_not_wake_a_reader() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    let asleep = a.slot.prepare_wait_received();
    a.write(b"hello");
    daemon.pass(Duration::from_millis(100));
    assert_eq!(a.slot.acknowledged(), 5);
    assert_eq!(a.slot.prepare_wait_received(), asleep);
    b.write(b"!");
    daemon.turn();
    assert_ne!(a.slot.prepare_wait_received(), asleep);
}

#[test]
fn a_shut_reading_side_with_unread_data_is_no_lie() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (mut a, mut b) = daemon.pair(one, two);
    b.write(b"never read");
    daemon.turn();
    let shutdown = Request::Shutdown {
        connection: a.id,
        how: ShutdownHow::Read,
    };
    assert_eq!(daemon.call(one, shutdown), Reply::Done);
    a.write(b"still sent");
    b.write(b"thrown away");
    daemon.turn();
    a.write(b", and more");
    daemon.pass(Duration::from_secs(3));
    assert_eq!(b.read(100), b"still sent, and more");
    assert!(daemon.violations().is_empty());
    // Nothing counts as unread: FIN, no RST.
    daemon.close(&a, None);
    assert!(b.is_at(SlotState::PEER_CLOSED) && b.end_reason().is_none());
}
