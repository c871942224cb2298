//! Where the configuration comes from, kept for the life of the daemon so that it can be read again.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, DEFAULT_PATH, layers};

/// The layers above the built-in defaults.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file that was named; `None`: [`DEFAULT_PATH`], if it exists.
    pub file: Option<PathBuf>,
    /// `TCPD_…` as it was at the start.
    pub environment: Vec<(String, String)>,
    /// `key=value` of the command line.
    pub flags: Vec<String>,
}

impl Source {
    /// With the environment of this process, without what is not text: that names no key and is no value of one.
    pub fn new(file: Option<&Path>, flags: &[String]) -> Self {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self {
            file: file.map(Path::to_owned),
            environment: environment
                .filter(|(name, _)| name.starts_with("TCPD_"))
                .collect(),
            flags: flags.to_vec(),
        }
    }

    /// Reads and checks all of it, also that what it names is there on this machine.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        layers::load_here(
            self.file.as_deref(),
            self.environment.iter().cloned(),
            &self.flags,
        )
    }

    /// The file that is read, if there is one.
    pub fn file(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_PATH);
        self.file
            .as_deref()
            .or_else(|| default.exists().then_some(default))
    }
}
