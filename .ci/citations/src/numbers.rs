//! Numbers of requirements in a line.

use crate::requirement::{Id, Level};

/// What looks like a citation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A number; the RFC may not have it.
    Id(Id),
    /// Something else, and what it should be.
    Wrong(String),
}

/// Every citation in a line, from left to right.
pub fn find(line: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for label in ["MUST-", "SHLD-", "SHOULD-", "MAY-", "REC-"] {
        for (at, _) in line.match_indices(label) {
            let digits: String = line[at + label.len()..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let is_word = line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
            if digits.is_empty() || is_word {
                continue;
            }
            let rest = &line[at + label.len() + digits.len()..];
            found.push((at, citation(label, &digits, rest)));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, found)| found).collect()
}

fn citation(label: &str, digits: &str, rest: &str) -> Found {
    let level = Level::ALL
        .into_iter()
        .map(|(level, _)| level)
        .find(|level| label.starts_with(level.label()));
    let (Some(level), Ok(number)) = (level, digits.parse()) else {
        return Found::Wrong(format!("{label}{digits} is no number of RFC 9293"));
    };
    let id = Id { level, number };
    if is_shortened(rest) {
        return Found::Wrong(format!(
            "{id} begins a list or a range: every number is written out, as in MUST-4, MUST-5"
        ));
    }
    Found::Id(id)
}

/// Whether a list goes on without labels (`MUST-4, 5`, `MUST-4/5`), or is a range (`MUST-4..7`, `MUST-4 to MUST-7`).
fn is_shortened(rest: &str) -> bool {
    let is_number = |text: &str| text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let is_label = |text: &str| {
        let text = text.trim_start();
        Level::ALL
            .iter()
            .any(|(level, _)| text.starts_with(level.label()))
    };
    [", ", "/", " and ", " & "]
        .iter()
        .any(|sign| rest.strip_prefix(sign).is_some_and(is_number))
        || ["..", "–", " to ", "-"].iter().any(|sign| {
            rest.strip_prefix(sign)
                .is_some_and(|rest| is_number(rest) || is_label(rest))
        })
}

#[cfg(test)]
mod tests;
