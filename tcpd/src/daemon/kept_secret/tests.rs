//! The file, good and bad (RFC 9293 §3.4.3).

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

/// What tells one secret from another.
fn mark(kept: &KeptSecret) -> u64 {
    kept.secret.hash("which one")
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(NAME)
    }

    fn keep(&self) -> KeptSecret {
        keep(self.0.path()).expect("random bytes")
    }

    /// Keeps a secret, spoils the file, and sees that another one takes its place, once.
    fn spoiled(spoil: impl FnOnce(&Path)) -> Unusable {
        let place = Place::new();
        let first = mark(&place.keep());
        spoil(&place.file());
        let second = place.keep();
        assert_ne!(mark(&second), first, "a spoiled secret is used");
        let third = place.keep();
        assert_eq!(mark(&third), mark(&second), "what replaced it is not kept");
        assert!(third.lost.is_none());
        second.lost.expect("the loss is not said")
    }
}

fn contents(bytes: &[u8]) -> impl FnOnce(&Path) {
    move |file| std::fs::write(file, bytes).expect("write")
}

#[test]
fn the_second_daemon_has_the_secret_of_the_first() {
    let place = Place::new();
    let (first, second) = (place.keep(), place.keep());
    assert_eq!(mark(&first), mark(&second));
    for kept in [&first, &second] {
        assert!(kept.lost.is_none() && kept.not_kept.is_none(), "{kept:?}");
    }
}

#[test]
fn another_directory_has_another_secret() {
    assert_ne!(mark(&Place::new().keep()), mark(&Place::new().keep()));
}

#[test]
fn nobody_but_the_owner_can_read_the_file() {
    let place = Place::new();
    place.keep();
    let found = place.file().metadata().expect("it is there");
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert_eq!(found.len(), FILE_BYTES as u64);
    assert!(!place.0.path().join(UNFINISHED).exists());
}

#[test]
fn the_secret_is_another_one_after_a_boot() {
    let key = [7; KEY_BYTES];
    let of = |boot: &str| of_boot(key, boot).hash("which one");
    assert_eq!(of("a"), of("a"));
    assert_ne!(of("a"), of("b"));
    assert_ne!(of(""), Secret::new(key).hash("which one"));
}

#[test]
fn a_file_of_another_length_or_beginning_is_not_used() {
    let good = [HEADER.as_slice(), &[9; KEY_BYTES]].concat();
    let longer = [&good[..], &[9]].concat();
    let mut other = good.clone();
    other[12] = b'2';
    let zero = [HEADER.as_slice(), &[0; KEY_BYTES]].concat();
    let huge = vec![b'x'; 1 << 20];
    let cases: [&[u8]; 7] = [
        b"",
        b"t",
        &good[..good.len() - 1],
        &longer,
        &other,
        &zero,
        &huge,
    ];
    for bytes in cases {
        let why = Place::spoiled(contents(bytes));
        assert!(matches!(why, Unusable::Damaged), "{why}");
    }
    assert_eq!(parse(&good), Some([9; KEY_BYTES]));
}

#[test]
fn a_file_that_others_may_read_or_write_is_not_used() {
    for mode in [0o640, 0o604, 0o620, 0o602, 0o666] {
        let spoil = |file: &Path| {
            std::fs::set_permissions(file, Permissions::from_mode(mode)).expect("ours");
        };
        let why = Place::spoiled(spoil);
        assert!(
            matches!(why, Unusable::Open(found) if found == mode),
            "{why}"
        );
    }
}

#[test]
fn what_is_no_file_is_not_used_and_nobody_waits_for_it() {
    let link = Place::spoiled(|file| {
        let elsewhere = file.with_file_name("elsewhere");
        std::fs::rename(file, &elsewhere).expect("ours");
        symlink(&elsewhere, file).expect("a link");
    });
    assert!(matches!(link, Unusable::NoFile), "{link}");
    let pipe = Place::spoiled(|file| {
        std::fs::remove_file(file).expect("ours");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, file, mode).expect("a pipe");
    });
    assert!(matches!(pipe, Unusable::NoFile), "{pipe}");
}

#[test]
fn a_file_of_somebody_else_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away; the check is the same for everybody.
        return;
    }
    let why = Place::spoiled(|file| std::os::unix::fs::chown(file, Some(1), None).expect("root"));
    assert!(matches!(why, Unusable::Foreign(1)), "{why}");
}

#[test]
fn a_place_that_cannot_be_written_gives_a_secret_for_once_and_says_so() {
    let place = Place::new();
    std::fs::create_dir(place.file()).expect("a directory in its place");
    let (first, second) = (place.keep(), place.keep());
    for kept in [&first, &second] {
        assert!(matches!(kept.lost, Some(Unusable::NoFile)), "{kept:?}");
        assert!(kept.not_kept.is_some(), "{kept:?}");
    }
    assert_ne!(mark(&first), mark(&second));
}

#[test]
fn what_a_killed_daemon_left_half_written_is_no_hindrance() {
    let place = Place::new();
    std::fs::write(place.0.path().join(UNFINISHED), "tcpd").expect("write");
    let kept = place.keep();
    assert!(kept.lost.is_none() && kept.not_kept.is_none(), "{kept:?}");
    assert_eq!(mark(&place.keep()), mark(&kept));
}
