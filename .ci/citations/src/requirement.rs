//! The requirements of RFC 9293, appendix B.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// How binding a requirement is. In the order of appendix B's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// MUST and MUST NOT
    Must,
    /// SHOULD and SHOULD NOT
    Should,
    /// MAY
    May,
    /// RECOMMENDED
    Recommended,
}

impl Level {
    /// Every level, and how many requirements the RFC has of it.
    pub const ALL: [(Self, u8); 4] = [
        (Self::Must, 69),
        (Self::Should, 31),
        (Self::May, 18),
        (Self::Recommended, 1),
    ];

    /// The RFC's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHLD",
            Self::May => "MAY",
            Self::Recommended => "REC",
        }
    }

    /// Whether code and a test are asked for.
    pub fn binds(self) -> bool {
        matches!(self, Self::Must | Self::Should)
    }
}

/// A requirement's number, such as `MUST-12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// How binding it is.
    pub level: Level,
    /// From 1.
    pub number: u8,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.level.label(), self.number))
    }
}

impl FromStr for Id {
    type Err = anyhow::Error;

    /// Reads `MUST-12`, in any case. Whether the RFC has such a number is another question.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (label, number) = text
            .split_once('-')
            .with_context(|| format!("{text}: expected a number such as MUST-12"))?;
        let level = Level::ALL
            .into_iter()
            .map(|(level, _)| level)
            .find(|level| level.label().eq_ignore_ascii_case(label))
            .with_context(|| format!("{text}: expected MUST, SHLD, MAY or REC"))?;
        let number = number
            .parse()
            .with_context(|| format!("{text}: expected a number behind the dash"))?;
        Ok(Self { level, number })
    }
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its number.
    pub id: Id,
    /// The section that states it, as `3.8.6.1`.
    pub section: String,
    /// The rule in our words.
    pub rule: String,
}

/// `requirements.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Every one, in the order of numbers.
    pub all: Vec<Requirement>,
    /// Numbers of the other RFCs that code and tests must cite.
    pub others: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirements: Vec<Entry>,
    others: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    section: String,
    rule: String,
}

impl Requirements {
    /// Reads the file's text: every number of the RFC once, in order, each with a section and a rule.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        let all = file
            .requirements
            .into_iter()
            .map(|entry| {
                Ok(Requirement {
                    id: entry.id.parse()?,
                    section: entry.section,
                    rule: entry.rule,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let expected = Level::ALL
            .into_iter()
            .flat_map(|(level, count)| (1..=count).map(move |number| Id { level, number }));
        ensure!(
            all.iter()
                .map(|requirement| requirement.id)
                .eq(expected.clone()),
            "expected every number of appendix B once and in order, found something else at {}",
            all.iter()
                .map(|requirement| requirement.id)
                .zip(expected)
                .find(|(found, expected)| found != expected)
                .map_or_else(|| "the end".to_owned(), |(found, _)| found.to_string())
        );
        for requirement in &all {
            ensure!(
                is_section(&requirement.section) && !requirement.rule.trim().is_empty(),
                "{}: expected a section such as 3.8.6.1 and a rule",
                requirement.id
            );
        }
        Ok(Self {
            all,
            others: file.others,
        })
    }
}

fn is_section(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
