//! tcpd: the command.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tcpd::cli::{Cli, Command, ConfigurationArgs};
use tcpd::daemon::config::{DEFAULT_PATH, Source};
use tcpd::daemon::{self, logging};
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
        Command::Run(args) => run(&args),
        Command::Check { file, set } => check(file.as_deref(), &set),
        // Before any thread is started: it enters namespaces.
        Command::Sandbox(args) => tcpd::sandbox::run(args),
        Command::Spawner => Ok(tcpd::services::spawner::main()),
        Command::Demo(args) => tcpd::demo::run(&args),
        Command::Scenario(args) => tcpd::scenario::run(&args),
    }
}

/// The daemon. Log lines still in memory are written when the guard goes, which is before this returns to `main`.
fn run(args: &ConfigurationArgs) -> Result<ExitCode, Failure> {
    let source = Source::new(args.config.as_deref(), &args.set);
    let config = match source.load() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(Exit::Configuration.into());
        }
    };
    let prepared = daemon::prepare(config, source)?;
    let _guard = logging::start(&prepared.config().log)?;
    prepared.run()?;
    Ok(Exit::Ok.into())
}

/// Prints every problem, one line each, or one line that all is well.
fn check(file: Option<&Path>, set: &[String]) -> Result<ExitCode, Failure> {
    let source = Source::new(file, set);
    match source.load() {
        Ok(config) => {
            let services = config.services.len();
            match source.file() {
                Some(file) => println!("{}: good, {services} service(s)", file.display()),
                None => println!("no {DEFAULT_PATH}; the built-in defaults are good"),
            }
            Ok(Exit::Ok.into())
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(Exit::Configuration.into())
        }
    }
}
