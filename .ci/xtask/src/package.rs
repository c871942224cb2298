//! What a package holds: read from where cargo-deb reads it, `[package.metadata.deb]` of a crate, so that `cargo xtask install` and
//! `cargo deb` put the same files in the same places.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

/// Assets whose sources begin so are what cargo builds.
const BUILT: &str = "target/release/";
/// Assets whose sources begin so, seen from a crate, are what `library` has made.
const MADE: &str = "../target/";

/// A package.
#[derive(Debug)]
pub(crate) struct Package {
    /// Where its Cargo.toml is.
    folder: PathBuf,
    assets: Vec<Asset>,
    /// Files that belong to whoever administers the machine, from the root.
    configuration: Vec<PathBuf>,
}

/// A file, or all that a pattern means, and where it goes.
#[derive(Debug)]
struct Asset {
    source: String,
    /// From the root. A folder when it ends with a slash.
    destination: String,
    mode: u32,
}

/// A file to be put in place.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) source: PathBuf,
    /// Where it goes, from the root.
    pub(crate) destination: PathBuf,
    pub(crate) mode: u32,
    /// One that is there already stays.
    pub(crate) configuration: bool,
}

impl Package {
    /// Reads the crate's Cargo.toml.
    pub(crate) fn of(member: &str) -> anyhow::Result<Self> {
        let folder = crate::root().join(member);
        let path = folder.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let manifest: toml::Table = text.parse().with_context(|| path.display().to_string())?;
        let deb = ["package", "metadata", "deb"]
            .iter()
            .try_fold(&toml::Value::Table(manifest.clone()), |value, key| {
                value.get(key)
            })
            .with_context(|| format!("{}: no [package.metadata.deb]", path.display()))?
            .clone();
        let list = |key: &str| {
            let list = deb.get(key).and_then(toml::Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let wrong = || anyhow!("{}: [package.metadata.deb]", path.display());
        let assets: Option<Vec<Asset>> = list("assets").iter().map(asset).collect();
        let configuration: Option<Vec<&str>> = deb
            .get("conf-files")
            .and_then(toml::Value::as_array)
            .map_or(Some(Vec::new()), |files| {
                files.iter().map(toml::Value::as_str).collect()
            });
        let configuration = configuration.ok_or_else(wrong)?;
        Ok(Self {
            folder,
            assets: assets
                .filter(|assets| !assets.is_empty())
                .ok_or_else(wrong)?,
            configuration: configuration
                .iter()
                .map(|path| PathBuf::from(path.trim_start_matches('/')))
                .collect(),
        })
    }

    /// Every file, with what cargo builds found in `built`, and what `library` makes in `target`.
    pub(crate) fn files(&self, built: &Path, target: &Path) -> anyhow::Result<Vec<File>> {
        let mut files = Vec::new();
        for asset in &self.assets {
            let source = if let Some(name) = asset.source.strip_prefix(BUILT) {
                built.join(name)
            } else if let Some(name) = asset.source.strip_prefix(MADE) {
                target.join(name)
            } else {
                self.folder.join(&asset.source)
            };
            for (source, destination) in places(&source, &asset.destination)? {
                files.push(File {
                    configuration: self.configuration.contains(&destination),
                    source,
                    destination,
                    mode: asset.mode,
                });
            }
        }
        if let Some(missing) = self
            .configuration
            .iter()
            .find(|path| !files.iter().any(|file| file.destination == **path))
        {
            bail!("{}: no asset is the conf-file", missing.display());
        }
        Ok(files)
    }
}

fn asset(value: &toml::Value) -> Option<Asset> {
    let [source, destination, mode] = value.as_array()?.as_slice() else {
        return None;
    };
    Some(Asset {
        source: source.as_str()?.to_owned(),
        destination: destination.as_str()?.to_owned(),
        mode: u32::from_str_radix(mode.as_str()?, 8).ok()?,
    })
}

/// What a source means: itself, or with `**/*` at its end everything below a folder.
fn places(source: &Path, destination: &str) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let text = source.to_str().context("a path in UTF-8")?;
    let Some(folder) = text.strip_suffix("/**/*") else {
        let name = source.file_name().context("a file")?;
        let to = match destination.strip_suffix('/') {
            Some(folder) => Path::new(folder).join(name),
            None => PathBuf::from(destination),
        };
        anyhow::ensure!(source.is_file(), "{text}: no such file");
        return Ok(vec![(source.to_owned(), to)]);
    };
    let mut found = Vec::new();
    below(Path::new(folder), &mut found)?;
    found.sort();
    let to = |path: PathBuf| {
        let inside = path.strip_prefix(folder)?.to_owned();
        Ok((
            path,
            Path::new(destination.trim_end_matches('/')).join(inside),
        ))
    };
    found.into_iter().map(to).collect()
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
