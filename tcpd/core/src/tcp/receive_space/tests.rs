use super::{ReceiveSpace, Stored};
use crate::wire::SequenceNumber;
use proptest::prelude::*;

const LIMIT: usize = 128;

fn space(capacity: u32, shift: u8) -> ReceiveSpace {
    let mut space = ReceiveSpace::new(SequenceNumber(u32::MAX - 5), capacity, shift, 0);
    space.take_window();
    space
}

#[test]
fn positions_and_sequence_numbers_agree_across_the_wrap() {
    let space = space(65536, 0);
    assert_eq!(space.next_sequence(), SequenceNumber(u32::MAX - 4));
    for position in [0u64, 4, 5, 1000] {
        assert_eq!(
            space.position_of(space.sequence_of(position)),
            position as i64
        );
    }
    assert_eq!(space.position_of(SequenceNumber(u32::MAX - 5)), -1);
}

#[test]
fn segment_one_is_accepted_though_two_to_six_fill_the_window() {
    let mut space = space(5000, 0);
    for segment in 1..5 {
        assert_eq!(
            space.store(segment * 1000, segment * 1000 + 1000, LIMIT),
            Stored::OutOfOrder
        );
    }
    assert_eq!(
        space.take_window(),
        5000,
        "bytes behind a hole take nothing from the window"
    );
    assert_eq!(space.store(0, 1000, LIMIT), Stored::InOrder);
    assert_eq!(space.nxt, 5000);
    assert_eq!(space.take_window(), 0);
    space.assert_invariants();
}

#[test]
fn the_right_edge_never_moves_left_without_a_scale() {
    let mut space = space(4096, 0);
    let mut edge = space.adv;
    let mut seed = 7u64;
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let amount = (seed >> 33) % 300 + 1;
        if seed >> 60 < 8 {
            let end = (space.nxt + amount).min(space.adv);
            if end > space.nxt {
                space.store(space.nxt, end, LIMIT);
            }
        } else {
            space.read += amount.min(space.unread());
        }
        let window = space.take_window();
        assert!(space.nxt + u64::from(window) >= edge);
        edge = space.nxt + u64::from(window);
        space.assert_invariants();
    }
}

#[test]
fn a_drained_byte_opens_no_window_but_half_the_buffer_does() {
    let mut space = space(1000, 0);
    space.store(0, 1000, LIMIT);
    assert_eq!(space.take_window(), 0);
    for read in 1..500 {
        space.read = read;
        assert!(!space.wants_window_update(), "silly after {read} bytes");
        assert_eq!(space.take_window(), 0);
    }
    space.read = 500;
    assert!(space.wants_window_update());
    assert_eq!(space.take_window(), 500);
}

#[test]
fn an_early_fin_waits_for_its_turn_and_another_elsewhere_is_refused() {
    let mut space = space(4096, 0);
    space.store(100, 200, LIMIT);
    assert!(
        !space.note_fin(150, false),
        "a FIN below bytes that arrived"
    );
    assert!(space.note_fin(200, false));
    assert!(!space.note_fin(300, false));
    assert!(!space.take_fin());
    space.store(0, 100, LIMIT);
    assert!(space.take_fin());
    assert_eq!(
        (space.nxt, space.data_end(), space.is_finished()),
        (201, 200, true)
    );
    space.assert_invariants();
}

#[test]
fn a_scaled_window_is_rounded_so_that_the_edge_stays() {
    let mut space = space(65536, 4);
    let mut edge = space.adv;
    for step in 1..50u64 {
        space.store(space.nxt, space.nxt + 7, LIMIT);
        space.read += if step % 2 == 0 { 14 } else { 0 };
        let wire_edge = space.nxt + (u64::from(space.take_window()) << 4);
        assert!(wire_edge + 16 > edge, "more than the unit was taken back");
        edge = wire_edge;
        space.assert_invariants();
    }
}

#[test]
fn a_held_window_keeps_its_promise_closes_from_the_left_and_opens_as_it_is_read() {
    let mut space = space(65536, 0);
    assert_eq!(space.take_window(), 65535);
    space.held = 4096;
    assert_eq!(space.take_window(), 65535, "promised is promised");
    let edge = space.adv;
    space.store(0, 60_000, LIMIT);
    assert_eq!(space.take_window(), 5535);
    space.read = 60_000;
    assert!(!space.wants_window_update(), "more than 4096 are open");
    space.store(60_000, edge, LIMIT);
    assert_eq!(space.take_window(), 0);
    space.read = edge - 3000;
    assert!(!space.is_finished() && space.wants_window_update());
    assert_eq!(space.take_window(), 1096, "4096 from what was read");
    space.read = edge;
    assert_eq!(space.take_window(), 4096, "whoever reads goes on");
    space.held = u32::MAX;
    assert!(space.wants_window_update());
    assert_eq!(space.take_window(), 65535);
    space.assert_invariants();
}

#[test]
fn holding_and_letting_go_at_random_never_moves_the_right_edge_left() {
    let mut space = space(16_384, 0);
    let mut edge = space.adv;
    let mut seed = 11u64;
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let amount = (seed >> 33) % 900 + 1;
        match seed >> 61 {
            0..4 => {
                let end = (space.nxt + amount).min(space.adv);
                if end > space.nxt {
                    space.store(space.nxt, end, LIMIT);
                }
            }
            4 | 5 => space.read += amount.min(space.unread()),
            6 => space.held = 1024,
            _ => space.held = u32::MAX,
        }
        let window = space.take_window();
        assert!(space.nxt + u64::from(window) >= edge);
        edge = space.nxt + u64::from(window);
        space.assert_invariants();
    }
}

proptest! {
    /// RFC 9293 §3.4: positions of 64 bits and sequence numbers of 32 agree wherever RCV.NXT stands, as far as 2³¹ around it.
    #[test]
    fn positions_and_sequence_numbers_agree_around_rcv_nxt(
        irs: u32,
        nxt in prop_oneof![0u64..4, (1u64 << 31) - 4..(1 << 31) + 4, (1u64 << 32) - 4..(1 << 32) + 4, 0u64..1 << 45],
        offset in prop_oneof![-4i64..4, -(1i64 << 31)..-(1 << 31) + 4, (1i64 << 31) - 4..1 << 31, -(1i64 << 31)..1 << 31],
    ) {
        let mut space = ReceiveSpace::new(SequenceNumber(irs), 65536, 0, 0);
        space.nxt = nxt;
        let position = nxt as i64 + offset;
        let number = SequenceNumber((i128::from(irs) + 1 + i128::from(position)).rem_euclid(1 << 32) as u32);
        prop_assert_eq!(space.position_of(number), position);
        if let Ok(position) = u64::try_from(position) {
            prop_assert_eq!(space.sequence_of(position), number);
        }
        prop_assert_eq!(space.next_sequence(), space.sequence_of(nxt));
    }
}
