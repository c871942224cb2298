//! tcpd: the command.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tcpd::cli::{Cli, Command, ConfigurationArgs};
use tcpd::daemon::config::{Config, DEFAULT_PATH};
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
    }
}

/// The daemon. Log lines still in memory are written when the guard goes, which is before this returns to `main`.
fn run(args: &ConfigurationArgs) -> Result<ExitCode, Failure> {
    let config = match Config::load(args.config.as_deref(), std::env::vars(), &args.set) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(Exit::Configuration.into());
        }
    };
    let file = match args.config.as_deref() {
        None => Some(Path::new(DEFAULT_PATH)).filter(|path| path.exists()),
        named => named,
    };
    let prepared = daemon::prepare(config, file.map(|path| path.display().to_string()))?;
    let _guard = logging::start(&prepared.config().log)?;
    prepared.run()?;
    Ok(Exit::Ok.into())
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
