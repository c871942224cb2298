use super::*;
use crate::requirement::Level;

const CODE: &str = "tcpd/core/src/tcp/one.rs";
const SCRIPT: &str = "tcpd/core/tests/scripts/close/one.pkt";

/// A book of one MUST, from files.
fn book(exceptions: &str, files: &[(&str, &str)]) -> Book {
    let files: Vec<File> = files
        .iter()
        .map(|(path, text)| File::at(path, text).expect("is read"))
        .collect();
    let requirements = Requirements {
        all: vec![Requirement {
            id: Id {
                level: Level::Must,
                number: 1,
            },
            section: "3.1".into(),
            rule: "A rule.".into(),
        }],
        others: Vec::new(),
    };
    let exceptions = exception::parse(exceptions).expect("exceptions");
    Book::new(requirements, exceptions, &files)
}

fn exception(lacks: &str) -> String {
    format!(
        "[[exception]]\nid = \"MUST-1\"\nlacks = \"{lacks}\"\nreason = \"Because it is so in this test.\"\n"
    )
}

#[test]
fn code_and_a_test_are_enough() {
    let book = book("", &[(CODE, "// MUST-1"), (SCRIPT, "// MUST-1")]);
    assert_eq!(book.problems(), Vec::<String>::new());
}

#[test]
fn a_requirement_without_code_or_test_is_a_problem() {
    for (files, word) in [
        (vec![], "code and a test"),
        (vec![(CODE, "// MUST-1")], "lacks a test"),
        (vec![(SCRIPT, "// MUST-1")], "lacks code"),
    ] {
        let problems = book("", &files).problems();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains(word), "{problems:?}");
    }
}

#[test]
fn an_ignored_test_and_a_helper_are_no_tests() {
    for text in [
        "#[test]\n#[ignore]\nfn it() {\n    // MUST-1\n}\n",
        "fn it() {\n    // MUST-1\n}\n",
    ] {
        let book = book("", &[(CODE, "// MUST-1"), ("tcpd/core/tests/it.rs", text)]);
        assert_eq!(book.problems().len(), 1, "{text}");
    }
}

#[test]
fn an_exception_excuses_what_it_names_and_nothing_else() {
    let code = (CODE, "// MUST-1");
    let test = (SCRIPT, "// MUST-1");
    for (lacks, files, problems) in [
        ("both", vec![], 0),
        ("test", vec![code], 0),
        ("code", vec![test], 0),
        ("test", vec![], 1),
        ("both", vec![code], 1),
        ("code", vec![code], 1),
        ("test", vec![code, test], 1),
    ] {
        let book = book(&exception(lacks), &files);
        assert_eq!(book.problems().len(), problems, "{lacks} {files:?}");
    }
}

#[test]
fn an_exception_has_a_reason_and_stands_once() {
    assert!(exception::parse(&exception("both").repeat(2)).is_err());
    assert!(
        exception::parse(&exception("both").replace("Because it is so in this test.", "no"))
            .is_err()
    );
    assert!(exception::parse(&exception("both").replace("MUST-1", "MAY-1")).is_err());
    assert!(exception::parse(&exception("neither")).is_err());
}

#[test]
fn an_unknown_number_is_a_problem_with_its_place() {
    let book = book("", &[(CODE, "// MUST-1"), (SCRIPT, "// MUST-1\n// MUST-2")]);
    assert_eq!(
        book.problems(),
        [format!("{SCRIPT}:2: MUST-2 is no number of RFC 9293")]
    );
}

#[test]
fn other_rfcs_are_cited_by_code_and_a_test() {
    let mut book = book(
        &exception("both"),
        &[(CODE, "// RFC 1337 §3"), (SCRIPT, "// RFC 6191 §2: a rule")],
    );
    book.requirements.others = vec![1337, 6191];
    assert_eq!(
        book.problems(),
        ["RFC 1337: no test cites it", "RFC 6191: no code cites it"]
    );
}
