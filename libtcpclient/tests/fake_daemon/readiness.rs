//! What a stream's descriptor shows to poll.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use rustix::event::PollFlags;

use super::{BOTH, connect, pattern, polled, session, within};

#[test]
fn a_stream_polls_as_readable_and_writable_exactly_when_it_is() {
    let (_daemon, session) = session();
    let mut stream = connect(&session, 7);
    stream.set_nonblocking(true).expect("option");
    assert_eq!(polled(&stream, BOTH, 0), (false, true));
    for _ in 0..200 {
        stream.write_all(b"ping").expect("write");
        assert_eq!(polled(&stream, PollFlags::IN, 20_000), (true, false));
        let mut got = 0;
        while got < 4 {
            polled(&stream, PollFlags::IN, 20_000);
            got += stream.read(&mut [0; 3]).expect("it polls as readable");
        }
        assert_eq!(polled(&stream, BOTH, 0), (false, true));
    }
    stream.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(polled(&stream, PollFlags::IN, 20_000), (true, false));
    assert_eq!(stream.read(&mut [0; 8]).expect("the end"), 0);
}

#[test]
fn a_full_stream_polls_as_writable_when_there_is_room_again() {
    let (_daemon, session) = session();
    within("the echo", move || {
        let stream = connect(&session, 7);
        stream.set_nonblocking(true).expect("option");
        stream.readiness().expect("a descriptor");
        // Nothing is read, so everything fills up, several times.
        const TOTAL: usize = 3 << 20;
        let (mut sent, mut got, mut waits) = (0, 0, 0);
        let mut buffer = vec![0; 100_000];
        while got < TOTAL {
            let bytes: Vec<u8> = (sent..TOTAL.min(sent + 50_000)).map(pattern).collect();
            match (&stream).write(&bytes) {
                Ok(len) => sent += len,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    waits += 1;
                    let (readable, writable) = polled(&stream, BOTH, 20_000);
                    assert!(readable || writable, "stuck at {sent} and {got}");
                    if writable {
                        continue;
                    }
                }
            }
            if sent < TOTAL && !polled(&stream, PollFlags::IN, 0).0 {
                continue;
            }
            polled(&stream, PollFlags::IN, 20_000);
            let len = (&stream).read(&mut buffer).expect("it polls as readable");
            for byte in &buffer[..len] {
                assert_eq!(*byte, pattern(got));
                got += 1;
            }
        }
        assert!(waits > 0, "it never was full");
    });
}

#[test]
fn every_end_shows_in_poll() {
    let (mut daemon, session) = session();
    let reset = connect(&session, 19);
    assert_eq!(polled(&reset, BOTH, 20_000), (true, true));
    let aborted = connect(&session, 9);
    assert_eq!(polled(&aborted, BOTH, 0), (false, true));
    aborted.abort().expect("abort");
    assert_eq!(polled(&aborted, BOTH, 0), (true, true));
    let shut = connect(&session, 9);
    assert_eq!(polled(&shut, BOTH, 0), (false, true));
    shut.shutdown(Shutdown::Read).expect("shutdown");
    assert_eq!(polled(&shut, BOTH, 0), (true, true));
    let left = connect(&session, 9);
    assert_eq!(polled(&left, BOTH, 0), (false, true));
    daemon.kill();
    assert_eq!(polled(&left, PollFlags::IN, 20_000), (true, false));
    assert_eq!(
        (&left).read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
    assert!(session.is_over());
}
