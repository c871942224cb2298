use super::{Fin, SendSpace};
use crate::wire::SequenceNumber;
use proptest::prelude::*;

fn space() -> SendSpace {
    let mut space = SendSpace::new(SequenceNumber(u32::MAX - 1), 0, 1000);
    space.written = 5000;
    space
}

#[test]
fn the_byte_after_the_syn_is_position_zero_across_the_wrap() {
    let mut space = space();
    assert_eq!(space.sequence_of(0), SequenceNumber(u32::MAX));
    assert_eq!(space.sequence_of(1), SequenceNumber(0));
    assert_eq!(space.position_of(space.iss), -1);
    space.sent(5000);
    space.acknowledge(4000);
    assert_eq!(space.position_of(space.sequence_of(3999)), 3999);
    assert_eq!(space.position_of(space.iss), -1);
}

#[test]
fn the_fin_takes_one_position_after_the_last_byte() {
    let mut space = space();
    space.fin = Fin::Queued;
    space.sent(5001);
    assert!(space.fin_sent() && !space.fin_acknowledged());
    space.acknowledge(5000);
    assert!(!space.fin_acknowledged());
    space.acknowledge(5001);
    assert!(space.fin_acknowledged());
    assert_eq!(space.room(8192), 8192);
    space.assert_invariants(8192);
}

proptest! {
    /// RFC 9293 §3.4: positions of 64 bits and sequence numbers of 32 agree wherever SND.UNA stands, as far as 2³¹ around it.
    #[test]
    fn positions_and_sequence_numbers_agree_around_snd_una(
        iss: u32,
        una in prop_oneof![0u64..4, (1u64 << 31) - 4..(1 << 31) + 4, (1u64 << 32) - 4..(1 << 32) + 4, 0u64..1 << 45],
        offset in prop_oneof![-4i64..4, -(1i64 << 31)..-(1 << 31) + 4, (1i64 << 31) - 4..1 << 31, -(1i64 << 31)..1 << 31],
    ) {
        let mut space = SendSpace::new(SequenceNumber(iss), 0, 1000);
        space.una = una;
        let position = una as i64 + offset;
        let number = SequenceNumber((i128::from(iss) + 1 + i128::from(position)).rem_euclid(1 << 32) as u32);
        prop_assert_eq!(space.position_of(number), position);
        if let Ok(position) = u64::try_from(position) {
            prop_assert_eq!(space.sequence_of(position), number);
        }
        // The FIN takes one number of the circle like any byte.
        prop_assert_eq!(space.sequence_of(una + 1), space.sequence_of(una) + 1);
    }
}
