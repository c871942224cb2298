//! What the kernel knows of a connection of its own (TCP_INFO, tcp(7)).

use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// All of it.
pub(crate) fn tcp_info(stream: &TcpStream) -> libc::tcp_info {
    let mut information = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes there, and all bytes of the structure may have any value.
    unsafe {
        let result = libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            information.as_mut_ptr().cast(),
            &mut length,
        );
        assert_eq!(result, 0, "TCP_INFO");
        information.assume_init()
    }
}
