//! The control socket: found (socket activation) or made, never two daemons on one.
//!
//! 1. A lock file beside the socket says that a daemon lives, without a race between two that start at once.
//! 2. Somebody who answers on the path without the lock (systemd's socket unit) is respected too.
//! 3. What is left of a daemon that died is removed; anything that is not a socket is not touched.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtcpclient::socket::{Seqpacket, SeqpacketListener, refuse_descriptors};
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::umask;

use super::clock;
use super::config::Control;
use super::notify;
use crate::exit_code::{Exit, Failure};
use crate::ipc::credentials::{Identity, group_id};

/// A daemon that was killed while it started a child leaves lock and socket with that child until it is executed: so long
/// they may be held before that means a daemon that lives.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Sessions that may wait to be accepted: a thousand workers may start at once.
const BACKLOG: i32 = 4096;

/// The listening socket, and what has to be removed at the end.
#[derive(Debug)]
pub struct ControlSocket {
    listener: SeqpacketListener,
    /// The path and the inode of what we made there; `None` when systemd made it.
    made: Option<(PathBuf, u64)>,
    /// Held for the life of the daemon.
    _lock: Option<File>,
    replaced: bool,
}

impl ControlSocket {
    /// Takes over systemd's socket, or makes the configured one. To be called while there is one thread: it sets the
    /// process's umask for a moment.
    pub fn open(control: &Control) -> Result<Self, Failure> {
        let activated = notify::activated_socket().map_err(|error| {
            let exit = match error.kind() {
                ErrorKind::InvalidInput => Exit::Configuration,
                _ => Exit::System,
            };
            Failure::new(exit, format!("the control socket from systemd: {error}"))
        })?;
        match activated {
            Some(descriptor) => Self::take_over(descriptor),
            None => Self::make(control),
        }
    }

    fn take_over(descriptor: OwnedFd) -> Result<Self, Failure> {
        let fits = net::sockopt::socket_type(&descriptor) == Ok(SocketType::SEQPACKET)
            && net::sockopt::socket_acceptconn(&descriptor) == Ok(true);
        if !fits {
            let message = "the socket from systemd is not a listening SOCK_SEQPACKET socket: tcpd.socket needs ListenSequentialPacket=";
            return Err(Failure::new(Exit::Configuration, message));
        }
        Self {
            listener: SeqpacketListener::from(descriptor),
            made: None,
            _lock: None,
            replaced: false,
        }
        .ready()
    }

    fn make(control: &Control) -> Result<Self, Failure> {
        let path = &control.socket;
        let cannot = |error: io::Error| cannot_create(path, &error);
        make_directory(path)?;
        let lock = lock(path)?;
        let replaced = remove_stale(path)?;
        // Nobody gets in before mode and group are right.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = SeqpacketListener::bind(path);
        umask(before);
        let listener = bound.map_err(cannot)?;
        let inode = std::fs::symlink_metadata(path).map_err(cannot)?.ino();
        let socket = Self {
            listener,
            made: Some((path.clone(), inode)),
            _lock: Some(lock),
            replaced,
        };
        if let Some(group) = control.group.as_deref().and_then(group_id) {
            std::os::unix::fs::chown(path, None, Some(group)).map_err(cannot)?;
        }
        std::fs::set_permissions(path, PermissionsExt::from_mode(control.mode)).map_err(cannot)?;
        socket.ready()
    }

    fn ready(self) -> Result<Self, Failure> {
        if let Err(error) = refuse_descriptors(&self.listener) {
            tracing::warn!(
                %error,
                "clients can make the daemon wait by passing descriptors: Linux 6.16 or later prevents that"
            );
        }
        let prepared = self
            .listener
            .set_nonblocking(true)
            .and_then(|()| Ok(net::listen(&self.listener, BACKLOG)?));
        prepared.map_err(|error| Failure::system("the control socket", &error))?;
        Ok(self)
    }

    /// Whether what a daemon that is gone had left behind was removed. (It is opened before there is a log to say so.)
    pub fn replaced_a_stale_one(&self) -> bool {
        self.replaced
    }

    /// The next client that waits: its socket, who it is, and a pidfd of that process if it is still there.
    pub fn accept(&self) -> io::Result<(Seqpacket, Identity, Option<OwnedFd>)> {
        let socket = self.listener.accept()?;
        let credentials = socket.peer_credentials()?;
        let groups = peer_groups(&socket)?;
        // An older kernel, or a process that is gone already: then the socket alone says when the session ends.
        let pidfd = socket.peer_pidfd().ok();
        let identity = Identity {
            uid: credentials.uid,
            gid: credentials.gid,
            groups,
            pid: credentials.pid,
        };
        Ok((socket, identity, pidfd))
    }
}

/// Removes the socket's file, if it is still ours: also when the start fails behind it.
impl Drop for ControlSocket {
    fn drop(&mut self) {
        let Some((path, inode)) = &self.made else {
            return;
        };
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode)
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "the control socket's file stays behind");
        }
    }
}

impl AsRawFd for ControlSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied => Exit::NotPermitted,
        _ => Exit::CannotCreate,
    };
    Failure::new(
        exit,
        format!("control.socket: cannot create {}: {error}", path.display()),
    )
}

/// Only the last directory: /run/tcpd on a machine without our tmpfiles.d entry.
fn make_directory(path: &Path) -> Result<(), Failure> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    match DirBuilder::new().mode(0o755).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(cannot_create(directory, &error))
        }
        _ => Ok(()),
    }
}

fn lock(path: &Path) -> Result<File, Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&name);
    let file = file.map_err(|error| cannot_create(&name, &error))?;
    let end = clock::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(cannot_create(&name, &error.into())),
        }
        if clock::now() >= end {
            return Err(already_running(path));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Whether there was one.
fn remove_stale(path: &Path) -> Result<bool, Failure> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(cannot_create(path, &error)),
    };
    if !found.file_type().is_socket() {
        let message = format!(
            "control.socket: {} exists and is not a socket",
            path.display()
        );
        return Err(Failure::new(Exit::CannotCreate, message));
    }
    let end = clock::now() + PATIENCE;
    while matches!(answers(path), Ok(true)) && clock::now() < end {
        std::thread::sleep(LOOK_INTERVAL);
    }
    match answers(path) {
        Ok(true) => Err(already_answered(path)),
        Ok(false) => match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) => Err(cannot_create(path, &error)),
        },
        Err(error) => Err(cannot_create(path, &error)),
    }
}

/// Whether somebody listens on the path. Never waits.
fn answers(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match net::connect(&socket, &SocketAddrUnix::new(path)?) {
        // Too busy to take us is alive; a socket of another type has another owner that is alive.
        Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::PROTOTYPE) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn already_running(path: &Path) -> Failure {
    Failure::new(
        Exit::AlreadyRunning,
        format!("a daemon is already running on {}", path.display()),
    )
}

/// Nobody holds the lock, so no daemon made this socket itself.
fn already_answered(path: &Path) -> Failure {
    let path = path.display();
    let message = format!(
        "somebody listens on {path} already: systemd (tcpd.socket; then use systemctl start tcpd), or another program"
    );
    Failure::new(Exit::AlreadyRunning, message)
}

/// The supplementary groups of who connected (SO_PEERGROUPS).
fn peer_groups(socket: &Seqpacket) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let mut length =
            libc::socklen_t::try_from(size_of_val(&groups[..])).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the buffer has `length` writable bytes, any of whose values are valid u32.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let needed = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || needed <= groups.len() {
            return Err(error);
        }
        groups.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests;
