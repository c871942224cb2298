//! Looking for a moment before going to sleep, as long as that has paid off lately.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};

/// Looks, with a pause of some tens of nanoseconds between: about 5 µs, less than a wake-up costs.
const MOST: u32 = 128;
/// So little that a stream which never wins loses nothing, and so much that it notices when it does.
const LEAST: u32 = 4;

/// How long one direction of one stream spins.
#[derive(Debug)]
pub(crate) struct Spin {
    budget: AtomicU32,
}

impl Default for Spin {
    fn default() -> Spin {
        Spin {
            budget: AtomicU32::new(LEAST * 4),
        }
    }
}

impl Spin {
    /// Looks until `ready` or the budget is used up, and learns from it.
    pub(crate) fn until(&self, ready: impl Fn() -> bool) -> bool {
        let budget = self.budget.load(Ordering::Relaxed);
        for _ in 0..budget {
            if ready() {
                self.budget.store((budget * 2).min(MOST), Ordering::Relaxed);
                return true;
            }
            hint::spin_loop();
        }
        self.budget
            .store((budget / 2).max(LEAST), Ordering::Relaxed);
        false
    }
}
