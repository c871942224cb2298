//! The one place of this crate that asks what time it is.

use std::time::{Duration, Instant};

/// Monotonic time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks for the time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// When `timeout` from now is over; `None` for no timeout or one too long to matter.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| now().checked_add(timeout))
}

/// What is left until `deadline`; `None` when it has passed.
pub(crate) fn left(deadline: Instant) -> Option<Duration> {
    deadline
        .checked_duration_since(now())
        .filter(|left| !left.is_zero())
}
