//! `cargo xtask bless`: takes what the tests see now over into their snapshots. What has changed is for the eye, in `git diff`.

use std::process::Command;

use anyhow::{Context, bail};

/// Test targets that hold snapshots, and which of their tests do.
const TARGETS: [(&str, &str, &str); 5] = [
    ("tcpd-core", "matrix", ""),
    ("tcpd-core", "network", "goodput::"),
    ("tcpd-core", "network", "fairness::"),
    ("tcpd", "scenario", ""),
    ("tcpctl", "commands", ""),
];

/// Makes the manual pages, and runs each target with leave to write.
pub(crate) fn run() -> anyhow::Result<()> {
    crate::pages::write()?;
    for (package, target, tests) in TARGETS {
        println!("== {package}: {target}");
        let status = Command::new(env!("CARGO"))
            .args([
                "test",
                "--quiet",
                "--package",
                package,
                "--test",
                target,
                tests,
            ])
            .env("INSTA_UPDATE", "always")
            .current_dir(crate::root())
            .status()
            .with_context(|| format!("{target}: cargo cannot be run"))?;
        if !status.success() {
            bail!("{target} fails for another reason than its snapshots");
        }
    }
    println!("now read `git diff`: a change that no RFC asks for is a bug");
    Ok(())
}
