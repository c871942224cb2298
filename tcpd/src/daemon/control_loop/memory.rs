//! What the arenas of users really occupy, held against what they may.

use std::time::Duration;

use tcpd_core::time::Instant;

use super::clients::End;
use super::{ControlLoop, Spawner};
use crate::ipc::session::EndedBy;

/// How often the memory of arenas is looked at while clients are busy, and while they are not.
const MEMORY_CHECK_BUSY: Duration = Duration::from_secs(1);
pub(super) const MEMORY_CHECK_IDLE: Duration = Duration::from_secs(15);

impl<W: Spawner> ControlLoop<W> {
    /// Ends whoever occupies more memory than its user's budget, or more than everybody's, and a margin: only a hostile client gets
    /// there, since the stack thread lets the rings of an honest one grow no more before (bridge/quotas.rs).
    pub(super) fn check_memory(&mut self, now: Instant) {
        let limits = &self.config.limits;
        let quotas = self.quotas();
        let limited = |account| quotas.bind(account);
        let (own, all) = (limits.ring_bytes_per_uid, limits.ring_bytes);
        let mut ends: Vec<(u64, String)> = self
            .memory
            .beyond(margin(own), limited)
            .into_iter()
            .map(|(session, bytes)| {
                let rule = format!(
                    "rule limits.ring_bytes_per_uid: the arenas of this user occupy {bytes} bytes, it may have {own}"
                );
                (session, rule)
            })
            .collect();
        let total = self.memory.of_all();
        if ends.is_empty() && total > margin(all) {
            let rule = format!(
                "rule limits.ring_bytes: all arenas occupy {total} bytes, together they may have {all}"
            );
            let largest = self.memory.largest(limited);
            ends.extend(largest.map(|session| (session, rule)));
        }
        for (session, rule) in ends {
            self.end_session(session, End::because(EndedBy::Quota, &rule));
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
        let quotas = self.quotas();
        let limited = |account| quotas.bind(account);
        self.memory_check = self.memory.any(limited).then(|| now + pause);
    }
}

/// Beyond this nobody gets who keeps to what the daemon grants.
fn margin(budget: u64) -> u64 {
    budget.saturating_add(budget / 4)
}
