//! Connections between a program of tcpd's and the kernel's TCP. Needs `mod daemon` beside it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use libtcpclient::{Builder, Session};

use super::daemon::{HOST_V4, STACK_V4};

/// What a test waits for a read or a write before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// tcpd's address with this port.
pub(crate) fn ours(port: u16) -> SocketAddr {
    SocketAddr::new(STACK_V4.parse().expect("an address"), port)
}

/// The kernel's address with this port.
pub(crate) fn theirs(port: u16) -> SocketAddr {
    SocketAddr::new(HOST_V4.parse().expect("an address"), port)
}

/// A listener of the kernel, and where it is.
pub(crate) fn kernel_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(theirs(0)).expect("the kernel listens");
    let at = listener.local_addr().expect("its address");
    (listener, at)
}

/// A connection that tcpd opens, with these options; both ends fail rather than hang.
pub(crate) fn connect_with(
    session: &Session,
    builder: Builder,
) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    let (listener, at) = kernel_listener();
    let ours = builder.session(session).connect(at);
    let ours = ours.expect("connect through tcpd");
    let (theirs, _) = listener.accept().expect("the kernel accepts");
    ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    ours.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    patient(&theirs);
    (ours, theirs)
}

/// The same with no options.
pub(crate) fn connect(session: &Session) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    connect_with(session, Builder::new())
}

fn patient(stream: &std::net::TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
}
