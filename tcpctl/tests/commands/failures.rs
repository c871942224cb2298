//! What tcpctl says, and how it ends, when the daemon is not there, dies, refuses, or talks nonsense.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use libtcpclient::protocol::status::TcpState;
use libtcpclient::protocol::{ErrorCode, Event, Failure, Json, Reply, Request};

use crate::fake_daemon::{Answer, Directory, FakeDaemon, welcome};
use crate::rows::{connection, page, page_of};
use crate::{command, run, tcpctl};

const USAGE: i32 = 64;
const UNAVAILABLE: i32 = 69;
const PROTOCOL: i32 = 76;
const NOT_PERMITTED: i32 = 77;

/// Every command, for what is the same in all of them.
const COMMANDS: [&[&str]; 8] = [
    &["list", "--all"],
    &["show", "1.1"],
    &["stats"],
    &["services"],
    &["users"],
    &["close", "1.1"],
    &["reset", "1.1"],
    &["ping"],
];

#[test]
fn without_a_socket_every_command_says_so_in_one_line_and_ends_with_69() {
    let directory = Directory::new();
    for arguments in COMMANDS {
        tcpctl(&directory.socket(), arguments).failed_with(
            UNAVAILABLE,
            &["tcpd is not running", "tcpd.sock", "No such file"],
        );
    }
}

#[test]
fn a_socket_that_a_dead_daemon_left_behind_says_the_same() {
    let directory = Directory::new();
    let left_behind =
        libtcpclient::socket::SeqpacketListener::bind(&directory.socket()).expect("listen");
    drop(left_behind);
    tcpctl(&directory.socket(), &["ping"])
        .failed_with(UNAVAILABLE, &["tcpd is not running", "refused"]);
    fs::remove_file(directory.socket()).ok();
    fs::write(directory.socket(), "not a socket").expect("a file");
    tcpctl(&directory.socket(), &["ping"]).failed_with(UNAVAILABLE, &["tcpd is not running"]);
}

#[test]
fn with_wait_a_daemon_that_comes_late_is_waited_for() {
    let directory = Directory::new();
    let nobody = ["--wait", "0.05", "ping"];
    tcpctl(&directory.socket(), &nobody).failed_with(UNAVAILABLE, &["tcpd is not running"]);
    // It stops, and the next one answers.
    let mut greeted = 0;
    let daemon = FakeDaemon::rude(move |_, request| match request {
        Request::Hello(_) if greeted == 0 => {
            greeted += 1;
            Reply::error(ErrorCode::Draining, "the daemon is stopping").into()
        }
        Request::Hello(_) => Answer::Reply(welcome()),
        _ => Answer::Die,
    });
    let arguments = ["--wait", "20", "ping"];
    tcpctl(&daemon.socket(), &arguments).failed_with(UNAVAILABLE, &["went away"]);
}

#[test]
fn a_time_to_wait_that_is_none_is_a_mistake_of_the_user() {
    let directory = Directory::new();
    let mut environment = command(&["ping"]);
    environment
        .env("TCPD_SOCKET", directory.socket())
        .env("TCPD_WAIT", "a while");
    run(environment).failed_with(USAGE, &["TCPD_WAIT", "a while", "30"]);
    for wrong in ["a-while", "nan", "1e400", ""] {
        let run = tcpctl(&directory.socket(), &["ping", "--wait", wrong]);
        assert_eq!(run.code, USAGE, "{run:?}");
        assert!(run.err.contains("--wait"), "{run:?}");
    }
}

#[test]
fn a_socket_of_another_kind_is_no_daemon() {
    let directory = Directory::new();
    let _stream = std::os::unix::net::UnixListener::bind(directory.socket()).expect("listen");
    tcpctl(&directory.socket(), &["ping"]).failed_with(UNAVAILABLE, &["tcpd is not running"]);
}

