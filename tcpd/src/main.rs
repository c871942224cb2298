//! tcpd: the command.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tcpd::cli::{Cli, Command};
use tcpd::daemon::config::{Config, DEFAULT_PATH};
use tcpd::exit_code::{Exit, Failure};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            // Nothing is left to tell it to when the terminal is gone.
            let _ = error.print();
            return exit.into();
        }
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("tcpd: {failure}");
            failure.exit.into()
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check { file, set } => check(file.as_deref(), &set),
        // Before any thread is started: it enters namespaces.
        Command::Sandbox(args) => tcpd::sandbox::run(args),
        other => Err(Failure::new(
            Exit::Unavailable,
            format!("{other:?} is not in this build"),
        )),
    }
}

/// Prints every problem, one line each, or one line that all is well.
fn check(file: Option<&Path>, set: &[String]) -> Result<ExitCode, Failure> {
    match Config::load(file, std::env::vars(), set) {
        Ok(config) => {
            let shown = file.unwrap_or(Path::new(DEFAULT_PATH)).display();
            println!("{shown}: good, {} service(s)", config.services.len());
            Ok(Exit::Ok.into())
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(Exit::Configuration.into())
        }
    }
}
