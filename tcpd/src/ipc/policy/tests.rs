use libtcpclient::protocol::{Connect, Filter, Hello, Listen, StreamOptions};

use super::*;

const POLICY: Policy = Policy {
    administrators: Some(900),
    privileged_ports_below: 1024,
};

fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
    Identity {
        uid,
        gid,
        groups: groups.to_vec(),
        pid: 1,
    }
}

fn listen(port: u16) -> Request {
    Request::Listen(Listen {
        address: None,
        port,
        reuse: false,
        backlog: 0,
        options: StreamOptions::default(),
    })
}

fn connect(local_port: u16) -> Request {
    let remote = "198.18.0.1:80".parse().expect("an endpoint");
    let options = StreamOptions::default();
    Request::Connect(Connect {
        local: None,
        local_port,
        reuse: false,
        remote,
        timeout_ms: 0,
        options,
    })
}

fn code(administrator: bool, kind: Kind, request: &Request) -> Result<(), ErrorCode> {
    POLICY
        .check(administrator, kind, request)
        .map_err(|failure| failure.code)
}

#[test]
fn root_and_members_of_the_group_are_administrators() {
    assert!(POLICY.is_administrator(&identity(0, 0, &[])));
    assert!(POLICY.is_administrator(&identity(1000, 900, &[])));
    assert!(POLICY.is_administrator(&identity(1000, 1000, &[4, 900])));
    assert!(!POLICY.is_administrator(&identity(1000, 1000, &[4])));
    let nobody = Policy {
        administrators: None,
        ..POLICY
    };
    assert!(!nobody.is_administrator(&identity(1000, 900, &[900])));
}

#[test]
fn low_ports_are_for_administrators_and_the_refusal_names_the_rule() {
    for request in [listen(80), connect(1023)] {
        let refusal = POLICY
            .check(false, Kind::Client, &request)
            .expect_err("refused");
        assert_eq!(refusal.code, ErrorCode::NotPermitted);
        assert!(
            refusal.detail.contains("control.privileged_ports_below"),
            "{}",
            refusal.detail
        );
        assert_eq!(code(true, Kind::Client, &request), Ok(()));
    }
    for request in [listen(0), listen(1024), connect(0), connect(40_000)] {
        assert_eq!(code(false, Kind::Client, &request), Ok(()));
    }
}

#[test]
fn a_worker_acts_on_its_connection_only_even_as_root() {
    let filter = Filter::default();
    for request in [
        listen(8080),
        connect(0),
        Request::List { filter, cursor: 0 },
        Request::ControlReset { id: String::new() },
        Request::ControlSet {
            id: String::new(),
            settings: String::new(),
        },
        Request::AdoptHandoff { token: [0; 16] },
        Request::HandOff {
            connection: 1,
            uid: None,
        },
        Request::Users { cursor: 0 },
        Request::Reload,
        Request::Drain { grace_ms: None },
        Request::Impairments { cursor: 0 },
    ] {
        assert_eq!(
            code(true, Kind::Worker, &request),
            Err(ErrorCode::NotPermitted),
            "{request:?}"
        );
    }
    for request in [
        Request::Adopt,
        Request::ErrorStream,
        Request::IntoSocket { connection: 1 },
        Request::Abort { connection: 1 },
        Request::GrowTransmit { connection: 1 },
    ] {
        assert_eq!(code(false, Kind::Worker, &request), Ok(()), "{request:?}");
    }
}

#[test]
fn a_session_without_an_arena_looks_but_has_no_connections() {
    assert_eq!(
        code(true, Kind::Control, &listen(80)),
        Err(ErrorCode::ArenaRequired)
    );
    assert_eq!(code(false, Kind::Control, &Request::Ping), Ok(()));
    assert_eq!(
        code(false, Kind::Control, &Request::Stats { cursor: 0 }),
        Ok(())
    );
    assert_eq!(
        code(false, Kind::Control, &Request::Adopt),
        Err(ErrorCode::NotPermitted)
    );
}

#[test]
fn the_daemon_as_a_whole_is_for_administrators() {
    for kind in [Kind::Client, Kind::Control] {
        for request in [Request::Reload, Request::Drain { grace_ms: Some(0) }] {
            assert_eq!(code(true, kind, &request), Ok(()));
            assert_eq!(code(false, kind, &request), Err(ErrorCode::NotPermitted));
        }
    }
}

#[test]
fn hello_is_said_once() {
    let hello = Request::Hello(Hello {
        version: 1,
        arena: true,
        token: None,
        program: String::new(),
    });
    assert_eq!(
        code(true, Kind::Client, &hello),
        Err(ErrorCode::HelloExpected)
    );
}

#[test]
fn others_connections_are_seen_by_administrators_only() {
    assert!(Policy::may_see(false, 1000, Some(1000)));
    assert!(!Policy::may_see(false, 1000, Some(1001)));
    assert!(!Policy::may_see(false, 1000, None));
    assert!(Policy::may_see(true, 1000, Some(1001)) && Policy::may_see(true, 1000, None));
}
