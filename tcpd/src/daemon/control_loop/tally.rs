//! How many of something each user has.

use std::collections::HashMap;

/// By uid; who has none is not in it.
#[derive(Debug, Default)]
pub(super) struct Tally(HashMap<u32, u32>);

impl Tally {
    /// Those of a user.
    pub(super) fn of(&self, uid: u32) -> u32 {
        self.0.get(&uid).copied().unwrap_or(0)
    }

    /// One more.
    pub(super) fn more(&mut self, uid: u32) {
        *self.0.entry(uid).or_insert(0) += 1;
    }

    /// So many less.
    pub(super) fn less(&mut self, uid: u32, count: u32) {
        if let Some(has) = self.0.get_mut(&uid) {
            *has = has.saturating_sub(count);
            if *has == 0 {
                self.0.remove(&uid);
            }
        }
    }
}
