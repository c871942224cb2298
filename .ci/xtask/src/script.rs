//! `cargo xtask script`: one script with its ladder, or the list of all.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tcpd_core::sim::script;

/// Where the scripts are, from the root of the workspace.
const FOLDER: &str = "tcpd/core/tests/scripts";

/// Runs scripts and prints their ladders, or lists them.
#[derive(Debug, clap::Args)]
pub(crate) struct Script {
    /// Scripts, as paths or as they are listed (close/active); folders for all in them
    #[arg(required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// Lists every script with the rule that it shows
    #[arg(long)]
    list: bool,
    /// Decides the initial sequence numbers of both sides
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints no ladder of scripts that hold
    #[arg(long, short)]
    quiet: bool,
}

/// Runs or lists.
pub(crate) fn run(arguments: &Script) -> anyhow::Result<()> {
    if arguments.list {
        return list();
    }
    let mut failed = 0;
    let mut count = 0;
    for file in &arguments.files {
        for path in found(file)? {
            count += 1;
            if !one(&path, arguments)? {
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {count} scripts failed");
    }
    Ok(())
}

fn one(path: &Path, arguments: &Script) -> anyhow::Result<bool> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
    let result = script::Script::parse(&name, &text)
        .map_err(|error| format!("{name}:{error}\n"))
        .and_then(|script| match script.run(arguments.seed) {
            Ok(report) => Ok((script.title.clone(), report)),
            Err(failure) => Err(failure.to_string()),
        });
    match result {
        Ok((title, report)) => {
            if !arguments.quiet {
                println!("{name}\n{title}\n\n{}", report.ladder.render());
            }
            Ok(true)
        }
        Err(failure) => {
            println!("{failure}");
            Ok(false)
        }
    }
}

/// The scripts that an argument means.
fn found(argument: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = crate::root().join(FOLDER);
    let candidates = [
        argument.to_owned(),
        folder.join(argument),
        folder.join(argument).with_extension("pkt"),
    ];
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        bail!(
            "{}: no such script (cargo xtask script --list shows what there is)",
            argument.display()
        );
    };
    if !path.is_dir() {
        return Ok(vec![path]);
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(&path).with_context(|| path.display().to_string())? {
        let entry = entry?.path();
        if entry.is_dir() {
            inside.extend(found(&entry)?);
        } else if entry
            .extension()
            .is_some_and(|extension| extension == "pkt")
        {
            inside.push(entry);
        }
    }
    inside.sort();
    Ok(inside)
}

fn list() -> anyhow::Result<()> {
    let folder = crate::root().join(FOLDER);
    for path in found(&folder)? {
        let text = std::fs::read_to_string(&path)?;
        let title = text.lines().next().unwrap_or_default();
        let name = path.strip_prefix(&folder)?.with_extension("");
        println!(
            "{:<46} {}",
            name.display(),
            title.trim_start_matches('/').trim()
        );
    }
    Ok(())
}
