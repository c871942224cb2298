//! tcpctl: shows every connection of tcpd, and why it is where it is.

use std::io::{self, Write};
use std::process::ExitCode as ProcessExitCode;

use clap::Parser;
use tcpctl::cli::Cli;
use tcpctl::exit_code::ExitCode;
use tcpctl::failure::Failure;
use tcpctl::{commands, terminal};

fn main() -> ProcessExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => commands::run(&cli, terminal::width()).and_then(|text| print(&text)),
        Err(error) => return usage(&error).into(),
    };
    match ended {
        Ok(()) => ExitCode::Ok.into(),
        Err(failure) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "tcpctl: {failure}");
            failure.code.into()
        }
    }
}

/// Help and version were asked for; anything else is a mistake.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::Ok,
        _ => ExitCode::Usage,
    }
}

/// Prints the answer. A reader who has seen enough (`tcpctl list | head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            ExitCode::Output,
            format!("cannot write the output: {error}"),
        )),
        _ => Ok(()),
    }
}
