//! TIME-WAIT as programs see it (RFC 9293 §3.4.2, §3.6; RFC 6191): a port is in use while pairs of it are in TIME-WAIT, unless reuse
//! is asked for; operators see who waits, and for how long; a pair may be opened anew.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as KernelStream};
use std::time::Duration;

use libtcpclient::protocol::status::{ConnectionRow, TcpState};
use libtcpclient::{Builder, ListenError, OpenError, Session, TcpListener};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{
    connected, kernel_connects, kernel_listener, ours, passes, patient, theirs,
};

/// tcpd's port.
const PORT: u16 = 5000;
/// Twice the MSL of the configuration's default.
const TIME_WAIT_MS: u64 = 60_000;

fn listen(session: &Session, reuse: bool) -> Result<TcpListener, ListenError> {
    Builder::new()
        .session(session)
        .reuse(reuse)
        .listen(ours(PORT))
}

/// tcpd closes first, the kernel after it; gives the pair's row.
fn into_time_wait(
    daemon: &Daemon,
    stream: libtcpclient::TcpStream,
    mut peer: KernelStream,
) -> ConnectionRow {
    stream.close().expect("close");
    assert_eq!(peer.read(&mut [0]).expect("the end"), 0);
    drop(peer);
    wait_for("TIME-WAIT", 20, || {
        let mut rows = daemon.connections().into_iter();
        rows.find(|row| row.state == TcpState::TimeWait)
    })
}

/// A connection of tcpd's listener with the kernel, ended so that tcpd is in TIME-WAIT; the kernel's address.
fn served_once(daemon: &Daemon, listener: &TcpListener) -> SocketAddr {
    let peer = kernel_connects(theirs(0), ours(PORT));
    connected(&peer).expect("it listens");
    let (stream, at) = listener.accept().expect("tcpd accepts");
    let row = into_time_wait(daemon, stream, peer);
    assert_eq!((row.local, row.peer), (ours(PORT), at));
    let timer = row.timer.expect("it ends by itself");
    assert_eq!(timer.name, "time-wait");
    assert!(
        (TIME_WAIT_MS - 20_000..=TIME_WAIT_MS).contains(&timer.left_ms),
        "{} ms are left",
        timer.left_ms
    );
    at
}

/// Waits until no listener is left, and listens again.
fn listen_again(
    daemon: &Daemon,
    session: &Session,
    reuse: bool,
) -> Result<TcpListener, ListenError> {
    wait_for("closed listener", 20, || {
        let mut control = daemon.control();
        let mut listeners = control.listeners(&Default::default());
        listeners.next().is_none().then_some(())
    });
    listen(session, reuse)
}

fn in_use(listened: Result<TcpListener, ListenError>) {
    let error = listened.expect_err("it is in use");
    assert!(matches!(error, ListenError::AddressInUse(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

/// As the kernel has it with SO_REUSEADDR, who had the port must have been ready to share it, too.
#[test]
fn a_port_with_pairs_in_time_wait_is_in_use_unless_its_users_share_it() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let listener = listen(&session, true).expect("the port is free");
        in_use(listen(&session, true));
        let from = served_once(&daemon, &listener);
        drop(listener);
        in_use(listen_again(&daemon, &session, false));
        let listener = listen(&session, true).expect("it is shared");

        // RFC 9293 §3.6.1 MAY-2: the same pair again, by a SYN that is newer than everything of the old one.
        let mut peer = kernel_connects(from, ours(PORT));
        connected(&peer).expect("it listens");
        let (mut stream, at) = listener.accept().expect("tcpd accepts");
        assert_eq!(at, from);
        assert_eq!(daemon.counter("time-wait-reopened"), 1);
        passes(&mut peer, &mut stream);
    });
}

#[test]
fn a_port_with_pairs_in_time_wait_that_nobody_wanted_to_share_is_in_use_in_any_case() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let listener = listen(&session, false).expect("the port is free");
        served_once(&daemon, &listener);
        drop(listener);
        in_use(listen_again(&daemon, &session, false));
        in_use(listen(&session, true));
    });
}

/// RFC 6191, RFC 9293 §3.10.1: a program that names its port gets a pair that is in TIME-WAIT only when it asks for that, not within a
/// second, and then with an initial sequence number above all that was sent before.
#[test]
fn a_connect_from_a_port_in_time_wait_takes_the_pair_over_only_with_reuse() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (listener, at) = kernel_listener();
        let connect = |reuse| -> Result<_, OpenError> {
            let builder = Builder::new()
                .session(&session)
                .local(ours(PORT))
                .reuse(reuse);
            let stream = builder.timeout(Duration::from_secs(20)).connect(at)?;
            let (peer, _) = listener.accept().expect("the kernel accepts");
            patient(&peer);
            Ok((stream, peer))
        };
        let (mut stream, mut peer) = connect(false).expect("the port is free");
        stream.write_all(&[7; 10_000]).expect("send");
        peer.read_exact(&mut [0; 10_000]).expect("receive");
        let last = stream.status().expect("it is open").snd.nxt;
        into_time_wait(&daemon, stream, peer);

        let error = connect(false).expect_err("the pair is in TIME-WAIT");
        assert!(matches!(error, OpenError::AddressInUse(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        connect(true).expect_err("it is in TIME-WAIT for less than a second");
        let (mut stream, mut peer) = wait_for("pair taken over", 20, || connect(true).ok());
        assert_eq!(daemon.counter("time-wait-reused"), 1);
        let iss = stream.status().expect("it is open").snd.iss;
        let above = iss.wrapping_sub(last);
        assert!((1..1 << 31).contains(&above), "ISS {iss} after {last}");
        passes(&mut stream, &mut peer);
        // The old one is gone, and nothing is left of those that were refused.
        let states: Vec<_> = daemon.connections().iter().map(|row| row.state).collect();
        assert_eq!(states, [TcpState::Established]);
    });
}
