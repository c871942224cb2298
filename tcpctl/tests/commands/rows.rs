//! Rows for the fake daemon, and pages of them.

use libtcpclient::protocol::status::{
    CongestionStatus, ConnectionCounters, ConnectionRow, ConnectionStatus, CounterRow, EcnStatus,
    Exits, ListenerRow, OptionsStatus, Owner, OwnerKind, ReceiveSequence, RingsStatus, RttStatus,
    SendSequence, ServiceRow, TcpState, TimerRow, Usage,
};
use libtcpclient::protocol::{Page, Reply};
use serde::Serialize;

use crate::fake_daemon::Answer;

/// All rows on one page.
pub(crate) fn page<T: Serialize>(rows: &[T]) -> Answer {
    Answer::Reply(Reply::Rows(page_of(rows, 0)))
}

/// Rows on a page that says where the next one is.
pub(crate) fn page_of<T: Serialize>(rows: &[T], next: u64) -> Page {
    let mut page = Page::new();
    for row in rows {
        assert!(page.push(row), "the rows fit a page");
    }
    page.next = next;
    page
}

pub(crate) fn service_owner(name: &str, pid: u32) -> Owner {
    Owner {
        kind: OwnerKind::Service,
        pid: Some(pid),
        service: Some(name.to_owned()),
        ..Owner::default()
    }
}

pub(crate) fn connection(id: &str, state: TcpState, local: &str, peer: &str) -> ConnectionRow {
    ConnectionRow {
        id: id.to_owned(),
        state,
        recv_q_bytes: 0,
        send_q_bytes: 0,
        local: local.parse().expect("an address"),
        peer: peer.parse().expect("an address"),
        owner: Owner::default(),
        timer: None,
    }
}

pub(crate) fn connections() -> Vec<ConnectionRow> {
    let mut echo = connection(
        "12.3",
        TcpState::Established,
        "198.18.0.2:7",
        "198.18.0.1:40112",
    );
    echo.owner = service_owner("echo", 4712);
    echo.send_q_bytes = 1_024;
    echo.timer = Some(TimerRow {
        name: "retransmission".to_owned(),
        left_ms: 212,
    });
    let mut waiting = connection(
        "2.2",
        TcpState::TimeWait,
        "198.18.0.2:7",
        "198.18.0.1:40110",
    );
    waiting.timer = Some(TimerRow {
        name: "time-wait".to_owned(),
        left_ms: 59_900,
    });
    let six = connection(
        "3.1",
        TcpState::CloseWait,
        "[fd00:7463:7064::2]:80",
        "[fd00:7463:7064::1]:8080",
    );
    vec![six, echo, waiting]
}

pub(crate) fn listener(id: &str, local: &str) -> ListenerRow {
    ListenerRow {
        id: id.to_owned(),
        local: local.parse().expect("an address"),
        queued: 2,
        backlog: 128,
        half_open: 0,
        accepted: 10,
        refused: 0,
        owner: Owner {
            service: Some("echo".to_owned()),
            kind: OwnerKind::Service,
            ..Owner::default()
        },
    }
}

pub(crate) fn status(row: ConnectionRow) -> ConnectionStatus {
    ConnectionStatus {
        row,
        passive: Some(true),
        age_ms: Some(1_000),
        last_received_ms: Some(5),
        last_sent_ms: Some(5),
        snd: SendSequence {
            una: 100,
            nxt: 1_124,
            wnd_bytes: 65_535,
            max_wnd_bytes: 65_535,
            iss: 99,
            ..SendSequence::default()
        },
        rcv: Some(ReceiveSequence {
            nxt: 301,
            wnd_bytes: 65_536,
            adv: 65_837,
            irs: 300,
            ..ReceiveSequence::default()
        }),
        congestion: CongestionStatus {
            algorithm: "newreno".to_owned(),
            phase: "slow-start".to_owned(),
            cwnd_bytes: 14_600,
            ..CongestionStatus::default()
        },
        ecn: EcnStatus::default(),
        rtt: RttStatus {
            srtt_us: Some(200),
            rttvar_us: Some(100),
            rto_us: 200_000,
            ..RttStatus::default()
        },
        options: OptionsStatus {
            mss_send_bytes: 1_460,
            mss_receive_bytes: 1_460,
            ..OptionsStatus::default()
        },
        rings: RingsStatus {
            transmit_capacity_bytes: 65_536,
            receive_capacity_bytes: 65_536,
            ..RingsStatus::default()
        },
        counters: Some(ConnectionCounters {
            segments_in: 3,
            segments_out: 3,
            ..ConnectionCounters::default()
        }),
        timers: vec![TimerRow {
            name: "retransmission".to_owned(),
            left_ms: 212,
        }],
        not_sending: None,
        peer_closed: false,
        send_closed: false,
        soft_error: None,
        end: None,
    }
}

pub(crate) fn counter(name: &str, value: u64) -> CounterRow {
    CounterRow {
        name: name.to_owned(),
        value,
        help: format!("what {name} means"),
    }
}

pub(crate) fn service(name: &str, port: u16) -> ServiceRow {
    ServiceRow {
        name: name.to_owned(),
        addresses: Vec::new(),
        port,
        handler: name.to_owned(),
        workers: 1,
        max_workers: 4,
        idle: 0,
        waiting: 3,
        started: 7,
        failed: 0,
        refused_per_source: 0,
        not_executed: 0,
        out_of_time: 0,
        exits: Exits::default(),
        usage: Usage::default(),
    }
}
