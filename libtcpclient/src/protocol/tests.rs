use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::status::TcpState;
use super::*;

fn endpoint() -> impl Strategy<Value = SocketAddr> {
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(a, p)| (Ipv4Addr::from(a), p).into());
    let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(a, p)| (Ipv6Addr::from(a), p).into());
    prop_oneof![v4, v6]
}

fn address() -> impl Strategy<Value = Option<std::net::IpAddr>> {
    proptest::option::of(endpoint().prop_map(|e| e.ip()))
}

fn options() -> impl Strategy<Value = StreamOptions> {
    let keepalive = (1u32.., 1u32.., 1u32..).prop_map(|(idle_s, interval_s, count)| KeepAlive {
        idle_s,
        interval_s,
        count,
    });
    (
        any::<bool>(),
        proptest::option::of(keepalive),
        any::<[u32; 4]>(),
        0u8..64,
        proptest::option::of(proptest::sample::select(&CongestionControl::ALL[..])),
    )
        .prop_map(|(nodelay, keepalive, numbers, dscp, congestion)| {
            let [
                user_timeout_ms,
                receive_maximum,
                transmit_maximum,
                idle_timeout_ms,
            ] = numbers;
            StreamOptions {
                nodelay,
                keepalive,
                user_timeout_ms,
                receive_maximum,
                transmit_maximum,
                idle_timeout_ms,
                dscp,
                congestion,
            }
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    (
        any::<[u16; 2]>(),
        address(),
        1u8..=32,
        any::<u32>(),
        "[a-z]{0,20}",
    )
        .prop_map(|([states, port], address, prefix, pid, service)| Filter {
            states,
            port,
            address,
            prefix: if address.is_some() { prefix } else { 0 },
            pid,
            service,
        })
}

fn connection_request() -> impl Strategy<Value = Request> {
    let how = prop_oneof![
        Just(ShutdownHow::Read),
        Just(ShutdownHow::Write),
        Just(ShutdownHow::Both)
    ];
    prop_oneof![
        any::<u64>().prop_map(|listener| Request::CloseListener { listener }),
        any::<(u64, bool)>().prop_map(|(listener, nonblocking)| Request::Accept {
            listener,
            nonblocking
        }),
        any::<u32>().prop_map(|request| Request::CancelAccept { request }),
        (any::<u64>(), how).prop_map(|(connection, how)| Request::Shutdown { connection, how }),
        any::<(u64, Option<u32>)>().prop_map(|(connection, linger_ms)| Request::Close {
            connection,
            linger_ms
        }),
        any::<u64>().prop_map(|connection| Request::Abort { connection }),
        (any::<u64>(), options()).prop_map(|(connection, options)| Request::SetOptions {
            connection,
            options
        }),
        any::<u64>().prop_map(|connection| Request::GrowTransmit { connection }),
        any::<u64>().prop_map(|connection| Request::ConnectionStatus { connection }),
        any::<u64>().prop_map(|connection| Request::IntoSocket { connection }),
        any::<(u64, Option<u32>)>()
            .prop_map(|(connection, uid)| Request::HandOff { connection, uid }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let hello = (any::<(u16, bool, Option<[u8; 16]>)>(), "\\PC{0,16}");
    let listen = (address(), any::<(u16, bool, u32)>(), options());
    let connect = (address(), any::<(u16, bool, u32)>(), endpoint(), options());
    prop_oneof![
        hello.prop_map(|((version, arena, token), program)| Request::Hello(Hello {
            version,
            arena,
            token,
            program
        })),
        listen.prop_map(
            |(address, (port, reuse, backlog), options)| Request::Listen(Listen {
                address,
                port,
                reuse,
                backlog,
                options
            })
        ),
        connect.prop_map(
            |(local, (local_port, reuse, timeout_ms), remote, options)| {
                Request::Connect(Connect {
                    local,
                    local_port,
                    reuse,
                    remote,
                    timeout_ms,
                    options,
                })
            }
        ),
        connection_request(),
        Just(Request::Adopt),
        any::<[u8; 16]>().prop_map(|token| Request::AdoptHandoff { token }),
        Just(Request::ErrorStream),
        Just(Request::Ping),
        Just(Request::DaemonStatus),
        (filter(), any::<u64>()).prop_map(|(filter, cursor)| Request::List { filter, cursor }),
        (filter(), any::<u64>()).prop_map(|(filter, cursor)| Request::Listeners { filter, cursor }),
        any::<u64>().prop_map(|cursor| Request::Stats { cursor }),
        any::<u64>().prop_map(|cursor| Request::Services { cursor }),
        any::<u64>().prop_map(|cursor| Request::Sessions { cursor }),
        any::<u64>().prop_map(|cursor| Request::Users { cursor }),
        "[0-9.]{0,48}".prop_map(|id| Request::Show { id }),
        "[0-9.]{0,48}".prop_map(|id| Request::ControlClose { id }),
        "[0-9.]{0,48}".prop_map(|id| Request::ControlReset { id }),
        ("[0-9.]{0,48}", "[a-z= ]{0,60}")
            .prop_map(|(id, settings)| Request::ControlSet { id, settings }),
        Just(Request::Reload),
        any::<Option<u32>>().prop_map(|grace_ms| Request::Drain { grace_ms }),
        any::<u64>().prop_map(|cursor| Request::Impairments { cursor }),
        impair().prop_map(Request::Impair),
    ]
}

fn impair() -> impl Strategy<Value = Impair> {
    let packets = prop_oneof![
        Just(Impaired::Everything),
        (any::<std::net::IpAddr>(), 0u8..=32)
            .prop_map(|(address, prefix)| Impaired::Peer { address, prefix }),
        "[0-9.]{0,48}".prop_map(Impaired::Connection),
    ];
    let directions = [
        ImpairDirection::In,
        ImpairDirection::Out,
        ImpairDirection::Both,
    ];
    let direction = proptest::sample::select(directions.to_vec());
    let text = proptest::option::of("\\PC{0,40}");
    (direction, packets, text, any::<Option<u64>>()).prop_map(
        |(direction, packets, impairment, seed)| Impair {
            direction,
            packets,
            impairment,
            seed,
        },
    )
}

fn failure() -> impl Strategy<Value = Failure> {
    (proptest::sample::select(ErrorCode::ALL), "\\PC{0,40}")
        .prop_map(|(code, detail)| Failure { code, detail })
}

fn opened() -> impl Strategy<Value = Opened> {
    (any::<(u64, u32, u16, u32, u32)>(), endpoint(), endpoint()).prop_map(
        |((connection, slot, stack_thread, receive, transmit), local, remote)| Opened {
            connection,
            slot,
            stack_thread,
            local,
            remote,
            receive_maximum: receive,
            transmit_maximum: transmit,
        },
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    let welcome = (any::<(u16, u16, u32, u32, u64)>(), "\\PC{0,16}").prop_map(
        |((version, stack_threads, slots, ring_maximum, session), daemon_version)| {
            Reply::Welcome(Welcome {
                version,
                stack_threads,
                slots,
                ring_maximum,
                session,
                daemon_version,
            })
        },
    );
    let rows = (any::<u64>(), proptest::collection::vec(any::<u32>(), 0..5)).prop_map(
        |(next, numbers)| {
            let mut page = Page::new();
            numbers.iter().for_each(|n| assert!(page.push(n)));
            page.next = next;
            Reply::Rows(page)
        },
    );
    prop_oneof![
        welcome,
        Just(Reply::Done),
        failure().prop_map(Reply::Error),
        (any::<u64>(), endpoint())
            .prop_map(|(listener, local)| Reply::Listening { listener, local }),
        opened().prop_map(Reply::Accepted),
        opened().prop_map(Reply::Connected),
        opened().prop_map(Reply::Adopted),
        any::<(u32, u64)>().prop_map(|(capacity, base)| Reply::Grown { capacity, base }),
        Just(Reply::Stream),
        any::<([u8; 16], u32)>().prop_map(|(token, life_ms)| Reply::HandedOff { token, life_ms }),
        "\\PC{0,40}".prop_map(|text| Reply::Status(Json::of(&text).expect("fits"))),
        rows,
        ("\\PC{0,16}", any::<(u32, u64)>()).prop_map(|(version, (pid, uptime_ms))| Reply::Pong {
            version,
            pid,
            uptime_ms
        }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        failure().prop_map(Event::SessionEnding),
        any::<u32>().prop_map(|grace_ms| Event::Draining { grace_ms }),
        (any::<u64>(), failure())
            .prop_map(|(listener, reason)| Event::ListenerClosed { listener, reason }),
    ]
}

proptest! {
    #[test]
    fn every_request_survives_the_wire(request in request(), number in 1u32..) {
        let message = request.encode(number);
        prop_assert!(message.len() <= MAX_MESSAGE);
        prop_assert_eq!(Request::decode(&message), Ok((number, request)));
    }

    #[test]
    fn every_reply_survives_the_wire(reply in reply(), number in 1u32..) {
        let message = reply.encode(number);
        prop_assert_eq!(Reply::decode(&message), Ok((number, reply.clone())));
        prop_assert_eq!(FromDaemon::decode(&message), Ok(FromDaemon::Reply(number, reply)));
    }

    #[test]
    fn every_event_survives_the_wire(event in event()) {
        let message = event.encode();
        prop_assert_eq!(Event::decode(&message), Ok(event.clone()));
        prop_assert_eq!(FromDaemon::decode(&message), Ok(FromDaemon::Event(event)));
    }

    #[test]
    fn a_message_cut_short_or_with_a_byte_more_is_an_error(request in request(), cut in any::<prop::sample::Index>()) {
        let message = request.encode(1);
        prop_assert!(Request::decode(&message[..cut.index(message.len())]).is_err());
        prop_assert!(Request::decode(&[&message[..], &[0]].concat()).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_what_decodes_is_canonical(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in proptest::sample::select(vec![0x01u16, 0x10, 0x12, 0x20, 0x31, 0x33, 0x41, 0x43, 0x8001, 0x8003, 0x8011, 0x8020, 0x8021, 0xc001, 0xc003]),
    ) {
        let mut shaped = bytes.clone();
        if let Some(header) = shaped.first_chunk_mut::<4>() {
            header[..2].copy_from_slice(&kind.to_le_bytes());
            header[2..].fill(0);
        }
        for message in [bytes, shaped] {
            let _ = Hello::peek_version(&message);
            let _ = Header::peek(&message);
            if let Ok((number, request)) = Request::decode(&message) {
                prop_assert_eq!(request.encode(number), message.clone());
            }
            match FromDaemon::decode(&message) {
                Ok(FromDaemon::Reply(number, reply)) => prop_assert_eq!(reply.encode(number), message),
                Ok(FromDaemon::Event(event)) => prop_assert_eq!(event.encode(), message),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn a_message_longer_than_the_maximum_is_refused_before_its_body_is_read() {
    let mut message = Request::Ping.encode(1);
    message.resize(MAX_MESSAGE + 1, 0);
    assert_eq!(Request::decode(&message), Err(DecodeError::TooLong));
}

#[test]
fn a_request_must_have_a_number_and_an_event_must_not() {
    let zero = Err(DecodeError::BadValue("request"));
    assert_eq!(Request::decode(&Request::Ping.encode(0)), zero);
    assert!(Reply::decode(&Reply::Done.encode(0)).is_err());
    let mut event = Event::Draining { grace_ms: 1 }.encode();
    event[4] = 1;
    assert!(Event::decode(&event).is_err());
}

#[test]
fn texts_for_people_are_cut_at_a_character_and_ids_are_bounded() {
    let long = "é".repeat(400);
    let message = Reply::error(ErrorCode::Internal, long).encode(9);
    let Ok((9, Reply::Error(failure))) = Reply::decode(&message) else {
        panic!("not an error reply");
    };
    assert_eq!(failure.detail, "é".repeat(256));
}

#[test]
fn a_page_takes_rows_until_the_message_is_full() {
    let row = "x".repeat(1000);
    let mut page = Page::new();
    while page.push(&row) {}
    assert_eq!(page.lines().count(), 65);
    assert!(Reply::Rows(page).encode(1).len() <= MAX_MESSAGE);
    let large = "y".repeat(Json::MAX);
    assert_eq!(Json::of(&large), Err(TooLarge(Json::MAX + 2)));
}

#[test]
fn codes_names_and_kinds_agree() {
    let mut names = std::collections::HashSet::new();
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
        assert!(names.insert(code.name()));
        let _: io::ErrorKind = code.kind();
    }
    names.clear();
    for reason in EndReason::ALL {
        assert_eq!(EndReason::from_code(reason.code()), Some(*reason));
        assert!(names.insert(reason.name()));
    }
    assert_eq!(EndReason::from_code(0), None);
    assert_eq!(ErrorCode::from_code(0), None);
}

#[test]
fn the_states_serialise_under_the_names_of_the_rfc() {
    for state in TcpState::ALL {
        let json = serde_json::to_string(&state).expect("a string");
        assert_eq!(json, format!("\"{state}\""));
        assert_eq!(state.bit().trailing_zeros(), state as u32);
    }
}
