//! Fuzz targets as ordinary tests, on stable Rust and without a tool.
//!
//! A target takes bytes and says in words what it made of them; it panics when something is wrong. [`Target::run`]
//!
//! 1. replays the corpus: what it is given (as [`messages`] has it), and the files of a directory, in the order of their names: what was found
//!    before;
//! 2. mutates inputs of it, by a seed, some thousand of them; an input of which the target says something new joins those that are
//!    mutated (in place of the coverage that a compiler would count).
//!
//! What panics is written to `target/fuzz/`, and the test fails and says where. The environment makes it longer:
//!
//! | variable | |
//! |---|---|
//! | `TCPD_FUZZ_SECONDS` | goes on for so long |
//! | `TCPD_FUZZ_SEED` | another seed than 1 |
//! | `TCPD_FUZZ_KEEP` | inputs of which something new was said join the corpus on disk |

pub mod messages;
mod mutation;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tcpd_core::random::Generator;

use mutation::mutated;

/// What is fuzzed.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its name, for people and for files.
    pub name: &'a str,
    /// What it begins with.
    pub seeds: Vec<Vec<u8>>,
    /// Where the files of its corpus are, if there are any.
    pub corpus: PathBuf,
    /// Mutated inputs when no time is given.
    pub cases: u64,
    /// The longest input, in bytes.
    pub longest: usize,
}

impl Target<'_> {
    /// Replays the corpus, then mutates it.
    ///
    /// # Panics
    /// As `test`, once the input has been written to `target/fuzz/`.
    pub fn run(&self, mut test: impl FnMut(&[u8]) -> String) {
        let mut pool = self.corpus();
        assert!(!pool.is_empty(), "nothing to begin with");
        let mut said: HashSet<String> = pool
            .iter()
            .map(|input| self.try_one(input, &mut test))
            .collect();
        let seed = number("TCPD_FUZZ_SEED").unwrap_or(1);
        let mut random = Generator::from_seed(seed);
        let (replayed, mut cases, mut end) = (pool.len(), 0, self.end());
        while !end(cases) {
            let mut input = mutated(&mut random, &pool);
            input.truncate(self.longest);
            cases += 1;
            let words = self.try_one(&input, &mut test);
            if said.insert(words) {
                self.keep(&input);
                pool.push(input);
            }
        }
        println!(
            "{}: {replayed} inputs replayed, {cases} mutated with seed {seed}, {} of them new",
            self.name,
            pool.len() - replayed
        );
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.corpus)
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("a directory that can be read").path())
            .collect();
        files.sort();
        let files = files
            .iter()
            .map(|file| fs::read(file).expect("a file that can be read"));
        self.seeds.iter().cloned().chain(files).collect()
    }

    fn try_one(&self, input: &[u8], test: &mut impl FnMut(&[u8]) -> String) -> String {
        match catch_unwind(AssertUnwindSafe(|| test(input))) {
            Ok(words) => words,
            Err(panic) => {
                let directory = workspace().join("target/fuzz");
                let file = directory.join(file_name(self.name, input));
                let written = fs::create_dir_all(&directory).and_then(|()| fs::write(&file, input));
                eprintln!(
                    "{}: {} ({written:?}): add it to {}",
                    self.name,
                    file.display(),
                    self.corpus.display()
                );
                resume_unwind(panic)
            }
        }
    }

    fn keep(&self, input: &[u8]) {
        if std::env::var_os("TCPD_FUZZ_KEEP").is_some() {
            let file = self.corpus.join(file_name("found", input));
            fs::create_dir_all(&self.corpus).expect("a corpus that can be written");
            fs::write(file, input).expect("a corpus that can be written");
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "people give a fuzzer an amount of real time"
    )]
    fn end(&self) -> impl FnMut(u64) -> bool {
        let (start, limit) = (
            Instant::now(),
            number("TCPD_FUZZ_SECONDS").map(Duration::from_secs),
        );
        let most = self.cases;
        move |cases| limit.map_or(cases >= most, |limit| start.elapsed() >= limit)
    }
}

/// The first word of a value's debug form: the name of its variant.
pub fn first_word(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

/// The name says what is in it.
fn file_name(prefix: &str, input: &[u8]) -> String {
    let number = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{prefix}-{number:016x}")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

#[cfg(test)]
mod tests;
