use super::*;

#[test]
fn all_is_named_but_what_is_guarded_and_the_way_there() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let here = directory.path().canonicalize().expect("its name");
    for name in ["a", "b/private", "b/other"] {
        fs::create_dir_all(here.join(name)).expect("a directory");
    }
    fs::write(here.join("b/file"), "x").expect("a file");
    std::os::unix::fs::symlink("b/private", here.join("way-in")).expect("a link");
    let found = but(&["/".into()], &[here.join("b/private")]);
    let named = |name: &str| found.contains(&here.join(name));
    assert!(named("a") && named("b/other") && named("b/file"));
    assert!(!named("b") && !named("b/private") && !named("way-in"));
    assert!(found.contains(&PathBuf::from("/proc")));
    assert!(
        !found.iter().any(|path| here.starts_with(path)),
        "{found:?}"
    );
}

#[test]
fn what_is_listed_does_not_lead_to_what_is_guarded() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let here = directory.path().canonicalize().expect("its name");
    fs::create_dir_all(here.join("private/in")).expect("a directory");
    std::os::unix::fs::symlink("private", here.join("way-in")).expect("a link");
    fs::write(here.join("file"), "x").expect("a file");
    let listed = |name: &str| but(&[here.join(name)], &[here.join("private")]);
    assert_eq!(listed(""), [here.join("file")]);
    assert_eq!(listed("file"), [here.join("file")]);
    for name in ["private", "private/in", "way-in"] {
        assert!(listed(name).is_empty(), "{name}");
    }
}

#[test]
fn the_filters_compile_for_every_command() {
    for (sessions, guarded) in [(false, vec![]), (true, vec![]), (false, vec!["/x".into()])] {
        let command = Command {
            sessions,
            guarded,
            ..Command::default()
        };
        assert!(filters(&command).is_ok_and(|[first, second]| first.len() > second.len()));
    }
}
