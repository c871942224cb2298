use super::*;

fn ids(line: &str) -> Vec<String> {
    find(line)
        .into_iter()
        .map(|found| match found {
            Found::Id(id) => id.to_string(),
            Found::Wrong(what) => what,
        })
        .collect()
}

#[test]
fn numbers_are_found_from_left_to_right() {
    assert_eq!(
        ids("// RFC 9293 §3.8.6 SHLD-14, MUST-34 (MAY-7): rule. REC-1"),
        ["SHLD-14", "MUST-34", "MAY-7", "REC-1"]
    );
    assert_eq!(
        ids("MUST-6, RFC 6994; MUST-12: why, in 2 words"),
        ["MUST-6", "MUST-12"]
    );
    assert!(ids("MUST be, MUST-n, AMUST-1, X-MUST-1").is_empty());
}

#[test]
fn lists_and_ranges_without_labels_are_wrong() {
    for line in [
        "MUST-54 to 56",
        "MUST-35 to MUST-37",
        "MUST-4..7",
        "SHLD-25, 26",
        "MUST-13/14",
        "MUST-1–MUST-3",
        "MUST-1 and 2",
        "SHOULD-3",
        "MUST-300",
    ] {
        assert!(
            matches!(find(line).first(), Some(Found::Wrong(_))),
            "{line}"
        );
    }
}
