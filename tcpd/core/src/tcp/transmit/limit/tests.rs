use super::*;

#[test]
fn every_limit_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> =
        SendLimit::ALL.iter().map(|limit| limit.name()).collect();
    assert_eq!(names.len(), SendLimit::ALL.len());
}
