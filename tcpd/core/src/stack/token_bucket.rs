//! A rate limit as a value: for echo replies, ICMP errors, resets.

use std::time::Duration;

use crate::time::Instant;

/// At most `burst` at once and `per_second` in the long run; exact, and without a division on the way (a virtual
/// scheduling algorithm, as ATM's GCRA).
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    interval: Duration,
    tolerance: Duration,
    /// When the bucket would be full again.
    full_at: Instant,
}

impl TokenBucket {
    /// A full bucket. A rate of 0 lets nothing pass.
    pub fn new(per_second: u32, burst: u32) -> TokenBucket {
        if per_second == 0 || burst == 0 {
            return TokenBucket {
                interval: Duration::MAX,
                tolerance: Duration::ZERO,
                full_at: Instant::MAX,
            };
        }
        let interval = Duration::from_secs(1) / per_second;
        TokenBucket {
            interval,
            tolerance: interval * (burst - 1),
            full_at: Instant::ZERO,
        }
    }

    /// Takes a token; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now);
        if full_at.duration_since(now) > self.tolerance {
            return false;
        }
        self.full_at = full_at + self.interval;
        true
    }
}

#[cfg(test)]
mod tests;
