use libtcpclient::protocol::ErrorCode;

use super::*;

#[test]
fn a_client_gets_an_arena_and_the_stack_thread_hears_of_it() {
    let mut t = Fixture::new();
    let client = t.connect();
    client.say(7, &hello(true, None));
    let (message, descriptors) = t.hear_with_descriptors(&client);
    let FromDaemon::Reply(7, Reply::Welcome(welcome)) = message else {
        panic!("{message:?}")
    };
    assert_eq!(
        (welcome.version, welcome.stack_threads, welcome.slots),
        (VERSION, 1, 4)
    );
    assert_eq!(welcome.ring_maximum, 4 << 20);
    assert_eq!(descriptors.len(), 2, "the arena and one bell");
    let Order::SessionOpened {
        session,
        credentials,
        worker,
        ..
    } = t.order()
    else {
        panic!()
    };
    assert_eq!((session, worker), (welcome.session, false));
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    drop(client);
    let Order::SessionClosed { session } = t.order() else {
        panic!()
    };
    assert_eq!((session, t.ended(EndedBy::Client)), (welcome.session, 1));
}

/// SIGKILL closes descriptors one after the other, and the bell may be the first.
#[test]
fn who_closes_bell_and_socket_has_ended_by_itself_and_who_closes_the_bell_alone_has_not() {
    let mut t = Fixture::new();
    let (killed, liar) = (t.client(0, true), t.client(0, true));
    let sessions = [t.order(), t.order()].map(|order| match order {
        Order::SessionOpened { session, .. } => session,
        other => panic!("{other:?}"),
    });
    let in_time = clock::now() + Duration::from_secs(3600);
    t.control.clients.bell_closed(in_time, sessions[0]);
    t.answer(&killed, 2, &Request::Ping);
    drop(killed);
    t.order();
    let ends = |t: &Fixture| [EndedBy::Client, EndedBy::BellClosed].map(|by| t.ended(by));
    assert_eq!(ends(&t), [1, 0]);
    t.report(Report::BellClosed {
        session: sessions[1],
    });
    t.order();
    assert_eq!(ends(&t), [1, 1]);
    drop(liar);
}

