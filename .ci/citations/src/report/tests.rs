use super::*;
use crate::exception;
use crate::files::File;
use crate::requirement::Requirements;

fn book(files: &[(&str, &str)], exceptions: &str) -> Book {
    let files: Vec<File> = files
        .iter()
        .map(|(path, text)| File::at(path, text).expect("is read"))
        .collect();
    let all = ["MUST-1", "MUST-2", "SHLD-1"]
        .map(|id| Requirement {
            id: id.parse().expect("a number"),
            section: "3.1".into(),
            rule: format!("The rule of {id}."),
        })
        .into();
    let requirements = Requirements {
        all,
        others: Vec::new(),
    };
    let exceptions = exception::parse(exceptions).expect("exceptions");
    Book::new(requirements, exceptions, &files)
}

#[test]
fn a_requirement_is_shown_with_its_places() {
    let book = book(
        &[
            ("tcpd/core/src/a.rs", "// MUST-1\n// MUST-1 again"),
            (
                "tcpd/core/tests/a.rs",
                "/// MUST-1\n#[test]\nfn it_holds() {\n}\n",
            ),
        ],
        "",
    );
    let shown = one(&book, &book.requirements.all[0], Look::default());
    assert_eq!(
        shown,
        "MUST-1  §3.1  The rule of MUST-1.\n    \
         code  tcpd/core/src/a.rs:1\n          tcpd/core/src/a.rs:2\n    \
         test  tcpd/core/tests/a.rs:1  it_holds\n"
    );
    let look = Look {
        lines: true,
        ..Look::default()
    };
    assert!(one(&book, &book.requirements.all[0], look).contains("\n          // MUST-1 again\n"));
}

#[test]
fn what_lacks_something_is_listed_at_the_end_and_exceptions_give_their_reason() {
    let book = book(
        &[("tcpd/core/src/a.rs", "// MUST-1")],
        "[[exception]]\nid = \"MUST-2\"\nlacks = \"both\"\nreason = \"Nobody can do that here.\"",
    );
    let shown = all(&book, Look::default());
    assert!(shown.contains("without code and a test: Nobody can do that here."));
    assert!(
        shown.contains("    without a test: MUST-1, MUST-3"),
        "{shown}"
    );
    assert!(
        shown.contains("without a test, for a reason: MUST-2\n"),
        "{shown}"
    );
}

#[test]
fn colours_are_for_terminals() {
    let book = book(&[], "");
    assert!(!all(&book, Look::default()).contains('\x1b'));
    let look = Look {
        colour: true,
        ..Look::default()
    };
    assert!(all(&book, look).contains("\x1b[1mMUST-1 "));
}

#[test]
fn sections_are_listed_by_rfc_and_file() {
    let book = book(
        &[
            ("tcpd/core/src/a.rs", "// RFC 1337 §3\n\n// RFC 1337 §3\n"),
            ("tcpd/core/tests/scripts/b.pkt", "// RFC 6191 §2, RFC 1337"),
        ],
        "",
    );
    assert_eq!(
        sections(&book, None, Look::default()),
        "RFC 1337\n  as a whole\n    test  tcpd/core/tests/scripts/b.pkt:1\n  §3\n    code  tcpd/core/src/a.rs:1,3\n\
         RFC 6191\n  §2\n    test  tcpd/core/tests/scripts/b.pkt:1\n"
    );
    assert!(!sections(&book, Some(6191), Look::default()).contains("1337"));
}
