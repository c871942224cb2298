//! Connections between a program of tcpd's and the kernel's TCP. Needs `mod daemon` and `mod pattern` beside it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use libtcpclient::{Builder, Session};

use super::daemon::{HOST_V4, STACK_V4};
use super::pattern::{Pattern, expect_pattern, write_pattern};

/// What a test waits for a read or a write before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What is written or read at once.
const CHUNK: usize = 64 << 10;

/// tcpd's address with this port.
pub(crate) fn ours(port: u16) -> SocketAddr {
    SocketAddr::new(STACK_V4.parse().expect("an address"), port)
}

/// The kernel's address with this port.
pub(crate) fn theirs(port: u16) -> SocketAddr {
    SocketAddr::new(HOST_V4.parse().expect("an address"), port)
}

/// A word written here is read there.
pub(crate) fn passes(from: &mut impl Write, to: &mut impl Read) {
    from.write_all(b"hello").expect("send");
    let mut word = [0; 5];
    to.read_exact(&mut word).expect("receive");
    assert_eq!(&word, b"hello");
}

/// The service at the other end gives a word back.
pub(crate) fn echoes(stream: &std::net::TcpStream) {
    passes(&mut &*stream, &mut &*stream);
}

/// The configuration of an echo service at its port.
pub(crate) const ECHO: &str = "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\n";

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
    joined(builder.session(session), &kernel_listener().0)
}

/// The same to the kernel at this address.
pub(crate) fn connect_to(
    session: &Session,
    host: &str,
) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind((host, 0)).expect("the kernel listens");
    joined(Builder::new().session(session), &listener)
}

/// A connection that tcpd opens, with these options, to this listener.
pub(crate) fn joined(
    builder: Builder,
    listener: &TcpListener,
) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    let at = listener.local_addr().expect("its address");
    let ours = builder.connect(at).expect("connect through tcpd");
    let (theirs, _) = listener.accept().expect("the kernel accepts");
    never_hangs(&ours);
    patient(&theirs);
    (ours, theirs)
}

/// The same with no options.
pub(crate) fn connect(session: &Session) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    connect_with(session, Builder::new())
}

/// The same the other way round: the kernel opens it, to a listener of tcpd's.
pub(crate) fn accept(session: &Session) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    accept_at(session, STACK_V4, HOST_V4)
}

/// The same where tcpd listens at `host`, from an address of the kernel's.
pub(crate) fn accept_at(
    session: &Session,
    host: &str,
    from: &str,
) -> (libtcpclient::TcpStream, std::net::TcpStream) {
    let listener = Builder::new().session(session).listen((host, 0));
    let listener = listener.expect("tcpd listens");
    let at = listener.local_addr().expect("its address");
    let from = SocketAddr::new(from.parse().expect("an address"), 0);
    let theirs = kernel_connects(from, at);
    connected(&theirs).expect("the kernel connects");
    let (ours, _) = listener.accept().expect("tcpd accepts");
    never_hangs(&ours);
    (ours, theirs)
}

/// So many bytes from one end to the other, each compared.
pub(crate) fn passes_many(from: impl Write + Send, to: impl Read, bytes: usize) {
    passes_pattern(from, to, 1, bytes);
}

fn passes_pattern(mut from: impl Write + Send, mut to: impl Read, seed: u64, bytes: usize) {
    thread::scope(|scope| {
        scope.spawn(|| write_pattern(&mut from, &mut Pattern::new(seed), bytes, CHUNK));
        expect_pattern(&mut to, &mut Pattern::new(seed), bytes, CHUNK);
    });
}

/// As many bytes both ways at once, others each way, each compared.
pub(crate) fn exchange(ours: &libtcpclient::TcpStream, theirs: &std::net::TcpStream, bytes: usize) {
    thread::scope(|scope| {
        scope.spawn(|| passes_pattern(ours, theirs, 1, bytes));
        passes_pattern(theirs, ours, 2, bytes);
    });
}

/// Its reads and writes fail rather than hang.
pub(crate) fn patient(stream: &std::net::TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
}

/// The same of tcpd's end.
pub(crate) fn never_hangs(ours: &libtcpclient::TcpStream) {
    ours.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    ours.set_write_timeout(Some(PATIENCE)).expect("a timeout");
}

/// A socket of the kernel that is bound to `local` and connects to `remote`: not waited for.
pub(crate) fn kernel_connects(local: SocketAddr, remote: SocketAddr) -> std::net::TcpStream {
    use rustix::net;
    let family = match local {
        SocketAddr::V4(_) => net::AddressFamily::INET,
        SocketAddr::V6(_) => net::AddressFamily::INET6,
    };
    let flags = net::SocketFlags::CLOEXEC | net::SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, net::SocketType::STREAM, flags, None).expect("a socket");
    net::sockopt::set_socket_reuseaddr(&socket, true).expect("reuse");
    net::bind(&socket, &local).expect("the kernel binds");
    match net::connect(&socket, &remote) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => socket.into(),
        Err(error) => panic!("the kernel does not connect: {error}"),
    }
}

/// Waits until such a socket is connected or has failed.
pub(crate) fn connected(stream: &std::net::TcpStream) -> std::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let patience = Timespec::try_from(PATIENCE).expect("it fits");
    let mut polled = [PollFd::new(stream, PollFlags::OUT)];
    let ready = poll(&mut polled, Some(&patience)).expect("poll");
    assert_eq!(ready, 1, "the kernel neither connects nor gives up");
    match stream.take_error().expect("a socket") {
        Some(error) => Err(error),
        None => {
            stream.set_nonblocking(false).expect("a socket");
            patient(stream);
            Ok(())
        }
    }
}
