//! What tcpctl prints when the daemon answers as it should.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use libtcpclient::protocol::status::{
    ConnectionStatus, DaemonStatus, Draining, Reloaded, TcpState, UserKind, UserRow,
};
use libtcpclient::protocol::{ErrorCode, Filter, Json, Reply, Request};
use serde_json::Value;

use crate::fake_daemon::{Answer, FakeDaemon};
use crate::rows::{connection, connections, counter, listener, page, page_of, service, status};
use crate::{command, run, tcpctl};

/// A daemon with connections, listeners, counters and services.
fn daemon() -> FakeDaemon {
    FakeDaemon::new(|request| match request {
        // Like the real one, it has listeners among the connections too.
        Request::List { .. } => {
            let mut rows = connections();
            rows.push(connection("1.1", TcpState::Listen, "[::]:80", "[::]:0"));
            page(&rows)
        }
        Request::Listeners { .. } => {
            page(&[listener("0.1", "198.18.0.2:7"), listener("1.1", "[::]:80")])
        }
        Request::Show { id } if id == "12.3" => {
            Reply::Status(Json::of(&status(connections().remove(1))).expect("JSON")).into()
        }
        Request::Show { id } if id == "1.1" => {
            let row = connection("1.1", TcpState::Listen, "[::]:80", "[::]:0");
            Reply::Status(Json::of(&status(row)).expect("JSON")).into()
        }
        Request::Show { .. } | Request::ControlClose { .. } | Request::ControlReset { .. } => {
            Reply::error(ErrorCode::NoSuchConnection, "").into()
        }
        Request::Stats { .. } => page(&[
            counter("segments-in", 12_345),
            counter("dropped-bad-checksum", 0),
        ]),
        Request::Services { .. } => page(&[service("echo", 7), service("discard", 9)]),
        Request::Users { .. } => page(&users()),
        Request::Ping => Reply::Pong {
            version: "0.1.0".to_owned(),
            pid: 4242,
            uptime_ms: 3_600_000,
        }
        .into(),
        _ => Reply::error(ErrorCode::UnknownRequest, "").into(),
    })
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

#[test]
fn list_shows_connections_in_order_and_no_listeners() {
    insta::assert_snapshot!(tcpctl(&daemon().socket(), &["list"]).worked(), @r#"
    ID    State        Recv-Q  Send-Q  Local                   Peer                      Owner      Timer
    2.2   TIME-WAIT         0       0  198.18.0.2:7            198.18.0.1:40110          -          59s time-wait
    12.3  ESTABLISHED       0    1024  198.18.0.2:7            198.18.0.1:40112          echo/4712  212ms retransmission
    3.1   CLOSE-WAIT        0       0  [fd00:7463:7064::2]:80  [fd00:7463:7064::1]:8080  -          -
    "#);
}

#[test]
fn list_all_begins_with_the_listeners() {
    insta::assert_snapshot!(tcpctl(&daemon().socket(), &["list", "--all"]).worked(), @r#"
    ID    State        Recv-Q  Send-Q  Local                   Peer                      Owner      Timer
    0.1   LISTEN            2     128  198.18.0.2:7            *                         echo       -
    1.1   LISTEN            2     128  *:80                    *                         echo       -
    2.2   TIME-WAIT         0       0  198.18.0.2:7            198.18.0.1:40110          -          59s time-wait
    12.3  ESTABLISHED       0    1024  198.18.0.2:7            198.18.0.1:40112          echo/4712  212ms retransmission
    3.1   CLOSE-WAIT        0       0  [fd00:7463:7064::2]:80  [fd00:7463:7064::1]:8080  -          -
    "#);
}

#[test]
fn list_filters_what_the_daemon_did_not() {
    let daemon = daemon();
    let list = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["list"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let out = tcpctl(&daemon.socket(), &arguments).worked();
        ids(&out).join(" ")
    };
    assert_eq!(list(&["--state", "time-wait"]), "2.2");
    assert_eq!(list(&["--state", "TIME_WAIT,close-wait"]), "2.2 3.1");
    assert_eq!(list(&["-s", "established", "-s", "listen"]), "0.1 1.1 12.3");
    assert_eq!(list(&["--port", "7"]), "2.2 12.3");
    assert_eq!(list(&["--port", "40110", "--port", "80"]), "2.2 3.1");
    assert_eq!(list(&["--address", "198.18.0.0/15"]), "2.2 12.3");
    assert_eq!(list(&["--address", "fd00:7463:7064::1"]), "3.1");
    assert_eq!(list(&["-4"]), "2.2 12.3");
    assert_eq!(list(&["-6"]), "3.1");
    assert_eq!(list(&["--listening"]), "0.1 1.1");
    assert_eq!(list(&["--listening", "--port", "80"]), "1.1");
    assert_eq!(list(&["--state", "syn-recv"]), "");
}

#[test]
fn list_asks_the_daemon_for_as_little_as_it_can() {
    let daemon = daemon();
    tcpctl(
        &daemon.socket(),
        &[
            "list",
            "--state",
            "established",
            "--port",
            "7",
            "--address",
            "198.18.0.0/15",
        ],
    )
    .worked();
    let filter = Filter {
        states: TcpState::Established.bit(),
        port: 7,
        address: Some([198, 18, 0, 0].into()),
        prefix: 15,
        ..Filter::default()
    };
    assert_eq!(daemon.requests(), [Request::List { filter, cursor: 0 }]);
}

#[test]
fn list_fetches_every_page() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::List { cursor, .. } => {
            let row = connection(
                &format!("{cursor}.1"),
                TcpState::Established,
                "198.18.0.2:7",
                &format!("198.18.0.1:{}", 1_000 + cursor),
            );
            Reply::Rows(page_of(&[row], if *cursor < 9 { cursor + 1 } else { 0 })).into()
        }
        _ => Answer::Die,
    });
    let out = tcpctl(&daemon.socket(), &["list", "--no-header"]).worked();
    assert_eq!(out.lines().count(), 10);
}

