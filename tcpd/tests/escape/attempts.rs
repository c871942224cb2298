//! What a process can try in order to get out: each attempt is one system call that matters, and what leads up to it.
//!
//! The same code runs everywhere: in a worker of a daemon, in a process that has put on one layer of its confinement, and in
//! one that has put on none. There it must succeed, or it would prove nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use libtcpclient::client::control::Control;
use libtcpclient::socket::Seqpacket;
use serde::{Deserialize, Serialize};
use tcpd::system::process::exit_now;

/// One way to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Attempt {
    /// Asks for the own process id: everybody may.
    Nothing,

    // Another process: its memory, its descriptors, its life.
    Trace {
        pid: i32,
    },
    OpenMemory {
        pid: i32,
    },
    ReadMemory {
        pid: i32,
        address: usize,
    },
    TakeDescriptor {
        pid: i32,
        descriptor: i32,
    },
    OpenDescriptor {
        pid: i32,
        descriptor: i32,
    },
    Signal {
        pid: i32,
    },
    SignalThread {
        pid: i32,
    },
    SignalByPidfd {
        pid: i32,
    },
    LimitOther {
        pid: i32,
    },
    MoveToProcessors {
        pid: i32,
    },

    // The daemon.
    /// A session of its own, by which it resets a connection of somebody else.
    SecondSession {
        socket: PathBuf,
        connection: String,
    },
    AbstractSocket {
        name: String,
    },

    // Files.
    ReadFile {
        path: PathBuf,
    },
    WriteFile {
        path: PathBuf,
    },
    /// As `http` opens its files.
    ReadFileBeneath {
        path: PathBuf,
    },
    ChangeMode {
        path: PathBuf,
    },

    // More processes, more descriptors.
    Fork,
    Execute,
    KernelTcp {
        to: SocketAddr,
    },
    KernelUdp,
    SocketPair,
    Pipe,
    IoUring,

    // Memory.
    ExecutableMemory,
    MakeExecutable,
    SharedMemory,
    MemoryFile,

    /// Of a kind that does not exist, so that nobody suffers where it is let through.
    PriorityOfMany,
    IoPriorityOfMany,

    // The process itself.
    BecomeDumpable,
    ChangeUser,
    LeaveNamespace,
    RaiseLimit,
    CallOfAnotherAbi,
    SearchTree,

    // What it shares with the daemon's other processes: standard error.
    ErrorsNonblocking,
    ErrorsNonblockingByIoctl,
    ErrorsDuplicated,
    ErrorsShutDown,
    ErrorsOptions,
    ErrorsRead,
}

