//! The session that is used where none is given: found by `$TCPD_SOCKET`, opened anew when the
//! daemon was restarted.
#![cfg(not(loom))]

#[path = "support/raw.rs"]
mod raw;

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use libtcpclient::protocol::{ErrorCode, Event};
use libtcpclient::protocol::{Failure, Reply, Request};
use libtcpclient::shm::{Arena, Layout};
use libtcpclient::socket::{Bell, SeqpacketListener};
use libtcpclient::{ListenError, Session, TcpListener};

/// Serves one client: answers its Listen, and dies when it asks again.
fn serve_once(listener: &SeqpacketListener) {
    let socket = listener.accept().expect("a client");
    assert_eq!(
        socket.peer_credentials().expect("credentials").pid,
        std::process::id()
    );
    let layout = Layout::new(1, 4, 65536).expect("a layout");
    let arena = Arena::create(layout).expect("an arena");
    let (_bell, for_client) = Bell::pair().expect("a bell");
    raw::answer_hello(
        &socket,
        raw::welcome(),
        &[arena.as_fd(), for_client.as_fd()],
    );
    let (number, request) = raw::next_request(&socket).expect("Listen");
    assert!(matches!(request, Request::Listen(_)));
    let reply = Reply::Listening {
        listener: 1,
        local: ([198, 18, 0, 2], 7).into(),
    };
    socket.send(&reply.encode(number)).expect("send");
    raw::next_request(&socket).expect("the second Listen");
    let reason = Failure {
        code: ErrorCode::Draining,
        detail: String::new(),
    };
    socket
        .send(&Event::SessionEnding(reason).encode())
        .expect("send");
}

#[test]
fn the_default_session_outlives_a_restart_of_the_daemon() {
    let path = std::env::temp_dir().join(format!("tcpd-default-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    // SAFETY: no other thread of this process reads the environment now: this is its only test.
    unsafe { std::env::set_var("TCPD_SOCKET", &path) };
    let error = TcpListener::bind("198.18.0.2:7").expect_err("nobody is there");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);

    let listener = SeqpacketListener::bind(&path).expect("bind");
    let daemon = thread::spawn(move || {
        serve_once(&listener);
        serve_once(&listener);
    });
    for _ in 0..2 {
        let first = TcpListener::bind("198.18.0.2:7").expect("listen");
        assert!(!first.session().is_over());
        let error = TcpListener::bind("198.18.0.2:8").expect_err("it died");
        assert!(matches!(error, ListenError::Session(_)));
        assert_eq!(
            error.to_string(),
            "tcpd closed the session: the daemon is stopping and takes nothing new"
        );
        assert!(first.session().is_over());
    }
    daemon.join().expect("daemon");
    std::fs::remove_file(&path).expect("the socket");
    assert!(Session::default_session().is_err());
    waits_as_the_environment_says(&path);
}

fn waits_as_the_environment_says(path: &Path) {
    for wrong in ["soon", "-1", "1s", "nan", "inf"] {
        // SAFETY: as above: the daemon's thread has ended.
        unsafe { std::env::set_var("TCPD_WAIT", wrong) };
        let error = Session::default_session().expect_err("not a number");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("TCPD_WAIT"), "{error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
    // SAFETY: as above.
    unsafe { std::env::set_var("TCPD_WAIT", "") };
    assert!(Session::default_session().is_err(), "nobody is there");
    // SAFETY: as above.
    unsafe { std::env::set_var("TCPD_WAIT", "20.5") };
    let at = path.to_owned();
    let daemon = thread::spawn(move || {
        let listener = SeqpacketListener::bind(&at).expect("bind");
        // The first client finds a daemon that dies.
        drop(listener.accept().expect("a client"));
        serve_once(&listener);
    });
    let listener = TcpListener::bind("198.18.0.2:7").expect("it waited");
    drop(TcpListener::bind("198.18.0.2:8"));
    drop(listener);
    daemon.join().expect("daemon");
    std::fs::remove_file(path).expect("the socket");
}
