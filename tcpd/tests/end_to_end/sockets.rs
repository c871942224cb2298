//! Connections as ordinary sockets: programs that know nothing of tcpd, against the kernel's own TCP, over a real TUN.

mod endings;
mod idle;
mod limits;
mod programs;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream as KernelStream};
use std::os::unix::net::UnixStream;

use libtcpclient::{Session, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, accept, connect, passes};
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};

const MIB: usize = 1 << 20;

/// The connection as a socket that fails rather than hangs.
fn socket_of(stream: TcpStream) -> UnixStream {
    let socket = stream.into_socket().expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// A connection of tcpd's as a socket, and the kernel's end.
fn connected(session: &Session) -> (UnixStream, KernelStream) {
    let (ours, theirs) = connect(session);
    (socket_of(ours), theirs)
}

/// What can be read until there is no more, and why there is no more; `None` is the end of file.
fn heard(stream: &mut impl Read) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end.err().map(|error| error.kind()))
}

/// Waits until the daemon has no connection but those in TIME-WAIT.
fn nothing_left(daemon: &Daemon) {
    use libtcpclient::protocol::status::TcpState;
    wait_for("end of every connection", 20, || {
        let rows = daemon.connections();
        rows.iter()
            .all(|row| row.state == TcpState::TimeWait)
            .then_some(())
    });
    assert_eq!(daemon.counter("bridge-sockets"), 0);
}

#[test]
fn a_connection_goes_on_as_a_socket_whoever_opened_it() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for (mut ours, mut theirs) in [connect(&session), accept(&session)] {
            passes(&mut ours, &mut theirs);
            passes(&mut theirs, &mut ours);
            let copy = ours.clone();
            let mut socket = socket_of(ours);
            passes(&mut socket, &mut theirs);
            passes(&mut theirs, &mut socket);
            let error = (&copy).read(&mut [0]).expect_err("it has left its session");
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            drop(copy);
            passes(&mut socket, &mut theirs);
            drop(socket);
            assert_eq!(heard(&mut theirs), (Vec::new(), None));
        }
        nothing_left(&daemon);
    });
}

#[test]
fn what_is_unread_and_what_is_unsent_goes_along() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, mut theirs) = connect(&session);
        // More than the kernel takes unread, so that some of it waits in the ring.
        ours.set_nonblocking(true).expect("a stream");
        let mut written = 0;
        wait_for("full transmit ring", 20, || {
            let mut piece = vec![0; 64 << 10];
            let mut pattern = Pattern::new(1);
            pattern.fill(&mut vec![0; written]);
            pattern.fill(&mut piece);
            match (&ours).write(&piece) {
                Ok(count) => written += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            let status = ours.status().expect("it lives");
            let closed = status.snd.wnd_bytes < 1448 && status.congestion.in_flight_bytes == 0;
            (status.rings.transmit_unsent_bytes > 0 && closed).then_some(())
        });
        theirs.write_all(b"unread").expect("send");
        wait_for("unread bytes", 20, || {
            (ours.peek(&mut [0; 9]).ok() == Some(6)).then_some(())
        });
        let mut socket = socket_of(ours);
        let mut unread = [0; 6];
        socket.read_exact(&mut unread).expect("what was unread");
        assert_eq!(&unread, b"unread");
        let mut pattern = Pattern::new(1);
        expect_pattern(&mut theirs, &mut pattern, written, 64 << 10);
        std::thread::scope(|scope| {
            let mut rest = pattern.clone();
            scope.spawn(move || write_pattern(&mut socket, &mut rest, 8 * MIB, 100_000));
            expect_pattern(&mut theirs, &mut pattern, 8 * MIB, 64 << 10);
        });
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
    });
}

#[test]
fn each_half_closes_alone_and_the_other_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        socket.write_all(b"that is all").expect("send");
        socket.shutdown(Shutdown::Write).expect("shut");
        assert_eq!(heard(&mut theirs), (b"that is all".to_vec(), None));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write_pattern(&mut theirs, &mut Pattern::new(2), 10 * MIB, 64 << 10);
                theirs.shutdown(Shutdown::Write).expect("shut");
            });
            expect_pattern(&mut socket, &mut Pattern::new(2), 10 * MIB, 64 << 10);
        });
        assert_eq!(heard(&mut socket), (Vec::new(), None));

        let (mut socket, mut theirs) = connected(&session);
        theirs.write_all(b"that is all").expect("send");
        theirs.shutdown(Shutdown::Write).expect("shut");
        assert_eq!(heard(&mut socket), (b"that is all".to_vec(), None));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write_pattern(&mut socket, &mut Pattern::new(3), 10 * MIB, 64 << 10);
                socket.shutdown(Shutdown::Write).expect("shut");
            });
            expect_pattern(&mut theirs, &mut Pattern::new(3), 10 * MIB, 64 << 10);
        });
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
        nothing_left(&daemon);
    });
}

#[test]
fn the_connection_is_the_descriptors_and_outlives_the_session() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        drop(session);
        wait_for("end of the session", 20, || {
            (daemon.counter("arenas") == 0).then_some(())
        });
        passes(&mut socket, &mut theirs);
        let mut copy = socket.try_clone().expect("dup");
        drop(socket);
        passes(&mut copy, &mut theirs);
        passes(&mut theirs, &mut copy);
        drop(copy);
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
        drop(theirs);
        nothing_left(&daemon);
    });
}
