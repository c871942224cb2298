//! A forked child does not share its parent's session: its calls are errors, the parent's go on.
#![cfg(not(loom))]

#[path = "support/raw.rs"]
mod raw;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use libtcpclient::protocol::{Opened, Reply, Request};
use libtcpclient::shm::{Arena, DaemonSlot, Geometry, Layout, SlotState, StartPositions};
use libtcpclient::socket::{Bell, Seqpacket};
use libtcpclient::{Builder, Session, SessionError, TcpListener, TcpStream};

#[test]
fn a_forked_child_gets_errors_and_its_parent_notices_nothing() {
    let (session, socket, slot, _bell) = session();
    let stream = connect(&session, &socket);
    let listener = listen(&session, &socket);
    // Eight accepts are asked for ahead, and a lock or two are used.
    listener.readiness().expect("a descriptor");
    let child = fork(|| {
        // Every call is an error, nothing crashes, nothing is sent.
        let read = (&stream).read(&mut [0; 8]).map_err(|e| e.kind());
        let write = (&stream).write(b"from the child").map_err(|e| e.kind());
        let status = stream.status().map_err(|e| e.kind());
        let shutdown = stream.shutdown(std::net::Shutdown::Both);
        let again = Builder::new().session(&session).connect("198.18.0.1:7");
        let refused = Err(ErrorKind::Unsupported);
        if read != refused || write != refused || status.err() != refused.err() {
            return 1;
        }
        if shutdown.is_ok() || !session.is_over() {
            return 2;
        }
        if !matches!(
            again,
            Err(libtcpclient::OpenError::Session(SessionError::Forked))
        ) {
            return 3;
        }
        // Its own default session is another one: it tries to open it, and nobody is there.
        if !matches!(
            Session::default_session(),
            Err(SessionError::DaemonNotThere { .. })
        ) {
            return 4;
        }
        drop(stream.clone());
        let accepted = listener.accept().map(|_| ()).map_err(|e| e.kind());
        if accepted.err() != refused.err() || listener.readiness().is_ok() {
            return 5;
        }
        let opening = Builder::new().session(&session);
        if opening.start_connect(([198, 18, 0, 1], 7).into()).is_ok() {
            return 6;
        }
        if stream.clone().into_handoff().is_ok() {
            return 7;
        }
        drop(listener.clone());
        0
    });
    assert_eq!(child, 0, "what the child found, by its exit status");
    // The child dropped nothing of ours, sent nothing, wrote nothing.
    assert_eq!(slot.take_written(0, 0, 65536), Ok(0));
    (&stream).write_all(b"from the parent").expect("write");
    assert_eq!(slot.take_written(0, 0, 65536), Ok(15));
    assert!(!session.is_over());
    drop(stream);
    for _ in 0..8 {
        let (_, request) = raw::next_request(&socket).expect("a request");
        assert!(matches!(request, Request::Accept { .. }), "{request:?}");
    }
    let (_, request) = raw::next_request(&socket).expect("a request");
    assert!(matches!(request, Request::Close { .. }), "{request:?}");
    drop(listener);
    let (_, request) = raw::next_request(&socket).expect("a request");
    assert!(
        matches!(request, Request::CloseListener { listener: 3 }),
        "{request:?}"
    );
}

/// Runs `f` in a forked child; its exit status.
fn fork(f: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs only `f` and leaves by `_exit`. It allocates, which glibc
    // makes safe after a fork of a threaded process; the locks it takes are not held by another thread here.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(101);
        // SAFETY: ends the child here and now, without the harness's destructors.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child; `status` is ours.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(waited, pid);
    assert!(libc::WIFEXITED(status), "the child was killed: {status:#x}");
    libc::WEXITSTATUS(status)
}

fn session() -> (Session, Seqpacket, DaemonSlot, Bell) {
    // The child must find nobody at the default place.
    // SAFETY: no other thread of this process reads the environment now: this is its only test.
    unsafe { std::env::set_var("TCPD_SOCKET", "/nonexistent/tcpd.sock") };
    let (ours, theirs) = Seqpacket::pair().expect("a socketpair");
    let layout = Layout::new(1, 4, 65536).expect("a layout");
    let arena = Arc::new(Arena::create(layout).expect("an arena"));
    let (bell, for_client) = Bell::pair().expect("a bell");
    let opening = thread::spawn(move || Session::over(theirs, None).expect("a session"));
    raw::answer_hello(&ours, raw::welcome(), &[arena.as_fd(), for_client.as_fd()]);
    let session = opening.join().expect("opened");
    let slot = DaemonSlot::new(arena, 0, 0);
    let geometry = Geometry {
        capacity: 65536,
        base: 0,
    };
    slot.open(StartPositions {
        receive_read: 0,
        receive_write: 0,
        transmit_acknowledged: 0,
        transmit_write: 0,
        receive: geometry,
        transmit: geometry,
        state: SlotState::CONNECTED,
    });
    (session, ours, slot, bell)
}

fn listen(session: &Session, socket: &Seqpacket) -> TcpListener {
    let builder = Builder::new().session(session);
    let call = thread::spawn(move || builder.listen("198.18.0.2:7"));
    let (number, _) = raw::next_request(socket).expect("a request");
    let reply = Reply::Listening {
        listener: 3,
        local: ([198, 18, 0, 2], 7).into(),
    };
    socket.send(&reply.encode(number)).expect("send");
    call.join().expect("no panic").expect("a listener")
}

fn connect(session: &Session, socket: &Seqpacket) -> TcpStream {
    let builder = Builder::new().session(session);
    let call = thread::spawn(move || builder.connect("198.18.0.1:7"));
    let (number, _) = raw::next_request(socket).expect("a request");
    let reply = Reply::Connected(Opened {
        connection: 1,
        slot: 0,
        stack_thread: 0,
        local: ([198, 18, 0, 2], 40000).into(),
        remote: ([198, 18, 0, 1], 7).into(),
        receive_maximum: 65536,
        transmit_maximum: 65536,
    });
    socket.send(&reply.encode(number)).expect("send");
    call.join().expect("no panic").expect("a stream")
}
