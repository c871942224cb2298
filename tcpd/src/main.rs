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
    let config = match Config::load(args.config.as_deref(), environment(), &args.set) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(Exit::Configuration.into());
        }
    };
    let file = args.config.as_deref().or_else(default_file);
    let prepared = daemon::prepare(config, file.map(|path| path.display().to_string()))?;
    let _guard = logging::start(&prepared.config().log)?;
    prepared.run()?;
    Ok(Exit::Ok.into())
}

/// Prints every problem, one line each, or one line that all is well.
fn check(file: Option<&Path>, set: &[String]) -> Result<ExitCode, Failure> {
    match Config::load(file, environment(), set) {
        Ok(config) => {
            let services = config.services.len();
            match file.or_else(default_file) {
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

/// The file that is read when none is named, if it is there.
fn default_file<'a>() -> Option<&'a Path> {
    Some(Path::new(DEFAULT_PATH)).filter(|path| path.exists())
}

/// The environment, without what is not text: that names no key and is no value of one.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
