//! A daemon that lies: every lie is a clear error, no panic, no hang, no touch outside the arena.
#![cfg(not(loom))]

#[path = "support/raw.rs"]
mod raw;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtcpclient::protocol::{ErrorCode, Opened, Reply, Request, Welcome};
use libtcpclient::shm::{
    Arena, DaemonSlot, Direction, Geometry, Layout, SharedRing, SlotState, StartPositions,
};
use libtcpclient::socket::{Bell, Seqpacket};
use libtcpclient::{Builder, Control, Session, SessionError, TcpStream};
use proptest::prelude::*;

/// Opens a session with a daemon that is `daemon`; fails rather than hangs.
fn open(daemon: impl FnOnce(Seqpacket) + Send + 'static) -> Result<Session, SessionError> {
    let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
    thread::spawn(move || daemon(ours));
    within(move || Session::over(theirs, None))
}

fn within<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(f()));
    receiver
        .recv_timeout(Duration::from_secs(20))
        .expect("neither hangs nor panics")
}

/// What is wrong with a Welcome and the descriptors that came with it.
fn refused_welcome(
    change: impl FnOnce(&mut Welcome) + Send + 'static,
    fds: impl FnOnce() -> Vec<OwnedFd> + Send + 'static,
) -> String {
    let result = open(move |socket| {
        let mut welcome = raw::welcome();
        change(&mut welcome);
        let fds = fds();
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        raw::answer_hello(&socket, welcome, &fds);
        // Until the client has seen enough.
        raw::next_request(&socket);
    });
    let error = result.expect_err("a lie");
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    error.to_string()
}

fn layout() -> Layout {
    let welcome = raw::welcome();
    Layout::new(welcome.stack_threads, welcome.slots, welcome.ring_maximum).expect("a layout")
}

fn memory() -> OwnedFd {
    let arena = Arena::create(layout()).expect("an arena");
    arena.as_fd().try_clone_to_owned().expect("dup")
}

fn bell() -> OwnedFd {
    Bell::pair().expect("a bell").0.into()
}

fn null() -> OwnedFd {
    std::fs::File::open("/dev/null").expect("/dev/null").into()
}

#[test]
fn a_welcome_that_does_not_fit_is_refused() {
    let cases = [
        refused_welcome(|w| w.version = 9, || vec![memory(), bell()]),
        refused_welcome(|w| w.slots = 0, || vec![memory(), bell()]),
        refused_welcome(|w| w.slots = u32::MAX, || vec![memory(), bell()]),
        refused_welcome(|w| w.ring_maximum = 12345, || vec![memory(), bell()]),
        refused_welcome(|w| w.ring_maximum = 1 << 20, || vec![memory(), bell()]),
        refused_welcome(|w| w.stack_threads = 0, || vec![memory()]),
        refused_welcome(|w| w.stack_threads = 2, || vec![memory(), bell()]),
        refused_welcome(|_| {}, Vec::new),
        refused_welcome(|_| {}, || vec![memory()]),
        refused_welcome(|_| {}, || vec![memory(), bell(), bell()]),
        refused_welcome(|_| {}, || vec![bell(), memory()]),
        refused_welcome(|_| {}, || vec![null(), bell()]),
        refused_welcome(|_| {}, || vec![memory(), null()]),
    ];
    for message in cases {
        assert!(
            message.starts_with("tcpd broke the protocol: "),
            "{message}"
        );
    }
}

#[test]
fn hello_answered_by_nonsense_or_nothing_is_an_error() {
    let error = open(drop).expect_err("closed");
    assert!(matches!(error, SessionError::DaemonGone { reason: None }));
    let error = open(|socket| {
        raw::next_request(&socket);
        socket.send(b"\x01\x80garbage").expect("send");
    })
    .expect_err("garbage");
    assert!(matches!(error, SessionError::BadMessage(_)));
    let error = open(|socket| {
        let (number, _) = raw::next_request(&socket).expect("Hello");
        socket.send(&Reply::Done.encode(number)).expect("send");
    })
    .expect_err("another kind");
    assert!(matches!(error, SessionError::BadDaemon(_)));
    let error = open(|socket| {
        let (number, _) = raw::next_request(&socket).expect("Hello");
        let reply = Reply::error(ErrorCode::VersionMismatch, "daemon 2, client 1");
        socket.send(&reply.encode(number)).expect("send");
    })
    .expect_err("a refusal");
    assert_eq!(error.code(), Some(ErrorCode::VersionMismatch));
    assert_eq!(
        error.to_string(),
        "daemon and client speak different versions: daemon 2, client 1"
    );
}

/// A session that works, and the daemon's end of it.
fn session() -> (Session, Seqpacket, Arc<Arena>, Bell) {
    let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
    let arena = Arc::new(Arena::create(layout()).expect("an arena"));
    let (bell, for_client) = Bell::pair().expect("a bell");
    let opening = thread::spawn(move || Session::over(theirs, None).expect("a session"));
    raw::answer_hello(&ours, raw::welcome(), &[arena.as_fd(), for_client.as_fd()]);
    (opening.join().expect("opened"), ours, arena, bell)
}

