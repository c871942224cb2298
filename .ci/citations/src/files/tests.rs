use super::*;

const TEXT: &str = "\
//! MUST-1: the head of a file is no test.

fn helper() {
    // line 4
}

/// line 7
#[test]
fn it_holds() {
    // line 10
}

#[test]
#[ignore = \"slow\"]
fn it_is_slow() {
    // line 16
}

proptest! {
    /// line 20
    #[test]
    fn any_value_holds(value: u32) {
        // line 23
    }
}
";

#[test]
fn a_line_of_a_test_file_counts_when_it_belongs_to_a_test_that_runs() {
    let file = File::at("tcpd/core/tests/tcp/it.rs", TEXT).expect("is read");
    for (line, kind, name) in [
        (1, Kind::Mention("beside the tests"), None),
        (4, Kind::Mention("beside the tests"), None),
        (7, Kind::Test, Some("it_holds")),
        (10, Kind::Test, Some("it_holds")),
        (12, Kind::Mention("beside the tests"), None),
        (14, Kind::Mention("an ignored test"), Some("it_is_slow")),
        (16, Kind::Mention("an ignored test"), Some("it_is_slow")),
        (20, Kind::Test, Some("any_value_holds")),
        (23, Kind::Test, Some("any_value_holds")),
    ] {
        assert_eq!(file.kind(line), (kind, name), "line {line}");
    }
}

#[test]
fn the_place_of_a_file_says_what_it_is() {
    for (path, kind) in [
        ("tcpd/core/src/tcp/rtt.rs", Some(Kind::Code)),
        (
            "tcpd/core/src/tcp/rtt/tests.rs",
            Some(Kind::Mention("beside the tests")),
        ),
        ("tcpd/core/src/sim/script/frame.rs", Some(Kind::Test)),
        ("tcpd/core/tests/scripts/close/active.pkt", Some(Kind::Test)),
        ("tcpd/src/scenario/close.rs", Some(Kind::Mention("shown"))),
        ("etc/tcpd.toml", Some(Kind::Code)),
        (
            "tcpd/core/src/stack/invariants.rs",
            Some(Kind::Mention("an invariant")),
        ),
        ("tcpd/core/tests/rfc9293.rs", None),
        ("tcpd/core/tests/matrix/expected/text.rs", Some(Kind::Test)),
        (
            "tcpd/core/tests/matrix/world.rs",
            Some(Kind::Mention("beside the tests")),
        ),
        ("tcpd/core/tests/rfc9293/requirements.toml", None),
        ("tcpd/ARCHITECTURE.md", None),
    ] {
        let file = File::at(path, "// MUST-1");
        assert_eq!(file.map(|file| file.kind(1).0), kind, "{path}");
    }
}
