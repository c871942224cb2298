//! What a requirement lacks, and why that is so.

use anyhow::ensure;
use serde::Deserialize;

use crate::requirement::Id;

/// What an exception excuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lacks {
    /// There is code, and no test can be written for it.
    Test,
    /// No place of the code does it, and a test holds it anyway.
    Code,
    /// It is not implemented.
    Both,
}

impl Lacks {
    /// Whether it excuses that there is no code.
    pub fn code(self) -> bool {
        matches!(self, Self::Code | Self::Both)
    }

    /// Whether it excuses that there is no test.
    pub fn test(self) -> bool {
        matches!(self, Self::Test | Self::Both)
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Test => "a test",
            Self::Code => "code",
            Self::Both => "code and a test",
        }
    }
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Of which requirement.
    pub id: Id,
    /// What it does not have.
    pub lacks: Lacks,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    lacks: Lacks,
    reason: String,
}

/// Reads `exceptions.toml`: each number once, each with a reason.
pub fn parse(text: &str) -> anyhow::Result<Vec<Exception>> {
    let file: File = toml::from_str(text)?;
    let mut found: Vec<Exception> = Vec::new();
    for entry in file.exception {
        let id: Id = entry.id.parse()?;
        let reason = entry
            .reason
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        ensure!(reason.len() > 20, "{id}: expected a reason in a sentence");
        ensure!(id.level.binds(), "{id} needs no exception");
        ensure!(
            found.iter().all(|exception| exception.id != id),
            "{id} stands there twice"
        );
        found.push(Exception {
            id,
            lacks: entry.lacks,
            reason,
        });
    }
    Ok(found)
}
