//! The one place of this crate that asks what time it is.

use std::time::Instant;

/// Monotonic time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks for the time"
)]
pub fn now() -> Instant {
    Instant::now()
}
