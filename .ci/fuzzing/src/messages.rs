//! A message of every kind that the protocol has, each field with a value worth changing. The test beside this holds that none is missing.

use std::net::{IpAddr, SocketAddr};

use libtcpclient::protocol::{
    CongestionControl, Connect, ErrorCode, Event, Failure, Filter, Hello, Impair, ImpairDirection,
    Impaired, Json, KeepAlive, Listen, Opened, Page, Reply, Request, ShutdownHow, StreamOptions,
    VERSION, Welcome,
};

/// A connection as its session names it.
const CONNECTION: u64 = 1 << 32 | 2;
const LISTENER: u64 = 1 << 32;
const TOKEN: [u8; 16] = *b"0123456789abcdef";

fn v4() -> IpAddr {
    [198, 18, 0, 2].into()
}

fn v6() -> IpAddr {
    [0xfd00, 0x7463, 0x7064, 0, 0, 0, 0, 2].into()
}

/// The id of a connection as people write it.
fn id() -> String {
    "2.1".into()
}

fn options() -> StreamOptions {
    StreamOptions {
        nodelay: true,
        keepalive: Some(KeepAlive {
            idle_s: 7200,
            interval_s: 75,
            count: 9,
        }),
        user_timeout_ms: 1_000,
        receive_maximum: 0x10000,
        transmit_maximum: 0x20000,
        idle_timeout_ms: 300_000,
        dscp: 46,
        congestion: Some(CongestionControl::NewReno),
    }
}

fn filter() -> Filter {
    Filter {
        states: 0x0410,
        port: 80,
        address: Some(v4()),
        prefix: 15,
        pid: 42,
        service: "echo".into(),
    }
}

/// What clients say.
pub fn requests() -> Vec<Request> {
    [opening(), on_a_connection(), tables(), operators()].concat()
}

fn opening() -> Vec<Request> {
    vec![
        Request::Hello(Hello {
            version: VERSION,
            arena: true,
            token: Some(TOKEN),
            program: "héllo".into(),
        }),
        Request::Listen(Listen {
            address: Some(v4()),
            port: 7_001,
            reuse: true,
            backlog: 128,
            options: options(),
        }),
        Request::Connect(Connect {
            local: Some(v4()),
            local_port: 40_000,
            reuse: false,
            remote: SocketAddr::new(v6(), 443),
            timeout_ms: 3_000,
            options: StreamOptions::default(),
        }),
        Request::CloseListener { listener: LISTENER },
        Request::Accept {
            listener: LISTENER,
            nonblocking: true,
        },
        Request::CancelAccept { request: 9 },
        Request::Adopt,
        Request::AdoptHandoff { token: TOKEN },
        Request::ErrorStream,
    ]
}

fn on_a_connection() -> Vec<Request> {
    let connection = CONNECTION;
    vec![
        Request::Shutdown {
            connection,
            how: ShutdownHow::Write,
        },
        Request::Close {
            connection,
            linger_ms: Some(500),
        },
        Request::Abort { connection },
        Request::SetOptions {
            connection,
            options: options(),
        },
        Request::GrowTransmit { connection },
        Request::ConnectionStatus { connection },
        Request::IntoSocket { connection },
        Request::HandOff {
            connection,
            uid: Some(1_000),
        },
    ]
}

fn tables() -> Vec<Request> {
    let cursor = 3;
    vec![
        Request::Ping,
        Request::List {
            filter: filter(),
            cursor: 0,
        },
        Request::Listeners {
            filter: filter(),
            cursor,
        },
        Request::Show { id: id() },
        Request::Stats { cursor },
        Request::Services { cursor },
        Request::Sessions { cursor },
        Request::Users { cursor },
        Request::DaemonStatus,
        Request::Impairments { cursor: 0 },
    ]
}

fn operators() -> Vec<Request> {
    let impair = |direction, packets, impairment: Option<&str>, seed| {
        Request::Impair(Impair {
            direction,
            packets,
            impairment: impairment.map(str::to_owned),
            seed,
        })
    };
    let peer = Impaired::Peer {
        address: v4(),
        prefix: 15,
    };
    vec![
        Request::ControlClose { id: id() },
        Request::ControlReset { id: id() },
        Request::ControlSet {
            id: id(),
            settings: "congestion=newreno".into(),
        },
        Request::Reload,
        Request::Drain {
            grace_ms: Some(60_000),
        },
        impair(
            ImpairDirection::Both,
            Impaired::Everything,
            Some("loss=1% burst=0.5%:30% delay=20ms jitter=2ms rate=100mbit queue=256KiB ce=64KiB"),
            None,
        ),
        impair(
            ImpairDirection::In,
            peer,
            Some("reorder=2%:10ms duplicate=0.1% corrupt=0.01%"),
            Some(7),
        ),
        impair(
            ImpairDirection::Out,
            Impaired::Connection(id()),
            Some("delay=1s"),
            None,
        ),
        impair(ImpairDirection::Both, Impaired::Everything, None, None),
    ]
}

/// What a daemon answers.
pub fn replies() -> Vec<Reply> {
    let opened = Opened {
        connection: CONNECTION,
        slot: 3,
        stack_thread: 1,
        local: SocketAddr::new(v4(), 40_000),
        remote: SocketAddr::new(v6(), 80),
        receive_maximum: 4 << 20,
        transmit_maximum: 1 << 20,
    };
    let mut page = Page::new();
    page.push(&1);
    page.push(&"two");
    page.next = 2;
    vec![
        Reply::Welcome(Welcome {
            version: VERSION,
            stack_threads: 2,
            slots: 4096,
            ring_maximum: 4 << 20,
            session: 77,
            daemon_version: "0.1.0".into(),
        }),
        Reply::Done,
        Reply::error(ErrorCode::AddressInUse, "port 7"),
        Reply::Listening {
            listener: LISTENER,
            local: SocketAddr::new(v4(), 7),
        },
        Reply::Accepted(opened),
        Reply::Connected(opened),
        Reply::Adopted(opened),
        Reply::Grown {
            capacity: 1 << 17,
            base: 0x10000,
        },
        Reply::Stream,
        Reply::HandedOff {
            token: TOKEN,
            life_ms: 10_000,
        },
        Json::of(&[true]).map_or(Reply::Done, Reply::Status),
        Reply::Rows(page),
        Reply::Pong {
            version: "0.1.0".into(),
            pid: 258,
            uptime_ms: 1,
        },
    ]
}

/// What a daemon says unasked.
pub fn events() -> Vec<Event> {
    let reason = || Failure {
        code: ErrorCode::QuotaExceeded,
        detail: "rings".into(),
    };
    vec![
        Event::SessionEnding(reason()),
        Event::Draining { grace_ms: 10_000 },
        Event::ListenerClosed {
            listener: LISTENER,
            reason: reason(),
        },
    ]
}

/// Each as it is on the wire.
pub fn encoded() -> Vec<Vec<u8>> {
    let requests = requests().into_iter().map(|request| request.encode(1));
    let replies = replies().into_iter().map(|reply| reply.encode(1));
    let events = events().into_iter().map(|event| event.encode());
    requests.chain(replies).chain(events).collect()
}
