//! Connections that go from one process to another, over a real TUN with the kernel's TCP at the other end.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use libtcpclient::protocol::status::{ConnectionRow, OwnerKind, TcpState};
use libtcpclient::{Builder, Handoff, HandoffError, OpenError, SessionError, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::deadline::wait_for;
use crate::common::examples::Example;
use crate::common::namespace::in_namespace;
use crate::common::pair::{PATIENCE, accept, connect, echoes, ours, passes};
use crate::common::pattern::{Pattern, expect_pattern, write_pattern};

const MIB: usize = 1 << 20;

/// Through a channel of another kind than the daemon's.
fn sent(handoff: &Handoff) -> Handoff {
    let text = serde_json::to_string(handoff).expect("it can be written");
    serde_json::from_str(&text).expect("and read")
}

fn adopt(daemon: &Daemon, handoff: Handoff) -> Result<TcpStream, OpenError> {
    let stream = Builder::new().session(&daemon.session()).adopt(handoff)?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    Ok(stream)
}

/// Both directions are in full flight, nobody reads for a while, and the connection changes hands five times.
#[test]
fn a_connection_that_changes_hands_in_full_flight_loses_no_byte() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (mut stream, theirs) = connect(&daemon.session());
        let total = 8 * MIB;
        std::thread::scope(|scope| {
            let (mut reader, mut writer) = (&theirs, &theirs);
            scope.spawn(move || write_pattern(&mut writer, &mut Pattern::new(1), total, 64 << 10));
            scope.spawn(move || expect_pattern(&mut reader, &mut Pattern::new(2), total, 64 << 10));
            let (mut get, mut give) = (Pattern::new(1), Pattern::new(2));
            for piece in [1, 2, 1, 3, 1] {
                // In turn, so what is not read piles up.
                write_pattern(&mut stream, &mut give, piece * MIB, 100_000);
                expect_pattern(&mut stream, &mut get, piece * MIB, 70_000);
                let handoff = stream.into_handoff().expect("handed off");
                stream = adopt(&daemon, sent(&handoff)).expect("adopted");
            }
        });
        assert_eq!(daemon.counter("handoffs"), 5);
        assert_eq!(daemon.counter("handoffs-adopted"), 5);
        assert_eq!(daemon.counter("handoffs-waiting"), 0);
        assert_eq!(daemon.counter("tokens"), 0);
    });
}

#[test]
fn the_giver_may_end_and_what_comes_meanwhile_is_there_for_who_adopts() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (mut stream, mut theirs) = connect(&session);
        stream.write_all(b"written before").expect("write");
        let handoff = stream.into_handoff().expect("handed off");
        drop(session);
        theirs.write_all(b"sent while nobody had it").expect("send");
        let mut before = [0; 14];
        theirs.read_exact(&mut before).expect("receive");
        assert_eq!(&before, b"written before");
        let row = &daemon.connections()[0];
        assert_eq!(row.owner.kind, OwnerKind::HandedOff);
        assert_eq!(row.owner.uid, Some(rustix::process::getuid().as_raw()));
        let mut stream = adopt(&daemon, handoff).expect("adopted");
        let mut word = [0; 24];
        stream.read_exact(&mut word).expect("receive");
        assert_eq!(&word, b"sent while nobody had it");
        assert_eq!(daemon.connections()[0].owner.kind, OwnerKind::Client);
        drop(theirs);
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_connection_that_nobody_adopts_in_time_is_reset() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["control.handoff_timeout=300ms"]);
        let (stream, mut theirs) = connect(&daemon.session());
        let handoff = stream.into_handoff().expect("handed off");
        assert_eq!(handoff.life(), Duration::from_millis(300));
        let error = theirs.read(&mut [0]).expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let late = adopt(&daemon, handoff).expect_err("too late");
        assert!(matches!(late, OpenError::BadToken(_)), "{late}");
        assert_eq!(daemon.counter("handoffs-expired"), 1);
        assert!(daemon.connections().is_empty());
    });
}

