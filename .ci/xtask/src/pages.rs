//! Manual pages and shell completions. They stand in the tree, so that packages need nothing but the tree, and are made here:
//! those of commands of their command lines, that of the configuration of etc/tcpd.toml.
//!
//! `cargo xtask pages` writes them, and so does `bless`; a test holds that they are what this makes.

mod command;
mod configuration;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use self::command::Page;

/// What the pages are about, in their foot.
const MANUAL: &str = "TCP as a service";

/// Every page: where it stands in the tree, and its text.
pub(crate) fn all() -> anyhow::Result<Vec<(String, String)>> {
    let mut pages = vec![
        ("tcpd/man/tcpd.8".to_owned(), tcpd_page()?),
        ("tcpctl/man/tcpctl.1".to_owned(), tcpctl_page()?),
        (
            "tcpd/man/tcpd.toml.5".to_owned(),
            configuration::page(&read("etc/tcpd.toml")?),
        ),
    ];
    for (name, command) in [
        ("tcpd", tcpd::cli::Cli::command()),
        ("tcpctl", tcpctl::cli::Cli::command()),
    ] {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            pages.push(completions(name, shell, command.clone())?);
        }
    }
    Ok(pages)
}

/// Writes those that differ.
pub(crate) fn write() -> anyhow::Result<()> {
    for (path, text) in all()? {
        let place = crate::root().join(&path);
        if fs::read_to_string(&place).is_ok_and(|found| found == text) {
            continue;
        }
        let folder = place.parent().context("a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&place, text).with_context(|| place.display().to_string())?;
        println!("== written: {path}");
    }
    Ok(())
}

fn read(path: &str) -> anyhow::Result<String> {
    let path = crate::root().join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn tcpd_page() -> anyhow::Result<String> {
    Page {
        command: tcpd::cli::Cli::command(),
        section: "8",
        trailer: include_str!("pages/tcpd.8.in"),
    }
    .text()
}

fn tcpctl_page() -> anyhow::Result<String> {
    Page {
        command: tcpctl::cli::Cli::command(),
        section: "1",
        trailer: include_str!("pages/tcpctl.1.in"),
    }
    .text()
}

fn completions(
    name: &str,
    shell: Shell,
    mut command: clap::Command,
) -> anyhow::Result<(String, String)> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    let file = match shell {
        Shell::Zsh => format!("_{name}"),
        Shell::Fish => format!("{name}.fish"),
        _ => format!("{name}.bash"),
    };
    let place = Path::new(name).join("completions").join(file);
    let text = String::from_utf8(text).context("completions are text")?;
    Ok((place.display().to_string(), trimmed(&text)))
}

/// Without blanks at the ends of lines, which the tree has nowhere.
fn trimmed(text: &str) -> String {
    let mut trimmed = String::with_capacity(text.len());
    for line in text.lines() {
        trimmed.push_str(line.trim_end());
        trimmed.push('\n');
    }
    trimmed
}
