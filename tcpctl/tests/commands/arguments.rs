//! The command line: what is wrong ends with 64 before anybody is asked, and the help can be read alone.

use std::path::Path;

use crate::{Run, command, run, tcpctl};

fn nowhere(arguments: &[&str]) -> Run {
    tcpctl(Path::new("/nonexistent/tcpd.sock"), arguments)
}

#[test]
fn a_wrong_command_line_ends_with_64_and_says_what_is_allowed() {
    for (arguments, words) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["list", "--frobnicate"], "unexpected argument"),
        (&["list", "--state", "estabished"], "established"),
        (&["list", "--port", "0"], "1..=65535"),
        (&["list", "--port", "70000"], "1..=65535"),
        (
            &["list", "--address", "localhost"],
            "not an IPv4 or IPv6 address",
        ),
        (&["list", "--address", "198.18.0.0/33"], "from 0 to 32"),
        (&["list", "-4", "-6"], "cannot be used with"),
        (&["list", "--all", "--listening"], "cannot be used with"),
        (&["show"], "<ID>"),
        (&["show", "1.1", "2.1"], "unexpected argument"),
        (&["show", "12 1"], "an ID looks like 12.1"),
        (&["show", ""], "an ID looks like 12.1"),
        (&["reset"], "<ID>"),
        (&["close"], "<ID>"),
        (&["ping", "--socket"], "--socket <PATH>"),
    ] {
        let ended = nowhere(arguments);
        assert_eq!(ended.code, 64, "{arguments:?}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn without_a_command_the_help_comes_with_64() {
    let ended = nowhere(&[]);
    assert_eq!(ended.code, 64);
    assert!(ended.err.contains("Usage: tcpctl"), "{ended:?}");
}

#[test]
fn help_and_version_need_no_daemon() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["list", "--help"],
        &["show", "-h"],
    ] {
        assert!(!nowhere(arguments).worked().is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_help_documents_every_exit_code() {
    let help = nowhere(&["--help"]).worked();
    for code in [0, 64, 68, 69, 70, 71, 74, 75, 76, 77] {
        assert!(
            help.lines()
                .any(|line| line.starts_with(&format!("  {code:>2}  "))),
            "no {code} in\n{help}"
        );
    }
}

#[test]
fn the_help_of_every_command_can_be_read_alone() {
    for name in [
        "list", "show", "stats", "services", "users", "close", "reset", "ping",
    ] {
        let mut command = command(&[name, "--help"]);
        command.env("COLUMNS", "100");
        insta::assert_snapshot!(format!("help_{name}"), run(command).worked());
    }
    let mut command = command(&["--help"]);
    command.env("COLUMNS", "100");
    insta::assert_snapshot!("help", run(command).worked());
}
