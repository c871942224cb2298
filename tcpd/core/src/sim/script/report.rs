//! How a run ends: a report with the ladder, or a failure that shows why.

use std::fmt;
use std::time::Duration;

use super::{Place, ScriptError};
use crate::sim::ladder::Ladder;

/// A script that did what it says.
#[derive(Debug, Clone)]
pub struct Report {
    /// Every packet and call with the states of our side.
    pub ladder: Ladder,
    /// The virtual time that passed.
    pub duration: Duration,
}

/// A script that the stack did not follow, or whose text is wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The name the script was read under.
    pub script: String,
    /// The event that failed.
    pub place: Place,
    /// What was expected and what was seen, in a sentence.
    pub message: String,
    /// The packet expected and the packet seen, side by side, where that is what differs.
    pub table: Option<String>,
    /// The ladder up to the failure; empty when nothing ran.
    pub ladder: String,
}

/// How many lines of a ladder a failure shows.
pub(super) const LADDER_LINES: usize = 40;

impl Failure {
    pub(super) fn of_text(script: &str, error: ScriptError) -> Failure {
        Failure {
            script: script.to_owned(),
            place: error.place,
            message: error.message,
            table: None,
            ladder: String::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: {}", self.script, self.place, self.message)?;
        if let Some(table) = &self.table {
            write!(f, "\n{table}")?;
        }
        if !self.ladder.is_empty() {
            write!(
                f,
                "\nThe ladder so far, the stack on the left, numbers as the script counts:\n\n{}",
                self.ladder
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
