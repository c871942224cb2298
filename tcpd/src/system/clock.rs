//! The one place where the daemon reads a clock.

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};
use tcpd_core::time::Instant;

/// Monotonic time in nanoseconds since some start of the machine's choosing; the same for every process on it.
pub fn now() -> Instant {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds * 1_000_000_000 + nanoseconds)
}

/// The time of day, for services and logs; never for protocol timers.
pub fn time_of_day() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is the one file that may")]
    SystemTime::now()
}
