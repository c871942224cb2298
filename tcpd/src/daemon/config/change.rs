//! What a configuration changes of another one: what a reload applies, and what it cannot.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::{self, Applied};
use super::{Config, Service};

#[cfg(test)]
mod tests;

/// From one configuration to another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// Keys as `limits.sessions_per_uid` that count from now on.
    pub settings: Vec<String>,
    /// Keys that only a restart changes. A reload with one of these is refused as a whole.
    pub needs_restart: Vec<String>,
    /// Enabled services that are new.
    pub added: Vec<Service>,
    /// Enabled services that are different, as they shall be.
    pub changed: Vec<Service>,
    /// Names of services that are no more, or no longer enabled.
    pub removed: Vec<String>,
}

impl Change {
    /// What is different in `new`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut change = Self::default();
        let (before, after) = (values(old), values(new));
        for key in schema::KEYS.iter().filter(|key| key.section != "service") {
            let path = key.path();
            if before.get(&path) == after.get(&path) {
                continue;
            }
            match key.applied {
                Applied::ByReload => change.settings.push(path),
                Applied::ByRestart => change.needs_restart.push(path),
            }
        }
        let enabled = |config: &Config| -> Vec<Service> {
            let all = config.services.iter();
            all.filter(|service| service.enabled).cloned().collect()
        };
        let (before, after) = (enabled(old), enabled(new));
        for service in &after {
            match before.iter().find(|known| known.name == service.name) {
                None => change.added.push(service.clone()),
                Some(known) if known != service => change.changed.push(service.clone()),
                Some(_) => {}
            }
        }
        let gone = |service: &&Service| after.iter().all(|kept| kept.name != service.name);
        change.removed = before
            .iter()
            .filter(gone)
            .map(|service| service.name.clone())
            .collect();
        change
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Each key with its value.
fn values(config: &Config) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let Ok(Value::Object(sections)) = serde_json::to_value(config) else {
        return found;
    };
    for (section, value) in sections {
        match value {
            // A duration is an object too, but it is no section.
            Value::Object(keys) if schema::SECTIONS.contains(&section.as_str()) => {
                found.extend(
                    keys.into_iter()
                        .map(|(key, value)| (format!("{section}.{key}"), value)),
                );
            }
            value => _ = found.insert(section, value),
        }
    }
    found
}