#[test]
fn a_used_token_and_forged_ones_are_refused_and_nobody_else_is_disturbed() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let session = daemon.session();
        let (stream, mut theirs) = connect(&session);
        let (mut other, mut others) = accept(&session);
        let handoff = stream.into_handoff().expect("handed off");
        let forged = |byte: u8| {
            let mut value = serde_json::to_value(&handoff).expect("it can be written");
            value["token"] = serde_json::to_value([byte; 16]).expect("bytes");
            serde_json::from_value::<Handoff>(value).expect("and read")
        };
        let guesser = daemon.session();
        let mut refused = 0;
        // More than are allowed: the guesser loses its session.
        for byte in 0..40 {
            match Builder::new().session(&guesser).adopt(forged(byte)) {
                Err(OpenError::BadToken(_)) => refused += 1,
                Err(OpenError::Session(SessionError::DaemonGone { .. })) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!((16..=17).contains(&refused), "{refused} refusals");
        wait_for("end of the guesser's session", 20, || {
            guesser.is_over().then_some(())
        });
        let copy = sent(&handoff);
        let mut stream = adopt(&daemon, handoff).expect("a good token stays good");
        let again = adopt(&daemon, copy).expect_err("it was used");
        assert!(matches!(again, OpenError::BadToken(_)), "{again}");
        passes(&mut stream, &mut theirs);
        passes(&mut theirs, &mut stream);
        passes(&mut other, &mut others);
        assert!(!session.is_over());
        assert!(daemon.counter("tokens-refused") >= 17);
    });
}

#[test]
fn a_token_is_bound_to_its_user() {
    in_namespace(|| {
        let daemon = Daemon::start_with("", &["control.handoff_timeout=1s"]);
        let another = rustix::process::getuid().as_raw() + 1;
        let (stream, mut theirs) = connect(&daemon.session());
        let handoff = stream.into_handoff_for(another).expect("handed off");
        let copy = sent(&handoff);
        let refused = adopt(&daemon, handoff).expect_err("it is another's");
        assert!(matches!(refused, OpenError::BadToken(_)), "{refused}");
        assert!(refused.to_string().contains("another user"), "{refused}");
        // Nobody can use it any more, and its time comes.
        adopt(&daemon, copy).expect_err("it was shown");
        let error = theirs.read(&mut [0]).expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn hand_offs_of_a_user_have_a_quota() {
    in_namespace(|| {
        // The test's user is root in its namespace.
        let daemon = Daemon::start_with("", &["limits.handoffs_per_uid=0", "limits.root=true"]);
        let (stream, _theirs) = connect(&daemon.session());
        let error = stream.into_handoff().expect_err("a quota of none");
        assert!(matches!(error, HandoffError::QuotaExceeded(_)), "{error}");
        let why = error.to_string();
        assert!(why.contains("rule limits.handoffs_per_uid"), "{why}");
    });
}

/// The classic concurrent server, in the user's own program: one process for each connection.
#[test]
fn the_forking_server_serves_each_connection_in_a_process_of_its_own() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let mut server = Example::start("forking_server", |command| {
            command
                .arg(ours(7777).to_string())
                .env("TCPD_SOCKET", daemon.socket())
        });
        wait_for("listener", 20, || {
            let mut control = daemon.control();
            let found = control.listeners(&Default::default()).next().is_some();
            found.then_some(())
        });
        const CLIENTS: usize = 12;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let stream = std::net::TcpStream::connect_timeout(&ours(7777), PATIENCE);
                let stream = stream.expect("the kernel connects");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                // Before anybody has it.
                (&stream).write_all(b"early").expect("send");
                stream
            })
            .collect();
        for mut client in &clients {
            let mut early = [0; 5];
            client.read_exact(&mut early).expect("receive");
            assert_eq!(&early, b"early");
            echoes(client);
        }
        let rows = daemon.connections();
        let pids: HashSet<u32> = rows.iter().filter_map(|row| row.owner.pid).collect();
        assert_eq!(pids.len(), CLIENTS, "{rows:?}");
        assert!(!pids.contains(&server.pid()));
        // One dies, and takes its connection along, and no other.
        let victim = &rows[0];
        let pid = victim.owner.pid.expect("a process");
        let peer = victim.peer;
        let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill it");
        for mut client in &clients {
            if client.local_addr().expect("its address") == peer {
                assert_eq!(client.read(&mut [0]).expect("the end"), 0);
                continue;
            }
            echoes(client);
        }
        drop(clients);
        // That of the dead one was closed by tcpd first.
        wait_for("end of all of them", 20, || {
            let over = |row: &ConnectionRow| row.state == TcpState::TimeWait;
            daemon.connections().iter().all(over).then_some(())
        });
        assert!(server.is_running());
    });
}
