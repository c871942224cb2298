//! What programs see when a connection does not come about or ends: refused, reset, timed out and end of file are four things
//! (RFC 9293 §3.9.1, §3.10.7; MUST-12), for a program of tcpd's and for one of the kernel's, whoever has opened the connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as KernelStream};
use std::time::Duration;

use libtcpclient::protocol::{EndReason, KeepAlive};
use libtcpclient::{Builder, OpenError, TcpStream};

use crate::common::daemon::{Daemon, HOST_V4, HOST_V6, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::far::{Far, Way, far};
use crate::common::namespace::in_namespace;
use crate::common::pair::{
    accept, connect, connect_with, connected, kernel_connects, ours, patient,
};

/// What can be read until there is no more, and why there is no more; `None` is the end of file.
fn heard(stream: &mut impl Read) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end.err().map(|error| error.kind()))
}

/// Writes until that fails.
fn refused_words(stream: &mut impl Write) -> ErrorKind {
    wait_for("end of writing", 20, || {
        stream.write(b"anybody?").err().map(|error| error.kind())
    })
}

/// A test for a connection that tcpd has opened, and for one that the kernel has.
fn both_ways(test: impl Fn(TcpStream, KernelStream)) {
    let daemon = Daemon::start("");
    let session = daemon.session();
    for (ours, theirs) in [connect(&session), accept(&session)] {
        test(ours, theirs);
    }
}

/// What the program is told afterwards: the reason stays.
fn over(stream: &mut TcpStream, reason: EndReason) {
    let kind = reason.kind().expect("it is an error");
    for _ in 0..2 {
        assert_eq!(heard(stream), (Vec::new(), Some(kind)));
        assert_eq!(refused_words(stream), kind);
    }
    let status = stream.status().expect("it is still ours");
    assert_eq!(status.end.as_deref(), Some(reason.name()));
    let error = stream.take_error().expect("no fork").expect("an error");
    assert_eq!(error.kind(), kind);
    assert_eq!(error.to_string(), reason.sentence());
}

