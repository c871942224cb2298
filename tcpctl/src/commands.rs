//! The commands: each asks the daemon, and answers with the text to print.

use libtcpclient::client::control::{Control, socket_path};
use libtcpclient::client::error::SessionError;

use crate::cli::{Cli, Command};
use crate::exit_code::ExitCode;
use crate::failure::Failure;

mod drain;
mod end;
mod impair;
mod list;
mod ping;
mod reload;
mod services;
mod set;
mod show;
mod stats;
mod users;

/// Does what the command line says; what is returned belongs on standard output. `width` is how wide a table may be, in characters.
///
/// # Errors
/// The daemon is not there, refuses, or says something that makes no sense.
pub fn run(cli: &Cli, width: Option<u16>) -> Result<String, Failure> {
    let socket = cli.socket.clone().unwrap_or_else(socket_path);
    let mut control = match cli.wait {
        Some(wait) => Control::connect_within(&socket, wait)?,
        None => Control::connect_to(&socket)?,
    };
    match &cli.command {
        Command::List(options) => list::run(&mut control, options, width),
        Command::Show(options) => show::run(&mut control, options),
        Command::Stats(options) => stats::run(&mut control, options, width),
        Command::Services(options) => services::run(&mut control, options, width),
        Command::Users(options) => users::run(&mut control, options, width),
        Command::Close(targets) => end::close(&mut control, targets),
        Command::Reset(targets) => end::reset(&mut control, targets),
        Command::Set(options) => set::run(&mut control, options),
        Command::Reload(options) => reload::run(&mut control, options),
        Command::Drain(options) => drain::run(control, options),
        Command::Impair(options) => impair::run(&mut control, options, width),
        Command::Ping(options) => ping::run(&mut control, options),
    }
}

/// All rows, or the first thing that went wrong.
fn collect<T>(rows: impl Iterator<Item = Result<T, SessionError>>) -> Result<Vec<T>, Failure> {
    rows.collect::<Result<Vec<T>, SessionError>>()
        .map_err(Failure::from)
}

/// JSON that could not be written: none of our types.
fn internal(error: serde_json::Error) -> Failure {
    Failure::new(ExitCode::Internal, error.to_string())
}
