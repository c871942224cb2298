//! Plays a scenario from its first row to its last, and what came of it.

use std::collections::BTreeSet;
use std::time::Duration;

use tcpd_core::sim::pair::End;

use super::Scenario;
use super::journal::{Packet, Row, What};
use super::numbers::Incarnation;
use super::settings::Settings;
use super::stage::{Stage, Wrong, in_words};

/// A scenario that was played.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) scenario: &'static Scenario,
    pub(super) settings: Settings,
    pub(super) rows: Vec<Row>,
    /// Packets from before the ladder's beginning, with their time on an earlier clock.
    pub(super) before: Vec<(Duration, Packet)>,
    /// When, on that clock, the ladder began.
    pub(super) began: Duration,
    /// Whose numbers begin where.
    pub(super) incarnations: Vec<Incarnation>,
    /// Arrows taken: side, from, to (places in [`State::ALL`](tcpd_core::stack::State::ALL)).
    pub(super) taken: BTreeSet<(usize, usize, usize)>,
    /// What did not go as the script tells, if anything.
    pub(super) wrong: Option<String>,
}

/// Plays `scenario` with `settings`.
pub(super) fn play(scenario: &'static Scenario, settings: Settings, ipv6: bool) -> Play {
    let mut stage = Stage::new(settings, ipv6);
    let outcome = (scenario.script)(&mut stage).and_then(|()| stage.settle());
    let mut wrong = outcome.err().map(|Wrong(why)| why);
    let settings = stage.settings.clone();
    let journal = std::mem::take(&mut *stage.journal.borrow_mut());
    // With other settings there may be more to see than the script tells; as it stands, it tells everything.
    if wrong.is_none() && settings.changed.is_empty() {
        wrong = journal
            .rows
            .iter()
            .find(|row| row.note.is_none() && needs_words(row))
            .map(|row| format!("nobody explains {}", in_words(row)));
    }
    Play {
        scenario,
        settings,
        rows: journal.rows,
        before: journal.before,
        began: journal.began,
        incarnations: journal.numbers.incarnations,
        taken: journal.taken,
        wrong,
    }
}

fn needs_words(row: &Row) -> bool {
    match &row.what {
        What::Packet(_) => true,
        What::Event { called, .. } => !called,
        What::Already(_) | What::Remark(_) => false,
    }
}

impl Play {
    /// Settings that are not the defaults: the scenario's own, then those asked for. Empty when there are none.
    pub(super) fn played_with(&self) -> String {
        let preset = self.scenario.preset.iter();
        let all: Vec<String> = preset
            .map(|(key, value)| format!("{key}={value}"))
            .chain(self.settings.changed.iter().cloned())
            .collect();
        match all.is_empty() {
            true => String::new(),
            false => format!("Played with {}.", all.join(", ")),
        }
    }

    /// The addresses as the first packet has them: left, right.
    pub(super) fn sockets(&self) -> Option<[String; 2]> {
        let first = self.incarnations.first()?;
        let (local, remote) = (first.flow.local.to_string(), first.flow.remote.to_string());
        Some(match first.end {
            End::Left => [local, remote],
            End::Right => [remote, local],
        })
    }
}
