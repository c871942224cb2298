//! Which congestion control a connection has: by the daemon's configuration, by its service's, by its program's wish, and exchanged
//! while bytes pass.

use std::io::{Read, Write};

use libtcpclient::client::error::SessionError;
use libtcpclient::protocol::{CongestionControl, ErrorCode, Filter};
use libtcpclient::{Builder, TcpStream};

use crate::common::daemon::Daemon;
use crate::common::namespace::in_namespace;
use crate::common::pair::{
    accept, connect, connect_with, connected, echoes, kernel_connects, ours, passes, theirs,
};

fn algorithm(stream: &TcpStream) -> String {
    stream.status().expect("it is open").congestion.algorithm
}

/// The one connection of the daemon's that is open: its id, and its algorithm.
fn only(daemon: &Daemon) -> (String, String) {
    let mut control = daemon.control();
    let rows: Vec<_> = control.list(&Filter::default()).collect();
    let [Ok(row)] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let status = control.show(&row.id).expect("it is there");
    (row.id.clone(), status.congestion.algorithm)
}

fn refusal(daemon: &Daemon, id: &str, settings: &str) -> (ErrorCode, String) {
    match daemon.control().set(id, settings) {
        Err(SessionError::Refused(failure)) => (failure.code, failure.detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_daemon_its_services_and_programs_choose_congestion_control() {
    let config = "[tcp]\ncongestion = \"newreno\"\n[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\ncongestion = \"cubic\"\n";
    in_namespace(|| {
        let daemon = Daemon::start(config);
        let stream = kernel_connects(theirs(0), ours(7));
        connected(&stream).expect("the service listens");
        echoes(&stream);
        assert_eq!(only(&daemon).1, "cubic", "the service's");

        let session = daemon.session();
        let (unsaid, _peer) = connect(&session);
        assert_eq!(algorithm(&unsaid), "newreno", "the daemon's");
        let (accepted, _peer) = accept(&session);
        assert_eq!(algorithm(&accepted), "newreno");
        let wish = Builder::new().congestion(Some(CongestionControl::Cubic));
        let (wished, _peer) = connect_with(&session, wish);
        assert_eq!(algorithm(&wished), "cubic", "the program's");
    });
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (unsaid, _peer) = connect(&daemon.session());
        assert_eq!(algorithm(&unsaid), "cubic", "where nobody says anything");
    });
}

#[test]
fn congestion_control_is_exchanged_on_a_live_connection_and_a_bad_wish_changes_nothing() {
    in_namespace(|| {
        let daemon = Daemon::start("");
        let (mut stream, mut peer) = connect(&daemon.session());
        passes(&mut stream, &mut peer);
        let (id, before) = only(&daemon);
        assert_eq!(before, "cubic");

        // The program itself.
        stream
            .set_congestion(CongestionControl::NewReno)
            .expect("an option");
        assert_eq!(algorithm(&stream), "newreno");
        passes(&mut stream, &mut peer);

        // An operator; and what the program says about something else leaves it.
        daemon.control().set(&id, "congestion=cubic").expect("set");
        assert_eq!(algorithm(&stream), "cubic");
        stream.set_nodelay(true).expect("an option");
        assert_eq!(algorithm(&stream), "cubic");
        passes(&mut stream, &mut peer);

        let both = "congestion=cubic, congestion=newreno";
        for (settings, detail) in [
            (
                "congestion=bbr",
                "\"bbr\" is no congestion control; allowed: cubic, newreno".to_owned(),
            ),
            (
                "congestion=newreno cwnd=1",
                format!("\"cwnd\" cannot be set; allowed: {both}"),
            ),
            ("", format!("nothing to set; allowed: {both}")),
        ] {
            assert_eq!(
                refusal(&daemon, &id, settings),
                (ErrorCode::BadRequest, detail)
            );
            assert_eq!(only(&daemon).1, "cubic", "{settings:?}");
        }
        assert_eq!(
            refusal(&daemon, "999.9", "congestion=cubic").0,
            ErrorCode::NoSuchConnection
        );

        // Many bytes, with an exchange in the middle of them.
        let total = 4 << 20;
        let writer = std::thread::spawn(move || {
            let bytes: Vec<u8> = (0..total).map(|i: u32| (i / 7) as u8).collect();
            let (first, rest) = bytes.split_at(1 << 20);
            stream.write_all(first).expect("send");
            stream
                .set_congestion(CongestionControl::NewReno)
                .expect("an option");
            stream.write_all(rest).expect("send");
            stream
        });
        let mut got = vec![0; total as usize];
        peer.read_exact(&mut got).expect("receive");
        assert!((0..total).zip(&got).all(|(i, byte)| (i / 7) as u8 == *byte));
        assert_eq!(algorithm(&writer.join().expect("it wrote")), "newreno");
    });
}
