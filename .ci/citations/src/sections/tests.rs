use super::*;

fn cited(text: &str) -> Vec<String> {
    find(text)
        .into_iter()
        .map(|(line, found)| format!("{line}: {} {}", found.rfc, found.section))
        .collect()
}

#[test]
fn sections_belong_to_the_rfc_before_them() {
    assert_eq!(
        cited("// RFC 6298 §3, §5.5, RFC 9293 §3.8.1 MUST-18: a rule."),
        ["1: 6298 3", "1: 6298 5.5", "1: 9293 3.8.1"]
    );
}

#[test]
fn an_rfc_may_stand_without_a_section() {
    assert_eq!(
        cited("// RFC 1122 §3.2, RFC 4291, RFC 896"),
        ["1: 1122 3.2", "1: 4291 ", "1: 896 "]
    );
}

#[test]
fn a_section_alone_belongs_to_the_comment_and_otherwise_to_rfc_9293() {
    assert_eq!(
        cited("// RFC 5961 says\n// so in §3.2.\nlet a = 1; // (§3.8.6.1, MUST-35)"),
        ["1: 5961 ", "2: 5961 3.2", "3: 9293 3.8.6.1"]
    );
}
