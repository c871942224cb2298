//! The strict pass over a file: every key known, every value of the right type and in range, and where it stands.
//!
//! The `config` crate alone rounds 1400.7 to 1401, takes `"1400"` for 1400, and forgets lines. So the file goes through
//! here first, and only a file without a problem reaches it.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};
use super::schema::{Given, Key, SECTIONS, find, keys_of};

/// Longest piece of a value repeated in a message, in characters.
const VALUE_SHOWN: usize = 60;

/// Checks the text of a file. Returns the place of each key that stands in it, for checks between keys later.
pub(super) fn check_file(file: &str, text: &str) -> Result<HashMap<String, Place>, Vec<Problem>> {
    let mut pass = Pass {
        file,
        text,
        problems: Vec::new(),
        places: HashMap::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(0, |span| pass.line(span.start));
        pass.report(
            line,
            String::new(),
            String::new(),
            error.message().replace('\n', ", "),
            String::new(),
        );
    }
    if errors.is_empty() {
        pass.top(table.get_ref());
    }
    if pass.problems.is_empty() {
        Ok(pass.places)
    } else {
        Err(pass.sorted())
    }
}

struct Pass<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
    places: HashMap<String, Place>,
}

impl Pass<'_> {
    fn top(&mut self, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let text = name.get_ref().as_ref();
            if text == "service" {
                self.services(value);
            } else if let Some(key) = find("", text) {
                self.value(key, text.to_owned(), value);
            } else if SECTIONS.contains(&text) {
                match value.get_ref() {
                    DeValue::Table(section) => self.section(text, text, section),
                    _ => self.bad(
                        text.to_owned(),
                        value,
                        "not a section",
                        &format!("[{text}]"),
                    ),
                }
            } else {
                let shown = self.shown(value);
                let allowed = names(
                    SECTIONS
                        .iter()
                        .filter(|section| !section.is_empty())
                        .copied()
                        .chain(keys_of("").map(|key| key.name)),
                );
                self.report(
                    self.line(name.span().start),
                    text.to_owned(),
                    shown,
                    "unknown key".to_owned(),
                    allowed,
                );
            }
        }
    }

    /// `prefix` is what a message calls the section: its name, or `service.NAME`.
    fn section(&mut self, section: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let path = format!("{prefix}.{}", name.get_ref());
            match find(section, name.get_ref()) {
                Some(key) => self.value(key, path, value),
                None => {
                    let shown = self.shown(value);
                    let allowed = names(keys_of(section).map(|key| key.name));
                    self.report(
                        self.line(name.span().start),
                        path,
                        shown,
                        "unknown key".to_owned(),
                        allowed,
                    );
                }
            }
        }
    }

    fn services(&mut self, value: &Spanned<DeValue<'_>>) {
        let DeValue::Array(entries) = value.get_ref() else {
            self.bad(
                "service".to_owned(),
                value,
                "not a list of services",
                "[[service]]",
            );
            return;
        };
        for (index, entry) in entries.iter().enumerate() {
            let DeValue::Table(table) = entry.get_ref() else {
                self.bad(
                    format!("service.{}", index + 1),
                    entry,
                    "not a service",
                    "[[service]]",
                );
                continue;
            };
            let name = table.get("name").and_then(|name| name.get_ref().as_str());
            let prefix = name.map_or_else(
                || format!("service.{}", index + 1),
                |name| format!("service.{name}"),
            );
            self.section("service", &prefix, table);
            let line = self.line(entry.span().start);
            for required in ["name", "port", "handler"] {
                let command = required == "handler" && table.contains_key("exec");
                if !table.contains_key(required) && !command {
                    let allowed = find("service", required)
                        .map_or_else(String::new, |key| key.kind.allowed());
                    self.report(
                        line,
                        format!("{prefix}.{required}"),
                        String::new(),
                        "missing".to_owned(),
                        allowed,
                    );
                }
            }
            // Checks between services find their line by position: names may be double.
            for (key, value) in table.iter() {
                let place = self.place(self.line(value.span().start));
                self.places
                    .insert(format!("service[{index}].{}", key.get_ref()), place);
            }
        }
    }

    fn value(&mut self, key: &Key, path: String, value: &Spanned<DeValue<'_>>) {
        match key.kind.check(&given(value.get_ref())) {
            Ok(()) => {
                let place = self.place(self.line(value.span().start));
                self.places.insert(path, place);
            }
            Err(wrong) => self.bad(path, value, &wrong, &key.kind.allowed()),
        }
    }

    fn bad(&mut self, path: String, value: &Spanned<DeValue<'_>>, wrong: &str, allowed: &str) {
        let (line, shown) = (self.line(value.span().start), self.shown(value));
        self.report(line, path, shown, wrong.to_owned(), allowed.to_owned());
    }

    fn report(&mut self, line: usize, key: String, value: String, wrong: String, allowed: String) {
        let place = self.place(line);
        self.problems.push(Problem {
            place,
            key,
            value,
            wrong,
            allowed,
        });
    }

    fn place(&self, line: usize) -> Place {
        Place::File {
            file: self.file.to_owned(),
            line,
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The value as it stands in the file: its first line, not too much of it.
    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        if let DeValue::Table(_) = value.get_ref() {
            return String::new();
        }
        let written = self.text.get(value.span()).unwrap_or_default();
        let line = written.lines().next().unwrap_or_default();
        let cut: String = line.chars().take(VALUE_SHOWN).collect();
        if cut.len() < written.len() {
            cut + "…"
        } else {
            cut
        }
    }

    /// In the order of the file: the parser hands out tables by name.
    fn sorted(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| match problem.place {
            Place::File { line, .. } => line,
            _ => 0,
        });
        self.problems
    }
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Boolean(value) => Given::Boolean(*value),
        DeValue::Integer(value) => {
            let digits = value.as_str().replace('_', "");
            i64::from_str_radix(&digits, value.radix())
                .map_or(Given::Other("integer"), Given::Integer)
        }
        DeValue::Array(items) => {
            Given::List(items.iter().map(|item| given(item.get_ref())).collect())
        }
        other => Given::Other(other.type_str()),
    }
}
