use super::*;
use proptest::prelude::*;

const NOW: Instant = Instant::from_secs(1);

#[test]
fn a_bucket_of_nothing_lets_nothing_pass() {
    assert!(!TokenBucket::new(0, 5).take(NOW) && !TokenBucket::new(5, 0).take(NOW));
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate_and_never_idle_below_them(
        rate in 1u32..5000, burst in 1u32..50, gaps in prop::collection::vec(0u64..50_000_000, 1..200),
    ) {
        let mut bucket = TokenBucket::new(rate, burst);
        // The model counts tokens in nanoseconds, as rounded as the bucket's interval.
        let interval = 1_000_000_000 / u64::from(rate);
        let full = interval * u64::from(burst);
        let (mut now, mut tokens) = (NOW, full);
        for gap in gaps {
            now += Duration::from_nanos(gap);
            tokens = (tokens + gap).min(full);
            prop_assert_eq!(bucket.take(now), tokens >= interval);
            tokens -= if tokens >= interval { interval } else { 0 };
        }
    }
}
