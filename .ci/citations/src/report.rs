//! A [`Book`] as text: the same for a terminal and for a pipe, but for colours.

use std::fmt::Write as _;

use crate::book::{Book, Place};
use crate::exception::Lacks;
use crate::files::Kind;
use crate::requirement::{Id, Level, Requirement};

/// How the text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// With colours, for a terminal.
    pub colour: bool,
    /// Each place with what stands in its line.
    pub lines: bool,
}

impl Look {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// Every requirement with its places, then what lacks something.
pub fn all(book: &Book, look: Look) -> String {
    let mut text = String::new();
    for requirement in &book.requirements.all {
        text.push_str(&one(book, requirement, look));
    }
    text.push_str(&summary(book, look));
    text
}

/// One requirement with its places.
pub fn one(book: &Book, requirement: &Requirement, look: Look) -> String {
    let id = requirement.id;
    let mut text = format!(
        "{} §{}  {}\n",
        look.bold(&format!("{id:<7}")),
        requirement.section,
        requirement.rule
    );
    places(&mut text, book.places(id), look);
    let lacks = id.level.binds().then(|| book.lacks(id)).flatten();
    match (lacks, book.exception(id)) {
        (_, Some(exception)) => {
            let _ = writeln!(
                text,
                "    without {}: {}",
                exception.lacks.words(),
                exception.reason
            );
        }
        (Some(lacks), None) => {
            let words = format!("    without {}", lacks.words());
            let _ = writeln!(text, "{}", look.bad(&words));
        }
        (None, None) => {}
    }
    text
}

fn places(text: &mut String, places: &[Place], look: Look) {
    let mut last = None;
    for place in places {
        let (name, note) = match place.kind {
            Kind::Code => ("code", None),
            Kind::Test => ("test", None),
            Kind::Mention(why) => ("-", Some(why)),
        };
        let shown = if last.replace(name) == Some(name) {
            ""
        } else {
            name
        };
        let _ = write!(text, "    {shown:<5} {}:{}", place.path, place.line);
        if let Some(test) = &place.test {
            let _ = write!(text, "  {}", look.faint(test));
        }
        if let Some(note) = note {
            let _ = write!(text, "  ({note})");
        }
        text.push('\n');
        if look.lines {
            let _ = writeln!(text, "          {}", look.faint(&place.text));
        }
    }
}

/// How many there are, and which lack what.
pub fn summary(book: &Book, look: Look) -> String {
    let mut text = String::new();
    for (level, count) in Level::ALL.into_iter().filter(|(level, _)| level.binds()) {
        let ids = || (1..=count).map(move |number| Id { level, number });
        let lacks = |what: fn(Lacks) -> bool| {
            ids()
                .filter(|id| book.lacks(*id).is_some_and(what))
                .collect::<Vec<_>>()
        };
        let (code, test) = (lacks(Lacks::code), lacks(Lacks::test));
        let _ = writeln!(
            text,
            "\n{}: {} of {count} with code, {} with a test",
            look.bold(level.label()),
            usize::from(count) - code.len(),
            usize::from(count) - test.len()
        );
        for (name, ids) in [("code", code), ("a test", test)] {
            let (excused, open): (Vec<Id>, Vec<Id>) = ids
                .into_iter()
                .partition(|id| book.exception(*id).is_some());
            if !excused.is_empty() {
                let _ = writeln!(text, "    without {name}, for a reason: {}", list(&excused));
            }
            if !open.is_empty() {
                let line = format!("    without {name}: {}", list(&open));
                let _ = writeln!(text, "{}", look.bad(&line));
            }
        }
    }
    text
}

fn list(ids: &[Id]) -> String {
    ids.iter().map(Id::to_string).collect::<Vec<_>>().join(", ")
}

/// Every section of other RFCs (of `rfc` only, if one is named) with the files that cite it.
pub fn sections(book: &Book, rfc: Option<u16>, look: Look) -> String {
    let mut text = String::new();
    let mut last = None;
    let cited = book
        .sections
        .iter()
        .filter(|(section, _)| rfc.is_none_or(|rfc| rfc == section.rfc));
    for (section, found) in cited {
        if last.replace(section.rfc) != Some(section.rfc) {
            let _ = writeln!(text, "{}", look.bold(&format!("RFC {}", section.rfc)));
        }
        let name = match section.section.as_str() {
            "" => "as a whole".to_owned(),
            section => format!("§{section}"),
        };
        let _ = writeln!(text, "  {name}");
        if look.lines {
            places(&mut text, found, look);
        } else {
            files(&mut text, found);
        }
    }
    text
}

/// A line a file, with the numbers of its lines.
fn files(text: &mut String, places: &[Place]) {
    let mut last = None;
    for (index, place) in places.iter().enumerate() {
        let same = |other: &Place| other.kind == place.kind && other.path == place.path;
        if index > 0 && same(&places[index - 1]) {
            continue;
        }
        let lines: Vec<String> = places
            .iter()
            .filter(|other| same(other))
            .map(|place| place.line.to_string())
            .collect();
        let name = match place.kind {
            Kind::Code => "code",
            Kind::Test => "test",
            Kind::Mention(why) => why,
        };
        let shown = if last.replace(name) == Some(name) {
            ""
        } else {
            name
        };
        let _ = writeln!(text, "    {shown:<5} {}:{}", place.path, lines.join(","));
    }
}

#[cfg(test)]
mod tests;
