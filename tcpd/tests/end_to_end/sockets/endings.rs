//! How connections in sockets end, and what each side sees of it.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtcpclient::SocketError;
use libtcpclient::protocol::status::TcpState;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use super::*;

/// Resets the connection from the kernel's side.
fn reset(theirs: KernelStream) {
    rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).expect("linger");
    drop(theirs);
}

/// Writes until that fails.
fn refused_words(stream: &mut impl Write) -> ErrorKind {
    wait_for("end of writing", 20, || {
        stream.write(b"anybody?").err().map(|error| error.kind())
    })
}

/// What the daemon says of the one connection that is not in TIME-WAIT.
fn the_connection(daemon: &Daemon) -> Option<libtcpclient::protocol::status::ConnectionRow> {
    let rows = daemon.connections();
    rows.into_iter().find(|row| row.state != TcpState::TimeWait)
}

/// Writes until neither the peer nor the ring nor the pair takes more.
fn fill(socket: &UnixStream) -> usize {
    socket.set_nonblocking(true).expect("a socket");
    let mut written = 0;
    let mut stuck = 0;
    wait_for("full socket", 20, || {
        match (&*socket).write(&[7; 64 << 10]) {
            Ok(count) => {
                written += count;
                stuck = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                stuck += 1;
            }
        }
        (stuck > 100).then_some(())
    });
    socket.set_nonblocking(false).expect("a socket");
    written
}

#[test]
fn a_close_with_bytes_unread_in_the_pair_is_a_reset() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (socket, mut theirs) = connected(&session);
        theirs.write_all(b"read this").expect("send");
        wait_for("bytes in the pair", 20, || {
            let row = the_connection(&daemon)?;
            let readable = rustix::io::ioctl_fionread(&socket).expect("a socket");
            (readable == 9 && row.recv_q_bytes == 0).then_some(())
        });
        drop(socket);
        assert_eq!(
            heard(&mut theirs),
            (Vec::new(), Some(ErrorKind::ConnectionReset))
        );
        nothing_left(&daemon);
    });
}

#[test]
fn a_close_with_bytes_unread_in_the_ring_is_a_reset() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        theirs.set_nonblocking(true).expect("a socket");
        wait_for("bytes in the ring behind a full pair", 20, || {
            (theirs.write(&[1; 64 << 10]).is_err() && the_connection(&daemon)?.recv_q_bytes > 0)
                .then_some(())
        });
        theirs.set_nonblocking(false).expect("a socket");
        // All that is in the pair is read, so that nothing is lost there: what waits in the ring is.
        socket.set_nonblocking(true).expect("a socket");
        socket.shutdown(Shutdown::Both).expect("shut");
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).expect("what was in the pair");
        drop(socket);
        let (_, end) = heard(&mut theirs);
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        nothing_left(&daemon);
    });
}

#[test]
fn who_shuts_its_reading_side_still_writes_and_what_comes_is_thrown_away() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        socket.shutdown(Shutdown::Read).expect("shut");
        // Far more than anything in between holds.
        write_pattern(&mut theirs, &mut Pattern::new(5), 32 * MIB, 64 << 10);
        passes(&mut socket, &mut theirs);
        assert_eq!(heard(&mut socket), (Vec::new(), None));
        drop(socket);
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
        drop(theirs);
        nothing_left(&daemon);
    });
}

/// The kernel tells the holder of a socketpair of a reset only when bytes of its own are thrown away with the other end.
#[test]
fn a_reset_by_the_peer_is_an_end_for_the_holder_and_a_reset_when_its_words_are_lost() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        theirs.write_all(b"last words").expect("send");
        let mut first = [0; 4];
        socket.read_exact(&mut first).expect("receive");
        reset(theirs);
        assert_eq!(refused_words(&mut socket), ErrorKind::BrokenPipe);
        assert_eq!(heard(&mut socket).0, b" words");
        nothing_left(&daemon);

        let (mut socket, theirs) = connected(&session);
        fill(&socket);
        reset(theirs);
        assert_eq!(
            heard(&mut socket),
            (Vec::new(), Some(ErrorKind::ConnectionReset))
        );
        assert_eq!(refused_words(&mut socket), ErrorKind::BrokenPipe);
        nothing_left(&daemon);
    });
}

#[test]
fn what_came_before_a_reset_is_read_however_slowly() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        // More than the pair takes, so that some of it waits in the ring when the reset comes.
        let (mut pattern, mut bytes) = (Pattern::new(6), 0);
        wait_for("bytes in the ring behind a full pair", 20, || {
            let row = the_connection(&daemon)?;
            let status = daemon.control().show(&row.id).expect("it lives");
            if status.counters?.bytes_in == bytes as u64 {
                if row.recv_q_bytes > 0 {
                    return Some(());
                }
                write_pattern(&mut theirs, &mut pattern, 16 << 10, 16 << 10);
                bytes += 16 << 10;
            }
            None
        });
        reset(theirs);
        wait_for("reset", 20, || {
            let row = the_connection(&daemon)?;
            (row.state == TcpState::Closed).then_some(())
        });
        expect_pattern(&mut socket, &mut Pattern::new(6), bytes, 10_000);
        assert_eq!(heard(&mut socket), (Vec::new(), None));
        nothing_left(&daemon);
    });
}

