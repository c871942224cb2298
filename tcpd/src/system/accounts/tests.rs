use super::*;

#[test]
fn root_is_user_and_group_zero() {
    let root = account("root", None).expect("every machine has root");
    assert_eq!((root.name.as_str(), root.uid, root.gid), ("root", 0, 0));
    assert!(root.groups.contains(&0));
}

#[test]
fn a_group_takes_the_place_of_the_users_own() {
    let other = Group::from_gid(Gid::from_raw(1)).expect("groups can be read");
    let other = other.expect("group 1, whatever it is called");
    let root = account("root", Some(&other.name)).expect("both are there");
    assert_eq!((root.uid, root.gid), (0, 1));
    assert!(root.groups.contains(&1));
}

#[test]
fn names_nobody_has_are_told_apart() {
    let unknown = "no-such-name";
    assert!(matches!(account(unknown, None), Err(AccountError::NoUser)));
    let error = account("root", Some(unknown)).expect_err("no such group");
    assert_eq!(error.to_string(), "there is no such group");
    assert!(account("a\0b", None).is_err());
}
