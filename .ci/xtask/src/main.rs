//! cargo xtask: the project's chores for people and CI.

mod bless;
mod check;
mod deb;
mod fuzz;
mod install;
mod library;
mod package;
mod pages;
mod rfc;
mod script;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Formatting, clippy and documentation, as CI checks them
    Check,
    /// Runs scripts in packetdrill's language and prints their packet ladders
    Script(script::Script),
    /// Lists every requirement of RFC 9293 with its code and its tests, and what has none
    Rfc(rfc::Rfc),
    /// Takes what the tests see now over into their snapshots, such as the matrix of states and events, and makes the manual pages
    Bless,
    /// Makes the manual pages and the shell completions again, which stand in the tree
    Pages,
    /// Puts programs, units, configuration, manual pages and the library's source in place
    Install(install::Install),
    /// Makes Debian packages of the same (needs cargo-deb)
    Deb,
    /// Mutates the corpora of the fuzz targets for so long: the protocol's codec, and the handler of requests and shared memory
    Fuzz(fuzz::Fuzz),
    /// Runs simulated conversations over a bad network, a seed each, until the first that breaks; then long transfers over a real TUN
    Soak(soak::Soak),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Check => check::run(),
        Chore::Script(arguments) => script::run(&arguments),
        Chore::Rfc(arguments) => rfc::run(&arguments),
        Chore::Bless => bless::run(),
        Chore::Pages => pages::write(),
        Chore::Install(arguments) => install::run(&arguments),
        Chore::Deb => deb::run(),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Soak(arguments) => soak::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(&here).to_owned()
}
