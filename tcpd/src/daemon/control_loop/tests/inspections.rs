use std::net::SocketAddr;

use libtcpclient::protocol::status::{
    ConnectionRow, CounterRow, DaemonStatus, SessionRow, TcpState,
};
use libtcpclient::protocol::{ErrorCode, Filter, Page};
use tcpd_core::stack::{EndpointId, State, Summary};

use super::*;
use crate::daemon::orders::{Inspected, Inspection, Owner};

fn summary(number: u64, state: State) -> Summary {
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    Summary {
        id: EndpointId::from_bits(1 << 32 | number),
        state,
        local: address("198.18.0.2:7"),
        remote: SocketAddr::new(
            address("198.18.0.1:1").ip(),
            1000 + (number % 50_000) as u16,
        ),
        recv_q: 1,
        send_q: 2,
        timer: None,
        tag: 0,
    }
}

fn list(filter: Filter, cursor: u64) -> Request {
    Request::List { filter, cursor }
}

/// Answers the next inspection with what the stack would say.
fn inspected(t: &mut Fixture, expected: Inspection, what: Inspected) {
    let mut ticket = None;
    t.until("an inspection", |t| {
        while let Ok(order) = t.orders.try_recv() {
            if let Order::Inspect {
                ticket: asked,
                what,
            } = order
            {
                assert_eq!(what, expected);
                ticket = Some(asked);
            }
        }
        ticket.is_some()
    });
    t.report(Report::Inspected {
        ticket: ticket.expect("until"),
        what,
    });
}

fn rows(page: &Page) -> Vec<ConnectionRow> {
    page.lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}

fn session_of(t: &mut Fixture) -> u64 {
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    session
}

#[test]
fn a_user_sees_its_own_connections_and_root_all_of_them() {
    let mut t = Fixture::new();
    let user = t.client(1000, true);
    let own = session_of(&mut t);
    let other = t.client(1001, true);
    let others = session_of(&mut t);
    let root = t.client(0, false);
    let table = || {
        Inspected::Endpoints(vec![
            (summary(3, State::Established), Owner::Session(others)),
            (summary(1, State::Established), Owner::Session(own)),
            (summary(2, State::TimeWait), Owner::Nobody),
        ])
    };
    user.say(2, &list(Filter::default(), 0));
    inspected(&mut t, Inspection::Endpoints, table());
    let Reply::Rows(page) = t.answer_to(&user, 2) else {
        panic!()
    };
    let seen = rows(&page);
    assert_eq!((seen.len(), seen[0].id.as_str(), page.next), (1, "1.1", 0));
    assert_eq!(
        (seen[0].owner.uid, seen[0].owner.program.as_deref()),
        (Some(1000), Some("test"))
    );
    root.say(2, &list(Filter::default(), 0));
    inspected(&mut t, Inspection::Endpoints, table());
    let Reply::Rows(page) = t.answer_to(&root, 2) else {
        panic!()
    };
    assert_eq!(
        rows(&page)
            .iter()
            .map(|row| row.id.as_str())
            .collect::<Vec<_>>(),
        ["1.1", "2.1", "3.1"]
    );
    root.say(
        3,
        &list(
            Filter {
                states: TcpState::TimeWait.bit(),
                ..Filter::default()
            },
            0,
        ),
    );
    inspected(&mut t, Inspection::Endpoints, table());
    let Reply::Rows(page) = t.answer_to(&root, 3) else {
        panic!()
    };
    assert_eq!(
        rows(&page)
            .iter()
            .map(|row| row.id.as_str())
            .collect::<Vec<_>>(),
        ["2.1"]
    );
    drop(other);
}

#[test]
fn a_long_list_comes_in_pages_without_a_gap_or_a_double() {
    let mut t = Fixture::new();
    let root = t.client(0, false);
    let table = || {
        (0..2000)
            .rev()
            .map(|number| (summary(number, State::Established), Owner::Nobody))
            .collect()
    };
    let (mut seen, mut cursor, mut number, mut looks) = (Vec::new(), 0, 1, 0);
    loop {
        number += 1;
        root.say(number, &list(Filter::default(), cursor));
        if cursor == 0 || looks == 1 {
            // On the second page the rows kept are lost: the stack is looked at again.
            if looks == 1 {
                t.control.inspections.forget(1);
            }
            looks += 1;
            inspected(&mut t, Inspection::Endpoints, Inspected::Endpoints(table()));
        }
        let Reply::Rows(page) = t.answer_to(&root, number) else {
            panic!()
        };
        seen.extend(rows(&page).into_iter().map(|row| row.id));
        cursor = page.next;
        if cursor == 0 {
            break;
        }
    }
    assert!(number > 4, "that was no long list");
    assert_eq!(
        seen,
        (0..2000)
            .map(|number| format!("{number}.1"))
            .collect::<Vec<_>>()
    );
    assert_eq!(looks, 2, "the other pages came from what was kept");
}

#[test]
fn statistics_join_the_stacks_counters_and_our_own() {
    let mut t = Fixture::new();
    let user = t.client(1000, false);
    user.say(2, &Request::Stats { cursor: 0 });
    inspected(
        &mut t,
        Inspection::Counters,
        Inspected::Counters(vec![("segments-in", "Segments received.", 42)]),
    );
    let Reply::Rows(page) = t.answer_to(&user, 2) else {
        panic!()
    };
    let counters: Vec<CounterRow> = page
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    let value = |name: &str| {
        counters
            .iter()
            .find(|row| row.name == name)
            .map(|row| row.value)
    };
    assert_eq!(
        (
            value("segments-in"),
            value("sessions"),
            value("sessions-opened")
        ),
        (Some(42), Some(1), Some(1))
    );
    for end in EndedBy::ALL {
        assert_eq!(value(end.name()), Some(0), "{end:?}");
    }
}

