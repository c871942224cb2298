//! The client API against a daemon in a thread: the real protocol and the real memory, no TCP.
#![cfg(not(loom))]

#[path = "support/fake.rs"]
mod fake;
#[path = "fake_daemon/handing_off.rs"]
mod handing_off;
#[path = "fake_daemon/polling.rs"]
mod polling;
#[path = "fake_daemon/readiness.rs"]
mod readiness;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fake::FakeDaemon;
use libtcpclient::protocol::{ErrorCode, Request, ShutdownHow};
use libtcpclient::{
    AcceptError, Builder, CloseError, Control, KeepAlive, OpenError, SendError, Session,
    SessionError, TcpListener, TcpStream,
};
use rustix::event::{PollFd, PollFlags, Timespec};

fn session() -> (FakeDaemon, Session) {
    let (daemon, socket) = FakeDaemon::start();
    let session = Session::over(socket, None).expect("a session");
    (daemon, session)
}

fn connect(session: &Session, port: u16) -> TcpStream {
    Builder::new()
        .session(session)
        .connect(("198.18.0.1", port))
        .expect("a connection")
}

/// Fails rather than hangs.
fn within<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(f()));
    receiver
        .recv_timeout(Duration::from_secs(20))
        .unwrap_or_else(|_| panic!("{what} hangs or panicked"))
}

/// What poll says of a descriptor within `ms`: readable, writable.
fn polled(fd: &impl AsFd, want: PollFlags, ms: i64) -> (bool, bool) {
    let mut fds = [PollFd::new(fd, want)];
    let limit = Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    rustix::event::poll(&mut fds, Some(&limit)).expect("poll");
    let events = fds[0].revents();
    (
        events.contains(PollFlags::IN),
        events.contains(PollFlags::OUT),
    )
}

const BOTH: PollFlags = PollFlags::IN.union(PollFlags::OUT);

/// A sequence that no ring size divides.
fn pattern(position: usize) -> u8 {
    (position % 251) as u8
}

/// Sizes from 1 byte to beyond every ring, seeded.
fn sizes(mut seed: u64) -> impl Iterator<Item = usize> {
    std::iter::repeat_with(move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let limit = [1, 7, 100, 1460, 20_000, 300_000][(seed % 6) as usize];
        1 + (seed >> 8) as usize % limit
    })
}

fn write_pattern(mut stream: &TcpStream, total: usize, seed: u64) {
    let mut position = 0;
    for size in sizes(seed) {
        let size = size.min(total - position);
        let bytes: Vec<u8> = (position..position + size).map(pattern).collect();
        stream.write_all(&bytes).expect("write");
        position += size;
        if position == total {
            return;
        }
    }
}

fn read_pattern(mut stream: &TcpStream, seed: u64) -> usize {
    let mut position = 0;
    let mut buffer = vec![0; 300_000];
    for size in sizes(seed) {
        let len = stream.read(&mut buffer[..size]).expect("read");
        if len == 0 {
            break;
        }
        for byte in &buffer[..len] {
            assert_eq!(*byte, pattern(position), "at {position}");
            position += 1;
        }
    }
    position
}

#[test]
fn one_thread_reads_while_another_writes_in_any_sizes() {
    const TOTAL: usize = 8 << 20;
    let (_daemon, session) = session();
    let received = within("the echo", move || {
        let stream = connect(&session, 7);
        thread::scope(|scope| {
            scope.spawn(|| {
                write_pattern(&stream, TOTAL, 1);
                stream.shutdown(Shutdown::Write).expect("half-close");
            });
            read_pattern(&stream, 2)
        })
    });
    assert_eq!(received, TOTAL);
}

#[test]
fn connections_of_one_session_do_not_disturb_each_other() {
    let (_daemon, session) = session();
    within("eight echoes", move || {
        thread::scope(|scope| {
            for seed in 1..=8 {
                let session = &session;
                scope.spawn(move || {
                    let stream = connect(session, 7);
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            write_pattern(&stream, 300_000, seed);
                            stream.shutdown(Shutdown::Write).expect("half-close");
                        });
                        assert_eq!(read_pattern(&stream, seed + 100), 300_000);
                    });
                });
            }
        });
    });
}