#[test]
fn a_socket_that_this_user_may_not_open_ends_with_77() {
    let daemon = FakeDaemon::new(|_| Answer::Die);
    fs::set_permissions(daemon.socket(), fs::Permissions::from_mode(0o000))
        .expect("close the socket");
    let mut command = command(&["ping"]);
    if rustix::process::geteuid().is_root() {
        // Root may open everything, unless it gives that right up.
        let given_up = "-dac_override,-dac_read_search";
        command = std::process::Command::new("setpriv");
        command
            .arg(format!("--bounding-set={given_up}"))
            .arg(format!("--inh-caps={given_up}"));
        command.args([env!("CARGO_BIN_EXE_tcpctl"), "ping"]);
    }
    command.env("TCPD_SOCKET", daemon.socket());
    run(command).failed_with(NOT_PERMITTED, &["not permitted", "tcpd.sock"]);
}

#[test]
fn a_daemon_that_dies_before_it_greets_is_gone() {
    let daemon = FakeDaemon::rude(|_, _| Answer::Die);
    for arguments in COMMANDS {
        tcpctl(&daemon.socket(), arguments).failed_with(UNAVAILABLE, &["went away"]);
    }
}

#[test]
fn a_daemon_that_dies_in_the_middle_is_gone() {
    let daemon = FakeDaemon::new(|_| Answer::Die);
    for arguments in COMMANDS {
        tcpctl(&daemon.socket(), arguments).failed_with(UNAVAILABLE, &["went away"]);
    }
}

#[test]
fn a_daemon_that_dies_between_two_pages_leaves_no_half_table() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::List { cursor: 0, .. } => Reply::Rows(page_of(
            &[connection(
                "1.1",
                TcpState::Established,
                "198.18.0.2:7",
                "198.18.0.1:1",
            )],
            1,
        ))
        .into(),
        _ => Answer::Die,
    });
    tcpctl(&daemon.socket(), &["list"]).failed_with(UNAVAILABLE, &["went away"]);
}

#[test]
fn a_daemon_that_says_why_it_ends_the_session_is_quoted() {
    let reason = Failure {
        code: ErrorCode::QuotaExceeded,
        detail: "sessions: 1024 for user 1000".to_owned(),
    };
    let daemon = FakeDaemon::rude(move |_, _| {
        Answer::Messages(vec![
            Event::SessionEnding(reason.clone()).encode(),
            Vec::new(),
        ])
    });
    let ended = tcpctl(&daemon.socket(), &["ping"]);
    assert!(
        ended.err.contains("sessions: 1024 for user 1000"),
        "{ended:?}"
    );
    assert_eq!(ended.code, 75);
}

#[test]
fn garbage_is_a_breach_of_the_protocol_and_never_a_crash() {
    let garbage: [Vec<u8>; 7] = [
        vec![0],
        vec![0xff; 8],
        vec![0x41; 65_536],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0x02, 0x80, 1, 0, 1, 0, 0, 0],
        vec![
            0x21, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
        ],
        vec![0x20, 0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xfe],
    ];
    for bytes in garbage {
        let first = bytes.clone();
        let daemon = FakeDaemon::rude(move |_, _| Answer::Bytes(first.clone()));
        tcpctl(&daemon.socket(), &["list"]).failed_with(PROTOCOL, &["tcpd"]);
        let later = bytes;
        let daemon = FakeDaemon::new(move |_| Answer::Bytes(later.clone()));
        for arguments in COMMANDS {
            tcpctl(&daemon.socket(), arguments).failed_with(PROTOCOL, &["tcpd"]);
        }
    }
}

#[test]
fn an_answer_to_another_question_is_a_breach_of_the_protocol() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::Ping => Reply::Done.into(),
        _ => Reply::Pong {
            version: String::new(),
            pid: 1,
            uptime_ms: 0,
        }
        .into(),
    });
    for arguments in COMMANDS {
        tcpctl(&daemon.socket(), arguments).failed_with(PROTOCOL, &["broke the protocol"]);
    }
}

