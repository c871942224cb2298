//! Every message, byte by byte. A change here is a change of the protocol: raise its version.

use std::net::{IpAddr, SocketAddr};

use libtcpclient::protocol::{
    CongestionControl, Connect, DecodeError, ErrorCode, Event, Failure, Filter, FromDaemon, Hello,
    Impair, ImpairDirection, Impaired, Json, KeepAlive, Listen, Opened, Page, Reply, Request,
    ShutdownHow, StreamOptions, Welcome,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields, one string each, so that a mistake is seen where it is.
fn check_request(request: Request, golden: &[&str]) {
    let bytes = request.encode(0x0102_0304);
    assert_eq!(hex(&bytes), golden.concat(), "{request:?}");
    assert_eq!(Request::decode(&bytes), Ok((0x0102_0304, request)));
}

fn check_reply(reply: Reply, golden: &[&str]) {
    let bytes = reply.encode(7);
    assert_eq!(hex(&bytes), golden.concat(), "{reply:?}");
    assert_eq!(FromDaemon::decode(&bytes), Ok(FromDaemon::Reply(7, reply)));
}

fn check_event(event: Event, golden: &[&str]) {
    let bytes = event.encode();
    assert_eq!(hex(&bytes), golden.concat(), "{event:?}");
    assert_eq!(FromDaemon::decode(&bytes), Ok(FromDaemon::Event(event)));
}

/// kind, reserved, request
macro_rules! header {
    ($kind:literal) => {
        concat!($kind, "0000", "04030201")
    };
}
macro_rules! reply_header {
    ($kind:literal) => {
        concat!($kind, "0000", "07000000")
    };
}

const V4: &str = "04c612000200000000000000000000000000";
const NO_OPTIONS: &str =
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000";
const CONNECTION: u64 = 0x1122_3344_5566_7788;

fn v4(port: u16) -> SocketAddr {
    ([198, 18, 0, 2], port).into()
}

fn v6() -> IpAddr {
    "fd00:7463:7064::2".parse().expect("an address")
}

#[test]
fn hello_has_the_version_first() {
    check_request(
        Request::Hello(Hello {
            version: 1,
            arena: true,
            token: Some(*b"0123456789abcdef"),
            program: "héllo".into(),
        }),
        &[
            header!("0100"),
            "0100",
            "0300",
            "30313233343536373839616263646566",
            "0600",
            "68c3a96c6c6f",
        ],
    );
    check_request(
        Request::Hello(Hello {
            version: 2,
            arena: false,
            token: None,
            program: String::new(),
        }),
        &[
            header!("0100"),
            "0200",
            "0000",
            "00000000000000000000000000000000",
            "0000",
        ],
    );
}

#[test]
fn opening_requests() {
    check_request(
        Request::Listen(Listen {
            address: Some(v4(0).ip()),
            port: 7,
            reuse: true,
            backlog: 128,
            options: StreamOptions {
                nodelay: true,
                keepalive: Some(KeepAlive {
                    idle_s: 7200,
                    interval_s: 75,
                    count: 9,
                }),
                user_timeout_ms: 1000,
                receive_maximum: 0x10000,
                transmit_maximum: 0x20000,
                idle_timeout_ms: 300_000,
                dscp: 46,
                congestion: Some(CongestionControl::NewReno),
            },
        }),
        &[
            header!("1000"),
            &V4[..34],
            "0700",
            "01",
            "80000000",
            "03000000",
            "201c0000",
            "4b000000",
            "09000000",
            "e8030000",
            "00000100",
            "00000200",
            "e0930400",
            "2e000000",
            "02000000",
        ],
    );
    check_request(
        Request::Connect(Connect {
            local: None,
            local_port: 0,
            reuse: false,
            remote: SocketAddr::new(v6(), 443),
            timeout_ms: 3000,
            options: StreamOptions::default(),
        }),
        &[
            header!("2000"),
            "0000000000000000000000000000000000",
            "0000",
            "00",
            "0600bb01",
            "fd007463706400000000000000000002",
            "b80b0000",
            NO_OPTIONS,
        ],
    );
    let listener = 5;
    check_request(
        Request::CloseListener { listener },
        &[header!("1100"), "0500000000000000"],
    );
    check_request(
        Request::Accept {
            listener,
            nonblocking: true,
        },
        &[header!("1200"), "0500000000000000", "01"],
    );
    check_request(
        Request::CancelAccept { request: 9 },
        &[header!("1300"), "09000000"],
    );
    check_request(Request::Adopt, &[header!("2100")]);
}

#[test]
fn requests_on_a_connection() {
    let connection = CONNECTION;
    let id = "8877665544332211";
    for (how, byte) in [
        (ShutdownHow::Read, "01"),
        (ShutdownHow::Write, "02"),
        (ShutdownHow::Both, "03"),
    ] {
        check_request(
            Request::Shutdown { connection, how },
            &[header!("3000"), id, byte],
        );
    }
    check_request(
        Request::Close {
            connection,
            linger_ms: None,
        },
        &[header!("3100"), id, "00", "00000000"],
    );
    check_request(
        Request::Close {
            connection,
            linger_ms: Some(500),
        },
        &[header!("3100"), id, "01", "f4010000"],
    );
    check_request(Request::Abort { connection }, &[header!("3200"), id]);
    check_request(
        Request::SetOptions {
            connection,
            options: StreamOptions::default(),
        },
        &[header!("3300"), id, NO_OPTIONS],
    );
    check_request(Request::GrowTransmit { connection }, &[header!("3400"), id]);
    check_request(
        Request::ConnectionStatus { connection },
        &[header!("3500"), id],
    );
    check_request(Request::IntoSocket { connection }, &[header!("3600"), id]);
    check_request(
        Request::HandOff {
            connection,
            uid: Some(1000),
        },
        &[header!("3700"), id, "01", "e8030000"],
    );
    check_request(
        Request::AdoptHandoff {
            token: *b"0123456789abcdef",
        },
        &[header!("2200"), "30313233343536373839616263646566"],
    );
    check_request(Request::ErrorStream, &[header!("2300")]);
}

#[test]
fn control_requests() {
    check_request(Request::Ping, &[header!("4000")]);
    let filter = Filter {
        states: 0x0410,
        port: 80,
        address: Some(v4(0).ip()),
        prefix: 15,
        pid: 42,
        service: "echo".into(),
    };
    let filter_bytes = [
        "1004",
        "5000",
        &V4[..34],
        "0f",
        "2a000000",
        "0400",
        "6563686f",
    ]
    .concat();
    let cursor = 3;
    let cursor_bytes = "0300000000000000";
    check_request(
        Request::List {
            filter: filter.clone(),
            cursor,
        },
        &[header!("4100"), &filter_bytes, cursor_bytes],
    );
    check_request(
        Request::Listeners { filter, cursor },
        &[header!("4200"), &filter_bytes, cursor_bytes],
    );
    let id = || "12.3".to_owned();
    let id_bytes = "040031322e33";
    check_request(Request::Show { id: id() }, &[header!("4300"), id_bytes]);
    check_request(Request::Stats { cursor }, &[header!("4400"), cursor_bytes]);
    check_request(
        Request::Services { cursor },
        &[header!("4500"), cursor_bytes],
    );
    check_request(
        Request::Sessions { cursor },
        &[header!("4600"), cursor_bytes],
    );
    check_request(Request::Users { cursor }, &[header!("4c00"), cursor_bytes]);
    check_request(Request::DaemonStatus, &[header!("4700")]);
    check_request(
        Request::ControlClose { id: id() },
        &[header!("4800"), id_bytes],
    );
    check_request(
        Request::ControlReset { id: id() },
        &[header!("4900"), id_bytes],
    );
    check_request(
        Request::ControlSet {
            id: id(),
            settings: "congestion=newreno".into(),
        },
        &[
            header!("4f00"),
            id_bytes,
            "1200",
            "636f6e67657374696f6e3d6e657772656e6f",
        ],
    );
    check_request(Request::Reload, &[header!("4a00")]);
    check_request(
        Request::Drain { grace_ms: None },
        &[header!("4b00"), "00", "00000000"],
    );
    check_request(
        Request::Drain {
            grace_ms: Some(60_000),
        },
        &[header!("4b00"), "01", "60ea0000"],
    );
    check_request(
        Request::Impairments { cursor },
        &[header!("4e00"), cursor_bytes],
    );
}

#[test]
fn impairments() {
    let none = ["00", &"00".repeat(16), "00"].concat();
    check_request(
        Request::Impair(Impair {
            direction: ImpairDirection::Both,
            packets: Impaired::Everything,
            impairment: None,
            seed: None,
        }),
        &[
            header!("4d00"),
            "03",
            "00",
            &none,
            "0000",
            "000000",
            "00",
            "0000000000000000",
        ],
    );
    check_request(
        Request::Impair(Impair {
            direction: ImpairDirection::In,
            packets: Impaired::Peer {
                address: v4(0).ip(),
                prefix: 15,
            },
            impairment: Some("loss=1%".into()),
            seed: Some(7),
        }),
        &[
            header!("4d00"),
            "01",
            "01",
            &V4[..34],
            "0f",
            "0000",
            "010700",
            "6c6f73733d3125",
            "01",
            "0700000000000000",
        ],
    );
    check_request(
        Request::Impair(Impair {
            direction: ImpairDirection::Out,
            packets: Impaired::Connection("12.3".into()),
            impairment: None,
            seed: None,
        }),
        &[
            header!("4d00"),
            "02",
            "02",
            &none,
            "040031322e33",
            "000000",
            "00",
            "0000000000000000",
        ],
    );
}

#[test]
fn replies() {
    check_reply(
        Reply::Welcome(Welcome {
            version: 1,
            stack_threads: 2,
            slots: 4096,
            ring_maximum: 4 << 20,
            session: 77,
            daemon_version: "0.1.0".into(),
        }),
        &[
            reply_header!("0180"),
            "0100",
            "0200",
            "00100000",
            "00004000",
            "4d00000000000000",
            "0500",
            "302e312e30",
        ],
    );
    check_reply(Reply::Done, &[reply_header!("0280")]);
    check_reply(
        Reply::error(ErrorCode::AddressInUse, "port 7"),
        &[reply_header!("0380"), "0e00", "0600", "706f72742037"],
    );
    check_reply(
        Reply::Listening {
            listener: 5,
            local: v4(7),
        },
        &[
            reply_header!("1080"),
            "0500000000000000",
            "04000700c61200020000000000000000",
            "00000000",
        ],
    );
    let opened = Opened {
        connection: CONNECTION,
        slot: 3,
        stack_thread: 1,
        local: v4(40000),
        remote: SocketAddr::new(v6(), 80),
        receive_maximum: 4 << 20,
        transmit_maximum: 1 << 20,
    };
    let body = [
        "8877665544332211",
        "03000000",
        "0100",
        "0000",
        "0400409cc6120002000000000000000000000000",
        "06005000fd007463706400000000000000000002",
        "00004000",
        "00001000",
    ]
    .concat();
    assert_eq!(body.len(), 2 * 64);
    check_reply(Reply::Accepted(opened), &[reply_header!("1180"), &body]);
    check_reply(Reply::Connected(opened), &[reply_header!("1280"), &body]);
    check_reply(Reply::Adopted(opened), &[reply_header!("1380"), &body]);
    check_reply(Reply::Stream, &[reply_header!("1580")]);
    check_reply(
        Reply::HandedOff {
            token: *b"0123456789abcdef",
            life_ms: 10_000,
        },
        &[
            reply_header!("1680"),
            "30313233343536373839616263646566",
            "10270000",
        ],
    );
    check_reply(
        Reply::Grown {
            capacity: 1 << 17,
            base: 0x10000,
        },
        &[reply_header!("1480"), "00000200", "0000010000000000"],
    );
    check_reply(
        Reply::Status(Json::of(&true).expect("fits")),
        &[reply_header!("2080"), "04000000", "74727565"],
    );
    let mut page = Page::new();
    assert!(page.push(&1) && page.push(&2));
    page.next = 2;
    check_reply(
        Reply::Rows(page),
        &[
            reply_header!("2180"),
            "0200000000000000",
            "04000000",
            "310a320a",
        ],
    );
    check_reply(
        Reply::Pong {
            version: "x".into(),
            pid: 258,
            uptime_ms: 1,
        },
        &[
            reply_header!("2280"),
            "010078",
            "02010000",
            "0100000000000000",
        ],
    );
}

#[test]
fn events_have_request_number_zero() {
    let reason = || Failure {
        code: ErrorCode::QuotaExceeded,
        detail: "rings".into(),
    };
    let bytes = "1200050072696e6773";
    check_event(Event::SessionEnding(reason()), &["01c0000000000000", bytes]);
    check_event(
        Event::Draining { grace_ms: 10_000 },
        &["02c0000000000000", "10270000"],
    );
    check_event(
        Event::ListenerClosed {
            listener: 5,
            reason: reason(),
        },
        &["03c0000000000000", "0500000000000000", bytes],
    );
}

#[test]
fn options_of_earlier_versions_are_too_short_now() {
    let options = StreamOptions {
        nodelay: true,
        ..StreamOptions::default()
    };
    let request = Request::SetOptions {
        connection: CONNECTION,
        options,
    };
    let bytes = request.encode(7);
    for missing in [4, 8, 12] {
        let before = &bytes[..bytes.len() - missing];
        assert_eq!(Request::decode(before), Err(DecodeError::Truncated));
    }
    let seven_bits = [&bytes[..bytes.len() - 8], &64u32.to_le_bytes(), &[0; 4]].concat();
    assert_eq!(
        Request::decode(&seven_bits),
        Err(DecodeError::BadValue("dscp"))
    );
    let unknown = [&bytes[..bytes.len() - 4], &3u32.to_le_bytes()].concat();
    assert_eq!(
        Request::decode(&unknown),
        Err(DecodeError::BadValue("congestion"))
    );
    assert_eq!(
        Request::decode(&[&bytes[..], &[0]].concat()),
        Err(DecodeError::TrailingBytes)
    );
}

#[test]
fn the_numbers_of_codes_and_reasons_stay() {
    use libtcpclient::protocol::EndReason;
    let codes: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|c| (c.code(), c.name()))
        .collect();
    assert_eq!(codes.first(), Some(&(1, "connection-illegal")));
    assert_eq!(codes.last(), Some(&(34, "needs-restart")));
    assert_eq!(codes.len(), 34);
    let reasons: Vec<_> = EndReason::ALL
        .iter()
        .map(|r| (r.code(), r.name()))
        .collect();
    assert_eq!(reasons.first(), Some(&(1, "closed")));
    assert_eq!(reasons.last(), Some(&(20, "idle-timeout")));
    assert_eq!(reasons.len(), 20);
}
