use std::thread;

use proptest::prelude::*;

use super::*;
use crate::shm::{Direction, Layout, MapError, SharedRing};

const KIB_64: u32 = 64 * 1024;

fn arena() -> Arc<Arena> {
    let layout = Layout::new(2, 20, 1 << 20).expect("a layout");
    Arc::new(Arena::create(layout).expect("an arena"))
}

/// The client's mapping of the same memory.
fn mapped(arena: &Arena) -> Arc<Arena> {
    let fd = arena.as_fd().try_clone_to_owned().expect("dup");
    Arc::new(Arena::map(fd, arena.layout()).expect("map"))
}

use std::os::fd::AsFd;

fn ends() -> (DaemonSlot, ClientSlot) {
    let arena = arena();
    let client = ClientSlot::new(mapped(&arena), 19, 1).expect("in range");
    let daemon = DaemonSlot::new(arena, 19, 1);
    daemon.open(StartPositions {
        receive_read: 10,
        receive_write: 20,
        transmit_acknowledged: 30,
        transmit_write: 40,
        receive: Geometry {
            capacity: KIB_64,
            base: 10,
        },
        transmit: Geometry {
            capacity: KIB_64,
            base: 30,
        },
        state: SlotState::CONNECTED,
    });
    (daemon, client)
}

#[test]
fn the_client_finds_what_the_daemon_initialised() {
    let (_daemon, client) = ends();
    assert_eq!(client.start(), (10, 40));
    assert_eq!((client.received(), client.acknowledged()), (20, 30));
    assert_eq!(client.receive_geometry().map(|g| g.base), Some(10));
    assert_eq!(client.transmit_geometry().map(|g| g.capacity), Some(KIB_64));
    assert_eq!(client.state(), (SlotState::CONNECTED, None));
}

#[test]
fn an_index_that_does_not_fit_the_truth_is_a_violation() {
    let (daemon, client) = ends();
    let _ = client.publish_written(40 + 100);
    assert_eq!(daemon.take_written(40, 30, KIB_64), Ok(140));
    assert_eq!(
        daemon.take_written(141, 30, KIB_64),
        Err(Violation::TransmitWriteBack)
    );
    let _ = client.publish_written(30 + u64::from(KIB_64));
    assert!(daemon.take_written(140, 30, KIB_64).is_ok());
    for beyond in [30 + u64::from(KIB_64) + 1, u64::MAX] {
        let _ = client.publish_written(beyond);
        assert_eq!(
            daemon.take_written(140, 30, KIB_64),
            Err(Violation::TransmitWriteBeyond)
        );
    }
    let _ = client.publish_read(20);
    assert_eq!(daemon.take_read(10, 20), Ok(20));
    assert_eq!(daemon.take_read(21, 25), Err(Violation::ReceiveReadBack));
    let _ = client.publish_read(21);
    assert_eq!(daemon.take_read(20, 20), Err(Violation::ReceiveReadBeyond));
}

#[test]
fn a_reader_marks_the_slot_only_where_the_daemon_asked_for_it() {
    let (daemon, client) = ends();
    let marks = || daemon.arena().doorbells(1).to_daemon.take().is_some();
    let _ = client.publish_read(11);
    assert!(marks(), "0 means always");
    assert!(!daemon.ask_notice(15));
    let _ = client.publish_read(14);
    assert!(!marks());
    let _ = client.publish_read(16);
    assert!(marks());
    assert!(daemon.ask_notice(16), "it is there already");
}

#[test]
fn the_state_and_its_reason_arrive_together() {
    let (daemon, client) = ends();
    let state = SlotState::CONNECTED.with(SlotState::ENDED);
    daemon.publish_state(state, Some(EndReason::Reset));
    assert_eq!(client.state(), (state, Some(EndReason::Reset)));
    assert!(client.state().0.contains(SlotState::ENDED));
}

