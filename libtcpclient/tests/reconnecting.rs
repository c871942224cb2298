//! Daemons that come late, go, and come again.
#![cfg(not(loom))]

#[path = "support/fake.rs"]
mod fake;
#[path = "support/raw.rs"]
mod raw;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fake::FakeDaemon;
use libtcpclient::protocol::{ErrorCode, Event, Failure, Reply, Request};
use libtcpclient::socket::{Seqpacket, SeqpacketListener};
use libtcpclient::{AcceptError, Builder, Control, Session, SessionError, TcpListener};
use rustix::event::{PollFd, PollFlags, Timespec};

const PATIENCE: Duration = Duration::from_secs(20);

/// Where daemons come and go.
struct Place {
    path: PathBuf,
    listener: Option<SeqpacketListener>,
}

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcpd-again-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Place {
            path,
            listener: None,
        }
    }

    /// Somebody listens there from now on.
    fn open(&mut self) -> &SeqpacketListener {
        let path = &self.path;
        self.listener
            .get_or_insert_with(|| SeqpacketListener::bind(path).expect("bind"))
    }

    fn close(&mut self) {
        self.listener = None;
        std::fs::remove_file(&self.path).expect("the socket");
    }

    /// Serves the next client, who has connected or will.
    fn serve(&mut self) -> FakeDaemon {
        FakeDaemon::serve(self.open().accept().expect("a client"))
    }

    /// A daemon with one client, which listens and waits so long for another daemon.
    fn listening(&mut self, wait: Duration) -> (FakeDaemon, TcpListener) {
        let path = self.path.clone();
        self.open();
        let client = thread::spawn(move || {
            let session = Session::open_within(&path, Duration::ZERO).expect("a session");
            Builder::new()
                .session(&session)
                .wait_for_daemon(wait)
                .reuse(true)
                .backlog(7)
                .listen("198.18.0.2:0")
                .expect("listen")
        });
        let daemon = self.serve();
        (daemon, client.join().expect("no panic"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Waits until the daemon has so many accepts, of a listener that was registered as the first one was.
fn registered_again(daemon: &FakeDaemon, accepts: usize) {
    for _ in 0..20_000 {
        let requests = daemon.requests();
        let is_accept = |request: &&Request| matches!(request, Request::Accept { .. });
        if requests.iter().filter(is_accept).count() == accepts {
            let Request::Listen(listen) = &requests[0] else {
                panic!("not a listen: {requests:?}");
            };
            assert_eq!((listen.port, listen.backlog), (40_000, 7));
            assert!(listen.reuse);
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("did not come: {:?}", daemon.requests());
}

fn echoes(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("accepted");
    stream.write_all(b"hello").expect("write");
    let mut back = [0; 5];
    stream.set_nonblocking(false).expect("an option");
    stream.read_exact(&mut back).expect("the echo");
}

fn readable(listener: &TcpListener, ms: i64) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    rustix::event::poll(&mut fds, Some(&limit)).expect("poll") > 0
}

/// The kernel tells whoever waited to be accepted by a reset, and only once: whoever sends first does not read of it.
#[test]
fn a_daemon_that_goes_before_it_accepts_is_gone() {
    let mut place = Place::new();
    place.open();
    let connect = || Seqpacket::connect(&place.path).expect("connect");
    let (session, control) = (connect(), connect());
    place.close();
    let session = Session::over(session, None).expect_err("it is gone");
    let control = Control::over(control).expect_err("it is gone");
    for error in [session, control] {
        assert!(
            matches!(error, SessionError::DaemonGone { reason: None }),
            "{error:?}"
        );
    }
}

#[test]
fn a_client_waits_for_a_daemon_that_is_not_there_and_for_one_that_is_about_to_go() {
    let mut place = Place::new();
    let error = Session::open_within(&place.path, Duration::ZERO).unwrap_err();
    assert!(matches!(error, SessionError::DaemonNotThere { .. }));
    let path = place.path.clone();
    let client = thread::spawn(move || Session::open_within(&path, PATIENCE));
    // The first one stops, the second dies while it is asked, the third is it.
    let socket = place.open().accept().expect("a client");
    let (number, _) = raw::next_request(&socket).expect("Hello");
    let stopping = Reply::error(ErrorCode::Draining, "the daemon is stopping");
    socket.send(&stopping.encode(number)).expect("send");
    drop(socket);
    drop(place.open().accept().expect("a client"));
    let daemon = place.serve();
    let session = client.join().expect("no panic").expect("a session");
    assert!(!session.is_over());
    drop(session);
    drop(daemon);
}

#[test]
fn what_will_not_pass_is_not_waited_for() {
    let mut place = Place::new();
    let path = place.path.clone();
    place.open();
    let client = thread::spawn(move || Session::open_within(&path, PATIENCE));
    let socket = place.open().accept().expect("a client");
    let (number, _) = raw::next_request(&socket).expect("Hello");
    let other = Reply::error(ErrorCode::VersionMismatch, "another version");
    socket.send(&other.encode(number)).expect("send");
    let error = client.join().expect("no panic").unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::VersionMismatch));
}

#[test]
fn an_accept_that_waits_registers_its_listener_with_the_next_daemon() {
    let mut place = Place::new();
    let (mut first, listener) = place.listening(PATIENCE);
    let before = listener.session();
    let waiting = listener.clone();
    let accepted = thread::spawn(move || waiting.accept());
    registered(&first);
    first.kill();
    let second = place.serve();
    registered_again(&second, 1);
    second.arrive();
    accepted.join().expect("no panic").expect("accepted");
    assert!(before.is_over() && !listener.session().is_over());
    // All that lived on the session before have the same next one.
    let next = before.reopened().expect("there is one");
    assert_eq!(next.welcome(), listener.session().welcome());
    let third = thread::spawn(move || listener.accept());
    registered_again(&second, 2);
    second.arrive();
    third.join().expect("no panic").expect("accepted");
}

/// Until an accept waits there.
fn registered(daemon: &FakeDaemon) {
    for _ in 0..20_000 {
        if matches!(daemon.requests().last(), Some(Request::Accept { .. })) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("nobody accepts: {:?}", daemon.requests());
}

#[test]
fn without_patience_accept_says_that_the_daemon_is_gone_until_there_is_one() {
    let mut place = Place::new();
    let (mut first, listener) = place.listening(Duration::ZERO);
    place.close();
    first.kill();
    for _ in 0..3 {
        let error = listener.accept().unwrap_err();
        let gone = matches!(
            error,
            AcceptError::Session(SessionError::DaemonGone { reason: None })
        );
        assert!(gone, "{error}");
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    }
    place.open();
    let accepted = thread::spawn(move || listener.accept());
    let second = place.serve();
    registered_again(&second, 1);
    second.arrive();
    accepted.join().expect("no panic").expect("accepted");
}

#[test]
fn an_address_that_another_has_taken_meanwhile_is_an_error() {
    let mut place = Place::new();
    let (mut first, listener) = place.listening(PATIENCE);
    first.kill();
    let accepted = thread::spawn(move || listener.accept());
    let socket = place.open().accept().expect("a client");
    let layout = libtcpclient::shm::Layout::new(1, 4, 65536).expect("a layout");
    let arena = libtcpclient::shm::Arena::create(layout).expect("an arena");
    let (_bell, theirs) = libtcpclient::socket::Bell::pair().expect("a bell");
    raw::answer_hello(&socket, raw::welcome(), &[arena.as_fd(), theirs.as_fd()]);
    let (number, _) = raw::next_request(&socket).expect("Listen");
    let taken = Reply::error(ErrorCode::AddressInUse, "");
    socket.send(&taken.encode(number)).expect("send");
    let error = accepted.join().expect("no panic").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_daemon_that_stops_in_order_is_waited_for_too() {
    let mut place = Place::new();
    let path = place.path.clone();
    place.open();
    let client = thread::spawn(move || {
        let session = Session::open_within(&path, Duration::ZERO).expect("a session");
        let builder = Builder::new().session(&session).wait_for_daemon(PATIENCE);
        let listener = builder.reuse(true).backlog(7).listen("198.18.0.2:0");
        listener.expect("listen").accept()
    });
    let socket = place.open().accept().expect("a client");
    let layout = libtcpclient::shm::Layout::new(1, 4, 65536).expect("a layout");
    let arena = libtcpclient::shm::Arena::create(layout).expect("an arena");
    let (_bell, theirs) = libtcpclient::socket::Bell::pair().expect("a bell");
    raw::answer_hello(&socket, raw::welcome(), &[arena.as_fd(), theirs.as_fd()]);
    let (number, _) = raw::next_request(&socket).expect("Listen");
    let listening = Reply::Listening {
        listener: 5,
        local: ([198, 18, 0, 2], 40_000).into(),
    };
    socket.send(&listening.encode(number)).expect("send");
    let (number, _) = raw::next_request(&socket).expect("Accept");
    let stopping = Failure {
        code: ErrorCode::Draining,
        detail: String::new(),
    };
    let refused = Reply::Error(stopping.clone());
    socket.send(&refused.encode(number)).expect("send");
    let last = Event::SessionEnding(stopping);
    socket.send(&last.encode()).expect("send");
    drop(socket);
    let second = place.serve();
    registered_again(&second, 1);
    second.arrive();
    client.join().expect("no panic").expect("accepted");
}

#[test]
fn a_listener_that_polls_is_quiet_until_the_next_daemon_has_a_connection_for_it() {
    let mut place = Place::new();
    let (mut first, listener) = place.listening(PATIENCE);
    listener.set_nonblocking(true).expect("an option");
    assert!(!readable(&listener, 0));
    first.kill();
    assert!(!readable(&listener, 50));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let second = place.serve();
    registered_again(&second, 8);
    assert!(!readable(&listener, 0));
    second.arrive();
    assert!(readable(&listener, 20_000));
    echoes(&listener);
}

#[test]
fn a_listener_that_polls_without_patience_shows_the_end_and_registers_again_when_it_can() {
    let mut place = Place::new();
    let (mut first, listener) = place.listening(Duration::ZERO);
    listener.set_nonblocking(true).expect("an option");
    assert!(!readable(&listener, 0));
    place.close();
    first.kill();
    assert!(readable(&listener, 20_000));
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    place.open();
    let accepting = listener.clone();
    let first_try = thread::spawn(move || accepting.accept().map(|_| ()));
    let second = place.serve();
    let error = first_try.join().expect("no panic").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    registered_again(&second, 8);
    second.arrive();
    assert!(readable(&listener, 20_000));
    echoes(&listener);
}

#[test]
fn a_session_over_a_socket_has_no_next_one() {
    let (mut daemon, socket) = FakeDaemon::start();
    let session = Session::over(socket, None).expect("a session");
    assert!(!session.reopened_within(PATIENCE).expect("itself").is_over());
    daemon.kill();
    while !session.is_over() {
        thread::sleep(Duration::from_millis(1));
    }
    let error = session.reopened_within(PATIENCE).unwrap_err();
    assert!(matches!(error, SessionError::DaemonGone { .. }));
}
