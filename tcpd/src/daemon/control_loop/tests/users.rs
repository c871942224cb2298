use libtcpclient::protocol::status::{UserKind, UserRow};
use libtcpclient::protocol::{ErrorCode, Page};
use rustix::fs::{FallocateFlags, fallocate};
use std::os::fd::AsFd;
use tcpd_core::stack::Usage;

use super::*;
use crate::daemon::orders::{Inspected, Inspection, Quotas, UserUse};

const ALICE: u32 = 1000;
const BOB: u32 = 1001;

fn uses() -> Inspected {
    let alice = UserUse {
        account: Some(ALICE),
        usage: Usage {
            connections: 3,
            orphans: 1,
            private_bytes: 4096,
            refused_full: 5,
            refused_closed: 6,
        },
        listeners: 2,
        pair_bytes: 1000,
        budget: Some(1 << 20),
        pressed: true,
        limited: true,
    };
    let services = UserUse {
        account: None,
        usage: Usage::default(),
        budget: None,
        pressed: false,
        limited: false,
        pair_bytes: 0,
        ..alice
    };
    Inspected::Users(vec![alice, services])
}

/// What `client` is told of users.
fn users(t: &mut Fixture, client: &Client, number: u32) -> Vec<UserRow> {
    client.say(number, &Request::Users { cursor: 0 });
    let mut asked = None;
    t.until("an inspection", |t| {
        while let Ok(order) = t.orders.try_recv() {
            if let Order::Inspect { ticket, what } = order {
                assert_eq!(what, Inspection::Users);
                asked = Some(ticket);
            }
        }
        asked.is_some()
    });
    let ticket = asked.expect("until");
    t.report(Report::Inspected {
        ticket,
        what: uses(),
    });
    let Reply::Rows(page) = t.answer_to(client, number) else {
        panic!("no rows")
    };
    rows(&page)
}

fn rows(page: &Page) -> Vec<UserRow> {
    page.lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}

#[test]
fn a_user_sees_itself_and_an_administrator_everybody_and_the_whole() {
    let mut t = Fixture::new();
    let (root, alice, bob) = (
        t.client(0, false),
        t.client(ALICE, false),
        t.client(BOB, false),
    );
    let all = users(&mut t, &root, 5);
    let who: Vec<(UserKind, Option<u32>)> = all.iter().map(|row| (row.kind, row.uid)).collect();
    assert_eq!(
        who,
        [
            (UserKind::User, Some(0)),
            (UserKind::User, Some(ALICE)),
            (UserKind::User, Some(BOB)),
            (UserKind::Services, None),
            (UserKind::All, None)
        ]
    );
    assert_eq!(all[0].connections_limit, None, "root has none");
    assert_eq!(all[4].connections, 3);
    let own = users(&mut t, &alice, 5);
    let [row] = &own[..] else { panic!("{own:?}") };
    assert_eq!((row.connections, row.connections_limit), (3, Some(65_536)));
    assert_eq!((row.sessions, row.sessions_limit), (1, Some(1024)));
    assert_eq!((row.private_ring_bytes, row.socket_bytes), (4096, 1000));
    assert_eq!(row.ring_bytes, 4096 + 1000);
    assert!(row.pressed);
    assert_eq!(row.refused["limits.connections_per_uid"], 5);
    assert_eq!(row.refused["limits.ring_bytes_per_uid"], 6);
    let own = users(&mut t, &bob, 5);
    assert_eq!(
        own.iter().map(|row| row.uid).collect::<Vec<_>>(),
        [Some(BOB)]
    );
}

#[test]
fn what_the_stack_thread_refuses_by_a_rule_is_counted_for_its_user() {
    let mut t = Fixture::new();
    let alice = t.client(ALICE, true);
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    alice.say(5, &listen(8080));
    t.until("the order", |t| t.orders.try_recv().is_ok());
    t.report(Report::Reply {
        session,
        request_id: 5,
        reply: Reply::error(
            ErrorCode::QuotaExceeded,
            "rule limits.listeners_per_uid: 1 of 1",
        ),
        descriptor: None,
    });
    assert_eq!(
        code(&t.answer_to(&alice, 5)),
        Some(ErrorCode::QuotaExceeded)
    );
    assert_eq!(t.control.counts.refused, 1);
    let rows = users(&mut t, &alice, 6);
    assert_eq!(rows[0].refused["limits.listeners_per_uid"], 1);
}

#[test]
fn the_largest_session_of_whoever_occupies_too_much_ends_root_only_where_it_is_limited() {
    for root in [false, true] {
        let mut t = Fixture::with(|config| {
            config.limits.ring_bytes_per_uid = 1 << 20;
            config.limits.root = root;
        });
        let (small, large) = (t.client(0, true), t.client(0, true));
        let mut arenas = Vec::new();
        t.until("both arenas", |t| {
            while let Ok(order) = t.orders.try_recv() {
                if let Order::SessionOpened { arena, .. } = order {
                    arenas.push(arena);
                }
            }
            arenas.len() == 2
        });
        // As a client does who writes where it should not.
        fallocate(arenas[1].as_fd(), FallocateFlags::empty(), 0, 2 << 20).expect("room");
        t.control.check_memory(clock::now());
        assert_eq!(t.ended(EndedBy::Quota), u64::from(root));
        if root {
            let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&large) else {
                panic!("it is told why")
            };
            assert!(
                failure
                    .detail
                    .starts_with("rule limits.ring_bytes_per_uid: "),
                "{failure}"
            );
            assert!(matches!(
                t.answer(&small, 2, &Request::Ping),
                Reply::Pong { .. }
            ));
        }
    }
}

#[test]
fn all_arenas_together_cost_the_largest_session_of_the_largest_user() {
    let mut t = Fixture::with(|config| config.limits.ring_bytes = 1 << 20);
    let (alice, bob) = (t.client(ALICE, true), t.client(BOB, true));
    let mut arenas = Vec::new();
    t.until("both arenas", |t| {
        while let Ok(order) = t.orders.try_recv() {
            if let Order::SessionOpened { arena, .. } = order {
                arenas.push(arena);
            }
        }
        arenas.len() == 2
    });
    for (arena, bytes) in arenas.iter().zip([1 << 20, 600 << 10]) {
        fallocate(arena.as_fd(), FallocateFlags::empty(), 0, bytes).expect("room");
    }
    t.control.check_memory(clock::now());
    let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&alice) else {
        panic!("it is told why")
    };
    assert!(
        failure.detail.starts_with("rule limits.ring_bytes: "),
        "{failure}"
    );
    assert!(matches!(
        t.answer(&bob, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn a_reload_tells_the_stack_thread_of_other_quotas() {
    let mut t = Fixture::new();
    t.control.ready = true;
    let root = t.client(0, false);
    let file = t.control.source.file.clone().expect("a file");
    std::fs::write(file, "[limits]\nroot = true\norphans_per_uid = 7\n").expect("it is ours");
    t.answer(&root, 2, &Request::Reload);
    let wanted = Quotas {
        root: true,
        orphans: 7,
        ..crate::daemon::stack_config::quotas(&Config::default())
    };
    t.until("the order", |t| {
        let mut orders = std::iter::from_fn(|| t.orders.try_recv().ok());
        orders.any(|order| matches!(order, Order::Quotas(quotas) if quotas == wanted))
    });
}
