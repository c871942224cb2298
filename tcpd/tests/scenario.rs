//! `tcpd scenario`, from outside: every ladder is a snapshot, every file it writes is read back, every wrong call has its answer.

use std::process::{Command, Output};

fn scenario(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpd"));
    command
        .arg("scenario")
        .args(arguments)
        .output()
        .expect("run tcpd")
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a play prints; it must go as it tells.
fn played(arguments: &[&str]) -> String {
    let output = scenario(arguments);
    let (out, errors) = (said(&output.stdout), said(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}\n{out}{errors}"
    );
    assert_eq!(errors, "", "{arguments:?}");
    out
}

/// Every name in the list.
fn names() -> Vec<String> {
    let list = played(&[]);
    let lines = list.lines().filter_map(|line| line.strip_prefix("  "));
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_scenario_goes_as_it_tells() {
    let names = names();
    assert!(!names.is_empty());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("scenario");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for name in &names {
            insta::assert_snapshot!(name.as_str(), played(&[name]));
        }
    });
}

#[test]
fn a_play_is_the_same_every_time() {
    let once = played(&["three-way-handshake"]);
    assert_eq!(once, played(&["three-way-handshake"]));
    assert_ne!(once, played(&["three-way-handshake", "--set", "seed=2"]));
}

#[test]
fn an_unknown_scenario_is_answered_with_the_nearest_name_and_the_list() {
    let output = scenario(&["tree-way-handshake"]);
    assert_eq!(output.status.code(), Some(64));
    let errors = said(&output.stderr);
    let first =
        "tcpd: no scenario is called \"tree-way-handshake\"; did you mean three-way-handshake?";
    assert_eq!(errors.lines().next(), Some(first));
    for name in names() {
        assert!(errors.contains(&format!("\n  {name} ")), "{name}: {errors}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn an_unknown_setting_is_answered_with_all_there_are() {
    let output = scenario(&["three-way-handshake", "--set", "mls=60s"]);
    assert_eq!(output.status.code(), Some(64));
    let errors = said(&output.stderr);
    let first = "tcpd: --set: mls = \"60s\": unknown key; did you mean msl?";
    assert_eq!(errors.lines().next(), Some(first));
    for key in ["msl", "latency", "mtu", "time_wait", "seed"] {
        assert!(errors.contains(&format!("\n  {key} ")), "{key}: {errors}");
    }
    assert!(!errors.contains("per_uid"), "{errors}");
}

#[test]
fn a_bad_value_is_answered_with_what_is_allowed() {
    let answers = [
        (
            "msl=60",
            "msl = \"60\": not a duration; allowed: a duration from \"1ms\" to \"10min\" (us, ms, s, min, h, d)",
        ),
        (
            "tcp.msl=1h",
            "tcp.msl = \"1h\": too large; allowed: a duration from \"1ms\" to \"10min\" (us, ms, s, min, h, d)",
        ),
        (
            "mtu=100",
            "mtu = \"100\": too small; allowed: an integer from 1280 to 65535",
        ),
        (
            "numbers=long",
            "numbers = \"long\": unknown word; allowed: short, wire",
        ),
        ("msl", "msl: no value; allowed: key=value"),
    ];
    for (setting, answer) in answers {
        let output = scenario(&["three-way-handshake", "--set", setting]);
        assert_eq!(output.status.code(), Some(64), "{setting}");
        assert_eq!(said(&output.stderr), format!("tcpd: --set: {answer}\n"));
    }
}

#[test]
fn numbers_can_be_those_of_the_wire() {
    let text = played(&["three-way-handshake", "--set", "numbers=wire"]);
    assert!(!text.contains("100(0)"), "{text}");
}
