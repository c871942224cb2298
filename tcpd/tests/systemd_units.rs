//! The files in `systemd/` against systemd's own judges, in a staged root: nothing of this machine is read or changed.
//!
//! 1. `systemd-analyze verify` finds nothing to say about the units.
//! 2. `systemd-analyze security` finds the service as closed as README.md says it is, as shipped and with the drop-in for
//!    services with users.
//! 3. `systemd-sysusers` and `systemd-tmpfiles` make the user and the directories that the units count on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// The targets that the units name or that systemd adds by itself; a root without them is no system.
const TARGETS: [&str; 7] = [
    "basic.target",
    "multi-user.target",
    "network-pre.target",
    "paths.target",
    "shutdown.target",
    "sockets.target",
    "sysinit.target",
];

/// The highest exposure that `systemd-analyze security` may find, in tenths ("2.0 OK"): as shipped, with the drop-in for services
/// with users, and with all that the drop-in offers. systemd 252 finds 1.7, 2.0 and 2.7.
const MOST_EXPOSURE: &str = "20";
const MOST_EXPOSURE_WITH_USERS: &str = "22";
const MOST_EXPOSURE_WITH_ALL: &str = "30";

/// The drop-in for services with users, and where it is put.
const DROP_IN: &str = "systemd/tcpd.service.d/users.conf";
const DROP_IN_PLACE: &str = "etc/systemd/system/tcpd.service.d/users.conf";

#[test]
fn systemd_analyze_verify_finds_nothing_to_say_about_the_units() {
    let root = StagedRoot::new();
    let output = root.verify();
    assert_eq!(
        said(&output),
        "",
        "systemd-analyze verify: {}",
        output.status
    );
    assert!(
        output.status.success(),
        "systemd-analyze verify: {}",
        output.status
    );
}

#[test]
fn systemd_analyze_verify_would_notice_a_misspelt_key_and_a_missing_program() {
    let root = StagedRoot::new();
    let unit = root.path("usr/lib/systemd/system/tcpd.service");
    let text = fs::read_to_string(&unit).expect("the staged unit");
    fs::write(&unit, text.replace("WatchdogSec=", "WatchDogSec=")).expect("write the staged unit");
    fs::remove_file(root.path("usr/bin/tcpd")).expect("remove the staged program");
    let said = said(&root.verify());
    assert!(said.contains("WatchDogSec"), "{said}");
    assert!(said.contains("/usr/bin/tcpd is not executable"), "{said}");
}

#[test]
fn the_service_is_as_closed_as_the_readme_says() {
    StagedRoot::new().is_no_more_exposed_than(MOST_EXPOSURE);
}

#[test]
fn the_drop_in_for_services_with_users_is_good_and_opens_little() {
    let root = StagedRoot::new();
    root.stage(DROP_IN_PLACE, &repository_file(DROP_IN));
    assert_eq!(said(&root.verify()), "");
    root.is_no_more_exposed_than(MOST_EXPOSURE_WITH_USERS);
}

#[test]
fn every_line_that_the_drop_in_offers_is_good() {
    let root = StagedRoot::new();
    let drop_in = repository_file(DROP_IN);
    let lines: Vec<_> = drop_in.lines().map(offered).collect();
    assert!(lines.contains(&"ProtectHome=read-only"), "{drop_in}");
    root.stage(DROP_IN_PLACE, &(lines.join("\n") + "\n"));
    assert_eq!(said(&root.verify()), "");
    root.is_no_more_exposed_than(MOST_EXPOSURE_WITH_ALL);
}

/// A line, without the mark that keeps a setting from counting: `#Key=value`. Sentences have a blank behind the mark.
fn offered(line: &str) -> &str {
    line.strip_prefix('#')
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        .unwrap_or(line)
}

#[test]
fn sysusers_makes_the_user_and_the_group_the_units_run_as() {
    let root = StagedRoot::new();
    let output = root.run("systemd-sysusers", &["--dry-run"]);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Would create group 'tcpd'") || said.contains("Creating group 'tcpd'"),
        "{said}"
    );
    assert!(
        said.contains("Would create user 'tcpd'") || said.contains("Creating user 'tcpd'"),
        "{said}"
    );
    for unit in ["tcpd.service", "tcpd.socket"] {
        let text = repository_file(&format!("systemd/{unit}"));
        let key = if unit == "tcpd.service" {
            "User=tcpd"
        } else {
            "SocketUser=tcpd"
        };
        assert!(
            text.lines().any(|line| line == key),
            "{unit} has no line {key}"
        );
    }
}

