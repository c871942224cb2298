use std::time::Duration;

use super::{Timer, Timers};
use crate::time::Instant;

#[test]
fn timers_come_due_in_the_order_of_their_deadlines() {
    let mut timers = Timers::new();
    timers.set(Timer::KeepAlive, Instant::from_millis(30));
    timers.set(Timer::DelayedAck, Instant::from_millis(10));
    timers.set_if_idle(Timer::DelayedAck, Instant::ZERO, Duration::from_millis(99));
    assert_eq!(
        timers.earliest(),
        Some((Timer::DelayedAck, Instant::from_millis(10)))
    );
    assert_eq!(timers.take_due(Instant::from_millis(9)), None);
    assert_eq!(
        timers.take_due(Instant::from_millis(40)),
        Some(Timer::DelayedAck)
    );
    assert_eq!(
        timers.take_due(Instant::from_millis(40)),
        Some(Timer::KeepAlive)
    );
    assert_eq!(timers.take_due(Instant::from_millis(40)), None);
    assert_eq!(timers.earliest(), None);
}
