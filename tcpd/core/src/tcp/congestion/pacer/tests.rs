use std::time::Duration;

use super::{Allowance, Pacer, Pacing};
use crate::time::Instant;

const MSS: u32 = 1000;

fn at(micros: u64) -> Instant {
    Instant::from_micros(1_000_000 + micros)
}

/// Sends as much as is allowed until `end`; the bytes, and how often it woke up.
fn drain(pacing: Pacing, end: Instant) -> (u64, u64) {
    let (mut pacer, mut now, mut sent, mut wakes) = (Pacer::new(), at(0), 0, 0);
    while now < end {
        match pacer.allowance(&pacing, MSS, now) {
            Allowance::Bytes(bytes) => {
                let bytes = bytes / u64::from(MSS) * u64::from(MSS);
                pacer.on_sent(&pacing, MSS, bytes, now);
                sent += bytes;
            }
            Allowance::NotBefore(later) => {
                assert!(later > now, "time has to pass");
                now = later;
                wakes += 1;
            }
        }
    }
    (sent, wakes)
}

#[test]
fn in_the_long_run_bytes_leave_at_the_rate() {
    for rate in [10_000, 1_000_000, 12_500_000, 125_000_000, 2_000_000_000] {
        let pacing = Pacing { rate, burst: 0 };
        let (sent, _) = drain(pacing, at(1_000_000));
        let (low, high) = (rate * 98 / 100, rate * 102 / 100 + 4 * u64::from(MSS));
        assert!((low..=high).contains(&sent), "{sent} of {rate}");
    }
}

#[test]
fn a_wake_up_is_for_a_quarter_of_a_millisecond_or_two_segments() {
    let second = at(1_000_000);
    // 1 Gbit/s: 4,000 wake-ups a second, each for 31 segments.
    let fast = Pacing {
        rate: 125_000_000,
        burst: 0,
    };
    let (_, wakes) = drain(fast, second);
    assert!((3_900..=4_200).contains(&wakes), "{wakes}");
    // 10 Mbit/s: two segments at a time.
    let slow = Pacing {
        rate: 1_250_000,
        burst: 0,
    };
    let (_, wakes) = drain(slow, second);
    assert!((600..=650).contains(&wakes), "{wakes}");
}

#[test]
fn after_a_pause_a_burst_leaves_at_once_and_no_more() {
    let pacing = Pacing {
        rate: 1_000_000,
        burst: 10 * MSS,
    };
    let mut pacer = Pacer::new();
    for second in 0..3 {
        let now = at(second * 1_000_000);
        assert_eq!(
            pacer.allowance(&pacing, MSS, now),
            Allowance::Bytes(10_000),
            "however long the pause was"
        );
        pacer.on_sent(&pacing, MSS, 10_000, now);
        // 1 ms a segment, two segments a wake-up.
        assert_eq!(
            pacer.allowance(&pacing, MSS, now),
            Allowance::NotBefore(now + Duration::from_millis(2))
        );
        let later = now + Duration::from_millis(2);
        assert_eq!(
            pacer.allowance(&pacing, MSS, later),
            Allowance::Bytes(2_000)
        );
        pacer.on_sent(&pacing, MSS, 2_000, later);
    }
}

#[test]
fn nobody_waits_longer_than_for_one_bucket_when_the_rate_has_changed() {
    let slow = Pacing {
        rate: 1_000,
        burst: 0,
    };
    let mut pacer = Pacer::new();
    pacer.on_sent(&slow, MSS, 60_000, at(0));
    let fast = Pacing {
        rate: 1_000_000,
        burst: 0,
    };
    let Allowance::NotBefore(when) = pacer.allowance(&fast, MSS, at(0)) else {
        panic!("there was nothing left");
    };
    assert!(when <= at(2_000), "{when:?}");
}

#[test]
fn a_window_in_a_round_trip_is_a_rate() {
    let pacing = Pacing::window_in(100 * MSS, Duration::from_millis(100), MSS);
    assert_eq!((pacing.rate, pacing.burst), (1_000_000, 10 * MSS));
    let nothing = Pacing::window_in(0, Duration::ZERO, MSS);
    assert_eq!(nothing.rate, 1, "never zero");
}