impl Attempt {
    /// Tries. `Ok`: it would have got out. Some do not return.
    pub(crate) fn perform(&self) -> io::Result<()> {
        match self {
            Attempt::Nothing => call(libc::SYS_getpid, &[]).map(drop),
            Attempt::Trace { pid } => {
                // It does not stop the other, and ends with this process.
                const SEIZE: usize = 0x4206;
                call(libc::SYS_ptrace, &[SEIZE, number(*pid), 0, 0]).map(drop)
            }
            Attempt::OpenMemory { pid } => {
                open(&format!("/proc/{pid}/mem"), libc::O_RDWR).map(drop)
            }
            Attempt::ReadMemory { pid, address } => read_memory(*pid, *address),
            Attempt::TakeDescriptor { pid, descriptor } => {
                let pidfd = pidfd(*pid)?;
                let taken = [pidfd.as_raw_fd() as usize, number(*descriptor), 0];
                call(libc::SYS_pidfd_getfd, &taken).map(drop)
            }
            Attempt::OpenDescriptor { pid, descriptor } => {
                open(&format!("/proc/{pid}/fd/{descriptor}"), libc::O_RDONLY).map(drop)
            }
            Attempt::Signal { pid } => call(libc::SYS_kill, &[number(*pid), HARMLESS]).map(drop),
            Attempt::SignalThread { pid } => {
                call(libc::SYS_tgkill, &[number(*pid), number(*pid), HARMLESS]).map(drop)
            }
            Attempt::SignalByPidfd { pid } => {
                let pidfd = pidfd(*pid)?;
                let words = [pidfd.as_raw_fd() as usize, HARMLESS, 0, 0];
                call(libc::SYS_pidfd_send_signal, &words).map(drop)
            }
            Attempt::LimitOther { pid } => limit(*pid, 0),
            Attempt::MoveToProcessors { pid } => {
                let all = [u64::MAX; 16];
                let words = [number(*pid), size_of_val(&all), all.as_ptr() as usize];
                call(libc::SYS_sched_setaffinity, &words).map(drop)
            }
            Attempt::SecondSession { socket, connection } => second_session(socket, connection),
            Attempt::AbstractSocket { name } => abstract_socket(name),
            Attempt::ReadFile { path } => open(&path.to_string_lossy(), libc::O_RDONLY).map(drop),
            Attempt::WriteFile { path } => {
                let flags = libc::O_WRONLY | libc::O_CREAT;
                open(&path.to_string_lossy(), flags).map(drop)
            }
            Attempt::ReadFileBeneath { path } => open_as_http(path),
            Attempt::ChangeMode { path } => {
                let path = c_string(&path.to_string_lossy());
                let here = libc::AT_FDCWD as usize;
                call(libc::SYS_fchmodat, &[here, path.as_ptr() as usize, 0o600]).map(drop)
            }
            Attempt::Fork => fork(),
            Attempt::Execute => Err(execute()),
            Attempt::KernelTcp { to } => std::net::TcpStream::connect(to).map(drop),
            Attempt::KernelUdp => socket(libc::AF_INET, libc::SOCK_DGRAM),
            Attempt::SocketPair => std::os::unix::net::UnixStream::pair().map(drop),
            Attempt::Pipe => std::io::pipe().map(drop),
            Attempt::IoUring => {
                let parameters = [0u64; 32];
                call(libc::SYS_io_uring_setup, &[1, parameters.as_ptr() as usize]).map(drop)
            }
            Attempt::ExecutableMemory => {
                map(libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_PRIVATE).map(drop)
            }
            Attempt::MakeExecutable => {
                let place = map(libc::PROT_WRITE, libc::MAP_PRIVATE)?;
                let executable = libc::PROT_READ | libc::PROT_EXEC;
                call(libc::SYS_mprotect, &[place, PAGE, executable as usize]).map(drop)
            }
            Attempt::SharedMemory => map(libc::PROT_WRITE, libc::MAP_SHARED).map(drop),
            Attempt::MemoryFile => {
                call(libc::SYS_memfd_create, &[c"x".as_ptr() as usize, 0]).map(drop)
            }
            Attempt::PriorityOfMany => call(libc::SYS_setpriority, &[99, 0, 0]).map(drop),
            Attempt::IoPriorityOfMany => call(libc::SYS_ioprio_set, &[99, 0, 0]).map(drop),
            Attempt::BecomeDumpable => {
                let words = [libc::PR_SET_DUMPABLE as usize, 1, 0, 0, 0];
                call(libc::SYS_prctl, &words).map(drop)
            }
            Attempt::ChangeUser => {
                let same = usize::MAX;
                call(libc::SYS_setresuid, &[same, same, same]).map(drop)
            }
            Attempt::LeaveNamespace => {
                call(libc::SYS_unshare, &[libc::CLONE_FS as usize]).map(drop)
            }
            Attempt::RaiseLimit => limit(0, 0),
            Attempt::CallOfAnotherAbi => another_abi(),
            Attempt::SearchTree => std::fs::read_dir("/proc/self/fd").map(drop),
            Attempt::ErrorsNonblocking => {
                call(libc::SYS_fcntl, &[ERRORS, libc::F_SETFL as usize, 0]).map(drop)
            }
            Attempt::ErrorsNonblockingByIoctl => {
                let off = 0i32;
                let words = [ERRORS, libc::FIONBIO as usize, &raw const off as usize];
                call(libc::SYS_ioctl, &words).map(drop)
            }
            Attempt::ErrorsDuplicated => call(
                libc::SYS_fcntl,
                &[ERRORS, libc::F_DUPFD_CLOEXEC as usize, 3],
            )
            .map(drop),
            Attempt::ErrorsShutDown => {
                call(libc::SYS_shutdown, &[ERRORS, libc::SHUT_RD as usize]).map(drop)
            }
            Attempt::ErrorsOptions => {
                let value = 1i32;
                let option = [libc::SOL_SOCKET as usize, libc::SO_KEEPALIVE as usize];
                let words = [ERRORS, option[0], option[1], &raw const value as usize, 4];
                call(libc::SYS_setsockopt, &words).map(drop)
            }
            Attempt::ErrorsRead => {
                let mut byte = 0u8;
                call(libc::SYS_read, &[ERRORS, &raw mut byte as usize, 1]).map(drop)
            }
        }
    }
}

