//! `cargo xtask install` into a root directory of the test's own: everything is there and works from there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What a package of tcpd puts where, and with which mode.
const INSTALLED: [(&str, u32); 19] = [
    ("etc/tcpd/tcpd.toml", 0o644),
    ("usr/bin/tcpctl", 0o755),
    ("usr/bin/tcpd", 0o755),
    ("usr/lib/systemd/system/tcpd.service", 0o644),
    ("usr/lib/systemd/system/tcpd.socket", 0o644),
    ("usr/lib/sysusers.d/tcpd.conf", 0o644),
    ("usr/lib/tmpfiles.d/tcpd.conf", 0o644),
    ("usr/share/bash-completion/completions/tcpctl", 0o644),
    ("usr/share/bash-completion/completions/tcpd", 0o644),
    ("usr/share/doc/tcpd/ARCHITECTURE.md", 0o644),
    ("usr/share/doc/tcpd/README.md", 0o644),
    ("usr/share/doc/tcpd/examples/users.conf", 0o644),
    ("usr/share/fish/vendor_completions.d/tcpctl.fish", 0o644),
    ("usr/share/fish/vendor_completions.d/tcpd.fish", 0o644),
    ("usr/share/man/man1/tcpctl.1", 0o644),
    ("usr/share/man/man5/tcpd.toml.5", 0o644),
    ("usr/share/man/man8/tcpd.8", 0o644),
    ("usr/share/zsh/vendor-completions/_tcpctl", 0o644),
    ("usr/share/zsh/vendor-completions/_tcpd", 0o644),
];

/// Where the library's source goes.
const LIBRARY: &str = concat!(
    "usr/share/cargo/registry/libtcpclient-",
    env!("CARGO_PKG_VERSION")
);

/// Targets that the units name; a root without them is no system.
const TARGETS: [&str; 7] = [
    "basic.target",
    "multi-user.target",
    "network-pre.target",
    "paths.target",
    "shutdown.target",
    "sockets.target",
    "sysinit.target",
];

#[test]
fn everything_is_put_in_place_and_works_from_there() {
    let root = installed();
    let found = files(root.path());
    let of_the_daemon: BTreeMap<_, _> = found
        .iter()
        .filter(|(path, _)| !path.starts_with(LIBRARY))
        .map(|(path, mode)| (&path[..], *mode))
        .collect();
    assert_eq!(of_the_daemon, BTreeMap::from(INSTALLED));
    programs_run(root.path());
    units_verify(root.path());
    the_library_stands_alone(root.path());
}

#[test]
fn configuration_that_is_there_already_stays() {
    let root = installed();
    let file = root.path().join("etc/tcpd/tcpd.toml");
    fs::write(&file, "shutdown_grace = \"1s\"\n").expect("edit it");
    let unit = root.path().join("usr/lib/systemd/system/tcpd.service");
    fs::write(&unit, "an older one").expect("edit it");
    let said = install(root.path());
    assert!(
        said.contains("etc/tcpd/tcpd.toml was there already and stays"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(&file).expect("a file"),
        "shutdown_grace = \"1s\"\n"
    );
    let unit = fs::read_to_string(&unit).expect("a file");
    assert!(unit.contains("ExecStart=/usr/bin/tcpd run"), "{unit}");
    let beside = files(root.path())
        .into_keys()
        .filter(|path| path.ends_with(".new"));
    assert_eq!(beside.count(), 0);
}

#[test]
fn the_scripts_of_the_package_are_shell_scripts_that_cargo_deb_completes() {
    for name in ["postinst", "prerm", "postrm"] {
        let path = repository().join("tcpd/debian").join(name);
        let output = run(Command::new("sh").arg("-n").arg(&path));
        assert_eq!(said(&output), "", "{name}");
        let text = fs::read_to_string(&path).expect("a script");
        assert!(text.contains("\n#DEBHELPER#\n"), "{name}");
        assert!(text.contains("\nset -e\n"), "{name}");
    }
}

/// `--version`, and `tcpd check` of the configuration that was installed.
fn programs_run(root: &Path) {
    for program in ["tcpd", "tcpctl"] {
        let output = run(Command::new(root.join("usr/bin").join(program)).arg("--version"));
        let version = format!("{program} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(said(&output), version);
    }
    let config = root.join("etc/tcpd/tcpd.toml");
    let output = run(Command::new(root.join("usr/bin/tcpd"))
        .arg("check")
        .arg(&config));
    assert_eq!(
        said(&output),
        format!("{}: good, 0 service(s)\n", config.display())
    );
}

/// systemd finds nothing to say about the units, the example and the users where they were installed.
fn units_verify(root: &Path) {
    for target in TARGETS {
        let unit = format!("[Unit]\nDescription={target}\n");
        fs::write(root.join("usr/lib/systemd/system").join(target), unit).expect("a target");
    }
    let drop_ins = root.join("etc/systemd/system/tcpd.service.d");
    fs::create_dir_all(&drop_ins).expect("a directory");
    let example = root.join("usr/share/doc/tcpd/examples/users.conf");
    fs::copy(example, drop_ins.join("users.conf")).expect("the example");
    let root = format!("--root={}", root.display());
    let units = ["verify", "tcpd.service", "tcpd.socket"];
    let output = run(Command::new("systemd-analyze").args(units).arg(&root));
    assert_eq!(said(&output), "");
    let output = run(Command::new("systemd-sysusers").args(["--dry-run", &root]));
    assert!(said(&output).contains("user 'tcpd'"), "{}", said(&output));
}

/// Cargo reads its manifest where no workspace is, and takes the folder it stands in as a registry.
fn the_library_stands_alone(root: &Path) {
    let library = root.join(LIBRARY);
    for file in [
        "src/lib.rs",
        "src/client.rs",
        ".cargo-checksum.json",
        "examples/echo_client.rs",
    ] {
        assert!(library.join(file).is_file(), "no {file}");
    }
    assert!(!library.join("Cargo.toml.orig").exists());
    let output = run(Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(&library));
    let metadata = said(&output);
    assert!(metadata.contains("\"name\":\"libtcpclient\""), "{metadata}");
    let sum = fs::read_to_string(library.join(".cargo-checksum.json")).expect("a file");
    assert_eq!(sum, "{\"files\":{}}\n");
}

/// A root with everything in it.
fn installed() -> TempDir {
    // Not below the workspace: cargo would take the library for a member of it.
    let root = TempDir::with_prefix("tcpd-root-").expect("a directory");
    install(root.path());
    root
}

/// Installs what `cargo test` has built; what it said.
fn install(root: &Path) -> String {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let built = xtask.parent().expect("a folder");
    for program in ["tcpd", "tcpctl"] {
        assert!(
            built.join(program).is_file(),
            "{program} is not built: cargo test --workspace, or first cargo build -p tcpd -p tcpctl"
        );
    }
    let output = run(Command::new(xtask)
        .args(["install", "--root"])
        .arg(root)
        .arg("--binaries")
        .arg(built));
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Every file below `root`, with its mode.
fn files(root: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            let inside = path.strip_prefix(root).expect("inside");
            found.insert(inside.display().to_string(), mode & 0o7777);
        }
    }
    found
}

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    command
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap_or_else(|error| panic!("{name:?} is needed for this test: {error}"))
}

/// Both streams.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the workspace").to_owned()
}
