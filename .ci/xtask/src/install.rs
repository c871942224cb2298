//! `cargo xtask install`: programs, units, configuration, manual pages, completions and the library's source, put in place.
//!
//! 1. What is built is built, unless `--binaries` says where it is, and the library's source is packed.
//! 2. Every file of both packages ([`crate::package`]) is put where it belongs. A file that is in use is replaced, not written
//!    into; configuration that is there already stays.
//! 3. What is left to be done by hand is said.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::library;
use crate::package::{File, Package};

/// The crates with a package.
pub(crate) const PACKAGES: [&str; 2] = ["tcpd", "libtcpclient"];

/// Puts everything in place.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// Where the file system begins that it goes into
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Programs that are built already; without it they are built, optimised
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

/// Builds and copies.
pub(crate) fn run(arguments: &Install) -> anyhow::Result<()> {
    let target = target();
    let built = match &arguments.binaries {
        Some(folder) => folder.clone(),
        None => {
            let what = [
                "build",
                "--locked",
                "--release",
                "-p",
                "tcpd",
                "-p",
                "tcpctl",
            ];
            let mut cargo = Command::new(env!("CARGO"));
            library::succeed(cargo.args(what).current_dir(crate::root()))?;
            target.join("release")
        }
    };
    let _alone = library::make(&target)?;
    let mut kept = Vec::new();
    for package in PACKAGES {
        for file in Package::of(package)?.files(&built, &target)? {
            let place = arguments.root.join(&file.destination);
            if !put(&file, &place).with_context(|| place.display().to_string())? {
                kept.push(place);
            }
        }
    }
    for place in kept {
        println!("{} was there already and stays", place.display());
    }
    if arguments.root == Path::new("/") {
        println!("now: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload");
        println!("then: systemctl enable --now tcpd.socket tcpd.service");
    }
    Ok(())
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    crate::root().join(folder)
}

/// False if it is configuration that differs and stays.
fn put(file: &File, place: &Path) -> anyhow::Result<bool> {
    if file.configuration && place.exists() {
        return Ok(fs::read(place)? == fs::read(&file.source)?);
    }
    let folder = place.parent().context("a folder")?;
    fs::create_dir_all(folder)?;
    // A program that runs cannot be written to; another file can take its name.
    let mut beside = place.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let copied = fs::copy(&file.source, &beside)
        .and_then(|_| fs::set_permissions(&beside, fs::Permissions::from_mode(file.mode)))
        .and_then(|()| fs::rename(&beside, place));
    if copied.is_err() {
        fs::remove_file(&beside)
            .or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .context("what was begun stays behind")?;
    }
    copied?;
    Ok(true)
}
