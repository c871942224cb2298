//! What the arenas of users really occupy, held against their budget.

use std::time::Duration;

use tcpd_core::time::Instant;

use super::clients::End;
use super::{ControlLoop, Spawner};
use crate::ipc::session::EndedBy;

/// How often the memory of arenas is looked at while clients are busy, and while they are not.
const MEMORY_CHECK_BUSY: Duration = Duration::from_secs(1);
pub(super) const MEMORY_CHECK_IDLE: Duration = Duration::from_secs(15);

impl<W: Spawner> ControlLoop<W> {
    /// Ends whoever occupies more memory than its user's budget and a margin: only a hostile client gets there, since
    /// the rings of an honest one stop growing before.
    pub(super) fn check_memory(&mut self, now: Instant) {
        let budget = self.config.limits.ring_bytes_per_uid;
        for id in self.memory.beyond(budget + budget / 4) {
            let rule = "rule limits.ring_bytes_per_uid: the rings of this user occupy more than is allowed";
            self.end_session(id, End::because(EndedBy::Quota, rule));
        }
        self.schedule_memory_check(now);
    }

    /// Soon while there is something to do, seldom otherwise, never without a client that has a budget.
    pub(super) fn schedule_memory_check(&mut self, now: Instant) {
        let busy = std::mem::take(&mut self.counts.busy_since_memory_check);
        let pause = if busy {
            MEMORY_CHECK_BUSY
        } else {
            MEMORY_CHECK_IDLE
        };
        self.memory_check = self.memory.is_limited().then(|| now + pause);
    }
}
