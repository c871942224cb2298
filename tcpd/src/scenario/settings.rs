//! What `--set key=value` can vary: keys of `[tcp]` and `[limits]` in etc/tcpd.toml as far as they concern a stack, what every
//! scenario has, and what one scenario has of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use tcpd_core::stack::StackConfig;

use super::Scenario;
use crate::daemon::config::{Config, DEFAULTS, Kind, Place, Problem, keys_of, parse_duration};
use crate::daemon::stack_config;

/// Keys of those sections that concern the daemon around the stack and its users, not the stack.
pub(super) const NOT_OF_THE_STACK: &[&str] = &[
    "keepalive",
    "ephemeral_ports",
    "backlog",
    "sessions_per_uid",
    "connections_per_uid",
    "orphans_per_uid",
    "listeners_per_uid",
    "handoffs_per_uid",
    "root",
    "ring_bytes",
    "ring_bytes_per_uid",
    "slots_per_session",
    "requests_per_session",
    "unread_bytes_per_session",
    "unread_bytes_per_uid",
    "messages_per_turn",
];

/// A setting that is not in etc/tcpd.toml.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// What every scenario has.
const COMMON: &[Own] = &[
    Own {
        name: "latency",
        default: "50ms",
        kind: Kind::Duration(Duration::from_millis(1), Duration::from_secs(10)),
        help: "from one host to the other",
    },
    Own {
        name: "mtu",
        default: "1500",
        kind: Kind::Integer(1280, 65_535),
        help: "bytes of an IP packet on the link",
    },
    Own {
        name: "numbers",
        default: "short",
        kind: Kind::OneOf(&["short", "wire"]),
        help: "sequence numbers: left from 100, right from 300, or as they are on the wire",
    },
    Own {
        name: "seed",
        default: "1",
        kind: Kind::Integer(0, i64::MAX),
        help: "decides secrets, and with them initial sequence numbers",
    },
];

/// What a scenario is played with.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Of both hosts.
    pub(super) stack: StackConfig,
    own: BTreeMap<&'static str, String>,
    /// What was asked for, `key=value` each.
    pub(super) changed: Vec<String>,
}

impl Settings {
    /// The defaults, over them what the scenario sets, over that `asked` (`key=value` each).
    ///
    /// # Errors
    /// The first of `asked` that is no key, or whose value is not allowed, in words for a person.
    pub(super) fn new(scenario: &Scenario, asked: &[String]) -> Result<Self, String> {
        let mut flags = Vec::new();
        let mut own: BTreeMap<_, _> = own_settings(scenario)
            .map(|setting| (setting.name, setting.default.to_owned()))
            .collect();
        let preset = scenario
            .preset
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        for flag in preset.chain(asked.iter().cloned()) {
            let (key, value) = flag
                .split_once('=')
                .ok_or_else(|| problem(&flag, "", "no value", "key=value"))?;
            match find(scenario, key) {
                Some(Found::Configured(path, kind)) => {
                    check(kind, key, value)?;
                    flags.push(format!("{path}={value}"));
                }
                Some(Found::Own(setting)) => {
                    check(setting.kind, key, value)?;
                    own.insert(setting.name, value.to_owned());
                }
                None => return Err(unknown(scenario, key, value)),
            }
        }
        let config = Config::with_flags(&flags).map_err(|error| error.to_string())?;
        let mut settings = Self {
            stack: StackConfig::default(),
            own,
            changed: asked.to_vec(),
        };
        let mtu = u16::try_from(settings.number("mtu")).unwrap_or(u16::MAX);
        settings.stack = stack_config::stack_config(&config, mtu);
        settings.stack.gso_max = 0;
        Ok(settings)
    }

    /// Whether the scenario has this setting of its own.
    pub(super) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    /// A setting of the scenario's own, as a duration.
    ///
    /// # Panics
    /// When the scenario has no such setting: a mistake in the scenario.
    pub(super) fn duration(&self, name: &str) -> Duration {
        parse_duration(self.text(name)).unwrap_or_else(|| panic!("{name} is no duration"))
    }