#[test]
fn a_poller_is_marked_ready_once() {
    let (daemon, client) = ends();
    assert!(!daemon.wake_reader());
    client.prepare_poll_received();
    client.prepare_poll_acknowledged();
    let ready = &daemon.arena().doorbells(1).to_client;
    assert!(ready.prepare_sleep());
    assert!(daemon.wake_reader(), "the sleeper must be rung");
    assert!(!daemon.wake_reader(), "only once");
    let marked: Vec<u32> = ready.take().expect("marked").collect();
    assert_eq!(marked, [19]);
}

/// The stress form of the loom model, with real futexes and the real copies: a writer and a reader
/// through a ring of one page, both sleeping often, every byte checked.
#[test]
fn bytes_pass_through_a_small_ring_in_order_and_nobody_sleeps_for_ever() {
    const TOTAL: u64 = 4 << 20;
    let arena = arena();
    let client = ClientSlot::new(mapped(&arena), 3, 0).expect("in range");
    let daemon = DaemonSlot::new(arena.clone(), 3, 0);
    let small = Geometry {
        capacity: 4096,
        base: 0,
    };
    daemon.open(StartPositions {
        receive_read: 0,
        receive_write: 0,
        transmit_acknowledged: 0,
        transmit_write: 0,
        receive: small,
        transmit: small,
        state: SlotState::CONNECTED,
    });
    let limit = Some(Duration::from_secs(20));
    let theirs = SharedRing::new(mapped(&arena), 3, Direction::Receive, 4096, 0).expect("fits");
    let reader = thread::spawn(move || {
        let mut at = 0u64;
        let mut buffer = vec![0u8; 4096];
        while at < TOTAL {
            let seen = client.prepare_wait_received();
            let end = client.received();
            if end == at {
                client.wait_received(seen, limit).expect("woken");
                continue;
            }
            let piece = &mut buffer[..(end - at) as usize];
            theirs.copy_out(at, piece);
            for byte in piece.iter() {
                assert_eq!(*byte, (at % 251) as u8);
                at += 1;
            }
            let _ = client.publish_read(at);
        }
    });
    let ring = SharedRing::new(arena.clone(), 3, Direction::Receive, 4096, 0).expect("fits");
    let (mut at, mut read) = (0u64, 0u64);
    while at < TOTAL {
        read = daemon.take_read(read, at).expect("an honest client");
        let free = 4096 - (at - read);
        let piece: Vec<u8> = (at..(at + free.min(700)).min(TOTAL))
            .map(|position| (position % 251) as u8)
            .collect();
        if piece.is_empty() {
            thread::yield_now();
            continue;
        }
        ring.copy_in(at, &piece);
        at += piece.len() as u64;
        daemon.publish_received(at);
        let _ = daemon.wake_reader();
    }
    reader.join().expect("the reader");
}

#[test]
fn a_ring_grows_around_linear_bytes_and_refuses_the_rest() {
    let arena = arena();
    let mut ring = SharedRing::new(arena, 0, Direction::Transmit, 4096, 0).expect("fits");
    let bytes: Vec<u8> = (0..3000).map(|i| i as u8).collect();
    ring.copy_in(5000, &bytes);
    // 5000…8000 stands at 904…3904.
    assert!(ring.grow(16384, 5000, 8000));
    let mut out = vec![0; 3000];
    ring.copy_out(5000, &mut out);
    assert_eq!(out, bytes);
    assert_eq!(ring.geometry().base, 4096);
    assert!(!ring.grow(16384, 0, 0), "not larger");
    assert!(!ring.grow(1 << 21, 0, 0), "beyond its place");
    assert!(!ring.grow(20000, 0, 0), "not a power of two");
    assert!(!ring.is_linear(20000, 21000));
    assert!(!ring.grow(32768, 20000, 21000), "around the end");
    assert!(ring.grow(32768, 20000, 20000), "empty");
}

