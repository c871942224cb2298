//! Calls about processes that neither std nor rustix offers: each one thin, each one's danger written down.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;

#[cfg(test)]
mod tests;

/// What [`fork`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// This is the new process.
    Child,
    /// This is the old process; the new one has this id.
    Parent(Pid),
}

/// fork(2): a second process that goes on from here.
///
/// # Safety
/// The process must have one thread only: locks held by others would stay locked for ever in the child.
///
/// # Errors
/// EAGAIN (limit of processes) or ENOMEM.
pub unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: no arguments; that there is one thread is the caller's promise.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => {
            Ok(Fork::Parent(Pid::from_raw(pid).ok_or_else(|| {
                io::Error::other("fork returned a negative id")
            })?))
        }
    }
}

/// Ends this process at once: no destructor, no buffer flushed, no handler called.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: no arguments that could be wrong; it does not return.
    unsafe { libc::_exit(status) }
}

/// Closes every descriptor from `first` on.
///
/// # Safety
/// Nothing that owns one of them may be used or dropped afterwards. This is for a process that was just forked
/// and has forgotten all it owned.
///
/// # Errors
/// ENOSYS before Linux 5.9.
pub unsafe fn close_from(first: RawFd) -> io::Result<()> {
    close_range(first, 0)
}

/// Closes every descriptor but the standard ones and `kept`, which is returned under another number.
///
/// # Safety
/// As [`close_from`]; `kept` too may not be used or dropped by who owned it.
///
/// # Errors
/// As dup3(2); ENOSYS before Linux 5.9.
pub unsafe fn keep_only(kept: RawFd) -> io::Result<OwnedFd> {
    const FIRST: RawFd = 3;
    // SAFETY: a plain system call; whoever owned descriptor 3 has forgotten it, says the contract.
    if kept != FIRST && unsafe { libc::dup3(kept, FIRST, libc::O_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the contract is the same.
    unsafe { close_from(FIRST + 1) }?;
    // SAFETY: it is open, and nobody else knows it any more.
    Ok(unsafe { OwnedFd::from_raw_fd(FIRST) })
}

/// Marks every descriptor from `first` on to be closed at the next execve.
///
/// # Errors
/// ENOSYS or EINVAL before Linux 5.11.
pub fn close_from_on_exec(first: RawFd) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Gives the calling thread a table of descriptors of its own, in which `kept` stands and nothing else: what it opens and closes
/// from then on is no business of the other threads, and what they close is closed.
///
/// No value that owns a descriptor of the process may be dropped in this thread afterwards.
///
/// # Errors
/// As unshare(2) and close_range(2); the thread may share its table still.
pub fn keep_one_for_this_thread(kept: RawFd) -> io::Result<()> {
    // SAFETY: the table is copied; every descriptor that this thread knows stands in the copy too.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FILES) }?;
    let number = |fd| libc::c_uint::try_from(fd).map_err(|_| io::ErrorKind::InvalidInput);
    if kept > 0 {
        close_numbers(0, number(kept - 1)?, 0)?;
    }
    close_range(kept + 1, 0)
}

fn close_range(first: RawFd, flags: libc::c_uint) -> io::Result<()> {
    let first =
        libc::c_uint::try_from(first).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    close_numbers(first, libc::c_uint::MAX, flags)
}

fn close_numbers(first: libc::c_uint, last: libc::c_uint, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: plain integers; what closing means for owners is in the contracts of `close_from` and `keep_one_for_this_thread`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Lets `command` inherit standard input, output and error and nothing else, also what other threads open without
/// O_CLOEXEC meanwhile.
pub fn inherit_only_standard_descriptors(command: &mut Command) -> &mut Command {
    // SAFETY: close_range is one system call, which a child between fork and exec may make.
    unsafe { command.pre_exec(|| close_from_on_exec(3)) }
}

/// Gives every signal its default action and unblocks all, as a new program expects it.
///
/// SIGPIPE alone stays ignored, as Rust programs want it.
///
/// # Safety
/// The process must have one thread only, and nobody in it may rely on a handler.
pub unsafe fn reset_signals() {
    for signal in 1..=64 {
        if matches!(
            signal,
            libc::SIGKILL | libc::SIGSTOP | libc::SIGSEGV | libc::SIGBUS
        ) {
            continue; // Not ours to set, or Rust's own handlers that report a stack overflow.
        }
        let action = if signal == libc::SIGPIPE {
            libc::SIG_IGN
        } else {
            libc::SIG_DFL
        };
        // SAFETY: the default and ignore actions run no code of ours. Numbers the C library keeps for itself fail with EINVAL.
        unsafe { libc::signal(signal, action) };
    }
    // SAFETY: an all-zero sigset_t is a valid value, and sigemptyset initialises it whatever it held.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Lets a write to a closed pipe end this process, as programs that are not Rust's expect it.
///
/// # Safety
/// As [`reset_signals`].
pub unsafe fn default_broken_pipe() {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// execve(2): this process becomes another program. Returns only when it cannot.
pub fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        let all = strings.iter().map(|string| string.as_ptr());
        all.chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: all three are NUL-terminated strings and null-terminated arrays of such, which outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Forgets the environment, also in the memory that `/proc/PID/environ` shows.
///
/// # Safety
/// The process must have one thread only and hold no pointer into the environment.
pub unsafe fn wipe_environment() {
    // SAFETY: `environ` is a null-terminated array of C strings in writable memory; one thread, no other pointer.
    unsafe {
        let mut entry = libc_environ();
        while !entry.is_null() && !(*entry).is_null() {
            let text = *entry;
            std::ptr::write_bytes(text, 0, libc::strlen(text));
            entry = entry.add(1);
        }
        libc::clearenv();
    }
}

fn libc_environ() -> *mut *mut libc::c_char {
    unsafe extern "C" {
        static mut environ: *mut *mut libc::c_char;
    }
    // SAFETY: reads one pointer that the C library keeps; the caller is the only thread.
    unsafe { environ }
}

/// Kills every process of the group that the process of `pidfd` leads (SIGKILL), where the kernel can do that by pidfd
/// (Linux 6.9). A process that leads no group is left alone.
pub fn kill_group(pidfd: &OwnedFd) {
    let (group, none) = (
        libc::PIDFD_SIGNAL_PROCESS_GROUP,
        std::ptr::null::<libc::siginfo_t>(),
    );
    // SAFETY: plain integers and a null pointer, which stands for what kill(2) would send.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            none,
            group,
        )
    };
}

/// The version of landlock that this kernel has; 0: none, or it is not allowed here.
#[must_use]
pub fn landlock_version() -> u32 {
    const VERSION: libc::c_uint = 1;
    let (nothing, size) = (std::ptr::null::<libc::c_void>(), 0usize);
    // SAFETY: asked for the version, the call takes no memory.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, size, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// How a child ended and what it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The status in the encoding of wait(2).
    pub status: i32,
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Largest resident size, KiB.
    pub max_resident_kib: u64,
    /// Page faults served without reading a device.
    pub minor_faults: u64,
    /// Page faults that had to read a device.
    pub major_faults: u64,
    /// Context switches, voluntary and not.
    pub context_switches: u64,
}

/// wait4(2) for one child that has ended, without blocking.
///
/// # Errors
/// ECHILD when `pid` is not a child of this process; `WouldBlock` when it has not ended.
pub fn reap(pid: Pid) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid value; both pointers are to locals that outlive the call.
    let (result, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let result = libc::wait4(
            pid.as_raw_nonzero().get(),
            &raw mut status,
            libc::WNOHANG,
            &raw mut usage,
        );
        (result, usage)
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(Ended {
            status,
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            max_resident_kib: usage.ru_maxrss.try_into().unwrap_or(0),
            minor_faults: usage.ru_minflt.try_into().unwrap_or(0),
            major_faults: usage.ru_majflt.try_into().unwrap_or(0),
            context_switches: (usage.ru_nvcsw + usage.ru_nivcsw).try_into().unwrap_or(0),
        }),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}