#[test]
fn list_as_json_is_one_object_a_line_with_a_state_in_each() {
    let out = tcpctl(&daemon().socket(), &["list", "--all", "--json"]).worked();
    let rows = json_lines(&out);
    let states: Vec<&str> = rows
        .iter()
        .map(|row| row["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(
        states,
        ["LISTEN", "LISTEN", "TIME-WAIT", "ESTABLISHED", "CLOSE-WAIT"]
    );
    assert_eq!(rows[3]["owner"]["pid"], 4712);
    assert_eq!(rows[3]["timer"]["left_ms"], 212);
}

#[test]
fn list_is_cut_to_the_width_of_columns() {
    let daemon = daemon();
    let mut command = command(&["list", "-4"]);
    command
        .env("TCPD_SOCKET", daemon.socket())
        .env("COLUMNS", "80");
    let out = run(command).worked();
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert_eq!(out.lines().count(), 3);
}

#[test]
fn list_is_cut_to_the_width_of_the_terminal() {
    let daemon = daemon();
    let (mut terminal, stdout) = terminal_of_width(80);
    let mut command = command(&["list", "-4"]);
    command.env("TCPD_SOCKET", daemon.socket()).stdout(stdout);
    let status = command
        .spawn()
        .and_then(|mut child| child.wait())
        .expect("run tcpctl");
    drop(command);
    assert_eq!(status.code(), Some(0));
    let mut out = Vec::new();
    // The terminal says EIO when its last program is gone.
    let _ = terminal.read_to_end(&mut out);
    let out = String::from_utf8(out).expect("UTF-8");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

/// A terminal that wide: the side of whoever looks at it, and that of a program.
fn terminal_of_width(columns: u16) -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&terminal)
        .and_then(|()| unlockpt(&terminal))
        .expect("the terminal's other side");
    let name = ptsname(&terminal, Vec::new()).expect("the name of the other side");
    let program = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("UTF-8"))
        .expect("open the other side");
    let size = rustix::termios::Winsize {
        ws_row: 25,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&program, size).expect("set the width");
    (File::from(terminal), program)
}

#[test]
fn show_prints_the_groups_of_a_tcb() {
    let out = tcpctl(&daemon().socket(), &["show", "12.3"]).worked();
    for group in [
        "Connection 12.3",
        "Send sequence space",
        "Receive sequence space",
        "Congestion",
        "Round-trip",
        "Timers",
        "Options",
        "Rings",
        "Counts",
    ] {
        assert!(
            out.lines().any(|line| line.starts_with(group)),
            "no {group} in\n{out}"
        );
    }
}

#[test]
fn show_as_json_is_the_status_itself() {
    let out = tcpctl(&daemon().socket(), &["show", "12.3", "--json"]).worked();
    let shown: ConnectionStatus = serde_json::from_str(&out).expect("a status");
    assert_eq!(shown, status(connections().remove(1)));
}

#[test]
fn show_finds_listeners_too() {
    let daemon = daemon();
    let out = tcpctl(&daemon.socket(), &["show", "1.1"]).worked();
    assert!(out.starts_with("Listener 1.1  *:80\n"), "{out}");
    let out = tcpctl(&daemon.socket(), &["show", "0.1"]).worked();
    assert!(out.starts_with("Listener 0.1  198.18.0.2:7\n"), "{out}");
    let out = tcpctl(&daemon.socket(), &["show", "1.1", "--json"]).worked();
    assert_eq!(json_lines(&out)[0]["state"], "LISTEN");
}