/// RFC 9293 §3.10.7.1, §3.10.7.3: a reset for our SYN is "connection refused".
#[test]
fn a_closed_port_refuses_both_ways() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        for (host, stack) in [(HOST_V4, STACK_V4), (HOST_V6, STACK_V6)] {
            let at = |address: &str| SocketAddr::new(address.parse().expect("an address"), 4711);
            let error = Builder::new().session(&session).connect(at(host));
            let error = error.expect_err("nobody listens");
            assert!(matches!(error, OpenError::ConnectionRefused(_)), "{error}");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let error = KernelStream::connect(at(stack)).expect_err("nobody listens");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

/// RFC 9293 §3.10.7.4 MUST-12, SHLD-2: the bytes that came before it can be read, then it is a reset and not the end.
#[test]
fn a_reset_by_the_kernel_is_a_reset_after_the_bytes_before_it() {
    in_namespace(|| {
        both_ways(|mut ours, mut theirs| {
            theirs.write_all(b"last words").expect("send");
            rustix::net::sockopt::set_socket_linger(&theirs, Some(Duration::ZERO)).expect("linger");
            drop(theirs);
            let (words, end) = heard(&mut ours);
            assert_eq!(
                (&words[..], end),
                (&b"last words"[..], Some(ErrorKind::ConnectionReset))
            );
            over(&mut ours, EndReason::Reset);
        });
    });
}

/// RFC 9293 §3.10.5.
#[test]
fn an_abort_by_our_program_is_a_reset_for_the_kernel() {
    in_namespace(|| {
        both_ways(|mut ours, mut theirs| {
            ours.write_all(b"last words").expect("send");
            let mut words = [0; 10];
            theirs.read_exact(&mut words).expect("receive");
            ours.abort().expect("abort");
            assert_eq!(
                heard(&mut theirs),
                (Vec::new(), Some(ErrorKind::ConnectionReset))
            );
            assert_eq!(refused_words(&mut theirs), ErrorKind::BrokenPipe);
        });
    });
}

/// RFC 9293 §3.10.4 SHLD-3 (RFC 2525 §2.17): who closes with unread data has lost it, and says so.
#[test]
fn a_close_with_unread_data_is_a_reset_for_the_kernel_and_a_close_without_is_the_end() {
    in_namespace(|| {
        both_ways(|mut ours, mut theirs| {
            theirs.write_all(b"read this").expect("send");
            wait_for("the first byte", 20, || {
                (ours.peek(&mut [0]).expect("it is open") == 1).then_some(())
            });
            ours.write_all(b"no").expect("send");
            let mut no = [0; 2];
            theirs.read_exact(&mut no).expect("receive");
            drop(ours);
            assert_eq!(
                heard(&mut theirs),
                (Vec::new(), Some(ErrorKind::ConnectionReset))
            );
        });
        both_ways(|mut ours, mut theirs| {
            ours.write_all(b"good bye").expect("send");
            drop(ours);
            assert_eq!(heard(&mut theirs), (b"good bye".to_vec(), None));
        });
    });
}

/// RFC 9293 §3.6: each half ends by itself, and the other goes on for as long as it likes.
#[test]
fn the_end_of_one_half_is_an_end_of_file_and_the_other_half_goes_on() {
    fn halves(
        first: &mut (impl Read + Write + Send),
        shut: impl FnOnce(),
        second: &mut (impl Read + Write + Send),
        shut_second: impl FnOnce(),
    ) {
        first.write_all(b"that is all").expect("send");
        shut();
        assert_eq!(heard(second), (b"that is all".to_vec(), None));
        // It stays so, and is no error.
        assert_eq!(heard(second), (Vec::new(), None));
        assert_eq!(refused_words(first), ErrorKind::BrokenPipe);
        let much: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
        let back = std::thread::scope(|scope| {
            let reader = scope.spawn(|| first_half(first, much.len()));
            second.write_all(&much).expect("the other half is open");
            reader.join().expect("no panic")
        });
        assert!(back == much, "other bytes came than were sent");
        shut_second();
        assert_eq!(heard(first), (Vec::new(), None));
        assert_eq!(refused_words(second), ErrorKind::BrokenPipe);
    }
    fn first_half(stream: &mut impl Read, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).expect("receive");
        bytes
    }
    in_namespace(|| {
        both_ways(|ours, theirs| {
            let shut_ours = || ours.shutdown(Shutdown::Write).expect("shut");
            let shut_theirs = || theirs.shutdown(Shutdown::Write).expect("shut");
            halves(&mut &ours, shut_ours, &mut &theirs, shut_theirs);
        });
        both_ways(|ours, theirs| {
            let shut_ours = || ours.shutdown(Shutdown::Write).expect("shut");
            let shut_theirs = || theirs.shutdown(Shutdown::Write).expect("shut");
            halves(&mut &theirs, shut_theirs, &mut &ours, shut_ours);
            // Both are closed in order: no error is left.
            let error = ours.take_error().expect("no fork");
            assert!(error.is_none(), "{error:?}");
        });
    });
}