/// What a call fails with when its request is answered by these bytes.
fn connect_answered_by(reply: impl FnOnce(u32) -> Vec<u8>) -> std::io::Error {
    let (session, socket, _arena, _bell) = session();
    let call = connecting(&session);
    let (number, _) = raw::next_request(&socket).expect("a request");
    socket.send(&reply(number)).expect("send");
    call.recv_timeout(Duration::from_secs(20))
        .expect("neither hangs nor panics")
        .expect_err("a lie")
}

fn connecting(session: &Session) -> mpsc::Receiver<std::io::Result<TcpStream>> {
    let (sender, receiver) = mpsc::channel();
    let builder = Builder::new().session(session);
    thread::spawn(move || sender.send(builder.connect("198.18.0.1:7").map_err(Into::into)));
    receiver
}

fn opened(slot: u32, stack_thread: u16) -> Opened {
    Opened {
        connection: 1,
        slot,
        stack_thread,
        local: ([198, 18, 0, 2], 40000).into(),
        remote: ([198, 18, 0, 1], 7).into(),
        receive_maximum: 65536,
        transmit_maximum: 65536,
    }
}

#[test]
fn an_answer_that_makes_no_sense_ends_the_call_with_an_error() {
    let answers: [(&str, Vec<u8>); 5] = [
        ("not the number", Reply::Done.encode(12345)),
        ("garbage", b"garbage that is long enough".to_vec()),
        ("too short", vec![1, 2, 3]),
        ("a request", Request::Ping.encode(2)),
        ("unknown event", vec![0xff, 0xff, 0, 0, 0, 0, 0, 0]),
    ];
    for (what, answer) in answers {
        let error = connect_answered_by(|_| answer);
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}: {error}");
    }
    let other_kind = connect_answered_by(|number| Reply::Done.encode(number));
    assert_eq!(other_kind.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_slot_that_is_not_there_is_refused() {
    for (slot, thread) in [(4, 0), (u32::MAX, 0), (0, 1), (0, u16::MAX)] {
        let error =
            connect_answered_by(|number| Reply::Connected(opened(slot, thread)).encode(number));
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    }
    // A header of zeros: rings of one byte.
    let error = connect_answered_by(|number| Reply::Connected(opened(0, 0)).encode(number));
    assert!(error.to_string().contains("geometry"), "{error}");
}

#[test]
fn a_descriptor_that_was_not_announced_ends_the_session_and_so_does_one_that_is_missing() {
    let null = null();
    for (reply, descriptors) in [
        (Reply::Done, vec![null.as_fd()]),
        (Reply::Stream, vec![]),
        (Reply::Stream, vec![null.as_fd(), null.as_fd()]),
    ] {
        let (session, socket, _arena, _bell) = session();
        let call = connecting(&session);
        let (number, _) = raw::next_request(&socket).expect("a request");
        socket
            .try_send_with_fds(&reply.encode(number), &descriptors)
            .expect("send");
        let error = call
            .recv_timeout(Duration::from_secs(20))
            .expect("neither hangs nor panics")
            .expect_err("a lie");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{reply:?}: {error}");
        assert!(session.is_over());
    }
}

#[test]
fn an_empty_message_ends_the_session() {
    let (session, socket, _arena, _bell) = session();
    let call = connecting(&session);
    raw::next_request(&socket).expect("a request");
    rustix::net::send(&socket, b"", rustix::net::SendFlags::NOSIGNAL).expect("send");
    let error = call
        .recv_timeout(Duration::from_secs(20))
        .expect("no hang")
        .expect_err("the session is over");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_closed_doorbell_ends_the_session_and_not_in_a_hang() {
    let (session, socket, arena, bell) = session();
    let (slot, mut stream) = stream(&session, &socket, &arena);
    drop(bell);
    assert!(arena.doorbells(0).to_daemon.prepare_sleep());
    // The session's thread notices by itself, or this does when it rings.
    let _ = stream.write_all(b"x");
    let error = within(move || stream.read(&mut [0; 8])).expect_err("the session is over");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    drop(slot);
}

const START: Geometry = Geometry {
    capacity: 65536,
    base: 0,
};

/// A connection on slot 2, honest so far.
fn stream(session: &Session, socket: &Seqpacket, arena: &Arc<Arena>) -> (DaemonSlot, TcpStream) {
    let slot = DaemonSlot::new(arena.clone(), 2, 0);
    slot.open(StartPositions {
        receive_read: 0,
        receive_write: 0,
        transmit_acknowledged: 0,
        transmit_write: 0,
        receive: START,
        transmit: START,
        state: SlotState::CONNECTED,
    });
    let call = connecting(session);
    let (number, _) = raw::next_request(socket).expect("a request");
    let reply = Reply::Connected(opened(2, 0));
    socket.send(&reply.encode(number)).expect("send");
    let stream = call
        .recv_timeout(Duration::from_secs(20))
        .expect("no hang")
        .expect("a stream");
    (slot, stream)
}

#[test]
fn a_slot_in_use_is_not_given_twice() {
    let (session, socket, arena, _bell) = session();
    let (_slot, mut stream) = stream(&session, &socket, &arena);
    let call = connecting(&session);
    let (number, _) = raw::next_request(&socket).expect("a request");
    let reply = Reply::Connected(opened(2, 0));
    socket.send(&reply.encode(number)).expect("send");
    let error = call.recv().expect("no hang").expect_err("a lie");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let error = stream.read(&mut [0; 8]).expect_err("the session is over");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn received_beyond_the_ring_is_an_error() {
    for position in [65537, u64::MAX, 1 << 63] {
        let (session, socket, arena, _bell) = session();
        let (slot, mut stream) = stream(&session, &socket, &arena);
        slot.publish_received(position);
        let error = within(move || stream.read(&mut [0; 128])).expect_err("a lie");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{position}: {error}");
    }
}

#[test]
fn acknowledged_beyond_what_was_written_is_an_error() {
    for position in [u64::MAX, 70_000, 1 << 40] {
        let (session, socket, arena, _bell) = session();
        let (slot, mut stream) = stream(&session, &socket, &arena);
        slot.publish_acknowledged(position);
        let error = within(move || stream.write_all(&[1; 200_000])).expect_err("a lie");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{position}: {error}");
    }
}

#[test]
fn an_end_for_no_reason_is_an_error_and_not_a_hang() {
    let (session, socket, arena, _bell) = session();
    let (slot, mut stream) = stream(&session, &socket, &arena);
    slot.publish_state(SlotState::ENDED, None);
    let error = within(move || stream.read(&mut [0; 8])).expect_err("a lie");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every word of the slot header at random, then reads and writes: whatever they give, they end,
    /// and no byte outside this slot's rings has changed.
    #[test]
    fn random_words_in_a_slot_never_reach_outside_its_rings(
        words in proptest::collection::vec(prop_oneof![any::<u64>(), 0u64..200_000, (0u64..40).prop_map(|b| 1 << b)], 5),
        state in any::<u32>(),
    ) {
        let (session, socket, arena, _bell) = session();
        let (slot, stream) = stream(&session, &socket, &arena);
        let guards: Vec<SharedRing> = [(1, Direction::Receive), (3, Direction::Transmit)]
            .into_iter()
            .map(|(slot, direction)| {
                SharedRing::new(arena.clone(), slot, direction, 65536, 0).expect("fits")
            })
            .collect();
        for guard in &guards {
            guard.copy_in(0, &[0x5a; 65536]);
        }
        use std::sync::atomic::Ordering::SeqCst;
        let header = arena.header(slot.slot());
        header.receive_daemon.geometry.store(words[0], SeqCst);
        header.receive_daemon.write.store(words[1], SeqCst);
        header.receive_daemon.notify.store(words[2], SeqCst);
        header.transmit_daemon.acknowledged.store(words[3], SeqCst);
        header.transmit_daemon.geometry.store(words[4], SeqCst);
        header.receive_daemon.state.store(state, SeqCst);
        header.receive_daemon.end_reason.store(state >> 3, SeqCst);
        stream.set_nonblocking(true).expect("option");
        let mut buffer = vec![0; 100_000];
        for _ in 0..4 {
            let _ = (&stream).read(&mut buffer);
            let _ = (&stream).write(&buffer);
        }
        for guard in &guards {
            let mut bytes = vec![0; 65536];
            guard.copy_out(0, &mut bytes);
            prop_assert!(bytes.iter().all(|&byte| byte == 0x5a));
        }
    }

    /// Any bytes instead of an answer: the call ends with an error.
    #[test]
    fn random_answers_end_a_control_call(answer in proptest::collection::vec(any::<u8>(), 1..64)) {
        let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
        let daemon = thread::spawn(move || {
            let mut welcome = raw::welcome();
            (welcome.stack_threads, welcome.slots, welcome.ring_maximum) = (0, 0, 0);
            raw::answer_hello(&ours, welcome, &[]);
            raw::next_request(&ours).expect("Ping");
            ours.send(&answer).expect("send");
        });
        let mut control = Control::over(theirs).expect("a session");
        prop_assert!(control.ping().is_err());
        daemon.join().expect("daemon");
    }
}

#[test]
fn a_table_that_goes_in_circles_is_an_error() {
    let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
    thread::spawn(move || {
        let mut welcome = raw::welcome();
        (welcome.stack_threads, welcome.slots, welcome.ring_maximum) = (0, 0, 0);
        raw::answer_hello(&ours, welcome, &[]);
        while let Some((number, _)) = raw::next_request(&ours) {
            let mut page = libtcpclient::protocol::Page::new();
            page.next = 5;
            ours.send(&Reply::Rows(page).encode(number)).expect("send");
        }
    });
    let rows = within(move || {
        let mut control = Control::over(theirs).expect("a session");
        control.stats().collect::<Result<Vec<_>, _>>()
    });
    assert!(matches!(rows, Err(SessionError::BadDaemon(_))));
}
