//! One side has forgotten a connection without a word, the other learns of it (RFC 9293 §3.5.1, figures 9 and 10). How tcpd's side
//! forgets stands in `restart.rs`; here it is the kernel's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as KernelStream};
use std::os::fd::AsRawFd;

use libtcpclient::{Builder, Session, TcpListener, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::namespace::in_namespace;
use crate::common::pair::{connected, kernel_connects, ours, passes, theirs};

/// tcpd's listener.
const PORT: u16 = 5000;

/// The socket is gone and nothing was sent: what a machine does that loses its power.
fn forget(stream: KernelStream) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to an int that outlives the call, and the length is the int's.
    let done = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    assert_eq!(done, 0, "TCP_REPAIR: {}", std::io::Error::last_os_error());
    drop(stream);
}

/// tcpd's listener, and a connection from this port of the kernel's that has been used.
fn used(session: &Session, port: u16) -> (TcpListener, TcpStream, KernelStream) {
    let listener = Builder::new().session(session).listen(ours(PORT));
    let listener = listener.expect("tcpd listens");
    let mut peer = kernel_connects(theirs(port), ours(PORT));
    connected(&peer).expect("it listens");
    let (mut stream, _) = listener.accept().expect("tcpd accepts");
    passes(&mut peer, &mut stream);
    (listener, stream, peer)
}

fn reset(stream: &mut impl Read) {
    let error = stream.read(&mut [0]).expect_err("it is over");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// RFC 9293 §3.5.1, figure 10 (§3.10.7.1): text for a connection that is not known is answered with a reset.
#[test]
fn a_program_that_writes_to_a_kernel_that_has_forgotten_is_reset() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (_listener, mut stream, peer) = used(&session, 0);
        forget(peer);
        stream.write_all(b"are you there?").expect("it is taken");
        reset(&mut stream);
    });
}

/// RFC 9293 §3.5.1, figure 9 (§3.10.7.4 fourth, RFC 5961 §4): the SYN of one who has forgotten does not end the connection, but the
/// answer to it brings the reset that does; then the pair is opened anew.
#[test]
fn a_kernel_that_has_forgotten_opens_the_pair_anew_and_the_old_program_is_reset() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (listener, mut old, peer) = used(&session, 0);
        let from: SocketAddr = peer.local_addr().expect("its address");
        forget(peer);
        let before = daemon.counter("challenge-acks");
        let mut peer = kernel_connects(from, ours(PORT));
        connected(&peer).expect("the pair is opened anew");
        assert_eq!(daemon.counter("challenge-acks"), before + 1);
        reset(&mut old);
        let (mut new, at) = listener.accept().expect("tcpd accepts");
        assert_eq!(at, from);
        passes(&mut peer, &mut new);
    });
}
