use super::{TS_RECENT_LIFE, TimestampState};
use crate::time::Instant;
use proptest::prelude::*;
use std::time::Duration;

fn state(recent: u32, recent_at: Instant) -> TimestampState {
    TimestampState {
        offset: 0,
        recent,
        recent_at,
        may_be_missing: false,
    }
}

/// The first value refused is the one just before TS.Recent, the last one lies half the circle behind it.
#[test]
fn a_timestamp_half_the_circle_ahead_counts_as_old() {
    let now = Instant::from_secs(10);
    let state = state(u32::MAX, now);
    assert!(!state.refuses(u32::MAX, now), "an equal one is good");
    assert!(!state.refuses(0, now), "across the wrap");
    assert!(!state.refuses((1 << 31) - 2, now), "2³¹ − 1 ahead");
    assert!(state.refuses((1 << 31) - 1, now), "2³¹ ahead is 2³¹ behind");
    assert!(state.refuses(u32::MAX - 1, now));
}

proptest! {
    /// RFC 7323 §5.2: `s < t` when 0 < (t - s) < 2³¹, computed in unsigned 32-bit arithmetic; and §5.5: TS.Recent is void after 24 days.
    #[test]
    fn paws_compares_timestamps_on_the_circle(
        recent: u32,
        step in prop_oneof![0u32..4, (1u32 << 31) - 3..(1 << 31) + 3, u32::MAX - 3..=u32::MAX, any::<u32>()],
        age in prop_oneof![Just(Duration::ZERO), (0u64..3_000_000).prop_map(Duration::from_secs)],
    ) {
        let set_at = Instant::from_secs(100);
        let state = state(recent, set_at);
        let value = recent.wrapping_add(step);
        let behind = (1u64 << 32) - u64::from(step);
        let old = step != 0 && behind <= 1 << 31;
        prop_assert_eq!(state.refuses(value, set_at + age), old && age < TS_RECENT_LIFE);
    }

    /// The clock counts milliseconds and wraps with its 32 bits.
    #[test]
    fn the_timestamp_clock_counts_milliseconds_modulo_2_32(offset: u32, millis in 0u64..1 << 43) {
        let state = TimestampState { offset, ..state(0, Instant::ZERO) };
        let now = Instant::ZERO + Duration::from_millis(millis);
        prop_assert_eq!(u64::from(state.value(now)), (millis + u64::from(offset)) % (1 << 32));
    }
}
