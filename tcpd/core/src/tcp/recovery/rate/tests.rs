use std::time::Duration;

use super::{DeliveryRate, Gathering, RateSample, RateStamp};
use crate::time::Instant;

const MSS: u64 = 1000;

fn at(millis: u64) -> Instant {
    Instant::from_millis(1_000 + millis)
}

/// Segments that were sent, and the estimator they belong to.
struct Flow {
    rate: DeliveryRate,
    sent: Vec<(Instant, RateStamp)>,
    acknowledged: usize,
}

impl Flow {
    fn new() -> Flow {
        Flow {
            rate: DeliveryRate::new(),
            sent: Vec::new(),
            acknowledged: 0,
        }
    }

    fn send(&mut self, now: Instant) {
        let idle = self.acknowledged == self.sent.len();
        let stamp = self.rate.on_sent(now, idle);
        self.sent.push((now, stamp));
    }

    /// Acknowledges so many more segments with one acknowledgment.
    fn acknowledge(
        &mut self,
        now: Instant,
        segments: usize,
        min_rtt: Duration,
    ) -> Option<RateSample> {
        let mut gathering = Gathering::default();
        for _ in 0..segments {
            let (sent_at, stamp) = self.sent[self.acknowledged];
            self.acknowledged += 1;
            let end = self.acknowledged as u64 * MSS;
            self.rate
                .on_delivered(&mut gathering, now, MSS, &stamp, sent_at, end);
        }
        self.rate.finish(gathering, now, Some(min_rtt))
    }
}

const RTT: Duration = Duration::from_millis(100);

#[test]
fn a_stamp_is_24_bytes() {
    assert_eq!(size_of::<RateStamp>(), 24);
}

#[test]
fn a_steady_flow_measures_its_own_rate() {
    let mut flow = Flow::new();
    let mut last = None;
    // One segment a millisecond: 1 MB/s. Acknowledged 100 ms after each left.
    for millis in 0..1_000 {
        flow.send(at(millis));
        if millis >= 100 {
            last = flow.acknowledge(at(millis), 1, RTT);
        }
    }
    let last = last.expect("a sample");
    assert_eq!(last.bytes_per_second(), 1_000_000);
    assert_eq!(flow.rate.latest(), Some(1_000_000));
    assert!(!last.app_limited);
}

#[test]
fn acknowledgments_that_come_compressed_are_not_taken_for_a_fast_path() {
    let mut flow = Flow::new();
    for millis in 0..200 {
        flow.send(at(millis));
        if (100..150).contains(&millis) {
            flow.acknowledge(at(millis), 1, RTT);
        }
    }
    // What would have come one by one in the next 100 ms comes at once, where the last of it belongs.
    let sample = flow.acknowledge(at(300), 150, RTT).expect("a sample");
    assert!(
        sample.bytes_per_second() <= 1_000_000,
        "{}",
        sample.bytes_per_second()
    );
    // And all at once too early: the time of sending it bounds the rate.
    let mut flow = Flow::new();
    for millis in 0..200 {
        flow.send(at(millis));
    }
    let sample = flow.acknowledge(at(200), 200, Duration::ZERO);
    let rate = sample.expect("a sample").bytes_per_second();
    assert_eq!(rate, 1_000_000, "200 segments in 200 ms");
}

#[test]
fn a_burst_is_measured_by_its_acknowledgments() {
    let mut flow = Flow::new();
    for _ in 0..10 {
        flow.send(at(0));
    }
    let mut last = None;
    for segment in 0..10 {
        last = flow.acknowledge(at(100 + segment), 1, RTT);
    }
    let last = last.expect("a sample");
    assert_eq!(
        (last.delivered, last.interval),
        (10 * MSS, Duration::from_millis(109))
    );
}

#[test]
fn a_user_who_writes_too_little_marks_samples_until_what_was_in_flight_is_delivered() {
    let mut flow = Flow::new();
    flow.send(at(0));
    flow.rate.limited_by_user(MSS);
    flow.send(at(50));
    let first = flow.acknowledge(at(100), 1, RTT).expect("a sample");
    assert!(!first.app_limited, "sent before");
    let second = flow.acknowledge(at(150), 1, RTT).expect("a sample");
    assert!(second.app_limited);
    flow.send(at(200));
    let third = flow.acknowledge(at(300), 1, RTT).expect("a sample");
    assert!(!third.app_limited, "beyond what was in flight then");
}

#[test]
fn a_slow_sample_limited_by_the_user_does_not_replace_a_fast_one() {
    let mut flow = Flow::new();
    for _ in 0..10 {
        flow.send(at(0));
    }
    flow.acknowledge(at(100), 10, RTT);
    assert_eq!(flow.rate.latest(), Some(100_000));
    flow.rate.limited_by_user(0);
    flow.send(at(200));
    let slow = flow.acknowledge(at(300), 1, RTT).expect("a sample");
    assert!(slow.app_limited);
    assert_eq!(slow.bytes_per_second(), 10_000);
    assert_eq!(flow.rate.latest(), Some(100_000));
}

#[test]
fn a_pause_is_no_part_of_a_sample() {
    let mut flow = Flow::new();
    flow.send(at(0));
    flow.acknowledge(at(100), 1, RTT);
    flow.send(at(10_000));
    let sample = flow.acknowledge(at(10_100), 1, RTT).expect("a sample");
    assert_eq!(sample.interval, RTT);
    assert_eq!(sample.prior_delivered, MSS);
}

#[test]
fn a_sample_shorter_than_the_least_round_trip_is_none() {
    let mut flow = Flow::new();
    flow.send(at(0));
    assert_eq!(flow.acknowledge(at(99), 1, RTT), None);
    assert_eq!(flow.rate.latest(), None);
    assert_eq!(flow.acknowledge(at(99), 0, RTT), None, "nothing delivered");
}

#[test]
fn of_segments_sent_in_one_instant_the_last_is_the_youngest() {
    let mut flow = Flow::new();
    flow.send(at(0));
    flow.acknowledge(at(100), 1, RTT);
    let (a, b) = (
        flow.rate.on_sent(at(100), true),
        flow.rate.on_sent(at(100), false),
    );
    let mut gathering = Gathering::default();
    let (now, sent) = (at(200), at(100));
    flow.rate
        .on_delivered(&mut gathering, now, MSS, &b, sent, 3 * MSS);
    flow.rate
        .on_delivered(&mut gathering, now, MSS, &a, sent, 2 * MSS);
    let sample = flow.rate.finish(gathering, now, Some(RTT)).expect("one");
    assert_eq!((sample.delivered, sample.interval), (2 * MSS, RTT));
}
