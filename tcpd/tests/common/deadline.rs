//! Waiting in tests: look again until it is so, or fail at a deadline. Never a sleep that hopes.

use std::time::{Duration, Instant};

/// Looks every few milliseconds until `look` gives something; fails the test after `seconds`, naming what was awaited.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's deadline is in real time"
)]
pub(crate) fn wait_for<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {seconds} s");
        std::thread::sleep(Duration::from_millis(2));
    }
}