#[test]
fn stats_leave_out_zeros_unless_asked() {
    let daemon = daemon();
    assert_eq!(
        tcpctl(&daemon.socket(), &["stats", "-H"]).worked(),
        "12,345  segments-in  what segments-in means\n"
    );
    assert_eq!(
        tcpctl(&daemon.socket(), &["stats", "--all", "-H"])
            .worked()
            .lines()
            .count(),
        2
    );
    assert_eq!(
        tcpctl(&daemon.socket(), &["stats", "-aH", "checksum"])
            .worked()
            .lines()
            .count(),
        1
    );
    assert_eq!(
        json_lines(&tcpctl(&daemon.socket(), &["stats", "--json"]).worked()).len(),
        2
    );
}

#[test]
fn services_show_waiting_connections_and_on_request_workers() {
    let daemon = daemon();
    insta::assert_snapshot!(tcpctl(&daemon.socket(), &["services", "--workers"]).worked(), @r#"
    Service  Handler  Listens on  Workers  Idle  Waiting  Refused  Started  Exits  CPU user+sys  Max RSS
    echo     echo     *:7             1/4     0        3        0        7  -      0 s + 0 s         0 B
    discard  discard  *:9             1/4     0        3        0        7  -      0 s + 0 s         0 B

    Worker  Service  ID    State        Local         Peer
      4712  echo     12.3  ESTABLISHED  198.18.0.2:7  198.18.0.1:40112
    "#);
    let rows = json_lines(&tcpctl(&daemon.socket(), &["services", "--workers", "--json"]).worked());
    assert_eq!(rows[0]["worker_pids"], serde_json::json!([4712]));
    assert_eq!(rows[1]["worker_pids"], serde_json::json!([]));
    let rows = json_lines(&tcpctl(&daemon.socket(), &["services", "--json"]).worked());
    assert_eq!(rows[0].get("worker_pids"), None);
}

#[test]
fn close_and_reset_are_silent_and_name_their_connection() {
    let daemon = FakeDaemon::new(|_| Reply::Done.into());
    assert_eq!(tcpctl(&daemon.socket(), &["close", "12.3"]).worked(), "");
    assert_eq!(
        tcpctl(&daemon.socket(), &["reset", "12.3", "12.4"]).worked(),
        ""
    );
    let reset = |id: &str| Request::ControlReset { id: id.to_owned() };
    assert_eq!(
        daemon.requests(),
        [
            Request::ControlClose {
                id: "12.3".to_owned()
            },
            reset("12.3"),
            reset("12.4")
        ]
    );
}

#[test]
fn set_is_silent_and_hands_on_what_the_daemon_refuses() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::ControlSet { settings, .. } if settings == "congestion=newreno" => {
            Reply::Done.into()
        }
        _ => Reply::error(
            ErrorCode::BadRequest,
            "\"bbr\" is no congestion control; allowed: cubic, newreno",
        )
        .into(),
    });
    let set = |settings: &[&str]| {
        let arguments = [&["set", "12.3"], settings].concat();
        tcpctl(&daemon.socket(), &arguments)
    };
    assert_eq!(set(&["congestion=newreno"]).worked(), "");
    let refused = set(&["congestion=bbr", "cwnd=1"]);
    refused.failed_with(
        64,
        &["\"bbr\" is no congestion control; allowed: cubic, newreno"],
    );
    assert_eq!(
        daemon.requests()[1],
        Request::ControlSet {
            id: "12.3".to_owned(),
            settings: "congestion=bbr cwnd=1".to_owned(),
        },
        "all of them in one request"
    );
}

#[test]
fn reload_says_what_is_different_now() {
    let done = Reloaded {
        settings: vec!["limits.sessions_per_uid".to_owned()],
        services_added: vec!["echo".to_owned(), "discard".to_owned()],
        ..Reloaded::default()
    };
    let daemon = FakeDaemon::new(move |_| Reply::Status(Json::of(&done).expect("JSON")).into());
    assert_eq!(
        tcpctl(&daemon.socket(), &["reload"]).worked(),
        "settings changed: limits.sessions_per_uid\nservices added: echo, discard\n"
    );
    let json = &json_lines(&tcpctl(&daemon.socket(), &["reload", "--json"]).worked())[0];
    assert_eq!(json["services_removed"], serde_json::json!([]));
    let nothing =
        FakeDaemon::new(|_| Reply::Status(Json::of(&Reloaded::default()).expect("JSON")).into());
    assert_eq!(
        tcpctl(&nothing.socket(), &["reload"]).worked(),
        "nothing has changed\n"
    );
}

