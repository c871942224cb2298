//! A worker that becomes a command, as inetd has it: the connection is standard input and output, standard error goes into
//! the daemon's log.

mod environment;
mod handover;

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Resource;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use self::handover::Streams;
use super::super::work::Command;
use super::{Failure, Station, WorkerExit, at_most, confine};
use crate::system::process;

/// Returns only when there is no connection, or the command cannot be executed.
pub(super) fn execute(mut station: Station<'_>, command: &Command) -> Result<(), Failure> {
    let failed = |what| move |error| Failure::new(WorkerExit::NotPrepared, what, error);
    // What the command starts can be ended with it.
    let session = rustix::process::setsid().map_err(io::Error::from);
    session.map_err(failed("starting a session"))?;
    std::env::set_current_dir(&command.directory).map_err(failed("entering the directory"))?;
    confine::command::restrict_files(command).map_err(failed("confining the process"))?;
    let words = words(command).map_err(failed("the command"))?;

    let Some(ticket) = station.ticket()? else {
        return Ok(());
    };
    let account = station.assignment.terms.account.as_ref();
    let environment = environment::of(command, account, &ticket);
    let environment = environment.map_err(failed("the environment"))?;
    let adopted = handover::take_over(&station.assignment.socket, ticket.token);
    let streams = adopted
        .map_err(|error| Failure::new(WorkerExit::NotAdopted, "adopting the connection", error))?;
    // From here on the connection ends with this process.
    become_standard(streams).map_err(failed("standard input and output"))?;
    limit_resources(command).map_err(failed("limiting resources"))?;
    process::close_from_on_exec(3).map_err(failed("closing descriptors"))?;
    // SAFETY: this process has one thread, and Rust's runtime is not used after it.
    unsafe { process::default_broken_pipe() };
    confine::command::restrict_calls(command).map_err(failed("confining the process"))?;

    let error = match words.first() {
        Some(program) => process::execute(program, &words, &environment),
        None => io::ErrorKind::InvalidInput.into(),
    };
    if let Some(line) = &station.line {
        line.say_not_executed(&error);
    }
    Err(Failure::new(
        WorkerExit::NotExecuted,
        "executing the command",
        error,
    ))
}

fn words(command: &Command) -> io::Result<Vec<CString>> {
    let words = command.words.iter().map(|word| CString::new(word.as_str()));
    Ok(words.collect::<Result<_, _>>()?)
}

fn become_standard(streams: Streams) -> io::Result<()> {
    let Streams { connection, errors } = streams;
    wait_on(&connection)?;
    dup2_stdin(&connection)?;
    dup2_stdout(&connection)?;
    dup2_stderr(&errors)?;
    Ok(())
}

/// A command expects to wait where it reads and writes.
fn wait_on(connection: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(connection, false)?)
}

fn limit_resources(command: &Command) -> io::Result<()> {
    let limits = [
        (Resource::Fsize, command.limit_file_size),
        (Resource::Nproc, command.limit_processes),
        (Resource::Nofile, command.limit_files),
        (Resource::As, command.limit_memory),
    ];
    for (resource, most) in limits.into_iter().filter(|(_, most)| *most > 0) {
        at_most(resource, most, most)?;
    }
    Ok(())
}
