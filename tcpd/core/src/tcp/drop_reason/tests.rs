use super::DropReason;

#[test]
fn names_are_kebab_case_and_unique() {
    let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    for name in &names {
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{name}"
        );
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DropReason::COUNT);
}

#[test]
fn every_reason_says_a_sentence() {
    for reason in DropReason::ALL {
        assert!(reason.help().trim().ends_with('.'), "{}", reason.name());
    }
}