#[test]
fn vectored_reads_and_writes_fill_every_buffer() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 7);
    let parts = [
        IoSlice::new(b"one"),
        IoSlice::new(b""),
        IoSlice::new(b"two!"),
    ];
    assert_eq!(stream.write_vectored(&parts).expect("write"), 7);
    let mut all = [0; 7];
    stream.peek(&mut all).expect("peek");
    let (mut a, mut b) = ([0; 4], [0; 4]);
    let mut got = 0;
    while got < 7 {
        let mut peeked = [0; 7];
        got = stream.peek(&mut peeked).expect("peek");
    }
    let mut buffers = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!(stream.read_vectored(&mut buffers).expect("read"), 7);
    assert_eq!((&a, &b[..3]), (b"onet", &b"wo!"[..]));
}

#[test]
fn the_peer_may_end_its_half_while_data_flows_back() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 13);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    assert_eq!(text, "daytime\n");
    assert_eq!(stream.read(&mut [0; 9]).expect("still the end"), 0);
    stream.write_all(b"thanks").expect("the other half is open");
    assert!(stream.take_error().expect("no fork").is_none());
}

#[test]
fn what_came_before_a_reset_is_read_and_then_it_is_an_error() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 19);
    let mut buffer = [0; 64];
    assert_eq!(stream.read(&mut buffer).expect("read"), 10);
    assert_eq!(&buffer[..10], b"last words");
    let error = stream.read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "the peer reset the connection");
    let error = stream.write(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let taken = stream.take_error().expect("no fork").expect("an error");
    assert_eq!(taken.kind(), ErrorKind::ConnectionReset);
    assert!(stream.take_error().expect("no fork").is_none(), "once");
}

#[test]
fn after_half_close_writing_is_an_error_and_reading_goes_on() {
    let (daemon, session) = session();
    let mut stream = connect(&session, 7);
    stream.write_all(b"before").expect("write");
    stream.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(
        stream.write(b"after").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    assert_eq!(text, "before");
    assert!(daemon.requests().iter().any(|request| matches!(
        request,
        Request::Shutdown {
            how: ShutdownHow::Write,
            ..
        }
    )));
}

#[test]
fn shutting_the_reading_half_wakes_a_reader_with_the_end() {
    let (_daemon, session) = session();
    let stream = connect(&session, 9);
    let reader = stream.clone();
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send((&reader).read(&mut [0; 8])));
    stream.shutdown(Shutdown::Read).expect("shutdown");
    let read = done.recv_timeout(Duration::from_secs(20)).expect("woken");
    assert_eq!(read.expect("the end"), 0);
}

#[test]
fn refusals_are_the_errors_std_would_give() {
    let (_daemon, session) = session();
    let builder = Builder::new().session(&session);
    let error = builder.connect("198.18.0.1:1").unwrap_err();
    assert!(matches!(&error, OpenError::ConnectionRefused(_)));
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(
        error.to_string(),
        "connection refused: as the test wants it"
    );
    let error = builder.connect("198.18.0.1:2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let error = builder.listen("198.18.0.2:80").unwrap_err();
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::AddrInUse);
    let error = builder.connect("no-port-here").unwrap_err();
    assert!(matches!(error, OpenError::Resolve(_)));
    let error = builder.connect("198.18.0.1:3").unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::InvalidData,
        "an answer of another kind"
    );
}

#[test]
fn of_several_addresses_the_first_that_answers_is_taken() {
    let (_daemon, session) = session();
    let addresses: [std::net::SocketAddr; 2] =
        [([198, 18, 0, 1], 1).into(), ([198, 18, 0, 1], 7).into()];
    let stream = Builder::new()
        .session(&session)
        .connect(&addresses[..])
        .expect("the second answers");
    assert_eq!(stream.peer_addr().expect("known"), addresses[1]);
}

#[test]
fn options_and_addresses_travel_in_the_requests() {
    let (daemon, session) = session();
    let stream = Builder::new()
        .session(&session)
        .local(([198, 18, 0, 2], 4000).into())
        .timeout(Duration::from_micros(10))
        .reuse(true)
        .nodelay(true)
        .connect("198.18.0.1:7")
        .expect("connect");
    stream.set_nodelay(false).expect("option");
    let keepalive = KeepAlive {
        idle_s: 10,
        interval_s: 1,
        count: 3,
    };
    stream.set_keepalive(Some(keepalive)).expect("option");
    assert_eq!(stream.keepalive(), Some(keepalive));
    assert!(!stream.nodelay().expect("known"));
    let requests = daemon.requests();
    let Request::Connect(connect) = &requests[0] else {
        panic!("not a connect");
    };
    assert_eq!(connect.local, Some([198, 18, 0, 2].into()));
    assert_eq!((connect.local_port, connect.timeout_ms), (4000, 1));
    assert!(connect.reuse && connect.options.nodelay);
    let Request::SetOptions { options, .. } = &requests[2] else {
        panic!("not an option");
    };
    assert_eq!(
        (options.nodelay, options.keepalive),
        (false, Some(keepalive))
    );
}

