//! libtcpclient as a package's files: its source, as Debian ships crates, in a folder that cargo takes as a registry.
//!
//! `cargo package` makes the manifest independent of the workspace. What it packs is unpacked in `target/package/libtcpclient`, and
//! gets the list of checksums, an empty one, without which cargo takes no folder as a registry.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

const NAME: &str = "libtcpclient";

/// Makes it below `target`, where nobody else makes it while the answer lives.
pub(crate) fn make(target: &Path) -> anyhow::Result<File> {
    let folder = target.join("package");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("lock")).context("a lock")?;
    lock.lock().context("the lock")?;
    let arguments = [
        "package",
        "--quiet",
        "--locked",
        "--no-verify",
        "--allow-dirty",
    ];
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(arguments)
        .args(["--package", NAME, "--target-dir"])
        .arg(target)
        .current_dir(crate::root());
    succeed(&mut cargo)?;
    let version = env!("CARGO_PKG_VERSION");
    let packed = folder.join(format!("{NAME}-{version}.crate"));
    let unpacked = folder.join(NAME);
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).with_context(|| unpacked.display().to_string())?;
    }
    fs::create_dir_all(&unpacked).with_context(|| unpacked.display().to_string())?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--strip-components=1", "--file"])
        .arg(&packed)
        .arg("--directory")
        .arg(&unpacked);
    succeed(&mut tar)?;
    // The workspace's, which says nothing to who uses the library.
    for left_out in ["Cargo.lock", "Cargo.toml.orig", ".cargo_vcs_info.json"] {
        let path = unpacked.join(left_out);
        if path.exists() {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    let checksums = unpacked.join(".cargo-checksum.json");
    fs::write(&checksums, "{\"files\":{}}\n").with_context(|| checksums.display().to_string())?;
    Ok(lock)
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("{name} cannot be run"))?;
    ensure!(status.success(), "{name} has failed: {status}");
    Ok(())
}
