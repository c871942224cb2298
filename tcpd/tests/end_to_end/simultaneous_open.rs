//! Both ends connect to each other, and nobody listens (RFC 9293 §3.5, figure 7; MUST-10): through the client library, with the
//! kernel over a real TUN, and within one stack.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use libtcpclient::protocol::status::TcpState;
use libtcpclient::{Builder, OpenError, Session, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::far::{Far, Way, far};
use crate::common::namespace::in_namespace;
use crate::common::pair::{connected, kernel_connects, ours, passes};

/// The flags of a segment as its header has them.
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

fn connects(
    session: &Session,
    local: u16,
    remote: std::net::SocketAddr,
) -> Result<TcpStream, OpenError> {
    let patience = Duration::from_secs(20);
    Builder::new()
        .session(session)
        .local(ours(local))
        .timeout(patience)
        .connect(remote)
}

/// The two SYNs are on the wire at once: each side gets the other's in SYN-SENT. `between` acts before they go on.
fn crossing(between: impl FnOnce(&Far)) {
    let wire = Far::start(&[]);
    let session = wire.daemon.session();
    for way in [Way::ToKernel, Way::ToTcpd] {
        wire.hold(way);
    }
    thread::scope(|scope| {
        let connecting = scope.spawn(|| connects(&session, 5001, far(5002)));
        let mut peer = kernel_connects(far(5002), ours(5001));
        for way in [Way::ToKernel, Way::ToTcpd] {
            wire.await_held(way, SYN);
        }
        between(&wire);
        for way in [Way::ToKernel, Way::ToTcpd] {
            wire.release(way);
        }
        let mut stream = connecting.join().expect("no panic").expect("it opens");
        connected(&peer).expect("it opens");
        assert_eq!(wire.daemon.counter("SYN-SENT>SYN-RECEIVED"), 1);
        assert_eq!(wire.daemon.counter("SYN-RECEIVED>ESTABLISHED"), 1);
        let status = stream.status().expect("it is open");
        assert_eq!(status.passive, Some(false), "both have opened it");
        assert!(status.options.timestamps, "options are agreed on");
        assert!(
            status.options.window_scale_send.is_some(),
            "options are agreed on"
        );
        passes(&mut stream, &mut peer);
        passes(&mut peer, &mut stream);
        stream.shutdown(Shutdown::Write).expect("shut");
        assert_eq!(peer.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_program_and_the_kernel_open_the_same_pair_at_once() {
    in_namespace(|| crossing(|_| {}));
}

/// RFC 9293 §3.5 MUST-10: what is lost of it is sent again.
#[test]
fn a_program_and_the_kernel_open_the_same_pair_at_once_and_a_syn_ack_is_lost() {
    in_namespace(|| {
        crossing(|wire| {
            // Both SYNs arrive; the kernel's SYN-ACK is lost, and sent again.
            wire.release(Way::ToKernel);
            wire.await_held(Way::ToTcpd, SYN_ACK);
            wire.lose(Way::ToTcpd, SYN_ACK);
        });
    });
}

/// RFC 9293 §3.10.7.3: a reset that acknowledges our SYN is "connection refused", also when a SYN was on its way.
#[test]
fn a_peer_that_gives_up_in_the_middle_of_it_has_refused() {
    in_namespace(|| {
        let wire = Far::start(&[]);
        let session = wire.daemon.session();
        wire.hold(Way::ToKernel);
        thread::scope(|scope| {
            let connecting = scope.spawn(|| connects(&session, 5001, far(5002)));
            wire.await_held(Way::ToKernel, SYN);
            // The kernel's SYN makes it SYN-RECEIVED; then the socket is gone, and what comes for it is answered with a reset.
            let peer = kernel_connects(far(5002), ours(5001));
            wire.await_held(Way::ToKernel, SYN_ACK);
            drop(peer);
            wire.release(Way::ToKernel);
            let error = connecting
                .join()
                .expect("no panic")
                .expect_err("nobody is there");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        });
    });
}

/// Within one stack a SYN would find nobody before the other program has connected too. The quiet time of a starting daemon holds
/// both back until it ends (RFC 9293 §3.4.3), so they start in the same moment.
#[test]
fn two_programs_of_one_daemon_open_the_same_pair_at_once_and_one_opens_it_with_itself() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["tcp.quiet_time=2s"]);
        let sessions = [(); 3].map(|()| daemon.session());
        thread::scope(|scope| {
            let [one, two, alone] = &sessions;
            let a = scope.spawn(|| connects(one, 5001, ours(5002)));
            let b = scope.spawn(|| connects(two, 5002, ours(5001)));
            let own = scope.spawn(|| connects(alone, 5003, ours(5003)));
            wait_for("three SYN-SENT", 20, || {
                let states = daemon.connections().into_iter().map(|row| row.state);
                (states.filter(|state| *state == TcpState::SynSent).count() == 3).then_some(())
            });
            let [a, b, own] = [a, b, own].map(|thread| thread.join().expect("no panic"));
            let (mut a, mut b) = (a.expect("it opens"), b.expect("it opens"));
            passes(&mut a, &mut b);
            passes(&mut b, &mut a);
            let own = own.expect("it opens");
            assert_eq!(
                own.local_addr().expect("one"),
                own.peer_addr().expect("one")
            );
            (&own).write_all(b"to myself").expect("send");
            own.shutdown(Shutdown::Write).expect("shut");
            let mut heard = Vec::new();
            (&own).read_to_end(&mut heard).expect("receive");
            assert_eq!(heard, b"to myself");
        });
        assert!(
            daemon.counter("SYN-SENT>SYN-RECEIVED") >= 2,
            "nobody listened"
        );
        assert_eq!(daemon.counter("passive-opens"), 0);
    });
}

/// A program that connects to its own end at any other time: nobody else is needed.
#[test]
fn a_program_connects_to_itself() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let mut own = connects(&session, 5003, ours(5003)).expect("it opens");
        own.write_all(b"hello, me").expect("send");
        let mut hello = [0; 9];
        own.read_exact(&mut hello).expect("receive");
        assert_eq!(&hello, b"hello, me");
        own.close().expect("close");
    });
}
