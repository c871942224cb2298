//! What is wrong with a configuration: one message for each problem.

use std::fmt;

/// Where a value stands: the start of every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, and its line counted from 1 (0: the file as a whole).
    File {
        /// The file as it was named.
        file: String,
        /// Line, from 1; 0 for the file as a whole.
        line: usize,
    },
    /// An environment variable.
    Environment,
    /// `--set key=value`.
    Flag,
    /// The defaults built in.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line: 0 } => write!(f, "{file}"),
            Place::File { file, line } => write!(f, "{file}:{line}"),
            Place::Environment => write!(f, "environment"),
            Place::Flag => write!(f, "--set"),
            Place::Default => write!(f, "built-in defaults"),
        }
    }
}

/// One problem: `PLACE: KEY = VALUE: WRONG; allowed: ALLOWED`, without the parts that it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value stands.
    pub place: Place,
    /// The key, with its section (`tcp.msl`, `service.echo.port`); empty when the problem is not one key's.
    pub key: String,
    /// The value as it was written; empty when there is none.
    pub value: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What is allowed; empty when that goes without saying.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => {}
            (false, true) => write!(f, "{}: ", self.key)?,
            (false, false) => write!(f, "{} = {}: ", self.key, self.value)?,
        }
        write!(f, "{}", self.wrong)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order in which it stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
