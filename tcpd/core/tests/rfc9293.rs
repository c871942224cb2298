//! Every requirement of RFC 9293 is cited where it is done and where it is tested, or `rfc9293/exceptions.toml` says why not.
//!
//! `cargo xtask rfc` prints what this looks at.

use std::path::Path;

use citations::Book;
use citations::exception::Lacks;

fn book() -> Book {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Book::read(&root).expect("the repository can be read")
}

#[test]
fn every_must_and_should_has_code_and_a_test_or_a_reason_why_not() {
    let problems = book().problems();
    assert!(
        problems.is_empty(),
        "{}\n(cargo xtask rfc MUST-12 shows one requirement with its lines)",
        problems.join("\n")
    );
}

/// A reader who finds nothing to complain about because it reads nothing would be no check.
#[test]
fn citations_are_found_where_they_are() {
    let book = book();
    let places = book.places("MUST-13".parse().expect("a number"));
    for folder in ["tcpd/core/src/stack", "tcpd/core/tests/scripts/"] {
        let found = places.iter().any(|place| place.path.starts_with(folder));
        assert!(found, "MUST-13 in {folder}");
    }
    assert!(book.sections.keys().any(|section| section.rfc == 5961));
}

/// What is not implemented is little, and new exceptions are to be thought about: this number is changed by hand.
#[test]
fn eight_requirements_are_excepted() {
    let book = book();
    assert_eq!(book.exceptions.len(), 8);
    assert!(
        book.exceptions
            .iter()
            .all(|exception| exception.lacks == Lacks::Both)
    );
}
