//! Requirements, exceptions and citations together, and what is wrong with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::exception::{self, Exception, Lacks};
use crate::files::{self, File, Kind};
use crate::numbers::{self, Found};
use crate::requirement::{Id, Requirement, Requirements};
use crate::sections::{self, Section};

/// Where `requirements.toml` and `exceptions.toml` are, from the root of the repository.
pub const FOLDER: &str = "tcpd/core/tests/rfc9293";

/// A line that cites something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it is worth.
    pub kind: Kind,
    /// The file, from the root of the repository.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The test function that the line belongs to.
    pub test: Option<String>,
    /// What stands there.
    pub text: String,
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub struct Book {
    /// `requirements.toml`.
    pub requirements: Requirements,
    /// `exceptions.toml`.
    pub exceptions: Vec<Exception>,
    /// Where a requirement is cited, in the order of kinds, paths and lines.
    pub citations: BTreeMap<Id, Vec<Place>>,
    /// Where a section is cited.
    pub sections: BTreeMap<Section, Vec<Place>>,
    /// Citations that are none, as `file:line: what is wrong`.
    wrong: Vec<String>,
}

impl Book {
    /// Reads the repository at `root`.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let path = root.join(FOLDER).join(name);
            fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
        };
        let requirements =
            Requirements::parse(&text("requirements.toml")?).context("requirements.toml")?;
        let exceptions = exception::parse(&text("exceptions.toml")?).context("exceptions.toml")?;
        Ok(Self::new(requirements, exceptions, &files::read(root)?))
    }

    /// The same from what was read.
    pub fn new(requirements: Requirements, exceptions: Vec<Exception>, files: &[File]) -> Self {
        let mut book = Self {
            requirements,
            exceptions,
            citations: BTreeMap::new(),
            sections: BTreeMap::new(),
            wrong: Vec::new(),
        };
        for file in files {
            book.add(file);
        }
        for places in book
            .citations
            .values_mut()
            .chain(book.sections.values_mut())
        {
            places.sort();
            places.dedup();
        }
        book
    }

    fn add(&mut self, file: &File) {
        let lines: Vec<&str> = file.text.lines().collect();
        let place = |line: usize| {
            let (kind, test) = file.kind(line);
            Place {
                kind,
                path: file.path.clone(),
                line,
                test: test.map(str::to_owned),
                text: lines[line - 1].trim().to_owned(),
            }
        };
        for (index, line) in lines.iter().enumerate() {
            for found in numbers::find(line) {
                match found {
                    Found::Id(id) if self.requirement(id).is_some() => {
                        self.citations.entry(id).or_default().push(place(index + 1));
                    }
                    Found::Id(id) => self.wrong.push(format!(
                        "{}:{}: {id} is no number of RFC 9293",
                        file.path,
                        index + 1
                    )),
                    Found::Wrong(what) => {
                        self.wrong
                            .push(format!("{}:{}: {what}", file.path, index + 1));
                    }
                }
            }
        }
        for (line, section) in sections::find(&file.text) {
            self.sections.entry(section).or_default().push(place(line));
        }
    }

    /// The requirement of a number.
    pub fn requirement(&self, id: Id) -> Option<&Requirement> {
        self.requirements.all.iter().find(|one| one.id == id)
    }

    /// The exception for a number.
    pub fn exception(&self, id: Id) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| exception.id == id)
    }

    /// The places that cite a number.
    pub fn places(&self, id: Id) -> &[Place] {
        self.citations.get(&id).map_or(&[], Vec::as_slice)
    }

    /// What a number lacks, exceptions aside.
    pub fn lacks(&self, id: Id) -> Option<Lacks> {
        let has = |kind| self.places(id).iter().any(|place| place.kind == kind);
        match (has(Kind::Code), has(Kind::Test)) {
            (true, true) => None,
            (true, false) => Some(Lacks::Test),
            (false, true) => Some(Lacks::Code),
            (false, false) => Some(Lacks::Both),
        }
    }

    /// Everything that must not be, one line each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.wrong.clone();
        for requirement in &self.requirements.all {
            if requirement.id.level.binds() {
                problems.extend(self.problem(requirement));
            }
        }
        for rfc in &self.requirements.others {
            let cited = |kind| {
                self.sections
                    .iter()
                    .filter(|(section, _)| section.rfc == *rfc)
                    .any(|(_, places)| places.iter().any(|place| place.kind == kind))
            };
            if !cited(Kind::Code) {
                problems.push(format!("RFC {rfc}: no code cites it"));
            }
            if !cited(Kind::Test) {
                problems.push(format!("RFC {rfc}: no test cites it"));
            }
        }
        problems
    }

    fn problem(&self, requirement: &Requirement) -> Option<String> {
        let (id, rule) = (requirement.id, &requirement.rule);
        let lacks = self.lacks(id);
        match (lacks, self.exception(id).map(|exception| exception.lacks)) {
            (None, None) => None,
            (Some(lacks), None) => Some(format!(
                "{id} (§{}, {rule}) lacks {}, and {FOLDER}/exceptions.toml says nothing of it",
                requirement.section,
                lacks.words()
            )),
            (Some(lacks), Some(excused)) if lacks == excused => None,
            (Some(lacks), Some(excused)) => Some(format!(
                "{id} lacks {}, but its exception says: {}",
                lacks.words(),
                excused.words()
            )),
            (None, Some(_)) => Some(format!(
                "{id} has code and a test, and an exception that says otherwise"
            )),
        }
    }
}

#[cfg(test)]
mod tests;
