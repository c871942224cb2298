//! What of a service's keys goes with which handler, and with which other key.

use super::super::{Handler, Service};
use super::Cross;

impl Cross<'_> {
    /// Says what is wrong with a service's command, its user and its limits.
    pub(super) fn command(&mut self, index: usize, service: &Service) {
        let mut wrong = |key: &str, value: String, wrong: String, allowed: &str| {
            let at = format!("service[{index}].{key}");
            self.service(&at, service, key, value, wrong, allowed);
        };
        let handler = service.handler.name();
        let command = service.handler == Handler::Exec;
        match service.exec.first() {
            None if command => wrong(
                "exec",
                "[]".to_owned(),
                "no command".to_owned(),
                "a program by its whole path and its arguments, or a handler",
            ),
            Some(program) if command && !program.starts_with('/') => wrong(
                "exec",
                format!("{:?}", service.exec),
                "the program is not named by its whole path".to_owned(),
                "a first word that begins with '/'",
            ),
            Some(_) | None => {}
        }
        for (key, value) in only_of_commands(service) {
            if !command {
                let why = format!("handler {handler:?} has none");
                wrong(key, value, why, "only beside exec");
            }
        }
        if let Some(directory) = &service.directory
            && !matches!(service.handler, Handler::Http | Handler::Exec)
        {
            wrong(
                "directory",
                format!("{directory:?}"),
                format!("handler {handler:?} has none"),
                "no directory, or handler = \"http\", or exec",
            );
        }
        if let (None, Some(group)) = (&service.user, &service.group) {
            let why = "there is no user beside it".to_owned();
            wrong("group", format!("{group:?}"), why, "user and group");
        }
        if service.sessions && service.user.is_none() {
            let why = "the command would have the daemon's own rights".to_owned();
            wrong("sessions", "true".to_owned(), why, "only beside user");
        }
        if service.idle_workers > service.max_workers {
            wrong(
                "idle_workers",
                service.idle_workers.to_string(),
                format!("above max_workers, which is {}", service.max_workers),
                "at most that",
            );
        }
    }
}

/// The keys that mean something for a command only and do not have their default, with their values.
fn only_of_commands(service: &Service) -> Vec<(&'static str, String)> {
    let plain = Service::new("", 1, Handler::Exec);
    let keys = [
        (
            "exec",
            service.exec != plain.exec,
            format!("{:?}", service.exec),
        ),
        (
            "environment",
            service.environment != plain.environment,
            format!("{:?}", service.environment),
        ),
        (
            "limit_memory",
            service.limit_memory != 0,
            format!("{}B", service.limit_memory),
        ),
        (
            "limit_files",
            service.limit_files != 0,
            service.limit_files.to_string(),
        ),
        (
            "limit_processes",
            service.limit_processes != 0,
            service.limit_processes.to_string(),
        ),
        (
            "limit_file_size",
            service.limit_file_size != 0,
            format!("{}B", service.limit_file_size),
        ),
        (
            "readable",
            service.readable != plain.readable,
            format!("{:?}", service.readable),
        ),
        (
            "writable",
            service.writable != plain.writable,
            format!("{:?}", service.writable),
        ),
        (
            "network",
            service.network != plain.network,
            service.network.to_string(),
        ),
        (
            "sessions",
            service.sessions != plain.sessions,
            service.sessions.to_string(),
        ),
    ];
    let given = keys.into_iter().filter(|(_, given, _)| *given);
    given.map(|(key, _, value)| (key, value)).collect()
}
