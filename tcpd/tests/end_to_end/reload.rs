//! A running daemon gets another configuration, or is drained.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use libtcpclient::client::error::SessionError;
use libtcpclient::protocol::{ErrorCode, Filter};
use rustix::process::Signal;

use crate::common::daemon::{Daemon, STACK_V4, STACK_V6};
use crate::common::deadline::wait_for;
use crate::common::namespace::in_namespace;
use crate::common::pair::{ECHO, echoes};

const DAYTIME: &str = "[[service]]\nname = \"daytime\"\nport = 13\nhandler = \"daytime\"\n";

fn configure(daemon: &Daemon, text: &str) {
    std::fs::write(daemon.directory().join("tcpd.toml"), text).expect("write the configuration");
}

fn connected() -> TcpStream {
    let stream = TcpStream::connect((STACK_V4, 7)).expect("the service listens");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a stream");
    stream
}

fn refused(port: u16) -> bool {
    match TcpStream::connect((STACK_V4, port)) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            true
        }
        Ok(_) => false,
    }
}

#[test]
fn services_come_and_go_and_connections_stay() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let stream = connected();
        echoes(&stream);

        configure(&daemon, DAYTIME);
        let done = daemon.control().reload().expect("reloaded");
        assert_eq!(done.services_added, ["daytime"]);
        assert_eq!(done.services_removed, ["echo"]);
        let mut text = String::new();
        TcpStream::connect((STACK_V4, 13))
            .expect("the new service listens")
            .read_to_string(&mut text)
            .expect("the time of day");
        assert!(text.ends_with("\r\n"), "{text:?}");
        assert!(refused(7), "the old service still listens");
        echoes(&stream);

        configure(&daemon, &format!("{ECHO}{DAYTIME}"));
        daemon.signal(Signal::HUP);
        wait_for("the service to be back", 10, || (!refused(7)).then_some(()));
        echoes(&stream);
        echoes(&connected());
    });
}

#[test]
fn a_service_goes_from_all_addresses_to_one_and_back_in_one_reload_each() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let of_both = || [STACK_V4, STACK_V6].map(|address| TcpStream::connect((address, 7)));
        let before = of_both().map(|stream| stream.expect("it listens on all"));
        before.iter().for_each(echoes);
        configure(&daemon, &format!("{ECHO}addresses = [\"{STACK_V4}\"]\n"));
        let done = daemon.control().reload().expect("reloaded");
        assert_eq!(done.services_changed, ["echo"]);
        let [v4, v6] = of_both();
        echoes(&v4.expect("it listens on that one"));
        let error = v6.expect_err("and on no other");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        configure(&daemon, ECHO);
        daemon.control().reload().expect("reloaded");
        for stream in of_both() {
            echoes(&stream.expect("it listens on all again"));
        }
        before.iter().for_each(echoes);
        let mut control = daemon.control();
        assert_eq!(control.listeners(&Filter::default()).count(), 1);
    });
}

#[test]
fn a_port_passes_to_another_service_with_those_who_wait_there() {
    in_namespace(|| {
        let daemon = Daemon::start(&format!("{ECHO}max_workers = 1\n"));
        let served = connected();
        echoes(&served);
        let waiting = connected();
        configure(&daemon, &ECHO.replace("name = \"echo\"", "name = \"heir\""));
        let done = daemon.control().reload().expect("reloaded");
        assert_eq!(done.services_added, ["heir"]);
        assert_eq!(done.services_removed, ["echo"]);
        echoes(&waiting);
        echoes(&served);
        echoes(&connected());
    });
}

#[test]
fn a_services_new_idle_timeout_counts_for_connections_that_come_from_then_on() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let before = connected();
        echoes(&before);
        configure(&daemon, &format!("{ECHO}idle_timeout = \"200ms\"\n"));
        let done = daemon.control().reload().expect("reloaded");
        assert_eq!(done.services_changed, ["echo"]);
        let after = connected();
        echoes(&after);
        let error = (&after).read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        echoes(&before);
    });
}

#[test]
fn a_configuration_that_cannot_be_applied_is_refused_and_the_daemon_goes_on() {
    in_namespace(|| {
        let daemon = Daemon::start(ECHO);
        let stream = connected();
        for (text, code, names) in [
            ("[tcp\n", ErrorCode::BadConfiguration, "tcpd.toml"),
            (
                "[tcp]\nmsl = \"soon\"\n",
                ErrorCode::BadConfiguration,
                "msl",
            ),
            ("[tcp]\nmsl = \"1s\"\n", ErrorCode::NeedsRestart, "tcp.msl"),
            (
                "[limits]\nslots_per_session = 8\n",
                ErrorCode::NeedsRestart,
                "limits.slots_per_session",
            ),
        ] {
            configure(&daemon, text);
            match daemon.control().reload() {
                Err(SessionError::Refused(failure)) => {
                    assert_eq!(failure.code, code, "{failure}");
                    assert!(failure.detail.contains(names), "{failure}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
            echoes(&stream);
            echoes(&connected());
        }
    });
}

#[test]
fn a_drained_daemon_ends_with_its_last_connection() {
    in_namespace(|| {
        let mut daemon = Daemon::start(ECHO);
        let stream = connected();
        echoes(&stream);
        let mut control = daemon.control();
        let draining = control
            .drain(Some(Duration::from_secs(60)))
            .expect("it drains");
        assert_eq!(draining.grace_ms, 60_000);
        wait_for("the listener to be gone", 10, || refused(7).then_some(()));
        echoes(&stream);
        drop(stream);
        assert!(daemon.ended(20).success());
        let why = control.wait_until_gone().expect("an end");
        assert_eq!(why.expect("a last word").detail, "the daemon has stopped");
    });
}

#[test]
fn a_drain_that_lasts_too_long_resets_what_is_left_and_says_how_many() {
    in_namespace(|| {
        let mut daemon = Daemon::start(ECHO);
        let mut stream = connected();
        echoes(&stream);
        let mut control = daemon.control();
        control
            .drain(Some(Duration::from_millis(200)))
            .expect("it drains");
        let error = stream.read(&mut [0]).expect_err("reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(daemon.ended(20).success());
        let why = control.wait_until_gone().expect("an end");
        assert_eq!(
            why.expect("a last word").detail,
            "the daemon has stopped; connections reset: 1"
        );
    });
}