#[test]
fn drain_says_what_is_left_and_waits_for_the_end() {
    let answer = |request: &Request| match request {
        Request::Drain { grace_ms } => {
            let grace_ms = grace_ms.map_or(10_000, u64::from);
            Reply::Status(Json::of(&Draining { grace_ms }).expect("JSON")).into()
        }
        _ => Answer::Die,
    };
    let daemon = FakeDaemon::new(move |request: &Request| match request {
        Request::DaemonStatus => {
            let connections = [(TcpState::Established, 2), (TcpState::TimeWait, 3)];
            let status = DaemonStatus {
                version: "0.1.0".to_owned(),
                protocol_version: 2,
                pid: 4242,
                uptime_ms: 1,
                interface: "tcpd0".to_owned(),
                mtu_bytes: 1500,
                offload: true,
                addresses: Vec::new(),
                stack_threads: 1,
                sessions: 1,
                listeners: 0,
                connections: connections.into(),
                spawner_pid: None,
                spawner_restarts: 0,
                lost_log_lines: 0,
                draining: true,
                config_file: None,
            };
            Reply::Status(Json::of(&status).expect("JSON")).into()
        }
        other => answer(other),
    });
    assert_eq!(
        tcpctl(&daemon.socket(), &["drain", "--no-wait"]).worked(),
        "nothing new is accepted, for at most 10 s; connections left: 2\n"
    );
    let daemon = FakeDaemon::new(answer);
    assert_eq!(
        tcpctl(&daemon.socket(), &["drain", "--grace", "60"]).worked(),
        "nothing new is accepted, for at most 1 min\nthe daemon is gone\n"
    );
    assert_eq!(
        daemon.requests()[0],
        Request::Drain {
            grace_ms: Some(60_000)
        }
    );
}

#[test]
fn ping_says_who_answered_and_how_fast() {
    let daemon = daemon();
    let out = tcpctl(&daemon.socket(), &["ping"]).worked();
    assert!(
        out.starts_with("tcpd 0.1.0, pid 4242, up 1 h, answered in "),
        "{out}"
    );
    let pong = &json_lines(&tcpctl(&daemon.socket(), &["ping", "--json"]).worked())[0];
    assert_eq!(
        (pong["pid"].as_u64(), pong["uptime_ms"].as_u64()),
        (Some(4242), Some(3_600_000))
    );
    assert!(pong["round_trip_us"].as_u64().expect("microseconds") > 0);
}

#[test]
fn the_option_comes_before_the_environment() {
    let daemon = daemon();
    let socket = daemon.socket();
    let mut command = command(&["ping", "--socket", socket.to_str().expect("a path")]);
    command.env("TCPD_SOCKET", "/nonexistent/tcpd.sock");
    run(command).worked();
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let daemon = FakeDaemon::new(|request| match request {
        Request::List { cursor, .. } => {
            let rows: Vec<_> = (0..200)
                .map(|port| {
                    connection(
                        "1.1",
                        TcpState::Established,
                        "198.18.0.2:7",
                        &format!("198.18.0.1:{}", 1_000 + port),
                    )
                })
                .collect();
            Reply::Rows(page_of(&rows, if *cursor < 20 { cursor + 1 } else { 0 })).into()
        }
        _ => Answer::Die,
    });
    let mut child = command(&["list"])
        .env("TCPD_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run tcpctl");
    let mut first = [0; 2];
    let mut out = child.stdout.take().expect("standard output");
    out.read_exact(&mut first).expect("the first bytes");
    drop(out);
    let output = child.wait_with_output().expect("the end of tcpctl");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Root, who has no limits, a user who has, and all together.
fn users() -> Vec<UserRow> {
    let root = UserRow {
        uid: Some(0),
        sessions: 1,
        ..UserRow::default()
    };
    let user = UserRow {
        uid: Some(4_000_000_000),
        connections: 3,
        connections_limit: Some(4),
        ring_bytes: 470 << 20,
        ring_bytes_limit: Some(512 << 20),
        pressed: true,
        refused: [("limits.ring_bytes_per_uid".to_owned(), 7)].into(),
        ..UserRow::default()
    };
    let all = UserRow {
        kind: UserKind::All,
        connections: 3,
        ..UserRow::default()
    };
    vec![root, user, all]
}

#[test]
fn users_show_use_against_limit_and_refusals() {
    let daemon = daemon();
    insta::assert_snapshot!("users", tcpctl(&daemon.socket(), &["users"]).worked());
    let rows = json_lines(&tcpctl(&daemon.socket(), &["users", "--json"]).worked());
    assert_eq!(rows[1]["ring_bytes_limit"], serde_json::json!(512 << 20));
    assert_eq!(rows[1]["refused"]["limits.ring_bytes_per_uid"], 7);
    assert_eq!(rows[0].get("connections_limit"), None, "none is absent");
    let bare = tcpctl(&daemon.socket(), &["users", "-H"]).worked();
    assert!(!bare.contains("Refused"), "{bare}");
}
