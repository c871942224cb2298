//! Services as the configuration says them, in the form that the supervisor takes.

use std::path::PathBuf;

use super::config::{self, Config, Handler, LogTarget};
use crate::services;
use crate::services::builtin;
use crate::services::work::{Command, Terms, Work};
use crate::system::private_directory;
use crate::system::process::landlock_version;

/// Those of these services that are enabled, in the file's order; `config` is what they are part of.
pub fn enabled(services: &[config::Service], config: &Config) -> Vec<services::Service> {
    let guarded = guarded(config);
    services
        .iter()
        .filter(|service| service.enabled)
        .filter_map(|entry| service(entry, &guarded))
        .collect()
}

/// The key of the first enabled service with a user of its own, which takes rights to switch to.
pub fn first_with_user(config: &Config) -> Option<String> {
    let mut enabled = config.services.iter().filter(|service| service.enabled);
    let found = enabled.find(|service| service.user.is_some())?;
    Some(format!("service.{}.user", found.name))
}

/// Logs what this kernel cannot keep from these services.
pub fn tell_weaknesses(services: &[services::Service]) {
    for weakness in weaknesses(services, landlock_version()) {
        tracing::warn!("{weakness}");
    }
}

/// A line for each, given the kernel's version of landlock.
fn weaknesses(services: &[services::Service], landlock: u32) -> Vec<String> {
    // The first that judges whom a process may signal.
    const SIGNALS: u32 = 6;
    if landlock == 0 && !services.is_empty() {
        return vec![
            "there is no landlock here (Linux 5.13): workers are held by their filters of system calls alone, and those of \
             http and commands may open what their user may"
                .to_owned(),
        ];
    }
    let is_daemon = |service: &&services::Service| match &service.work {
        Work::Exec(command) => !command.guarded.is_empty(),
        Work::Builtin(_) => false,
    };
    let weak = services.iter().filter(|_| landlock < SIGNALS);
    weak.filter(is_daemon)
        .map(|service| {
            format!(
                "service.{}: its command has the daemon's user and can signal the daemon, which this kernel cannot prevent \
                 (landlock {landlock}; {SIGNALS} is in Linux 6.12). Give it a user of its own",
                service.name
            )
        })
        .collect()
}

/// The daemon's own directories, which no command with the daemon's user may reach.
fn guarded(config: &Config) -> Vec<PathBuf> {
    let files = config.log.to == LogTarget::Files;
    let logs = files.then(|| config.log.directory.clone());
    let all = [private_directory::beside(&config.control.socket)].into_iter();
    // One that is not there yet has no links in it.
    all.chain(logs)
        .map(|path| path.canonicalize().unwrap_or(path))
        .collect()
}

/// `None` for `http` without a directory, which the configuration does not let through.
fn service(service: &config::Service, guarded: &[PathBuf]) -> Option<services::Service> {
    let work = match service.handler {
        Handler::Echo => builtin::Handler::Echo.into(),
        Handler::Discard => builtin::Handler::Discard.into(),
        Handler::Daytime => builtin::Handler::Daytime.into(),
        Handler::Time => builtin::Handler::Time.into(),
        Handler::Chargen => builtin::Handler::Chargen.into(),
        Handler::Http => Work::Builtin(builtin::Handler::Http {
            directory: service.directory.clone()?,
        }),
        Handler::Exec => Work::Exec(command(service, guarded)),
    };
    Some(services::Service {
        addresses: service.addresses.clone(),
        terms: Terms {
            account: service.account.clone(),
            nice: service.nice,
            cpu_time: service.cpu_time,
        },
        max_workers: service.max_workers,
        max_per_source: service.max_per_source,
        idle_workers: service.idle_workers,
        backlog: service.backlog,
        congestion: service.congestion,
        idle_timeout: service.idle_timeout,
        wall_time: service.wall_time,
        ..services::Service::new(&service.name, service.port, work)
    })
}

fn command(service: &config::Service, guarded: &[PathBuf]) -> Command {
    let own = rustix::process::geteuid().as_raw();
    let account = service.account.as_ref();
    let is_daemon = account.is_none_or(|account| account.uid == own);
    let directory = service.directory.clone();
    Command {
        words: service.exec.clone(),
        environment: service.environment.clone(),
        directory: directory.unwrap_or_else(|| PathBuf::from("/")),
        readable: service.readable.clone(),
        writable: service.writable.clone(),
        guarded: if is_daemon {
            guarded.to_vec()
        } else {
            Vec::new()
        },
        network: service.network,
        sessions: service.sessions,
        limit_memory: service.limit_memory,
        limit_files: service.limit_files.into(),
        limit_processes: service.limit_processes.into(),
        limit_file_size: service.limit_file_size,
    }
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
        let services = [off, config::Service::new("echo", 7, Handler::Echo), www];
        let found = enabled(&services, &Config::default());
        let names: Vec<_> = found
            .iter()
            .map(|service| (service.name.as_str(), service.work.name()))
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
            let found = enabled(&[configured], &Config::default());
            assert_eq!(found[0].work.name(), handler.name());
        }
    }

    #[test]
    fn a_command_with_the_daemons_user_is_kept_from_its_directories() {
        let mut own = config::Service::new("own", 1, Handler::Exec);
        own.exec = vec!["/bin/cat".to_owned()];
        let mut other = config::Service::new("other", 2, Handler::Exec);
        other.exec = own.exec.clone();
        let account = crate::system::accounts::account("root", None).expect("root");
        other.account = Some(crate::system::accounts::Account {
            uid: rustix::process::geteuid().as_raw() + 1,
            ..account
        });
        let mut config = Config::default();
        config.log.to = LogTarget::Files;
        let found = enabled(&[own, other], &config);
        let guarded = |place: usize| match &found[place].work {
            Work::Exec(command) => command.guarded.clone(),
            Work::Builtin(_) => panic!("a command"),
        };
        let expected = [PathBuf::from("/run/tcpd/private"), "/var/log/tcpd".into()];
        assert_eq!(guarded(0), expected);
        assert_eq!(guarded(1), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_command_with_the_daemons_user_needs_a_kernel_that_judges_signals() {
        let mut config = Config::default();
        let mut own = config::Service::new("own", 79, Handler::Exec);
        own.exec = vec!["/bin/cat".to_owned()];
        config.services = vec![own, config::Service::new("echo", 7, Handler::Echo)];
        let found = enabled(&config.services, &config);
        let told = |landlock| weaknesses(&found, landlock);
        assert!(told(6).is_empty());
        assert!(told(5).len() == 1 && told(5)[0].starts_with("service.own:"));
        assert!(told(0).len() == 1 && told(0)[0].contains("no landlock"));
        assert!(weaknesses(&found[1..], 5).is_empty() && weaknesses(&[], 0).is_empty());
    }
}