#[test]
fn a_session_that_only_looks_gets_no_arena_and_no_connection() {
    let mut t = Fixture::new();
    let client = t.client(0, false);
    assert!(matches!(
        t.answer(&client, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
    assert_eq!(
        code(&t.answer(&client, 3, &listen(8080))),
        Some(ErrorCode::ArenaRequired)
    );
    assert!(
        t.orders.try_recv().is_err(),
        "the stack thread hears nothing of it"
    );
}

#[test]
fn a_request_goes_to_the_stack_thread_and_its_answer_comes_back() {
    let mut t = Fixture::new();
    let client = t.client(1000, true);
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    client.say(9, &listen(8080));
    let Order::Request {
        session: whose,
        request_id,
        request,
    } = t.order()
    else {
        panic!()
    };
    let Request::Listen(asked) = request else {
        panic!("{request:?}")
    };
    assert_eq!((whose, request_id, asked.port), (session, 9, 8080));
    assert_eq!(asked.backlog, 128, "none asked for: the configuration's");
    let local = "198.18.0.2:8080".parse().expect("an address");
    t.report(Report::Reply {
        session,
        request_id,
        reply: Reply::Listening { listener: 5, local },
        descriptor: None,
    });
    assert_eq!(
        t.answer_to(&client, 9),
        Reply::Listening { listener: 5, local }
    );
    // An answer for a session that is gone is nobody's.
    t.report(Report::Reply {
        session: 999,
        request_id,
        reply: Reply::Done,
        descriptor: None,
    });
    assert!(matches!(
        t.answer(&client, 10, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn numbers_still_waiting_and_too_many_requests_are_refused() {
    let mut t = Fixture::with(|config| config.limits.requests_per_session = 16);
    let client = t.client(1000, true);
    let accept = Request::Accept {
        listener: 1,
        nonblocking: false,
    };
    for number in 10..26 {
        client.say(number, &accept);
    }
    assert_eq!(
        code(&t.answer(&client, 10, &Request::Ping)),
        Some(ErrorCode::BadRequest)
    );
    let refusal = t.answer(&client, 26, &accept);
    assert_eq!(code(&refusal), Some(ErrorCode::TooManyRequests));
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    t.report(Report::Reply {
        session,
        request_id: 10,
        reply: Reply::error(ErrorCode::Cancelled, ""),
        descriptor: None,
    });
    assert_eq!(code(&t.answer_to(&client, 10)), Some(ErrorCode::Cancelled));
    assert!(matches!(
        t.answer(&client, 10, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn low_ports_are_for_administrators() {
    let mut t = Fixture::new();
    let user = t.client(1000, true);
    let Reply::Error(failure) = t.answer(&user, 2, &listen(80)) else {
        panic!()
    };
    assert_eq!(failure.code, ErrorCode::NotPermitted);
    assert!(
        failure
            .detail
            .starts_with("rule control.privileged_ports_below"),
        "{failure}"
    );
    let root = t.client(0, true);
    root.say(2, &listen(80));
    t.until("the order of root", |t| {
        matches!(t.orders.try_recv(), Ok(Order::Request { .. }))
    });
}

#[test]
fn the_quota_of_a_user_counts_until_the_stack_has_released_the_arena() {
    let mut t = Fixture::with(|config| config.limits.sessions_per_uid = 2);
    let first = t.client(1000, true);
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    let _second = t.client(1000, false);
    let third = t.connect_as(1000, None);
    third.say(1, &hello(false, None));
    let Some(FromDaemon::Reply(1, Reply::Error(failure))) = t.end_of(&third) else {
        panic!()
    };
    assert_eq!(failure.code, ErrorCode::QuotaExceeded);
    assert!(
        failure.detail.starts_with("rule limits.sessions_per_uid"),
        "{failure}"
    );
    let _other_user = t.client(1001, false);
    drop(first);
    t.until("the end of the first", |t| t.ended(EndedBy::Client) == 1);
    let still_too_many = t.connect_as(1000, None);
    still_too_many.say(1, &hello(true, None));
    t.end_of(&still_too_many);
    assert_eq!(t.ended(EndedBy::Quota), 2);
    t.report(Report::SessionReleased { session });
    t.until("the release", |t| t.control.clients.of_user(1000) == 1);
    let _another = t.client(1000, true);
}

#[test]
fn no_more_sessions_of_a_user_wait_with_their_hello_than_it_may_have() {
    let mut t = Fixture::with(|config| config.limits.sessions_per_uid = 2);
    let silent = [t.connect_as(1000, None), t.connect_as(1000, None)];
    let third = t.connect_as(1000, None);
    let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&third) else {
        panic!()
    };
    assert_eq!(
        failure.detail,
        "rule limits.sessions_per_uid: 2 sessions of this user have not said Hello"
    );
    let _root = t.client(0, false);
    let _other_user = t.client(1001, false);
    drop(silent);
    t.until("the end of the silent ones", |t| {
        t.control.clients.greeting_of(1000) == 0
    });
    let _both = [t.client(1000, false), t.client(1000, true)];
    assert_eq!(t.control.clients.greeting_of(1000), 0);
    assert_eq!(t.control.clients.of_user(1000), 2);
}

#[test]
fn a_session_ends_with_the_process_that_opened_it() {
    let mut t = Fixture::new();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("sleep is there");
    let pid = rustix::process::Pid::from_child(&child);
    let pidfd =
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("a child");
    let client = t.connect_as(1000, Some(pidfd));
    client.say(1, &hello(true, None));
    assert!(matches!(
        t.hear(&client),
        FromDaemon::Reply(1, Reply::Welcome(_))
    ));
    client.say(2, &listen(8080));
    child.kill().expect("our child");
    child.wait().expect("our child");
    t.until("the end", |t| t.ended(EndedBy::ConnectorGone) == 1);
    let orders: Vec<Order> = t.orders.try_iter().collect();
    assert!(
        matches!(orders[1], Order::Request { .. }),
        "what it said before still counts: {orders:?}"
    );
    assert!(
        matches!(orders[2], Order::SessionClosed { .. }),
        "{orders:?}"
    );
    assert_eq!(
        t.end_of(&client),
        None,
        "this process holds the socket open, and it does not help"
    );
}

#[test]
fn who_says_nothing_is_not_kept() {
    let mut t = Fixture::with(|config| config.control.hello_timeout = Duration::from_millis(100));
    let silent = t.connect();
    let prompt = t.client(0, false);
    let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&silent) else {
        panic!()
    };
    assert_eq!(
        (failure.code, t.ended(EndedBy::HelloTimeout)),
        (ErrorCode::HelloExpected, 1)
    );
    assert!(matches!(
        t.answer(&prompt, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn with_nothing_to_do_nothing_is_due() {
    let mut t = Fixture::new();
    let _root = t.client(0, true);
    let _looking = t.client(1000, false);
    t.until("everything is settled", |t| {
        !t.control.clients.any_ready() && !t.control.accepting
    });
    assert_eq!(t.control.next_deadline(), None);
    let _user = t.client(1000, true);
    t.until("everything is settled", |t| !t.control.clients.any_ready());
    let now = clock::now();
    t.control.check_memory(now);
    t.control.check_memory(now);
    assert_eq!(
        t.control.next_deadline(),
        Some(now + memory::MEMORY_CHECK_IDLE),
        "a user's memory is looked at, seldom"
    );
}
