//! `cargo xtask fuzz SECONDS`: the fuzz targets, for longer than the tests run them. They are ordinary tests (`.ci/fuzzing`), so no other
//! toolchain is needed.

use std::process::Command;

use anyhow::{Context, bail};

/// How long, and from which seed.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// How long each target is fuzzed, in seconds
    seconds: u64,
    /// Another seed finds other inputs; the same one the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One target only
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Inputs of which a target says something new are added to its corpus
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// Any bytes are a message or a named error
    Codec,
    /// Whatever clients say, write and do, the daemon goes on and others are served
    Handler,
}

impl Target {
    /// Arguments of `cargo test`.
    fn test(self) -> [&'static str; 5] {
        match self {
            Target::Codec => [
                "--package",
                "libtcpclient",
                "--test",
                "fuzz_codec",
                "any_bytes",
            ],
            Target::Handler => ["--package", "tcpd", "--lib", "--", "fuzz::whatever"],
        }
    }
}

/// Runs them one after the other, all of them whatever the others say.
pub(crate) fn run(arguments: &Fuzz) -> anyhow::Result<()> {
    let all = [Target::Codec, Target::Handler];
    let chosen = all
        .into_iter()
        .filter(|target| arguments.target.is_none_or(|only| only == *target));
    let mut broken = Vec::new();
    for target in chosen {
        let mut command = Command::new(env!("CARGO"));
        command.arg("test").args(target.test());
        if target == Target::Codec {
            command.arg("--");
        }
        command.arg("--nocapture");
        command
            .env("TCPD_FUZZ_SECONDS", arguments.seconds.to_string())
            .env("TCPD_FUZZ_SEED", arguments.seed.to_string())
            .current_dir(crate::root());
        if arguments.keep {
            command.env("TCPD_FUZZ_KEEP", "1");
        }
        let status = command.status().context("cargo test")?;
        if !status.success() {
            broken.push(target);
        }
    }
    if !broken.is_empty() {
        bail!("broken: {broken:?}; the inputs are in target/fuzz");
    }
    Ok(())
}