#[test]
fn sessions_and_the_daemon_are_shown_with_what_they_have() {
    let mut t = Fixture::new();
    let user = t.client(1000, true);
    let own = session_of(&mut t);
    let root = t.client(0, false);
    root.say(2, &Request::Sessions { cursor: 0 });
    let table =
        || Inspected::Endpoints(vec![(summary(1, State::Established), Owner::Session(own))]);
    inspected(&mut t, Inspection::Endpoints, table());
    inspected(
        &mut t,
        Inspection::Listeners,
        Inspected::Listeners(Vec::new()),
    );
    let Reply::Rows(page) = t.answer_to(&root, 2) else {
        panic!()
    };
    let sessions: Vec<SessionRow> = page
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    assert_eq!(sessions.len(), 2);
    assert_eq!(
        (
            sessions[0].kind.as_str(),
            sessions[0].uid,
            sessions[0].connections
        ),
        ("client", 1000, 1)
    );
    assert_eq!(
        (sessions[1].kind.as_str(), sessions[1].connections),
        ("control", 0)
    );
    user.say(2, &Request::DaemonStatus);
    inspected(&mut t, Inspection::Endpoints, table());
    inspected(
        &mut t,
        Inspection::Listeners,
        Inspected::Listeners(Vec::new()),
    );
    let Reply::Status(json) = t.answer_to(&user, 2) else {
        panic!()
    };
    let status: DaemonStatus = serde_json::from_str(json.as_str()).expect("a status");
    assert_eq!(
        (status.pid, status.sessions, status.interface.as_str()),
        (std::process::id(), 2, "tcpd0")
    );
    assert_eq!(status.connections[&TcpState::Established], 1);
    assert_eq!((status.spawner_pid, status.draining), (Some(4711), false));
}

#[test]
fn close_and_reset_are_decided_where_the_owner_is_known() {
    let mut t = Fixture::new();
    let user = t.client(1000, false);
    user.say(
        2,
        &Request::ControlReset {
            id: "5.1".to_owned(),
        },
    );
    let Order::EndConnection {
        ticket,
        endpoint,
        reset: true,
        credentials,
    } = t.order()
    else {
        panic!()
    };
    assert_eq!(
        (
            endpoint.to_string().as_str(),
            credentials.uid,
            credentials.all
        ),
        ("5.1", 1000, false)
    );
    t.report(Report::Inspected {
        ticket,
        what: Inspected::NotPermitted,
    });
    assert_eq!(code(&t.answer_to(&user, 2)), Some(ErrorCode::NotPermitted));
    user.say(
        3,
        &Request::ControlClose {
            id: "5.1".to_owned(),
        },
    );
    let Order::EndConnection {
        ticket,
        reset: false,
        ..
    } = t.order()
    else {
        panic!()
    };
    t.report(Report::Inspected {
        ticket,
        what: Inspected::Done,
    });
    assert_eq!(t.answer_to(&user, 3), Reply::Done);
    let unknown = t.answer(
        &user,
        4,
        &Request::ControlClose {
            id: "five".to_owned(),
        },
    );
    assert_eq!(code(&unknown), Some(ErrorCode::NoSuchConnection));
}

#[test]
fn an_answer_for_a_client_that_is_gone_is_nobodys() {
    let mut t = Fixture::new();
    let user = t.client(1000, false);
    user.say(2, &list(Filter::default(), 0));
    let Order::Inspect { ticket, .. } = t.order() else {
        panic!()
    };
    drop(user);
    t.until("it is gone", |t| t.control.clients.count() == 0);
    t.report(Report::Inspected {
        ticket,
        what: Inspected::Endpoints(Vec::new()),
    });
    t.turn();
    t.turn();
}

#[test]
fn a_session_has_one_table_at_a_time_and_sessions_share_the_stacks_work() {
    let mut t = Fixture::new();
    let (one, two, three) = (
        t.client(1000, false),
        t.client(1001, false),
        t.client(0, false),
    );
    one.say(2, &list(Filter::default(), 0));
    let Order::Inspect {
        ticket,
        what: Inspection::Endpoints,
    } = t.order()
    else {
        panic!()
    };
    assert_eq!(
        code(&t.answer(&one, 3, &Request::DaemonStatus)),
        Some(ErrorCode::TooManyRequests)
    );
    two.say(2, &list(Filter::default(), 0));
    three.say(2, &list(Filter::default(), 0));
    assert!(matches!(
        t.answer(&one, 4, &Request::Ping),
        Reply::Pong { .. }
    ));
    t.until("all are read", |t| t.control.counts.requests == 8);
    assert!(t.orders.try_recv().is_err(), "one table is under way");
    t.report(Report::Inspected {
        ticket,
        what: Inspected::Endpoints(Vec::new()),
    });
    assert!(matches!(t.answer_to(&one, 2), Reply::Rows(_)));
    inspected(
        &mut t,
        Inspection::Endpoints,
        Inspected::Endpoints(Vec::new()),
    );
    assert!(matches!(t.answer_to(&two, 2), Reply::Rows(_)));
    assert!(matches!(t.answer_to(&three, 2), Reply::Rows(_)));
}