/// RFC 9293 §3.8.3, §3.8.4, §3.9.1: a peer that does not answer is neither a refusal nor a reset, for whichever reason it is noticed.
#[test]
fn a_peer_that_falls_silent_is_a_timeout_that_says_which() {
    in_namespace(|| {
        let wire = Far::start(&[]);
        let session = wire.daemon.session();
        let listener = std::net::TcpListener::bind(far(0)).expect("the kernel listens");
        let at = listener.local_addr().expect("its address");
        let keepalive = KeepAlive {
            idle_s: 1,
            interval_s: 1,
            count: 1,
        };
        let open = |builder: Builder| {
            let ours = builder.session(&session).connect(at).expect("connect");
            let (theirs, _) = listener.accept().expect("the kernel accepts");
            patient(&theirs);
            (ours, theirs)
        };
        let patience = Some(Duration::from_millis(300));
        let (mut written_to, _kept) = open(Builder::new().user_timeout(patience));
        let (mut watched, _watched_peer) = open(Builder::new().keepalive(Some(keepalive)));
        let (_silent, mut theirs) = open(Builder::new());
        rustix::net::sockopt::set_tcp_user_timeout(&theirs, 300).expect("a user timeout");

        wire.hold(Way::ToKernel);
        wire.hold(Way::ToTcpd);
        let hasty = Builder::new()
            .session(&session)
            .timeout(Duration::from_millis(100));
        let error = hasty.connect(at).expect_err("nobody answers");
        assert!(matches!(error, OpenError::TimedOut(_)), "{error}");
        written_to
            .write_all(b"are you there?")
            .expect("it is taken");
        over(&mut written_to, EndReason::UserTimeout);
        theirs.write_all(b"are you there?").expect("it is taken");
        assert_eq!(heard(&mut theirs), (Vec::new(), Some(ErrorKind::TimedOut)));
        over(&mut watched, EndReason::KeepaliveTimeout);
    });
}

/// The application's own idle timer: no rule of TCP's, but a reset for the peer and a reason of its own for the program.
#[test]
fn a_connection_that_carries_no_data_for_the_idle_timeout_is_aborted() {
    let short = Duration::from_millis(300);
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (ours, theirs) = connect_with(&session, Builder::new().idle_timeout(Some(short)));
        let (set_later, its_peer) = accept(&session);
        assert_eq!(
            (ours.idle_timeout(), set_later.idle_timeout()),
            (Some(short), None)
        );
        let error = set_later
            .set_idle_timeout(Some(Duration::ZERO))
            .expect_err("no time");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = set_later.set_dscp(64).expect_err("six bits");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        set_later.set_dscp(46).expect("an option");
        // An hour: it is there, with its time left, and nothing happens.
        let hour = Duration::from_secs(3600);
        set_later.set_idle_timeout(Some(hour)).expect("an option");
        let status = set_later.status().expect("it is open");
        assert_eq!(status.options.idle_timeout_ms, Some(3_600_000));
        assert_eq!(status.options.dscp, 46, "the other options stay");
        let timer = status.timers.iter().find(|timer| timer.name == "idle");
        let left = timer.expect("it runs").left_ms;
        assert!(
            (3_500_000..=3_600_000).contains(&left),
            "{left} ms are left"
        );
        set_later.set_idle_timeout(None).expect("an option");
        let status = set_later.status().expect("it is open");
        assert!(
            status.timers.iter().all(|timer| timer.name != "idle"),
            "{status:?}"
        );
        assert_eq!(status.options.idle_timeout_ms, None);
        set_later.set_idle_timeout(Some(short)).expect("an option");

        for (mut ours, mut theirs) in [(ours, theirs), (set_later, its_peer)] {
            assert_eq!(
                heard(&mut theirs),
                (Vec::new(), Some(ErrorKind::ConnectionReset))
            );
            over(&mut ours, EndReason::IdleTimeout);
        }
    });
}

/// The same as a setting of a service.
#[test]
fn a_services_connection_that_carries_no_data_for_its_idle_timeout_is_reset() {
    let echo =
        "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\nidle_timeout = \"300ms\"\n";
    in_namespace(|| {
        let _daemon = Daemon::start(echo);
        let mut stream = kernel_connects(crate::common::pair::theirs(0), ours(7));
        connected(&stream).expect("the service listens");
        stream.write_all(b"hello").expect("send");
        let mut back = [0; 5];
        stream.read_exact(&mut back).expect("receive");
        assert_eq!(
            heard(&mut stream),
            (Vec::new(), Some(ErrorKind::ConnectionReset))
        );
    });
}
