//! Streams that are given to another process, as far as the library is concerned.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtcpclient::protocol::Request;
use libtcpclient::{Builder, Handoff, HandoffError, OpenError, TcpStream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{connect, session, wait_for};

/// Over whatever channel there is.
fn sent(handoff: Handoff) -> Handoff {
    let text = serde_json::to_string(&handoff).expect("it can be written");
    serde_json::from_str(&text).expect("and read")
}

#[test]
fn a_stream_that_was_handed_off_goes_on_where_it_was() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 7);
    stream.write_all(b"before the hand-off").expect("write");
    let mut word = [0; 7];
    stream.read_exact(&mut word).expect("the echo");
    stream.set_nodelay(true).expect("an option");
    stream
        .set_linger(Some(Duration::from_secs(1)))
        .expect("an option");
    let patience = Some(Duration::from_secs(17));
    stream.set_read_timeout(patience).expect("an option");
    let handoff = stream.into_handoff().expect("handed off");
    assert_eq!(handoff.peer_addr().port(), 7);
    assert_eq!(handoff.life(), Duration::from_secs(10));
    let mut adopted = Builder::new()
        .session(&session)
        .adopt(sent(handoff))
        .expect("adopted");
    let mut rest = [0; 12];
    adopted.read_exact(&mut rest).expect("what was unread");
    assert_eq!(&rest, b"the hand-off");
    adopted.write_all(b"and after").expect("write");
    let mut after = [0; 9];
    adopted.read_exact(&mut after).expect("the echo");
    assert_eq!(&after, b"and after");
    assert!(adopted.nodelay().expect("an option"));
    assert_eq!(adopted.read_timeout().expect("an option"), patience);
    assert_eq!(
        adopted.linger().expect("an option"),
        Some(Duration::from_secs(1))
    );
}

#[test]
fn the_clones_of_a_stream_that_was_handed_off_say_that_it_does_not_exist() {
    let (_daemon, session) = session();
    let stream = connect(&session, 9);
    stream.readiness().expect("a descriptor");
    let clone = stream.clone();
    let reader = stream.clone();
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send((&reader).read(&mut [0; 8])));
    let _handoff = stream.into_handoff().expect("handed off");
    let read = done.recv_timeout(Duration::from_secs(20)).expect("woken");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::NotConnected);
    let written = (&clone).write(b"x").unwrap_err();
    assert_eq!(written.kind(), ErrorKind::NotConnected);
    let again = clone.into_handoff().expect_err("it is gone");
    assert!(
        matches!(again, HandoffError::NoSuchConnection(_)),
        "{again}"
    );
}

#[test]
fn a_refused_hand_off_leaves_the_stream_as_it_was() {
    let (daemon, session) = session();
    let stream = connect(&session, 7);
    stream.readiness().expect("a descriptor");
    let mut kept = stream.clone();
    let error = stream.into_handoff_for(99).expect_err("refused");
    assert!(matches!(error, HandoffError::QuotaExceeded(_)), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::QuotaExceeded);
    for _ in 0..100 {
        kept.write_all(b"still here").expect("write");
        // The session's thread still knows who polls there.
        let mut fds = [PollFd::new(&kept, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut fds, Some(&limit)).expect("poll"), 1);
        let mut back = [0; 10];
        kept.read_exact(&mut back).expect("the echo");
    }
    drop(kept);
    wait_for(&daemon, |requests| {
        matches!(requests.last(), Some(Request::Close { .. }))
    });
}

#[test]
fn a_token_is_good_once_and_does_not_show() {
    let (_daemon, session) = session();
    let handoff = connect(&session, 7).into_handoff().expect("handed off");
    let copy = sent(sent_copy(&handoff));
    let shown = format!("{handoff:?}");
    assert!(
        !shown.contains("token") && shown.contains("198.18.0.1"),
        "{shown}"
    );
    let builder = Builder::new().session(&session);
    let _stream: TcpStream = builder.adopt(handoff).expect("adopted");
    let error = builder.adopt(copy).expect_err("it was used");
    assert!(matches!(error, OpenError::BadToken(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

fn sent_copy(handoff: &Handoff) -> Handoff {
    let text = serde_json::to_string(handoff).expect("it can be written");
    serde_json::from_str(&text).expect("and read")
}

#[test]
fn what_was_shut_stays_shut() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 7);
    stream.write_all(b"all").expect("write");
    stream.shutdown(Shutdown::Write).expect("shutdown");
    let handoff = stream.into_handoff().expect("handed off");
    let builder = Builder::new().session(&session);
    let mut adopted = builder.adopt(sent(handoff)).expect("adopted");
    assert_eq!(
        adopted.write(b"more").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    let mut text = String::new();
    adopted.read_to_string(&mut text).expect("to the end");
    assert_eq!(text, "all");
}

#[test]
fn bytes_that_are_no_handoff_are_an_error() {
    for text in ["", "{}", "[1,2,3]", r#"{"token":[1,2,3]}"#] {
        assert!(serde_json::from_str::<Handoff>(text).is_err(), "{text}");
    }
}
