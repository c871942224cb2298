use super::{COMMON, NOT_OF_THE_STACK, Settings, configured, default_of};
use crate::daemon::config::keys_of;
use crate::scenario::catalogue;

/// Values of which one at least differs from the default of each key and is allowed there.
const CANDIDATES: &[&str] = &[
    "true", "false", "1", "2", "77", "500", "1ms", "2s", "5s", "70s", "64KiB", "128KiB", "1MiB",
    "drop", "reset", "on", "off", "newreno",
];

#[test]
fn every_key_that_is_offered_changes_the_stack() {
    let scenario = &catalogue::ALL[0];
    let with = |asked: &[String]| {
        Settings::new(scenario, asked).map(|settings| format!("{:?}", settings.stack))
    };
    let before = with(&[]).expect("the defaults");
    for (name, ..) in configured() {
        let changed = CANDIDATES
            .iter()
            .any(|value| with(&[format!("{name}={value}")]).is_ok_and(|stack| stack != before));
        assert!(
            changed,
            "{name} changes nothing: does it concern the stack?"
        );
    }
}

#[test]
fn what_is_left_out_is_a_key_and_says_nothing_to_the_stack() {
    let keys: Vec<_> = ["tcp", "limits"].into_iter().flat_map(keys_of).collect();
    for name in NOT_OF_THE_STACK {
        assert!(keys.iter().any(|key| key.name == *name), "{name}");
    }
}

#[test]
fn a_setting_has_one_meaning() {
    let configured: Vec<_> = configured().map(|(name, ..)| name).collect();
    for scenario in catalogue::ALL {
        let own: Vec<_> = scenario
            .settings
            .iter()
            .chain(COMMON)
            .map(|own| own.name)
            .collect();
        for (index, name) in own.iter().enumerate() {
            assert!(
                !own[index + 1..].contains(name),
                "{}: {name}",
                scenario.name
            );
            assert!(!configured.contains(name), "{}: {name}", scenario.name);
        }
        for (key, _) in scenario.preset {
            assert!(
                own.contains(key) || configured.contains(key),
                "{}: {key}",
                scenario.name
            );
        }
    }
}

#[test]
fn defaults_are_those_of_the_file() {
    assert_eq!(default_of("tcp.msl"), "30s");
    assert_eq!(default_of("limits.half_open"), "65536");
    for (name, path, kind) in configured() {
        let default = default_of(&path);
        assert_eq!(
            kind.check(&kind.read(&default)),
            Ok(()),
            "{name} = {default}"
        );
    }
}
