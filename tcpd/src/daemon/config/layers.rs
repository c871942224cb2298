//! The layers, laid over each other by the `config` crate once each of them is known to be good.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat};

use super::problem::{ConfigError, Place, Problem};
use super::schema::{Key, SECTIONS, find, keys_of};
use super::{Config, DEFAULT_PATH, DEFAULTS, cross, machine, strict};

const PREFIX: &str = "TCPD_";
const SEPARATOR: &str = "__";

pub(super) fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Config, ConfigError> {
    let mut layers = Layers::defaults();
    layers.file(path);
    layers.environment(environment);
    layers.flags(flags);
    layers.finish().map(|(config, _)| config)
}

/// The same, and against what this machine has.
pub(super) fn load_here(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Config, ConfigError> {
    let mut layers = Layers::defaults();
    layers.file(path);
    layers.environment(environment);
    layers.flags(flags);
    let (mut config, places) = layers.finish()?;
    let problems = machine::check(&mut config, &places);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError { problems })
    }
}

/// Only the defaults and `flags`, whatever stands in a file or the environment.
pub(super) fn load_flags(flags: &[String]) -> Result<Config, ConfigError> {
    let mut layers = Layers::defaults();
    layers.flags(flags);
    layers.finish().map(|(config, _)| config)
}

struct Layers {
    builder: ConfigBuilder<DefaultState>,
    /// Where the value of a key that counts stands.
    places: HashMap<String, Place>,
    problems: Vec<Problem>,
}

impl Layers {
    fn defaults() -> Self {
        Self {
            builder: config::Config::builder()
                .add_source(File::from_str(DEFAULTS, FileFormat::Toml)),
            places: HashMap::new(),
            problems: Vec::new(),
        }
    }

    fn file(&mut self, path: Option<&Path>) {
        let name = path.unwrap_or(Path::new(DEFAULT_PATH));
        let shown = name.display().to_string();
        let text = match std::fs::read_to_string(name) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                let place = Place::File {
                    file: shown,
                    line: 0,
                };
                return self.problem(place, "", "", &format!("cannot be read: {error}"), "");
            }
        };
        match strict::check_file(&shown, &text) {
            Ok(places) => {
                self.places.extend(places);
                self.add(|builder| builder.add_source(File::from_str(&text, FileFormat::Toml)));
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    fn environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let mut good = config::Map::new();
        let mut all: Vec<_> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        all.sort();
        for (variable, value) in all {
            let name = variable[PREFIX.len()..].to_lowercase();
            let key = match name.split_once(SEPARATOR) {
                Some((section, name)) => find(section, name).filter(|key| key.section != "service"),
                // TCPD_SOCKET and others are not keys.
                None if find("", &name).is_none() => continue,
                None => find("", &name),
            };
            let Some(key) = key else {
                let allowed = allowed_paths(&name.replace(SEPARATOR, "."));
                self.problem(
                    Place::Environment,
                    &variable,
                    &format!("{value:?}"),
                    "unknown key",
                    &allowed,
                );
                continue;
            };
            if self.accepts(Place::Environment, key, &variable, &value) {
                good.insert(variable, value);
            }
        }
        let source = Environment::with_prefix(PREFIX.trim_end_matches('_'))
            .prefix_separator("_")
            .separator(SEPARATOR)
            .source(Some(good));
        self.add(|builder| builder.add_source(source));
    }

    fn flags(&mut self, flags: &[String]) {
        for flag in flags {
            let Some((path, value)) = flag.split_once('=') else {
                self.problem(Place::Flag, flag, "", "no value", "key=value");
                continue;
            };
            let (section, name) = path.split_once('.').unwrap_or(("", path));
            match find(section, name).filter(|key| key.section != "service") {
                None => self.problem(
                    Place::Flag,
                    path,
                    value,
                    "unknown key",
                    &allowed_paths(path),
                ),
                Some(key) => {
                    if self.accepts(Place::Flag, key, path, value)
                        && let Err(error) = self.set(path, value)
                    {
                        self.problem(
                            Place::Flag,
                            path,
                            value,
                            &error.to_string(),
                            &key.kind.allowed(),
                        );
                    }
                }
            }
        }
    }

    fn set(&mut self, path: &str, value: &str) -> Result<(), config::ConfigError> {
        self.builder = self.builder.clone().set_override(path, value)?;
        Ok(())
    }

    fn add(
        &mut self,
        with: impl FnOnce(ConfigBuilder<DefaultState>) -> ConfigBuilder<DefaultState>,
    ) {
        self.builder = with(std::mem::take(&mut self.builder));
    }

    /// Checks the text of a variable or flag; `name` is what the message calls it.
    fn accepts(&mut self, place: Place, key: &Key, name: &str, text: &str) -> bool {
        match key.kind.check(&key.kind.read(text)) {
            Ok(()) => {
                self.places.insert(key.path(), place);
                true
            }
            Err(wrong) => {
                self.problem(
                    place,
                    name,
                    &format!("{text:?}"),
                    &wrong,
                    &key.kind.allowed(),
                );
                false
            }
        }
    }

    fn problem(&mut self, place: Place, key: &str, value: &str, wrong: &str, allowed: &str) {
        self.problems.push(Problem {
            place,
            key: key.to_owned(),
            value: value.to_owned(),
            wrong: wrong.to_owned(),
            allowed: allowed.to_owned(),
        });
    }

    /// The configuration, and where each of its values stands.
    fn finish(mut self) -> Result<(Config, HashMap<String, Place>), ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError {
                problems: self.problems,
            });
        }
        let builder = std::mem::take(&mut self.builder);
        let built = builder
            .build()
            .map_err(|error| (String::new(), error.to_string()))
            .and_then(|built| {
                serde_path_to_error::deserialize(built)
                    .map_err(|error| (error.path().to_string(), error.into_inner().to_string()))
            });
        match built {
            Ok(config) => {
                self.problems = cross::check(&config, &self.places);
                if self.problems.is_empty() {
                    Ok((config, self.places))
                } else {
                    Err(ConfigError {
                        problems: self.problems,
                    })
                }
            }
            Err((path, wrong)) => {
                let place = self.places.get(&path).cloned().unwrap_or(Place::Default);
                self.problem(place, &path, "", &wrong, "");
                Err(ConfigError {
                    problems: self.problems,
                })
            }
        }
    }
}

/// The keys near an unknown one: those of its section when there is such a section.
fn allowed_paths(path: &str) -> String {
    let section = path.split_once('.').map_or("", |(section, _)| section);
    let keys: Vec<String> =
        if section != "service" && SECTIONS.contains(&section) && !section.is_empty() {
            keys_of(section).map(Key::path).collect()
        } else {
            let others = SECTIONS
                .iter()
                .filter(|name| !name.is_empty() && **name != "service");
            others
                .map(|name| format!("{name}.…"))
                .chain(keys_of("").map(Key::path))
                .collect()
        };
    keys.join(", ")
}
