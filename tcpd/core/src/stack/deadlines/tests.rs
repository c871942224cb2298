use super::*;
use crate::random::Generator;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn drain(wheel: &mut Deadlines, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| wheel.expire(now)).collect()
}

#[test]
fn a_deadline_fires_at_its_nanosecond_and_not_before() {
    let mut wheel = Deadlines::new(Instant::ZERO);
    let due = Instant::from_nanos(200_000_123);
    wheel.arm(3, due);
    assert_eq!(
        (wheel.next_deadline(), wheel.deadline(3), wheel.len()),
        (Some(due), Some(due), 1)
    );
    assert_eq!(wheel.expire(due - Duration::from_nanos(1)), None);
    assert_eq!(wheel.next_deadline(), Some(due));
    assert_eq!(drain(&mut wheel, due), [3]);
    assert!(wheel.is_empty() && wheel.next_deadline().is_none() && wheel.deadline(3).is_none());
}

#[test]
fn a_deadline_in_the_past_is_due_at_once_and_the_end_of_time_is_a_deadline() {
    let mut wheel = Deadlines::new(Instant::from_secs(100));
    wheel.arm(0, Instant::from_secs(1));
    wheel.arm(1, Instant::MAX);
    assert_eq!(wheel.next_deadline(), Some(Instant::from_secs(1)));
    assert_eq!(drain(&mut wheel, Instant::from_secs(100)), [0]);
    assert_eq!(wheel.next_deadline(), Some(Instant::MAX));
    assert_eq!(drain(&mut wheel, Instant::MAX), [1]);
}

#[test]
fn rearming_moves_the_only_node_a_key_has() {
    let mut wheel = Deadlines::new(Instant::ZERO);
    wheel.arm(7, Instant::from_secs(1));
    wheel.arm(7, Instant::from_secs(3));
    assert_eq!(
        (wheel.len(), wheel.next_deadline()),
        (1, Some(Instant::from_secs(3)))
    );
    assert_eq!(wheel.expire(Instant::from_secs(2)), None);
    wheel.arm(7, Instant::from_millis(2_500));
    assert_eq!(drain(&mut wheel, Instant::from_secs(9)), [7]);
    assert!(!wheel.cancel(7) && !wheel.cancel(1_000));
}

#[test]
fn time_that_goes_back_changes_nothing() {
    let mut wheel = Deadlines::new(Instant::from_secs(10));
    wheel.arm(1, Instant::from_secs(20));
    assert_eq!(wheel.expire(Instant::from_secs(15)), None);
    assert_eq!(wheel.expire(Instant::from_secs(5)), None);
    assert_eq!(drain(&mut wheel, Instant::from_secs(20)), [1]);
}

#[test]
fn after_a_leap_of_days_keys_come_in_order() {
    let mut wheel = Deadlines::new(Instant::ZERO);
    let mut generator = Generator::from_seed(1);
    let mut deadlines: Vec<_> = (0..10_000)
        .map(|_| generator.below(86_400_000_000_000 * 7))
        .collect();
    for (key, deadline) in deadlines.iter().enumerate() {
        wheel.arm(key as u32, Instant::from_nanos(*deadline));
    }
    let fired = drain(&mut wheel, Instant::from_secs(86_400 * 7));
    let ticks: Vec<_> = fired
        .iter()
        .map(|key| deadlines[*key as usize] >> TICK_BITS)
        .collect();
    assert!(ticks.is_sorted());
    deadlines.clear();
    assert_eq!(fired.len(), 10_000);
}

#[test]
fn a_million_nodes_in_one_slot_cost_no_scan_when_the_earliest_is_taken() {
    let mut wheel = Deadlines::new(Instant::ZERO);
    for key in 0..1_000_000 {
        wheel.arm(
            key,
            Instant::from_secs(7200) + Duration::from_micros(u64::from(key)),
        );
    }
    // Each turn takes the earliest away: were the slot looked through each time, this would be 10¹¹ steps.
    for key in 0..100_000 {
        wheel.cancel(key);
        assert!(wheel.next_deadline().unwrap() <= wheel.deadline(key + 1).unwrap());
    }
    // The bound is early by then; it is put right by waking once.
    let mut wakes = 0;
    let first = loop {
        let next = wheel.next_deadline().unwrap();
        wakes += 1;
        if let Some(key) = wheel.expire(next) {
            break key;
        }
    };
    assert_eq!(first, 100_000);
    assert!(wakes <= 10, "{wakes}");
}

#[derive(Debug, Clone)]
enum Step {
    Arm(u32, u64),
    Cancel(u32),
    Advance(u64),
    ToNext,
}

/// Spans of all sizes: within a tick, within a slot of any level, beyond.
fn span() -> impl Strategy<Value = u64> {
    (0u32..50, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u32..40, span()).prop_map(|(key, after)| Step::Arm(key, after)),
        2 => (0u32..40).prop_map(Step::Cancel),
        2 => span().prop_map(Step::Advance),
        2 => Just(Step::ToNext),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn the_wheel_does_what_an_ordered_map_does(start in span(), steps in steps()) {
        let mut now = Instant::from_nanos(start);
        let mut wheel = Deadlines::new(now);
        let mut model: BTreeMap<u32, Instant> = BTreeMap::new();
        let mut most = 0;
        for step in steps {
            match step {
                Step::Arm(key, after) => {
                    let deadline = now + Duration::from_nanos(after);
                    wheel.arm(key, deadline);
                    model.insert(key, deadline);
                }
                Step::Cancel(key) => prop_assert_eq!(wheel.cancel(key), model.remove(&key).is_some()),
                Step::Advance(by) => now += Duration::from_nanos(by),
                Step::ToNext => now = wheel.next_deadline().unwrap_or(now).max(now),
            }
            if matches!(step, Step::Advance(_) | Step::ToNext) {
                let fired: BTreeSet<_> = drain(&mut wheel, now).into_iter().collect();
                let expected: BTreeSet<_> = model.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
                prop_assert_eq!(fired, expected);
                model.retain(|_, at| *at > now);
            }
            let earliest = model.values().min().copied();
            prop_assert_eq!(wheel.next_deadline().is_some(), earliest.is_some());
            prop_assert!(wheel.next_deadline() <= earliest);
            most = most.max(model.len());
            if most <= RESCAN {
                prop_assert_eq!(wheel.next_deadline(), earliest);
            }
            prop_assert_eq!(wheel.len(), model.len());
            for (key, deadline) in &model {
                prop_assert_eq!(wheel.deadline(*key), Some(*deadline));
            }
        }
    }
}