    /// A setting of the scenario's own, as a number.
    ///
    /// # Panics
    /// When the scenario has no such setting.
    pub(super) fn number(&self, name: &str) -> u64 {
        let number = self.text(name).parse();
        number.unwrap_or_else(|_| panic!("{name} is no number"))
    }

    /// A setting of the scenario's own, as it was written.
    ///
    /// # Panics
    /// When the scenario has no such setting.
    pub(super) fn text(&self, name: &str) -> &str {
        let text = self.own.get(name);
        text.unwrap_or_else(|| panic!("no setting is called {name}"))
    }
}

enum Found {
    /// Its path in etc/tcpd.toml.
    Configured(String, Kind),
    Own(Own),
}

/// Keys of etc/tcpd.toml that concern a stack: their short name, path and kind.
fn configured() -> impl Iterator<Item = (&'static str, String, Kind)> {
    ["tcp", "limits"]
        .into_iter()
        .flat_map(keys_of)
        .filter(|key| !NOT_OF_THE_STACK.contains(&key.name))
        .map(|key| (key.name, key.path(), key.kind))
}

/// What is not in etc/tcpd.toml: the scenario's own settings, then the common ones.
fn own_settings(scenario: &Scenario) -> impl Iterator<Item = Own> {
    let configured: Vec<&str> = configured().map(|(name, ..)| name).collect();
    let own = scenario.settings.iter().chain(COMMON);
    own.filter(move |setting| !configured.contains(&setting.name))
        .copied()
}

fn find(scenario: &Scenario, key: &str) -> Option<Found> {
    if let Some(setting) = own_settings(scenario).find(|setting| setting.name == key) {
        return Some(Found::Own(setting));
    }
    configured()
        .find(|(name, path, _)| *name == key || path == key)
        .map(|(_, path, kind)| Found::Configured(path, kind))
}

fn check(kind: Kind, key: &str, value: &str) -> Result<(), String> {
    kind.check(&kind.read(value))
        .map_err(|wrong| problem(key, &format!("{value:?}"), &wrong, &kind.allowed()))
}

fn problem(key: &str, value: &str, wrong: &str, allowed: &str) -> String {
    Problem {
        place: Place::Flag,
        key: key.to_owned(),
        value: value.to_owned(),
        wrong: wrong.to_owned(),
        allowed: allowed.to_owned(),
    }
    .to_string()
}

fn unknown(scenario: &Scenario, key: &str, value: &str) -> String {
    let names: Vec<&str> = own_settings(scenario)
        .map(|setting| setting.name)
        .chain(configured().map(|(name, ..)| name))
        .collect();
    let wrong = match super::nearest(key, names.iter().copied()) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => "unknown key".to_owned(),
    };
    let message = problem(key, &format!("{value:?}"), &wrong, "");
    format!("{message}\n\n{}", table(scenario))
}

/// Every setting a scenario can be varied with, a line each.
pub(super) fn table(scenario: &Scenario) -> String {
    let mut text = format!("Settings of {}, for --set key=value:\n", scenario.name);
    for setting in own_settings(scenario) {
        text += &format!(
            "  {:<23} {}; {}; {}\n",
            setting.name,
            setting.help,
            setting.kind.allowed(),
            match scenario.preset.iter().find(|(key, _)| *key == setting.name) {
                Some((_, value)) => format!("here {value}"),
                None => format!("default {}", setting.default),
            }
        );
    }
    text += "and of etc/tcpd.toml, where each is explained:\n";
    for (name, path, kind) in configured() {
        let value = match scenario.preset.iter().find(|(key, _)| *key == name) {
            Some((_, value)) => format!("here {value}"),
            None => format!("default {}", default_of(&path)),
        };
        text += &format!("  {name:<23} {}; {value}\n", kind.allowed());
    }
    text
}

/// The default of a key of etc/tcpd.toml, as it is written on the command line.
fn default_of(path: &str) -> String {
    let defaults: toml::Table = DEFAULTS.parse().unwrap_or_default();
    let value = path
        .split_once('.')
        .and_then(|(section, name)| defaults.get(section)?.get(name));
    match value {
        Some(toml::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests;
