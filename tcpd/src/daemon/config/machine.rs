//! Checks against this machine: programs, directories, users and groups that a service names must be there.
//!
//! Done where a configuration is about to be used (start, reload, `tcpd check`), never for its own sake: a file can be
//! good and its machine another one.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::problem::{Place, Problem};
use super::{Config, Handler, Service};
use crate::system::accounts::{self, AccountError};

#[cfg(test)]
mod tests;

/// Fills in each enabled service's account, and says what is missing.
pub(super) fn check(config: &mut Config, places: &HashMap<String, Place>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let services = config.services.iter_mut().enumerate();
    for (index, service) in services.filter(|(_, service)| service.enabled) {
        let mut found = Findings::default();
        found.account(service);
        found.files(service);
        problems.extend(found.0.into_iter().map(|(key, value, wrong)| {
            let place = places.get(&format!("service[{index}].{key}")).cloned();
            Problem {
                place: place.unwrap_or(Place::Default),
                key: format!("service.{}.{key}", service.name),
                value,
                wrong,
                allowed: String::new(),
            }
        }));
    }
    problems
}

/// Key, value, what is wrong.
#[derive(Debug, Default)]
struct Findings(Vec<(&'static str, String, String)>);

impl Findings {
    fn add(&mut self, key: &'static str, value: impl std::fmt::Debug, wrong: impl ToString) {
        self.0.push((key, format!("{value:?}"), wrong.to_string()));
    }

    fn account(&mut self, service: &mut Service) {
        let Some(user) = &service.user else {
            return;
        };
        match accounts::account(user, service.group.as_deref()) {
            Ok(account) => service.account = Some(account),
            Err(error @ AccountError::NoGroup) => self.add("group", &service.group, error),
            Err(error) => self.add("user", user, error),
        }
    }

    fn files(&mut self, service: &Service) {
        // What only the service's user can look at is left to that user: a command that fails is counted.
        let hidden = |error: &io::Error| {
            service.user.is_some() && error.kind() == ErrorKind::PermissionDenied
        };
        if let Some(program) = service.exec.first().filter(|_| is_command(service)) {
            match is_program(Path::new(program)) {
                Ok(None) => {}
                Ok(Some(wrong)) => self.add("exec", &service.exec, wrong),
                Err(error) if hidden(&error) => {}
                Err(error) => self.add("exec", &service.exec, format!("{program}: {error}")),
            }
        }
        let lists = [
            ("readable", &service.readable),
            ("writable", &service.writable),
        ];
        for (key, paths) in lists {
            for path in paths {
                match fs::metadata(path) {
                    Ok(_) => {}
                    Err(error) if hidden(&error) => {}
                    Err(error) => self.add(key, paths, format!("{}: {error}", path.display())),
                }
            }
        }
        if let Some(directory) = &service.directory {
            match fs::metadata(directory) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => self.add("directory", directory, "not a directory"),
                Err(error) if hidden(&error) => {}
                Err(error) => self.add("directory", directory, error),
            }
        }
    }
}

fn is_command(service: &Service) -> bool {
    service.handler == Handler::Exec
}

/// What keeps a file from being executed by anybody.
fn is_program(path: &Path) -> io::Result<Option<String>> {
    let found = fs::metadata(path)?;
    Ok(if !found.is_file() {
        Some(format!("{} is not a file", path.display()))
    } else if found.permissions().mode() & 0o111 == 0 {
        Some(format!("{} is not executable", path.display()))
    } else {
        None
    })
}
