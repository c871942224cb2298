//! `cargo xtask deb`: Debian packages, by cargo-deb: tcpd, and librust-libtcpclient-dev with the library's source.

use std::process::Command;

use anyhow::ensure;

use crate::{install, library};

/// Makes both; cargo-deb says where they are.
pub(crate) fn run() -> anyhow::Result<()> {
    let there = Command::new("cargo-deb").arg("--version").output().is_ok();
    ensure!(
        there,
        "cargo-deb is needed: cargo install --locked cargo-deb"
    );
    let _alone = library::make(&install::target())?;
    for package in install::PACKAGES {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["deb", "--locked", "--package", package]);
        library::succeed(cargo.current_dir(crate::root()))?;
    }
    Ok(())
}