#[test]
fn tmpfiles_makes_the_directory_of_the_socket_and_a_private_one_below_it() {
    let root = StagedRoot::new();
    // The staged root has no user database of its own: the files are made for whoever runs the test.
    let config = root.path("usr/lib/tmpfiles.d/tcpd.conf");
    let text = fs::read_to_string(&config).expect("the staged tmpfiles");
    fs::write(
        &config,
        text.replace("tcpd tcpd  -   -", "-    -     -   -"),
    )
    .expect("write the staged tmpfiles");
    let output = root.run("systemd-tmpfiles", &["--create", "--prefix=/run/tcpd"]);
    assert!(output.status.success(), "{}", said(&output));
    let mode = |path: &str| {
        fs::metadata(root.path(path))
            .unwrap_or_else(|e| panic!("{path}: {e}"))
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("run/tcpd"), 0o755);
    assert_eq!(mode("run/tcpd/private"), 0o700);
}

#[test]
fn the_socket_unit_listens_where_the_programs_look_for_the_daemon() {
    let unit = repository_file("systemd/tcpd.socket");
    assert!(
        unit.lines()
            .any(|line| line == "ListenSequentialPacket=/run/tcpd/tcpd.sock"),
        "{unit}"
    );
    assert!(unit.lines().any(|line| line == "SocketMode=0666"), "{unit}");
}

#[test]
fn what_a_restarted_daemon_must_find_again_outlives_a_stop_of_the_service() {
    let unit = repository_file("systemd/tcpd.service");
    for wanted in ["RuntimeDirectory=tcpd", "RuntimeDirectoryPreserve=yes"] {
        assert!(
            unit.lines().any(|line| line == wanted),
            "no {wanted}: {unit}"
        );
    }
}

/// A root directory with the installed files of tcpd and nothing else, removed at the end.
struct StagedRoot(PathBuf);

impl StagedRoot {
    fn new() -> StagedRoot {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "systemd-root-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let root = StagedRoot(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        for directory in [
            "usr/bin",
            "usr/lib/systemd/system",
            "usr/lib/sysusers.d",
            "usr/lib/tmpfiles.d",
            "etc",
            "run",
        ] {
            fs::create_dir_all(root.path(directory)).expect("make the staged root");
        }
        for program in ["usr/bin/tcpd", "usr/bin/tcpctl"] {
            fs::write(root.path(program), "#!/bin/sh\n").expect("stage a program");
            fs::set_permissions(root.path(program), fs::Permissions::from_mode(0o755))
                .expect("stage a program");
        }
        for target in TARGETS {
            let unit = format!("[Unit]\nDescription={target}\n");
            fs::write(root.path("usr/lib/systemd/system").join(target), unit)
                .expect("stage a target");
        }
        for (from, to) in [
            (
                "systemd/tcpd.service",
                "usr/lib/systemd/system/tcpd.service",
            ),
            ("systemd/tcpd.socket", "usr/lib/systemd/system/tcpd.socket"),
            ("systemd/tcpd.sysusers", "usr/lib/sysusers.d/tcpd.conf"),
            ("systemd/tcpd.tmpfiles", "usr/lib/tmpfiles.d/tcpd.conf"),
        ] {
            fs::write(root.path(to), repository_file(from)).expect("stage a file");
        }
        root
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.join(inside)
    }

    /// Puts a file of this text there.
    fn stage(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        fs::write(path, text).expect("stage a file");
    }

    /// `systemd-analyze security` finds at most so many tenths.
    fn is_no_more_exposed_than(&self, tenths: &str) {
        let output = self.run(
            "systemd-analyze",
            &[
                "security",
                "--offline=yes",
                "--no-pager",
                "--threshold",
                tenths,
                "tcpd.service",
            ],
        );
        assert!(
            output.status.success(),
            "more exposed than {tenths} tenths:\n{}",
            said(&output)
        );
    }

    fn verify(&self) -> Output {
        self.run(
            "systemd-analyze",
            &["verify", "tcpd.service", "tcpd.socket"],
        )
    }

    /// Runs one of systemd's tools on this root.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .arg(format!("--root={}", self.0.display()))
            .env("LC_ALL", "C")
            .env("SYSTEMD_COLORS", "0")
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "{program} is needed for this test (Debian: apt-get install systemd): {error}"
                )
            })
    }
}

impl Drop for StagedRoot {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn repository_file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
