//! Descriptors that nobody asked for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Of asm-generic/socket.h; the `libc` crate does not have it yet.
const SO_PASSRIGHTS: libc::c_int = 83;

/// From now on nobody can send descriptors (SCM_RIGHTS) to this Unix socket: the sender gets EPERM. What a listening socket
/// refuses, the sockets it accepts refuse from their first message on.
///
/// Reading without a control buffer is not enough: the kernel closes what came inside the reader's `recv`, and to close may
/// take as long as the sender likes (a TCP socket with SO_LINGER, a file of a file system that does not answer).
///
/// # Errors
/// ENOPROTOOPT before Linux 6.16.
pub fn refuse_descriptors(socket: impl AsFd) -> io::Result<()> {
    let no: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the call, and the kernel reads the four bytes of `no`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const no).cast(),
            size_of_val(&no) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
