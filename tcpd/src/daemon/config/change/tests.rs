use std::time::Duration;

use super::super::Handler;
use super::*;

fn services(of: &[Service]) -> Config {
    Config {
        services: of.to_vec(),
        ..Config::default()
    }
}

#[test]
fn the_same_configuration_changes_nothing() {
    let config = services(&[Service::new("echo", 7, Handler::Echo)]);
    assert!(Change::between(&config, &config.clone()).is_empty());
}

#[test]
fn what_a_reload_applies_and_what_needs_a_restart_are_told_apart() {
    let old = Config::default();
    let mut new = old.clone();
    new.shutdown_grace = Duration::from_millis(1500);
    new.limits.sessions_per_uid += 1;
    new.control.privileged_ports_below = 0;
    new.tcp.msl = Duration::from_secs(60);
    new.device.mtu = 9000;
    let change = Change::between(&old, &new);
    assert_eq!(
        change.settings,
        [
            "shutdown_grace",
            "limits.sessions_per_uid",
            "control.privileged_ports_below"
        ]
    );
    assert_eq!(change.needs_restart, ["device.mtu", "tcp.msl"]);
}

#[test]
fn every_key_of_the_file_is_compared() {
    let found = values(&Config::default());
    for key in schema::KEYS.iter().filter(|key| key.section != "service") {
        assert!(found.contains_key(&key.path()), "{}", key.path());
    }
}

#[test]
fn services_are_known_by_their_names_and_only_the_enabled_ones_count() {
    let echo = Service::new("echo", 7, Handler::Echo);
    let discard = Service::new("discard", 9, Handler::Discard);
    let daytime = Service::new("daytime", 13, Handler::Daytime);
    let moved = Service {
        port: 1007,
        ..echo.clone()
    };
    let off = Service {
        enabled: false,
        ..discard.clone()
    };
    let change = Change::between(
        &services(&[echo, discard.clone()]),
        &services(&[off, daytime.clone(), moved.clone()]),
    );
    assert_eq!(change.added, [daytime]);
    assert_eq!(change.changed, [moved]);
    assert_eq!(change.removed, [discard.name]);
}
