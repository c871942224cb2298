//! Rows as a daemon would send them, for the snapshots.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use libtcpclient::protocol::status::{
    CongestionStatus, ConnectionCounters, ConnectionRow, ConnectionStatus, CounterRow, EcnStatus,
    EndpointKind, Exits, ListenerRow, OptionsStatus, Owner, OwnerKind, ReceiveSequence,
    RingsStatus, RttStatus, SendSequence, ServiceRow, TcpState, TimerRow, Usage, UserKind, UserRow,
};

use super::users::Users;

pub(crate) fn users() -> Users {
    Users::parse("root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n")
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn client(pid: u32, program: &str) -> Owner {
    Owner {
        kind: OwnerKind::Client,
        pid: Some(pid),
        program: Some(program.to_owned()),
        uid: Some(1000),
        session: Some(3),
        service: None,
        endpoint: Some(EndpointKind::Ring),
    }
}

pub(crate) fn service(name: &str, pid: Option<u32>) -> Owner {
    Owner {
        kind: OwnerKind::Service,
        pid,
        service: Some(name.to_owned()),
        ..Owner::default()
    }
}

pub(crate) fn orphan() -> Owner {
    Owner {
        kind: OwnerKind::Orphan,
        ..Owner::default()
    }
}

pub(crate) fn timer(name: &str, left_ms: u64) -> TimerRow {
    TimerRow {
        name: name.to_owned(),
        left_ms,
    }
}

pub(crate) fn row(
    id: &str,
    state: TcpState,
    local: &str,
    peer: &str,
    owner: Owner,
) -> ConnectionRow {
    ConnectionRow {
        id: id.to_owned(),
        state,
        recv_q_bytes: 0,
        send_q_bytes: 0,
        local: address(local),
        peer: address(peer),
        owner,
        timer: None,
    }
}

/// One connection in each state worth seeing, in no order.
pub(crate) fn connections() -> Vec<ConnectionRow> {
    let mut writing = row(
        "12.3",
        TcpState::Established,
        "198.18.0.2:7",
        "198.18.0.1:40112",
        service("echo", Some(4712)),
    );
    writing.send_q_bytes = 131_072;
    writing.timer = Some(timer("retransmission", 212));
    let mut unread = row(
        "9.1",
        TcpState::CloseWait,
        "198.18.0.2:80",
        "198.18.0.1:51000",
        service("http", None),
    );
    unread.recv_q_bytes = 512;
    let mut gone = row(
        "4.7",
        TcpState::FinWait2,
        "198.18.0.2:33000",
        "198.18.0.1:22",
        orphan(),
    );
    gone.timer = Some(timer("orphan", 58_200));
    let mut waiting = row(
        "2.2",
        TcpState::TimeWait,
        "198.18.0.2:7",
        "198.18.0.1:40110",
        Owner::default(),
    );
    waiting.timer = Some(timer("time-wait", 59_900));
    let mut idle = row(
        "3.1",
        TcpState::Established,
        "[fd00:7463:7064::2]:33001",
        "[fd00:7463:7064::1]:8080",
        client(4711, "nc"),
    );
    idle.timer = Some(timer("keep-alive", 7_100_000));
    let mut opening = row(
        "20.1",
        TcpState::SynReceived,
        "198.18.0.2:80",
        "198.18.0.1:51002",
        Owner::default(),
    );
    opening.timer = Some(timer("handshake", 950));
    vec![idle, writing, unread, gone, waiting, opening]
}

pub(crate) fn listeners() -> Vec<ListenerRow> {
    let listener = |id: &str, local: &str, owner: Owner| ListenerRow {
        id: id.to_owned(),
        local: address(local),
        queued: 2,
        backlog: 128,
        half_open: 1,
        accepted: 1_204,
        refused: 3,
        owner,
    };
    vec![
        listener("1.1", "[::]:80", service("http", None)),
        listener("0.1", "198.18.0.2:7", service("echo", None)),
        listener("5.1", "198.18.0.2:9000", client(4711, "nc")),
    ]
}

/// A connection in the middle of a transfer over a lossy path.
pub(crate) fn busy() -> ConnectionStatus {
    let mut row = connections().remove(1);
    row.recv_q_bytes = 100;
    ConnectionStatus {
        row,
        passive: Some(true),
        age_ms: Some(185_000),
        last_received_ms: Some(12),
        last_sent_ms: Some(3),
        snd: SendSequence {
            una: 4_294_966_296,
            nxt: 14_480,
            wnd_bytes: 65_536,
            max_wnd_bytes: 131_072,
            up: 0,
            wl1: 9_001,
            wl2: 4_294_966_296,
            iss: 4_294_000_000,
        },
        rcv: Some(ReceiveSequence {
            nxt: 9_101,
            wnd_bytes: 65_436,
            adv: 74_537,
            up: 0,
            irs: 9_000,
        }),
        congestion: CongestionStatus {
            algorithm: "newreno".to_owned(),
            phase: "fast-recovery".to_owned(),
            cwnd_bytes: 28_960,
            ssthresh_bytes: Some(14_480),
            in_flight_bytes: 15_480,
            duplicate_acks: 3,
            delivery_rate_bytes_per_s: Some(620_000),
            pacing_rate_bytes_per_s: None,
            reordering_seen: true,
            reordering_window_us: Some(11_000),
        },
        rtt: RttStatus {
            srtt_us: Some(45_200),
            rttvar_us: Some(812),
            min_us: Some(44_000),
            latest_us: Some(45_300),
            receiver_us: Some(46_100),
            rto_us: 400_000,
            backoff: 1,
        },
        ecn: EcnStatus {
            state: "on".to_owned(),
            ce_in: 3,
            ece_in: 2,
            reductions: 1,
        },
        options: OptionsStatus {
            mss_send_bytes: 1_448,
            mss_receive_bytes: 1_460,
            path_mtu_bytes: Some(1_500),
            window_scale_send: Some(7),
            window_scale_receive: Some(7),
            timestamps: true,
            sack: false,
            nodelay: false,
            keepalive_idle_s: Some(7_200),
            keepalive_interval_s: Some(75),
            keepalive_count: Some(9),
            user_timeout_ms: None,
            peer_user_timeout_ms: Some(1_800_000),
            idle_timeout_ms: None,
            dscp: 0,
        },
        rings: RingsStatus {
            transmit_capacity_bytes: 131_072,
            transmit_maximum_bytes: 4_194_304,
            transmit_wanted_bytes: 65_536,
            transmit_used_bytes: 131_072,
            transmit_unsent_bytes: 115_592,
            receive_capacity_bytes: 65_536,
            receive_maximum_bytes: 4_194_304,
            receive_wanted_bytes: 131_072,
            receive_unread_bytes: 100,
            out_of_order_bytes: 2_896,
            out_of_order_ranges: 2,
        },
        counters: Some(ConnectionCounters {
            bytes_in: 100,
            bytes_out: 966_295,
            segments_in: 1_204,
            segments_out: 700,
            retransmitted_segments: 7,
            retransmitted_bytes: 10_136,
            timeouts: 1,
            fast_retransmits: 6,
            lost_segments: 8,
            spurious_segments: 1,
            undone_reductions: 1,
            duplicate_sacks_in: 1,
            tail_loss_probes: 2,
            duplicate_acks_in: 21,
            out_of_order_in: 2,
            zero_window_probes: 0,
            keepalive_probes: 0,
            challenge_acks: 0,
            dropped: BTreeMap::from([
                ("sequence-outside-window".to_owned(), 4),
                ("timestamp-too-old".to_owned(), 1),
            ]),
        }),
        timers: vec![timer("retransmission", 212), timer("keep-alive", 7_100_000)],
        not_sending: Some("congestion-window".to_owned()),
        peer_closed: false,
        send_closed: false,
        soft_error: None,
        end: None,
    }
}

/// The little that is kept of a connection in TIME-WAIT.
pub(crate) fn time_wait() -> ConnectionStatus {
    ConnectionStatus {
        row: connections().remove(4),
        passive: Some(true),
        age_ms: Some(61_000),
        last_received_ms: Some(100),
        last_sent_ms: Some(100),
        snd: SendSequence {
            una: 5_000,
            nxt: 5_000,
            ..SendSequence::default()
        },
        rcv: Some(ReceiveSequence {
            nxt: 9_102,
            wnd_bytes: 65_535,
            adv: 74_637,
            ..ReceiveSequence::default()
        }),
        congestion: CongestionStatus::default(),
        rtt: RttStatus::default(),
        ecn: EcnStatus::default(),
        options: OptionsStatus::default(),
        rings: RingsStatus::default(),
        counters: None,
        timers: vec![timer("time-wait", 59_900)],
        not_sending: Some("closed".to_owned()),
        peer_closed: true,
        send_closed: true,
        soft_error: None,
        end: None,
    }
}

/// An active open that nobody has answered yet.
pub(crate) fn syn_sent() -> ConnectionStatus {
    ConnectionStatus {
        row: row(
            "30.1",
            TcpState::SynSent,
            "198.18.0.2:33002",
            "198.18.0.1:81",
            client(4711, "nc"),
        ),
        passive: Some(false),
        age_ms: Some(1_400),
        last_received_ms: None,
        last_sent_ms: Some(400),
        snd: SendSequence {
            una: 77,
            nxt: 78,
            iss: 77,
            ..SendSequence::default()
        },
        rcv: None,
        congestion: CongestionStatus::default(),
        rtt: RttStatus {
            rto_us: 2_000_000,
            backoff: 1,
            ..RttStatus::default()
        },
        ecn: EcnStatus::default(),
        options: OptionsStatus {
            mss_send_bytes: 536,
            mss_receive_bytes: 1_460,
            ..OptionsStatus::default()
        },
        rings: RingsStatus::default(),
        counters: Some(ConnectionCounters {
            segments_out: 2,
            retransmitted_segments: 1,
            timeouts: 1,
            ..ConnectionCounters::default()
        }),
        timers: vec![timer("handshake", 1_600)],
        not_sending: Some("handshake".to_owned()),
        peer_closed: false,
        send_closed: false,
        soft_error: None,
        end: None,
    }
}

pub(crate) fn counters() -> Vec<CounterRow> {
    [
        (
            "segments-in",
            1_234_567,
            "TCP segments received, whatever became of them",
        ),
        (
            "segments-accepted",
            1_234_560,
            "TCP segments that were processed",
        ),
        (
            "dropped-bad-checksum",
            7,
            "segments dropped because their checksum is wrong",
        ),
        (
            "dropped-no-listener",
            0,
            "SYNs to a port on which nobody listens; answered with RST",
        ),
    ]
    .map(|(name, value, help)| CounterRow {
        name: name.to_owned(),
        value,
        help: help.to_owned(),
    })
    .to_vec()
}

pub(crate) fn services() -> Vec<ServiceRow> {
    vec![
        ServiceRow {
            name: "echo".to_owned(),
            addresses: Vec::new(),
            port: 7,
            handler: "echo".to_owned(),
            workers: 2,
            max_workers: 2,
            idle: 0,
            waiting: 5,
            started: 1_204,
            failed: 0,
            refused_per_source: 0,
            not_executed: 0,
            out_of_time: 1,
            exits: Exits {
                by_status: BTreeMap::from([(0, 1_198), (3, 1)]),
                by_signal: BTreeMap::from([(9, 2), (35, 1)]),
                unknown: 0,
            },
            usage: Usage {
                user_us: 1_250_000,
                system_us: 890_000,
                max_rss_bytes: 2_097_152,
                ..Usage::default()
            },
        },
        ServiceRow {
            name: "http".to_owned(),
            addresses: vec![
                address("198.18.0.2:80").ip(),
                address("[fd00:7463:7064::2]:80").ip(),
            ],
            port: 80,
            handler: "http /srv/www".to_owned(),
            workers: 0,
            max_workers: 256,
            idle: 8,
            waiting: 0,
            started: 0,
            failed: 1,
            refused_per_source: 12,
            not_executed: 3,
            out_of_time: 0,
            exits: Exits {
                by_status: BTreeMap::from([(72, 4)]),
                unknown: 1,
                ..Exits::default()
            },
            usage: Usage::default(),
        },
    ]
}

/// A user near its limits, root, the services, and all together.
pub(crate) fn user_rows() -> Vec<UserRow> {
    vec![
        UserRow {
            uid: Some(0),
            sessions: 1,
            ..UserRow::default()
        },
        UserRow {
            uid: Some(1000),
            sessions: 3,
            sessions_limit: Some(1_024),
            connections: 1_204,
            connections_limit: Some(65_536),
            orphans: 2,
            orphans_limit: Some(4_096),
            listeners: 1,
            listeners_limit: Some(1_024),
            handoffs: 5,
            handoffs_limit: Some(1_024),
            ring_bytes: 470 << 20,
            ring_bytes_limit: Some(512 << 20),
            private_ring_bytes: 1 << 20,
            pressed: true,
            refused: BTreeMap::from([
                ("control.privileged_ports_below".to_owned(), 1),
                ("limits.ring_bytes_per_uid".to_owned(), 12_345),
            ]),
            ..UserRow::default()
        },
        UserRow {
            kind: UserKind::Services,
            connections: 7,
            ring_bytes: 1 << 20,
            ..UserRow::default()
        },
        UserRow {
            kind: UserKind::All,
            sessions: 4,
            connections: 1_211,
            connections_limit: Some(1_000_000),
            orphans: 2,
            orphans_limit: Some(8_192),
            listeners: 1,
            ring_bytes: 471 << 20,
            ring_bytes_limit: Some(2 << 30),
            pressed: true,
            ..UserRow::default()
        },
    ]
}