proptest! {
    #[test]
    fn what_is_copied_in_comes_out_and_no_byte_beside_it_changes(
        position in any::<u64>(), base in 0u64..1 << 56, len in 0usize..=8192, log in 12u32..=13,
    ) {
        let capacity = 1 << log;
        let len = len.min(capacity as usize);
        let arena = arena();
        let ring = SharedRing::new(arena.clone(), 7, Direction::Transmit, capacity, base).expect("fits");
        let before = SharedRing::new(arena.clone(), 6, Direction::Receive, 1 << 20, 0).expect("fits");
        let after = SharedRing::new(arena, 7, Direction::Receive, 1 << 20, 0).expect("fits");
        before.copy_in(0, &vec![0xaa; 1 << 20]);
        after.copy_in(0, &vec![0xaa; 1 << 20]);
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        ring.copy_in(position, &bytes);
        let mut out = vec![0; len];
        ring.copy_out(position, &mut out);
        prop_assert_eq!(out, bytes);
        let slices = ring.slices(position, len);
        prop_assert_eq!(slices[0].len + slices[1].len, len);
        for neighbour in [before, after] {
            let mut out = vec![0; 1 << 20];
            neighbour.copy_out(0, &mut out);
            prop_assert!(out.iter().all(|&byte| byte == 0xaa));
        }
    }

    #[test]
    fn a_geometry_word_is_bounded_whatever_it_holds(word in any::<u64>()) {
        if let Some(geometry) = Geometry::from_word(word, 1 << 20) {
            prop_assert!(geometry.capacity <= 1 << 20);
            prop_assert_eq!(geometry.to_word(), word);
        }
    }
}

#[test]
fn the_sizes_of_an_arena_are_bounded() {
    assert!(Layout::new(1, 4096, 4 << 20).is_ok());
    for (threads, slots, ring) in [
        (0, 1, 4096),
        (65, 1, 4096),
        (1, 0, 4096),
        (1, 4097, 4096),
        (1, 1, 2048),
        (1, 1, 5000),
        (1, 1, 1 << 27),
    ] {
        assert!(Layout::new(threads, slots, ring).is_err());
    }
}

#[test]
fn an_arena_costs_what_was_touched_and_gives_it_back() {
    let layout = Layout::new(1, 4096, 4 << 20).expect("a layout");
    let arena = Arc::new(Arena::create(layout).expect("32 GiB of address space"));
    assert_eq!(arena.allocated_bytes().expect("fstat"), 0);
    let ring = SharedRing::new(arena.clone(), 4095, Direction::Receive, 4 << 20, 0).expect("fits");
    ring.copy_in(0, &vec![1; 1 << 20]);
    assert_eq!(arena.allocated_bytes().expect("fstat"), 1 << 20);
    arena.punch(4095, Direction::Receive).expect("punch");
    assert_eq!(arena.allocated_bytes().expect("fstat"), 0);
    let mut out = [9; 8];
    ring.copy_out(0, &mut out);
    assert_eq!(out, [0; 8]);
    arena.punch_all().expect("punch");
    assert_eq!(arena.allocated_bytes().expect("fstat"), 0);
}

#[test]
fn a_client_maps_no_file_that_could_vanish_under_it() {
    let layout = Layout::new(1, 1, 4096).expect("a layout");
    let open = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd");
    rustix::fs::ftruncate(&open, layout.len() as u64).expect("truncate");
    assert!(matches!(Arena::map(open, layout), Err(MapError::NotSealed)));
    let arena = Arena::create(layout).expect("an arena");
    let fd = arena.as_fd().try_clone_to_owned().expect("dup");
    let other = Layout::new(1, 2, 4096).expect("a layout");
    assert!(matches!(Arena::map(fd, other), Err(MapError::Size(_, _))));
    let seals = rustix::fs::fcntl_get_seals(&arena).expect("seals");
    assert!(seals.contains(
        rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW | rustix::fs::SealFlags::SEAL
    ));
    assert!(rustix::fs::ftruncate(&arena, 0).is_err());
}
