use std::sync::Arc;

use libtcpclient::shm::{Arena, Direction, Layout};

use super::*;

fn own(capacity: u32) -> ConnectionRing {
    let layout = Layout::new(1, 1, 1 << 16).expect("a layout");
    let arena = Arc::new(Arena::create(layout).expect("a memfd"));
    let ring = SharedRing::new(arena, 0, Direction::Receive, capacity, 100);
    ConnectionRing::own(ring.expect("a ring"), 1 << 16)
}

#[test]
fn a_ring_of_our_own_counts_the_pages_that_bytes_have_reached() {
    let mut ring = own(1 << 14);
    assert_eq!(ring.private_bytes(), 0);
    ring.write_at(100, b"x");
    assert_eq!(ring.private_bytes(), 4096);
    ring.write_at(100 + 4096, b"x");
    assert_eq!(ring.private_bytes(), 2 * 4096);
    ring.write_at(101, b"x");
    assert_eq!(ring.private_bytes(), 2 * 4096);
    ring.as_own().expect("ours").punched();
    assert_eq!(ring.private_bytes(), 0);
    // Around the end.
    ring.write_at(100 + (1 << 14) - 1, b"xy");
    assert_eq!(ring.private_bytes(), 1 << 14);
    assert!(ring.grow(1 << 15, 0, 0));
    assert_eq!((ring.capacity(), ring.private_bytes()), (1 << 15, 1 << 14));
    assert!(!ring.grow(1 << 17, 0, 0), "that is more than it may have");
}