#[test]
fn operators_close_and_reset_connections_in_sockets() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        let id = the_connection(&daemon).expect("it lives").id;
        daemon.control().close(&id).expect("close");
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
        assert_eq!(refused_words(&mut socket), ErrorKind::BrokenPipe);
        passes(&mut theirs, &mut socket);
        drop(theirs);
        assert_eq!(heard(&mut socket), (Vec::new(), None));
        drop(socket);
        nothing_left(&daemon);

        let (mut socket, mut theirs) = connected(&session);
        let id = the_connection(&daemon).expect("it lives").id;
        daemon.control().reset(&id).expect("reset");
        assert_eq!(
            heard(&mut theirs),
            (Vec::new(), Some(ErrorKind::ConnectionReset))
        );
        assert_eq!(heard(&mut socket), (Vec::new(), None));
        assert_eq!(refused_words(&mut socket), ErrorKind::BrokenPipe);
        nothing_left(&daemon);
    });
}

#[test]
fn a_stopping_daemon_waits_for_sockets_and_resets_them_at_the_end_of_the_grace() {
    in_namespace(|| {
        let mut daemon = Daemon::start_with("", &["shutdown_grace=1min"]);
        let (mut socket, mut theirs) = connected(&daemon.session());
        daemon.signal(Signal::TERM);
        wait_for("stop", 20, || {
            daemon
                .control()
                .daemon_status()
                .ok()?
                .draining
                .then_some(())
        });
        passes(&mut socket, &mut theirs);
        passes(&mut theirs, &mut socket);
        drop((socket, theirs));
        assert_eq!(daemon.ended(20).code(), Some(0));
        assert!(daemon.log().contains("reset=0"), "{}", daemon.log());
        drop(daemon);

        let mut daemon = Daemon::start_with("", &["shutdown_grace=100ms"]);
        let (mut socket, mut theirs) = connected(&daemon.session());
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended(20).code(), Some(0));
        assert!(daemon.log().contains("reset=1"), "{}", daemon.log());
        assert_eq!(heard(&mut socket), (Vec::new(), None));
        assert_eq!(
            heard(&mut theirs),
            (Vec::new(), Some(ErrorKind::ConnectionReset))
        );
    });
}

#[test]
fn a_killed_daemon_is_the_end_for_the_holder() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (mut socket, _theirs) = connected(&daemon.session());
        daemon.signal(Signal::KILL);
        assert!(heard(&mut socket).0.is_empty());
        assert_eq!(refused_words(&mut socket), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_killed_program_closes_its_connection() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (socket, mut theirs) = connected(&daemon.session());
        let mut cat = Command::new("cat")
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().expect("dup"))))
            .stdout(Stdio::from(OwnedFd::from(socket)))
            .spawn()
            .expect("start cat");
        passes(&mut &theirs, &mut &theirs);
        cat.kill().expect("our child");
        cat.wait().expect("our child");
        assert_eq!(heard(&mut theirs), (Vec::new(), None));
        drop(theirs);
        nothing_left(&daemon);
    });
}

#[test]
fn without_a_descriptor_the_request_is_refused_and_the_stream_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, mut theirs) = connect(&session);
        let _first = connected(&session);
        let pid = Pid::from_raw(daemon.pid().try_into().expect("a pid"));
        let limit = |current| Rlimit {
            current,
            maximum: Some(20_000),
        };
        // No number below 3 is free, whatever comes and goes above.
        let before = prlimit(pid, Resource::Nofile, limit(Some(3))).expect("a limit");
        let refused = ours.clone().into_socket().expect_err("no descriptor");
        assert!(
            matches!(refused, SocketError::InsufficientResources(_)),
            "{refused}"
        );
        prlimit(pid, Resource::Nofile, before).expect("a limit");
        let mut ours = ours;
        passes(&mut ours, &mut theirs);
        let mut socket = socket_of(ours);
        passes(&mut theirs, &mut socket);
    });
}

/// The kernel would close them in the daemon's thread, for as long as that takes.
#[test]
fn the_holder_cannot_send_descriptors_to_the_daemon() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut socket, mut theirs) = connected(&session);
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let copy = socket.try_clone().expect("dup");
        let fds = [std::os::fd::AsFd::as_fd(&copy)];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let word = [std::io::IoSlice::new(b"x")];
        match sendmsg(&socket, &word, &mut control, SendFlags::NOSIGNAL) {
            Err(error) => assert_eq!(error, rustix::io::Errno::PERM),
            // Linux before 6.16 takes it, and the daemon throws the descriptor away.
            Ok(_) => theirs.read_exact(&mut [0]).expect("the byte beside it"),
        }
        passes(&mut socket, &mut theirs);
    });
}
