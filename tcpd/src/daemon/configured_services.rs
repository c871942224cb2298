//! Services as the configuration says them, in the form that the supervisor takes.

use super::config::{self, Handler};
use crate::services;
use crate::services::builtin;

/// The services that are enabled, in the file's order; their indices are places in this list.
pub fn enabled(services: &[config::Service]) -> Vec<services::Service> {
    services
        .iter()
        .filter(|service| service.enabled)
        .filter_map(service)
        .collect()
}

/// `None` for `http` without a directory, which the configuration does not let through.
fn service(service: &config::Service) -> Option<services::Service> {
    let handler = match service.handler {
        Handler::Echo => builtin::Handler::Echo,
        Handler::Discard => builtin::Handler::Discard,
        Handler::Daytime => builtin::Handler::Daytime,
        Handler::Time => builtin::Handler::Time,
        Handler::Chargen => builtin::Handler::Chargen,
        Handler::Http => builtin::Handler::Http {
            directory: service.directory.clone()?,
        },
    };
    Some(services::Service {
        name: service.name.clone(),
        addresses: service.addresses.clone(),
        port: service.port,
        handler,
        max_workers: service.max_workers,
        backlog: service.backlog,
        idle_timeout: service.idle_timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_disabled_have_no_index() {
        let mut www = config::Service::new("www", 80, Handler::Http);
        www.directory = Some("/srv/www".into());
        let mut off = config::Service::new("off", 9, Handler::Discard);
        off.enabled = false;
        let found = enabled(&[off, config::Service::new("echo", 7, Handler::Echo), www]);
        let names: Vec<_> = found
            .iter()
            .map(|service| (service.name.as_str(), service.handler.name()))
            .collect();
        assert_eq!(names, [("echo", "echo"), ("www", "http")]);
    }

    #[test]
    fn every_handler_of_the_configuration_is_the_one_of_that_name() {
        for handler in [
            Handler::Echo,
            Handler::Discard,
            Handler::Daytime,
            Handler::Time,
            Handler::Chargen,
            Handler::Http,
        ] {
            let mut configured = config::Service::new("x", 1, handler);
            configured.directory = Some("/srv".into());
            assert_eq!(enabled(&[configured])[0].handler.name(), handler.name());
        }
    }
}