#[test]
fn a_full_ring_blocks_a_writer_for_its_timeout_and_a_nonblocking_one_not_at_all() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 9);
    stream
        .set_write_timeout(Some(Duration::from_millis(20)))
        .expect("option");
    let mut written = 0;
    let error = loop {
        match stream.write(&[7; 50_000]) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(
        written,
        fake::RING_MAXIMUM as usize,
        "it grew to its maximum"
    );
    stream.set_nonblocking(true).expect("option");
    assert!(matches!(
        stream.send(&[IoSlice::new(b"x")]),
        Err(SendError::WouldBlock)
    ));
    assert_eq!(stream.write(b"").expect("nothing asked"), 0);
    let zero = stream.set_write_timeout(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_transmit_ring_grows_as_far_as_the_daemon_wants_it_and_asks_for_no_more() {
    let (daemon, session) = session();
    let mut stream = connect(&session, 10);
    stream.set_nonblocking(true).expect("option");
    let mut written = 0;
    while let Ok(len) = stream.write(&[7; 50_000]) {
        written += len;
    }
    assert_eq!(written, fake::RING_MAXIMUM as usize / 4);
    let asked = daemon
        .requests()
        .iter()
        .filter(|request| matches!(request, Request::GrowTransmit { .. }))
        .count();
    // From 16 KiB to 64 KiB.
    assert_eq!(asked, 2);
}

#[test]
fn a_read_waits_for_its_timeout_and_a_nonblocking_one_not_at_all() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 7);
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("option");
    assert_eq!(
        stream.read_timeout().expect("known"),
        Some(Duration::from_millis(20))
    );
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(error.to_string(), "nothing came in time");
    stream.set_nonblocking(true).expect("option");
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.to_string(), "nothing is there yet");
    assert_eq!(stream.read(&mut []).expect("nothing asked"), 0);
}

#[test]
fn peek_leaves_the_bytes_there() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 13);
    let mut first = [0; 4];
    assert_eq!(stream.peek(&mut first).expect("peek"), 4);
    assert_eq!(stream.peek(&mut first).expect("peek"), 4);
    assert_eq!(&first, b"dayt");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    assert_eq!(text, "daytime\n");
}

#[test]
fn a_listener_accepts_blocking_nonblocking_and_for_a_time() {
    let (daemon, session) = session();
    let listener = Builder::new()
        .session(&session)
        .backlog(3)
        .listen("198.18.0.2:0")
        .expect("listen");
    assert_eq!(listener.local_addr().expect("known").port(), 40000);
    listener.set_nonblocking(true).expect("option");
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let error = listener
        .accept_timeout(Duration::from_millis(10))
        .unwrap_err();
    assert!(matches!(error, AcceptError::TimedOut));
    listener.set_nonblocking(false).expect("option");
    let waiting = listener.clone();
    let (sender, accepted) = mpsc::channel();
    thread::spawn(move || sender.send(waiting.accept()));
    // Until the accept waits there.
    wait_for(&daemon, |requests| {
        matches!(
            requests.last(),
            Some(Request::Accept {
                nonblocking: false,
                ..
            })
        ) && requests
            .iter()
            .filter(|r| matches!(r, Request::Accept { .. }))
            .count()
            == 3
    });
    daemon.arrive();
    let (mut stream, peer) = accepted
        .recv_timeout(Duration::from_secs(20))
        .expect("woken")
        .expect("accepted");
    assert_eq!(peer, stream.peer_addr().expect("known"));
    stream.write_all(b"hello").expect("write");
    let mut back = [0; 5];
    stream.read_exact(&mut back).expect("read");
    drop(listener);
    wait_for(&daemon, |requests| {
        requests
            .iter()
            .any(|r| matches!(r, Request::CloseListener { listener: 5 }))
    });
}

