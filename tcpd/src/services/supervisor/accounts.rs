//! What a service's workers did and used, summed up since the daemon started.

use libtcpclient::protocol::status::{Exits, Usage};

use super::super::link::{End, EndStatus};

/// The sums of one service.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Workers started.
    pub started: u64,
    /// Connections that got no worker.
    pub failed: u64,
    /// Connections reset by rule max_per_source.
    pub refused_per_source: u64,
    /// Commands that could not be executed.
    pub not_executed: u64,
    /// Workers killed by rule wall_time.
    pub out_of_time: u64,
    exits: Exits,
    usage: Usage,
}

impl Accounts {
    pub(super) fn started(&mut self) {
        self.started += 1;
    }

    pub(super) fn failed(&mut self) {
        self.failed += 1;
    }

    /// A worker has ended; `None`: nobody knows how.
    pub(super) fn ended(&mut self, end: Option<End>) {
        let Some(end) = end else {
            self.exits.unknown += 1;
            return;
        };
        self.not_executed += u64::from(end.not_executed.is_some());
        match end.status {
            EndStatus::Exited(status) => *self.exits.by_status.entry(status).or_default() += 1,
            EndStatus::Killed(signal) => *self.exits.by_signal.entry(signal).or_default() += 1,
        }
        let microseconds =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.usage.user_us += microseconds(end.user);
        self.usage.system_us += microseconds(end.system);
        self.usage.max_rss_bytes = self.usage.max_rss_bytes.max(end.max_resident);
        self.usage.minor_faults += end.minor_faults;
        self.usage.major_faults += end.major_faults;
        self.usage.context_switches += end.context_switches;
    }

    pub(super) fn sums(&self) -> (Exits, Usage) {
        (self.exits.clone(), self.usage.clone())
    }
}
