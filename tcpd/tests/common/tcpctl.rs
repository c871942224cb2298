//! The `tcpctl` program, which another package builds into the directory where `tcpd` is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Its path.
pub(crate) fn tcpctl() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(built);
    &BUILT
}

/// Testing one package builds no other's programs.
fn built() -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_tcpd"))
        .parent()
        .expect("a directory");
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--package",
        "tcpctl",
        "--manifest-path",
        env!("CARGO_MANIFEST_PATH"),
    ]);
    if directory.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("run cargo");
    assert!(status.success(), "cargo cannot build tcpctl");
    directory.join("tcpctl")
}