fn wait_for(daemon: &FakeDaemon, condition: impl Fn(&[Request]) -> bool) {
    for _ in 0..20_000 {
        if condition(&daemon.requests()) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("did not come: {:?}", daemon.requests());
}

#[test]
fn dropping_closes_and_a_linger_of_zero_resets() {
    let (daemon, session) = session();
    drop(connect(&session, 7));
    let stream = connect(&session, 7);
    stream.set_linger(Some(Duration::ZERO)).expect("option");
    drop(stream);
    let stream = connect(&session, 7);
    stream
        .set_linger(Some(Duration::from_secs(2)))
        .expect("option");
    assert_eq!(
        stream.linger().expect("known"),
        Some(Duration::from_secs(2))
    );
    stream.close().expect("close");
    wait_for(&daemon, |requests| requests.len() == 6);
    let requests = daemon.requests();
    assert!(matches!(
        requests[1],
        Request::Close {
            linger_ms: None,
            ..
        }
    ));
    assert!(matches!(requests[3], Request::Abort { .. }));
    assert!(matches!(
        requests[5],
        Request::Close {
            linger_ms: Some(2000),
            ..
        }
    ));
}

#[test]
fn abort_ends_the_calls_of_other_threads_and_later_calls() {
    let (daemon, session) = session();
    let stream = connect(&session, 9);
    let reader = stream.clone();
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send((&reader).read(&mut [0; 8])));
    stream.abort().expect("abort");
    let read = done.recv_timeout(Duration::from_secs(20)).expect("woken");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::NotConnected);
    assert!(matches!(
        stream.abort(),
        Err(CloseError::NoSuchConnection(_))
    ));
    assert_eq!(
        (&stream).write(b"x").unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    drop(stream);
    // Nothing is closed twice: the daemon would panic. The slot is free for the next.
    let mut next = connect(&session, 7);
    next.write_all(b"x").expect("write");
    next.read_exact(&mut [0]).expect("read");
    assert_eq!(daemon.requests().len(), 3);
}

#[test]
fn status_is_the_whole_of_it() {
    let (_daemon, session) = session();
    assert_eq!(
        connect(&session, 7).status().expect("status"),
        fake::status()
    );
}

#[test]
fn when_the_daemon_dies_every_blocked_call_ends_with_a_clear_error() {
    let (mut daemon, session) = session();
    let listener = Builder::new()
        .session(&session)
        .listen("198.18.0.2:0")
        .expect("listen");
    let stream = connect(&session, 9);
    let mut unread = connect(&session, 13);
    let (sender, results) = mpsc::channel();
    let (reader, writer) = (stream.clone(), stream.clone());
    let for_reader = sender.clone();
    thread::spawn(move || for_reader.send((&reader).read(&mut [0; 8]).map(|_| ())));
    let for_writer = sender.clone();
    thread::spawn(move || for_writer.send((&writer).write_all(&[0; 1 << 20])));
    thread::spawn(move || sender.send(listener.accept().map(|_| ()).map_err(Into::into)));
    wait_for(&daemon, |requests| {
        requests.iter().any(|r| matches!(r, Request::Accept { .. }))
    });
    daemon.kill();
    for _ in 0..3 {
        let result = results
            .recv_timeout(Duration::from_secs(20))
            .expect("woken");
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        assert_eq!(error.to_string(), "tcpd closed the session");
    }
    // What it had delivered is there, and so is its end.
    let mut text = String::new();
    unread.read_to_string(&mut text).expect("read");
    assert_eq!(text, "daytime\n");
    assert_eq!(
        unread.write(b"x").unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
    assert!(session.is_over());
    let error = Builder::new()
        .session(&session)
        .connect("198.18.0.1:7")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn the_daemons_reason_for_ending_a_session_reaches_the_caller() {
    let (_daemon, session) = session();
    let error = Builder::new()
        .session(&session)
        .connect("198.18.0.1:4")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tcpd closed the session: a quota is used up: too much"
    );
}

#[test]
fn control_pings_shows_and_pages_through_tables() {
    let (_daemon, socket) = FakeDaemon::start();
    let mut control = Control::over(socket).expect("a session");
    assert_eq!(control.welcome().daemon_version, "fake");
    let pong = control.ping().expect("pong");
    assert_eq!(pong.uptime, Duration::from_millis(1234));
    assert_eq!(control.show("3.1").expect("status"), fake::status());
    let names: Vec<String> = control
        .stats()
        .map(|row| row.expect("a row").name)
        .collect();
    assert_eq!(names, ["counter-0", "counter-2"]);
}

#[test]
fn without_a_daemon_the_error_names_the_socket() {
    let path = std::env::temp_dir().join(format!("tcpd-nobody-{}.sock", std::process::id()));
    let error = Control::connect_to(&path).unwrap_err();
    assert!(matches!(error, SessionError::DaemonNotThere { .. }));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("tcpd is not running: "));
    let error = Session::open_at(&path).unwrap_err();
    assert!(error.to_string().contains("tcpd-nobody"));
    assert_eq!(error.code(), None::<ErrorCode>);
}

#[test]
fn streams_and_listeners_can_be_sent_between_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<Session>();
}