#[test]
fn rows_that_are_not_what_is_documented_are_a_breach_of_the_protocol() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::Show { .. } => {
            Reply::Status(Json::of(&serde_json::json!({ "id": "1.1" })).expect("JSON")).into()
        }
        _ => page(&[serde_json::json!({ "id": 1, "state": "NO-SUCH-STATE" })]),
    });
    for arguments in [
        &["list"][..],
        &["list", "-l"],
        &["show", "1.1"],
        &["stats"],
        &["services"],
        &["users"],
    ] {
        tcpctl(&daemon.socket(), arguments).failed_with(PROTOCOL, &["documented"]);
    }
}

#[test]
fn a_table_that_goes_in_circles_ends() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::List { .. } => Reply::Rows(page_of(
            &[connection(
                "1.1",
                TcpState::Established,
                "198.18.0.2:7",
                "198.18.0.1:1",
            )],
            1,
        ))
        .into(),
        _ => Answer::Die,
    });
    tcpctl(&daemon.socket(), &["list"]).failed_with(PROTOCOL, &["circles"]);
}

#[test]
fn unasked_events_and_late_answers_do_not_disturb() {
    let daemon = FakeDaemon::rude(|number, request| match request {
        Request::Hello(_) => welcome().into(),
        _ => Answer::Messages(vec![
            Event::Draining { grace_ms: 10_000 }.encode(),
            Reply::Done.encode(number + 1_000),
            Reply::Pong {
                version: "0.1.0".to_owned(),
                pid: 1,
                uptime_ms: 1,
            }
            .encode(number),
        ]),
    });
    tcpctl(&daemon.socket(), &["ping"]).worked();
}

#[test]
fn every_refusal_has_its_exit_code_and_says_the_rule() {
    let expected = [
        (ErrorCode::NotPermitted, NOT_PERMITTED),
        (ErrorCode::NoSuchConnection, 68),
        (ErrorCode::VersionMismatch, PROTOCOL),
        (ErrorCode::UnknownRequest, PROTOCOL),
        (ErrorCode::BadRequest, 64),
        (ErrorCode::QuotaExceeded, 75),
        (ErrorCode::Draining, UNAVAILABLE),
        (ErrorCode::BadConfiguration, 78),
        (ErrorCode::NeedsRestart, 78),
        (ErrorCode::Internal, 70),
    ];
    for (code, exit) in expected {
        let daemon = FakeDaemon::new(move |_| Reply::error(code, "the rule of the test").into());
        tcpctl(&daemon.socket(), &["ping"])
            .failed_with(exit, &[code.sentence(), "the rule of the test"]);
    }
}

#[test]
fn a_connection_that_is_not_there_is_named() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::Listeners { .. } => page::<u8>(&[]),
        _ => Reply::error(ErrorCode::NoSuchConnection, "").into(),
    });
    for command in ["show", "close", "reset"] {
        tcpctl(&daemon.socket(), &[command, "99.9"]).failed_with(68, &["99.9"]);
    }
}

#[test]
fn the_first_connection_that_fails_ends_the_command() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::ControlReset { id } if id == "1.1" => Reply::Done.into(),
        _ => Reply::error(ErrorCode::NotPermitted, "connection of another user").into(),
    });
    tcpctl(&daemon.socket(), &["reset", "1.1", "2.1", "3.1"])
        .failed_with(NOT_PERMITTED, &["2.1", "another user"]);
    assert_eq!(daemon.requests().len(), 2);
}

#[test]
fn a_message_of_the_daemon_cannot_write_escape_sequences_to_the_terminal() {
    let daemon =
        FakeDaemon::new(|_| Reply::error(ErrorCode::Internal, "\x1b[2J\nsecond line").into());
    let ended = tcpctl(&daemon.socket(), &["ping"]);
    ended.failed_with(70, &["\\u{1b}[2J\\nsecond line"]);
}

#[test]
fn an_output_that_cannot_be_written_ends_with_74() {
    let daemon = FakeDaemon::new(|_| {
        Reply::Pong {
            version: "0.1.0".to_owned(),
            pid: 1,
            uptime_ms: 1,
        }
        .into()
    });
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let mut command = command(&["ping"]);
    command
        .env("TCPD_SOCKET", daemon.socket())
        .stdout(full)
        .stderr(std::process::Stdio::piped());
    let output = command
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("run tcpctl");
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}
