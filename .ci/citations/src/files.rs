//! What is read, and what a line of it is.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context;

/// The folders that are read.
const FOLDERS: [&str; 4] = ["tcpd", "libtcpclient", "tcpctl", "etc"];

/// What a citation is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The code that does it.
    Code,
    /// A test or a script that holds it.
    Test,
    /// Neither; why.
    Mention(&'static str),
}

/// One file.
#[derive(Clone, Debug)]
pub struct File {
    /// From the root of the repository, with slashes.
    pub path: String,
    /// All of it.
    pub text: String,
    scope: Scope,
    tests: Vec<Test>,
}

/// What a file is by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The program itself.
    Source,
    /// Tests in Rust.
    Tests,
    /// A script, the matrix's oracle or a part of the simulator, all of which the tests run: everything in it counts.
    Script,
    /// Shown to people: no test, and no part of the stack.
    Shown,
    /// What must hold after every event: it does nothing, and no test asks for it by name.
    Invariants,
}

/// A test function.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    name: String,
    /// With its comments and attributes; lines count from 1.
    lines: RangeInclusive<usize>,
    ignored: bool,
}

/// Reads every source, test and script below `root`, by path.
pub fn read(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        let mut folders = vec![root.join(folder)];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    if path.file_name().is_some_and(|name| name != "target") {
                        folders.push(path);
                    }
                } else if let Some(scope) = scope(&name(root, &path)) {
                    let text =
                        fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
                    files.push(File::new(name(root, &path), text, scope));
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

/// What the file at `path` is, `None` if it is not read.
fn scope(path: &str) -> Option<Scope> {
    let is_test =
        || path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/");
    match path.rsplit_once('.')?.1 {
        "pkt" => Some(Scope::Script),
        "rs" if path.starts_with("tcpd/src/scenario") || path.starts_with("tcpd/src/demo") => {
            Some(Scope::Shown)
        }
        // It names numbers to see that they are found.
        "rs" if path == "tcpd/core/tests/rfc9293.rs" => None,
        "rs" if path.ends_with("/invariants.rs") => Some(Scope::Invariants),
        "rs" if path.starts_with("tcpd/core/tests/matrix/expected") => Some(Scope::Script),
        "rs" if is_test() => Some(Scope::Tests),
        "rs" if path.starts_with("tcpd/core/src/sim") => Some(Scope::Script),
        "rs" if path.contains("/src/") => Some(Scope::Source),
        "toml" if path.starts_with("etc/") => Some(Scope::Source),
        _ => None,
    }
}

impl File {
    /// A file at `path`, as if it had been read there; `None` if such a file is not read.
    pub fn at(path: &str, text: &str) -> Option<Self> {
        scope(path).map(|scope| Self::new(path.to_owned(), text.to_owned(), scope))
    }

    fn new(path: String, text: String, scope: Scope) -> Self {
        let tests = match scope {
            Scope::Tests => test_functions(&text),
            Scope::Source | Scope::Script | Scope::Shown | Scope::Invariants => Vec::new(),
        };
        Self {
            path,
            text,
            scope,
            tests,
        }
    }

    /// What a citation in a line is worth (lines count from 1), and the name of the test that the line belongs to.
    pub fn kind(&self, line: usize) -> (Kind, Option<&str>) {
        match self.scope {
            Scope::Source => (Kind::Code, None),
            Scope::Script => (Kind::Test, None),
            Scope::Shown => (Kind::Mention("shown"), None),
            Scope::Invariants => (Kind::Mention("an invariant"), None),
            Scope::Tests => match self.tests.iter().find(|test| test.lines.contains(&line)) {
                Some(test) if test.ignored => (Kind::Mention("an ignored test"), Some(&test.name)),
                Some(test) => (Kind::Test, Some(&test.name)),
                None => (Kind::Mention("beside the tests"), None),
            },
        }
    }
}

/// The test functions of a file that rustfmt has formatted.
fn test_functions(text: &str) -> Vec<Test> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.trim() != "#[test]" {
            continue;
        }
        let is_head = |line: &&&str| {
            let line = line.trim_start();
            line.starts_with("//") || line.starts_with('#')
        };
        let above = lines[..at].iter().rev().take_while(is_head).count();
        let below = lines[at..]
            .iter()
            .take_while(|line| !line.trim_start().starts_with("fn "))
            .count();
        let Some(function) = lines.get(at + below) else {
            continue;
        };
        let indent = function.len() - function.trim_start().len();
        let end = format!("{}}}", &function[..indent]);
        let body = lines[at + below..]
            .iter()
            .position(|line| *line == end || (line.ends_with('}') && *line == *function));
        let Some(body) = body else { continue };
        found.push(Test {
            name: function
                .trim_start()
                .trim_start_matches("fn ")
                .split(['(', '<'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            lines: at - above + 1..=at + below + body + 1,
            ignored: lines[at - above..at + below]
                .iter()
                .any(|line| line.trim_start().starts_with("#[ignore")),
        });
    }
    found
}

#[cfg(test)]
mod tests;