/// Ignored by who does not expect it.
const HARMLESS: usize = libc::SIGURG as usize;
const ERRORS: usize = 2;
const PAGE: usize = 4096;

/// A system call, without a library in between that could make others.
fn call(number: libc::c_long, words: &[usize]) -> io::Result<usize> {
    let word = |place: usize| words.get(place).copied().unwrap_or(0);
    // SAFETY: the words are numbers, or point at values that outlive the call and are as large as the call wants them.
    let result =
        unsafe { libc::syscall(number, word(0), word(1), word(2), word(3), word(4), word(5)) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn number(value: i32) -> usize {
    value as usize
}

fn c_string(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text).expect("no NUL in it")
}

fn owned(descriptor: usize) -> OwnedFd {
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
}

fn open(path: &str, flags: i32) -> io::Result<OwnedFd> {
    let path = c_string(path);
    let words = [
        libc::AT_FDCWD as usize,
        path.as_ptr() as usize,
        flags as usize,
        0o600,
    ];
    call(libc::SYS_openat, &words).map(owned)
}

fn open_as_http(path: &Path) -> io::Result<()> {
    let path = c_string(&path.to_string_lossy());
    let how = [libc::O_RDONLY as u64, 0, 0];
    let place = [libc::AT_FDCWD as usize, path.as_ptr() as usize];
    let words = [place[0], place[1], how.as_ptr() as usize, size_of_val(&how)];
    call(libc::SYS_openat2, &words).map(owned).map(drop)
}

fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    call(libc::SYS_pidfd_open, &[number(pid), 0]).map(owned)
}

fn read_memory(pid: i32, address: usize) -> io::Result<()> {
    let mut byte = 0u8;
    let here = [&raw mut byte as usize, 1];
    let there = [address, 1];
    let words = [
        number(pid),
        here.as_ptr() as usize,
        1,
        there.as_ptr() as usize,
        1,
        0,
    ];
    call(libc::SYS_process_vm_readv, &words).map(drop)
}

/// Reads a limit and sets what it read.
fn limit(pid: i32, resource: usize) -> io::Result<()> {
    let limit = [0u64; 2];
    let place = limit.as_ptr() as usize;
    call(libc::SYS_prlimit64, &[number(pid), resource, 0, place])?;
    call(libc::SYS_prlimit64, &[number(pid), resource, place, 0]).map(drop)
}

fn second_session(socket: &Path, connection: &str) -> io::Result<()> {
    Ok(Control::over(Seqpacket::connect(socket)?)?.reset(connection)?)
}

fn abstract_socket(name: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop)
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    call(libc::SYS_socket, &[family as usize, kind as usize, 0])
        .map(owned)
        .map(drop)
}

fn map(protection: i32, flags: i32) -> io::Result<usize> {
    let flags = (flags | libc::MAP_ANONYMOUS) as usize;
    call(
        libc::SYS_mmap,
        &[0, PAGE, protection as usize, flags, usize::MAX, 0],
    )
}

fn fork() -> io::Result<()> {
    match call(libc::SYS_clone, &[libc::SIGCHLD as usize, 0, 0, 0, 0])? {
        0 => exit_now(0),
        _ => Ok(()),
    }
}

/// Says that it has succeeded from within the other program.
fn execute() -> io::Error {
    let words = [
        c"/bin/echo".as_ptr(),
        c"succeeded".as_ptr(),
        std::ptr::null(),
    ];
    let none: [*const libc::c_char; 1] = [std::ptr::null()];
    let places = [
        words[0] as usize,
        words.as_ptr() as usize,
        none.as_ptr() as usize,
    ];
    match call(libc::SYS_execve, &places) {
        Ok(_) => io::Error::other("execve returned"),
        Err(error) => error,
    }
}

/// getpid(2) as a program of 32 bits asks for it, past every filter that only looks at numbers.
#[cfg(target_arch = "x86_64")]
fn another_abi() -> io::Result<()> {
    let mut result = 20i32;
    // SAFETY: the call takes no argument; the old entry keeps all but the result and, in 64-bit mode, r8 to r11.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result == std::process::id() as i32 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-result))
    }
}
