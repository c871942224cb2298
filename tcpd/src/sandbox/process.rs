//! Small things about child processes that std does not offer.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

/// Lets the child be killed by `signal` when the thread that starts it ends, however it ends.
pub fn die_with_parent(command: &mut Command, signal: Signal) -> &mut Command {
    let parent = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(signal))?;
        // The parent may have ended before the call above: then nothing would ever come.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: the closure makes two system calls and touches no memory but its own.
    unsafe { command.pre_exec(bind) }
}

/// The child's process id as rustix has it; `None` never happens for a child that was started.
pub fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
