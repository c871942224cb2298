//! A private network namespace for a process, with a user namespace around it where we are not root.
//!
//! A namespace is entered by a single-threaded process for itself, or by a child between fork and exec
//! ([`Namespace::around`]); never by a process with threads, whose other threads would stay outside.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::device::netlink::Netlink;

/// What the machine lacks for a namespace of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// User namespaces are turned off, used up or forbidden to this user.
    UserNamespaces(Errno),
    /// The kernel refused a network namespace.
    NetworkNamespaces(Errno),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserNamespaces(errno) => write!(
                f,
                "user namespaces are not available to this user ({errno}): run as root, or see \
                 /proc/sys/user/max_user_namespaces and the kernel's or AppArmor's unprivileged user namespace switches"
            ),
            Self::NetworkNamespaces(errno) => {
                write!(f, "network namespaces are not available ({errno})")
            }
        }
    }
}

/// How to enter a network namespace of our own: planned in the parent, done in the child without allocating.
#[derive(Clone, Debug)]
pub struct Namespace {
    uid_map: [u8; MAP_LEN],
    gid_map: [u8; MAP_LEN],
    root: bool,
}

/// "0 4294967295 1\n" fits.
const MAP_LEN: usize = 16;

impl Namespace {
    /// A plan for the calling user: as root a network namespace, otherwise a user namespace (in which the user is root) first.
    pub fn plan() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self {
            uid_map: map_line(uid.as_raw()),
            gid_map: map_line(gid.as_raw()),
            root: uid.is_root(),
        }
    }

    /// Moves the calling process into a new network namespace, in which only `lo` exists and is down.
    /// The process must have one thread. Safe between fork and exec: system calls only.
    pub fn enter(&self) -> Result<(), Missing> {
        if self.root {
            match unshare(UnshareFlags::NEWNET) {
                Ok(()) => return Ok(()),
                // Root without CAP_SYS_ADMIN, as in many containers: a user namespace may still be allowed.
                Err(Errno::PERM) => {}
                Err(errno) => return Err(Missing::NetworkNamespaces(errno)),
            }
        }
        unshare(UnshareFlags::NEWUSER).map_err(Missing::UserNamespaces)?;
        // Without this a user could drop a group that denies him something; the kernel insists (user_namespaces(7)).
        write_file("/proc/self/setgroups", b"deny").map_err(Missing::UserNamespaces)?;
        write_file("/proc/self/uid_map", trimmed(&self.uid_map))
            .map_err(Missing::UserNamespaces)?;
        write_file("/proc/self/gid_map", trimmed(&self.gid_map))
            .map_err(Missing::UserNamespaces)?;
        unshare(UnshareFlags::NEWNET).map_err(Missing::NetworkNamespaces)
    }

    /// Makes `command` run in a namespace of its own; spawning it fails with the errno of what is missing.
    pub fn around(command: &mut Command) -> &mut Command {
        let plan = Self::plan();
        let enter = move || {
            plan.enter().map_err(|missing| match missing {
                Missing::UserNamespaces(errno) | Missing::NetworkNamespaces(errno) => errno.into(),
            })
        };
        // SAFETY: the closure makes system calls only and touches no memory but its own copy of the plan.
        unsafe { command.pre_exec(enter) }
    }
}

/// Brings `lo` up in the calling thread's network namespace, as a machine has it.
pub fn loopback_up() -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let lo = netlink.link("lo")?.ok_or(io::ErrorKind::NotFound)?;
    netlink.up(lo.index)
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: neither flag used here separates the threads' descriptors, which is what makes this call unsafe.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

fn map_line(id: u32) -> [u8; MAP_LEN] {
    let mut line = [0; MAP_LEN];
    let mut rest = &mut line[..];
    // 1 + 1 + at most 10 + 1 + 1 bytes: always fits.
    let _ = write!(rest, "0 {id} 1");
    line
}

fn trimmed(line: &[u8; MAP_LEN]) -> &[u8] {
    let len = line.iter().position(|byte| *byte == 0).unwrap_or(MAP_LEN);
    &line[..len]
}

fn write_file(path: &str, bytes: &[u8]) -> rustix::io::Result<()> {
    let fd = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&fd, bytes).map(drop)
}
