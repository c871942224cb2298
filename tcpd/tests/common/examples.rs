//! The example programs of libtcpclient, which another package builds into a directory beside `tcpd`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// An example that runs; dropping it kills it.
pub(crate) struct Example(Child);

impl Example {
    /// Builds it first, since testing one package builds no other's programs.
    pub(crate) fn start(name: &str, set_up: impl FnOnce(&mut Command) -> &mut Command) -> Example {
        let mut command = Command::new(built(name));
        let child = set_up(&mut command).spawn();
        Example(child.expect("start the example"))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("look at it").is_none()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn built(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_tcpd"))
        .parent()
        .expect("a directory");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--offline", "--package", "libtcpclient"])
        .args(["--features", "mio", "--example", name])
        .args(["--manifest-path", env!("CARGO_MANIFEST_PATH")]);
    // As tests are built, so that what is built for them serves here too.
    build.arg(match directory.ends_with("release") {
        true => "--release",
        false => "--profile=test",
    });
    let status = build.status().expect("run cargo");
    assert!(status.success(), "cargo cannot build {name}");
    directory.join("examples").join(name)
}
