//! What the control thread counts: one definition, shown by `tcpctl stats`.

use std::collections::BTreeMap;
use std::time::Duration;

use libtcpclient::protocol::status::CounterRow;
use tcpd_core::time::Instant;

use crate::ipc::session::EndedBy;

/// Lines a client can make the daemon log within [`COMPLAINT_WINDOW`]; the rest is only counted.
const COMPLAINTS: u32 = 20;
const COMPLAINT_WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sessions: u64,
    pub(super) requests: u64,
    pub(super) refused: u64,
    pub(super) turned_away: u64,
    pub(super) lost_orders: u64,
    pub(super) ended: BTreeMap<EndedBy, u64>,
    pub(super) violations: BTreeMap<&'static str, u64>,
    /// Whether a client asked or the stack said anything since memory was last looked at.
    pub(super) busy_since_memory_check: bool,
    complaints: (u32, Instant),
    silenced: u64,
}

impl Counts {
    /// Says something that a client can cause, unless too much of that was said lately.
    pub(super) fn complain(&mut self, now: Instant, say: impl FnOnce()) {
        let (count, since) = &mut self.complaints;
        if now.duration_since(*since) >= COMPLAINT_WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
        if *count <= COMPLAINTS {
            say()
        } else {
            self.silenced += 1
        }
    }

    /// Every counter of the control thread.
    pub(super) fn rows(&self, gauges: &[(&str, &str, u64)]) -> Vec<CounterRow> {
        let row = |name: String, help: String, value: u64| CounterRow { name, value, help };
        let own = [
            ("sessions-opened", "Clients that connected.", self.sessions),
            ("requests", "Messages of clients.", self.requests),
            (
                "requests-refused",
                "Requests refused by policy or quota.",
                self.refused,
            ),
            (
                "clients-turned-away",
                "Clients turned away for lack of descriptors or memory.",
                self.turned_away,
            ),
            (
                "log-lines-silenced",
                "Log lines about clients left out because there were too many.",
                self.silenced,
            ),
        ];
        let own = own
            .iter()
            .chain(gauges)
            .map(|(name, help, value)| row((*name).to_owned(), (*help).to_owned(), *value));
        let ended = EndedBy::ALL.iter().map(|end| {
            let value = self.ended.get(end).copied().unwrap_or(0);
            row(end.name().to_owned(), end.help().to_owned(), value)
        });
        let violations = self.violations.iter().map(|(what, value)| {
            row(
                format!("violations-{what}"),
                "Sessions ended for this violation in shared memory.".to_owned(),
                *value,
            )
        });
        own.chain(ended).chain(violations).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_flood_the_log() {
        let mut counts = Counts::default();
        let mut said = 0;
        for _ in 0..100 {
            counts.complain(Instant::ZERO, || said += 1);
        }
        assert_eq!(
            (said, counts.silenced),
            (COMPLAINTS, 100 - u64::from(COMPLAINTS))
        );
        counts.complain(Instant::ZERO + COMPLAINT_WINDOW, || said += 1);
        assert_eq!(said, COMPLAINTS + 1);
    }
}
