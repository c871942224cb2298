//! What listeners and connections being opened show to poll, and to mio.

use std::io::{ErrorKind, Read, Write};

use libtcpclient::protocol::Request;
use libtcpclient::{Builder, OpenError, TcpListener};
use rustix::event::PollFlags;

use super::{BOTH, polled, session, wait_for};

fn accepts(requests: &[Request]) -> usize {
    let accept = |request: &&Request| matches!(request, Request::Accept { .. });
    requests.iter().filter(accept).count()
}

fn listener(session: &libtcpclient::Session) -> TcpListener {
    let builder = Builder::new().session(session);
    builder.listen("198.18.0.2:0").expect("listen")
}

#[test]
fn a_listener_polls_as_readable_exactly_while_a_connection_waits() {
    let (daemon, session) = session();
    let listener = listener(&session);
    listener.set_nonblocking(true).expect("an option");
    assert_eq!(polled(&listener, PollFlags::IN, 0), (false, false));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    for round in 1..=5 {
        // Eight wait at the daemon, each time anew.
        wait_for(&daemon, |requests| accepts(requests) == round * 8);
        daemon.arrive();
        assert_eq!(polled(&listener, PollFlags::IN, 20_000), (true, false));
        for _ in 0..8 {
            polled(&listener, PollFlags::IN, 20_000);
            let (mut stream, _) = listener.accept().expect("it polls as readable");
            stream.write_all(b"hello").expect("write");
            stream.read_exact(&mut [0; 5]).expect("the echo");
        }
        assert_eq!(polled(&listener, PollFlags::IN, 0), (false, false));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_listener_that_polls_can_also_be_waited_for() {
    let (daemon, session) = session();
    let listener = listener(&session);
    listener.readiness().expect("a descriptor");
    let late = listener.accept_timeout(std::time::Duration::from_millis(10));
    assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    let waiting = listener.clone();
    let accepted = std::thread::spawn(move || waiting.accept());
    daemon.arrive();
    accepted.join().expect("no panic").expect("accepted");
}

#[test]
fn connections_that_nobody_asked_for_are_reset_with_the_listener() {
    let (daemon, session) = session();
    let listener = listener(&session);
    listener.readiness().expect("a descriptor");
    wait_for(&daemon, |requests| accepts(requests) == 8);
    daemon.arrive();
    assert_eq!(polled(&listener, PollFlags::IN, 20_000), (true, false));
    let kept = listener.accept().expect("accepted");
    // The question that took its place comes in after the listener is gone.
    drop(listener);
    let aborts = |requests: &[Request]| {
        let abort = |request: &&Request| matches!(request, Request::Abort { .. });
        requests.iter().filter(abort).count()
    };
    wait_for(&daemon, |requests| aborts(requests) == 7);
    daemon.arrive();
    wait_for(&daemon, |requests| aborts(requests) == 8);
    drop(kept);
}

#[test]
fn a_connection_being_opened_polls_when_it_is_open_and_its_descriptor_goes_on() {
    let (daemon, session) = session();
    let builder = Builder::new().session(&session);
    let remote = ([198, 18, 0, 1], 21).into();
    let mut connecting = builder.start_connect(remote).expect("it begins");
    assert_eq!(polled(&connecting, BOTH, 0), (false, false));
    let early = connecting.finish().unwrap_err();
    assert!(matches!(early, OpenError::WouldBlock(_)));
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    let epoll =
        rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).expect("an epoll");
    rustix::event::epoll::add(
        &epoll,
        &connecting,
        rustix::event::epoll::EventData::new_u64(1),
        rustix::event::epoll::EventFlags::IN | rustix::event::epoll::EventFlags::OUT,
    )
    .expect("registered");
    wait_for(&daemon, |requests| requests.len() == 1);
    daemon.arrive();
    assert!(polled(&connecting, PollFlags::OUT, 20_000).1);
    assert_eq!(polled(&connecting, BOTH, 0), (false, true));
    let mut stream = connecting.finish().expect("open");
    assert!(connecting.finish().is_err(), "once");
    drop(connecting);
    // As it was registered.
    let mut events = Vec::with_capacity(4);
    stream.write_all(b"x").expect("write");
    assert_eq!(polled(&stream, PollFlags::IN, 20_000), (true, false));
    rustix::event::epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)
        .expect("an event");
    let flags = events[0].flags;
    assert!(flags.contains(rustix::event::epoll::EventFlags::IN));
    assert_eq!(stream.read(&mut [0; 8]).expect("the echo"), 1);
    assert_eq!(
        stream.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(polled(&stream, BOTH, 0), (false, true));
}

#[test]
fn a_connection_that_fails_polls_as_readable_and_writable() {
    let (_daemon, session) = session();
    let builder = Builder::new().session(&session);
    let mut refused = builder
        .start_connect(([198, 18, 0, 1], 1).into())
        .expect("it begins");
    assert!(polled(&refused, PollFlags::OUT, 20_000).1);
    let error = refused.finish().unwrap_err();
    assert!(matches!(error, OpenError::ConnectionRefused(_)), "{error}");
    assert_eq!(polled(&refused, BOTH, 0), (true, true));
}

#[test]
fn a_connection_being_opened_ends_with_the_session() {
    let (mut daemon, session) = session();
    let builder = Builder::new().session(&session);
    let remote = ([198, 18, 0, 1], 21).into();
    let mut connecting = builder.start_connect(remote).expect("it begins");
    wait_for(&daemon, |requests| requests.len() == 1);
    daemon.kill();
    assert!(polled(&connecting, PollFlags::OUT, 20_000).1);
    assert_eq!(polled(&connecting, BOTH, 0), (true, true));
    assert_eq!(
        connecting.finish().unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
}

#[test]
fn a_connection_that_was_given_up_while_it_was_opened_is_reset() {
    let (daemon, session) = session();
    let builder = Builder::new().session(&session);
    let remote = ([198, 18, 0, 1], 21).into();
    drop(builder.start_connect(remote).expect("it begins"));
    wait_for(&daemon, |requests| requests.len() == 1);
    daemon.arrive();
    wait_for(&daemon, |requests| {
        matches!(requests.last(), Some(Request::Abort { .. }))
    });
}

#[test]
fn a_listener_shows_the_end_of_its_session() {
    let (mut daemon, session) = session();
    let listener = listener(&session);
    listener.set_nonblocking(true).expect("an option");
    assert_eq!(polled(&listener, PollFlags::IN, 0), (false, false));
    daemon.kill();
    assert_eq!(polled(&listener, PollFlags::IN, 20_000), (true, false));
    let error = listener.accept().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

#[cfg(feature = "mio")]
#[test]
fn streams_and_listeners_are_sources_of_mio() {
    use mio::{Events, Interest, Poll, Token};
    let (daemon, session) = session();
    let mut listener = listener(&session);
    let mut poll = Poll::new().expect("a poll");
    let mut events = Events::with_capacity(8);
    poll.registry()
        .register(&mut listener, Token(0), Interest::READABLE)
        .expect("registered");
    let mut connecting = Builder::new()
        .session(&session)
        .start_connect(([198, 18, 0, 1], 21).into())
        .expect("it begins");
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut connecting, Token(1), both)
        .expect("registered");
    wait_for(&daemon, |requests| {
        accepts(requests) == 8 && requests.len() == 10
    });
    daemon.arrive();
    let (mut accepted, mut opened) = (None, None);
    while accepted.is_none() || opened.is_none() {
        poll.poll(&mut events, Some(std::time::Duration::from_secs(20)))
            .expect("events");
        assert!(!events.is_empty(), "nothing comes");
        for event in &events {
            match event.token() {
                Token(0) => accepted = Some(listener.accept().expect("accepted").0),
                _ => opened = Some(connecting.finish().expect("open")),
            }
        }
    }
    let mut stream = accepted.expect("accepted");
    poll.registry()
        .register(&mut stream, Token(2), Interest::READABLE)
        .expect("registered");
    // Non-blocking from then on.
    assert_eq!(
        stream.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut opened = opened.expect("open");
    opened.write_all(b"x").expect("write");
    stream.write_all(b"y").expect("write");
    let mut heard = [false; 2];
    while heard != [true; 2] {
        poll.poll(&mut events, Some(std::time::Duration::from_secs(20)))
            .expect("events");
        assert!(!events.is_empty(), "nothing comes");
        for event in &events {
            match event.token() {
                Token(1) if event.is_readable() => heard[0] = true,
                Token(2) if event.is_readable() => heard[1] = true,
                _ => {}
            }
        }
    }
    poll.registry().deregister(&mut stream).expect("registered");
}
