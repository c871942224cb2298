//! `tcpd scenario`, from outside: every ladder is a snapshot, every file it writes is read back, every wrong call has its answer.

mod files;
mod pictures;

use std::process::{Command, Output, Stdio};

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
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for name in &names {
            insta::assert_snapshot!(name.as_str(), played(&[name]));
        }
        for name in ["three-way-handshake", "mss-default", "simultaneous-close"] {
            let over = format!("{name}-ipv6");
            insta::assert_snapshot!(over.as_str(), played(&[name, "--ipv6"]));
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

#[test]
fn every_scenario_of_the_textbook_is_there() {
    let names = names();
    for name in [
        "three-way-handshake",
        "handshake-with-losses",
        "old-duplicate-syn",
        "isn-over-time",
        "four-way-close",
        "fin-ack-merged",
        "mss-negotiation",
        "mss-default",
        "half-close",
        "half-open-peer-restarts",
        "half-open-peer-silent",
        "keepalive",
        "application-idle-timeout",
        "time-wait",
        "time-wait-duplicate-fin",
        "time-wait-port-in-use",
        "time-wait-assassination",
        "time-wait-reuse",
        "fin-wait-2-forever",
        "fin-wait-2-orphan",
        "simultaneous-open",
        "simultaneous-close",
        "rst-closed-port",
        "abortive-release",
        "close-with-unread-data",
        "filled-buffer-missing-first",
        "rst-attack",
        "syn-flood-cookies",
        "all-states",
        "fsm",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn every_scenario_plays_over_ipv6() {
    for name in names().iter().filter(|name| *name != "fsm") {
        let text = played(&[name, "--ipv6"]);
        assert!(text.contains("[fd00:7463:7064::"), "{text}");
    }
}

/// The line of a ladder that contains `part`.
fn line<'a>(text: &'a str, part: &str) -> &'a str {
    let found = text.lines().find(|line| line.contains(part));
    found.unwrap_or_else(|| panic!("{part}: {text}"))
}

#[test]
fn settings_change_what_happens() {
    let end = |msl: &str| {
        let text = played(&["time-wait", "--set", msl]);
        line(&text, "2MSL are over")
            .split(' ')
            .next()
            .map(str::to_owned)
    };
    assert_eq!(end("msl=30s").as_deref(), Some("60.100"));
    assert_eq!(end("tcp.msl=60s").as_deref(), Some("120.100"));
    assert_eq!(end("msl=250ms").as_deref(), Some("0.600"));

    let text = played(&[
        "three-way-handshake",
        "--set",
        "mtu=9000",
        "--set",
        "latency=1s",
    ]);
    assert!(line(&text, "S  100(0)").contains("mss 8960"), "{text}");
    assert!(line(&text, "S. 300(0)").starts_with("1.000"), "{text}");

    let text = played(&["time-wait-assassination", "--set", "rfc1337=true"]);
    assert!(line(&text, "R  307(0)").contains("TIME-WAIT"), "{text}");
    let text = played(&["rst-attack", "--set", "timestamps=true"]);
    assert!(text.contains("[RFC 7323 §3.2]"), "{text}");
    let text = played(&["syn-flood-cookies", "--set", "syn_cookies=false"]);
    assert!(line(&text, "S  100(0)").ends_with("SYN-RECEIVED"), "{text}");
    let text = played(&["fin-wait-2-orphan", "--set", "fin_wait_2_timeout=5s"]);
    assert!(
        line(&text, "FIN-WAIT-2 given up").starts_with("5.140"),
        "{text}"
    );
    let text = played(&["application-idle-timeout", "--set", "idle_timeout=5min"]);
    assert!(line(&text, "timer:").starts_with("300.140"), "{text}");
}

#[test]
fn a_setting_under_which_a_scenario_is_another_one_is_told() {
    let output = scenario(&["fin-ack-merged", "--set", "delayed_ack=0s"]);
    assert_eq!(output.status.code(), Some(64));
    let errors = said(&output.stderr);
    assert!(
        errors.starts_with("tcpd: with delayed_ack=0s fin-ack-merged does not go as it tells: expected `F. 301(0) ack 102`"),
        "{errors}"
    );
    assert!(
        said(&output.stdout).contains("FIN-WAIT-1"),
        "the ladder as far as it went"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_exit_73() {
    for option in ["--pcap", "--svg", "--fsm"] {
        let output = scenario(&["three-way-handshake", option, "/nonexistent/file"]);
        assert_eq!(output.status.code(), Some(73), "{option}");
        assert_eq!(
            said(&output.stderr),
            "tcpd: cannot write /nonexistent/file: No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn what_does_not_go_together_is_exit_64() {
    for wrong in [
        &["--svg", "x.svg"][..],
        &["--set", "msl=1s"],
        &["fsm", "--pcap", "x.pcap"],
        &["fsm", "--set", "msl=1s"],
        &["fsm", "--ipv6"],
        &["three-way-handshake", "--svg", "-", "--pcap", "-"],
    ] {
        let output = scenario(wrong);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_reader_who_goes_away_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcpd"))
        .args(["scenario", "all-states", "--pcap", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run tcpd");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("tcpd ends");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", said(&output.stderr));
}
