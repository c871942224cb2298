//! The whole new configuration, or nothing of it.

use libtcpclient::protocol::ErrorCode;
use libtcpclient::protocol::status::Reloaded;
use tcpd_core::stack::EndpointId;

use super::*;
use crate::daemon::orders::ServiceOrder;

const ECHO: &str = "[[service]]\nname = \"echo\"\nport = 7\nhandler = \"echo\"\n";
const DISCARD: &str = "[[service]]\nname = \"discard\"\nport = 9\nhandler = \"discard\"\n";

/// A daemon that is ready, and somebody who may reload it.
fn ready() -> (Fixture, Client) {
    let mut t = Fixture::new();
    t.control.open_services();
    t.control.say_ready();
    let root = t.client(0, false);
    (t, root)
}

fn configure(t: &Fixture, text: &str) {
    let file = t.control.source.file.as_ref().expect("it has a file");
    std::fs::write(file, text).expect("writable");
}

/// Reloads with one listener to be opened, which is.
fn reload_opening(t: &mut Fixture, root: &Client, number: u32) -> Reloaded {
    root.say(number, &Request::Reload);
    let (service, port) = loop {
        // What the reload before this one ordered stands first.
        if let Order::Service(service, ServiceOrder::Listen(listen)) = t.order() {
            break (service, listen.port);
        }
    };
    let result = Ok(format!("[::]:{port}").parse().expect("an address"));
    t.report(Report::ServiceListening { service, result });
    reloaded(t.answer_to(root, number))
}

/// Service 0 is told its terms, then asked for its first connection.
fn until_asked(t: &mut Fixture) {
    let Order::Service(0, ServiceOrder::Terms { .. }) = t.order() else {
        panic!()
    };
    let Order::Service(0, ServiceOrder::Accept) = t.order() else {
        panic!()
    };
}

fn reloaded(reply: Reply) -> Reloaded {
    match reply {
        Reply::Status(json) => serde_json::from_str(json.as_str()).expect("as documented"),
        other => panic!("not reloaded: {other:?}"),
    }
}

fn refusal(reply: Reply) -> (ErrorCode, String) {
    match reply {
        Reply::Error(failure) => (failure.code, failure.detail),
        other => panic!("not refused: {other:?}"),
    }
}

fn names(t: &Fixture) -> Vec<String> {
    let services = t.control.services.services();
    services.map(|(_, service)| service.name.clone()).collect()
}

#[test]
fn nothing_new_changes_nothing() {
    let (mut t, root) = ready();
    assert_eq!(
        reloaded(t.answer(&root, 2, &Request::Reload)),
        Reloaded::default()
    );
}

#[test]
fn settings_count_at_once() {
    let (mut t, root) = ready();
    configure(&t, "[limits]\nsessions_per_uid = 1\n");
    let done = reloaded(t.answer(&root, 2, &Request::Reload));
    assert_eq!(done.settings, ["limits.sessions_per_uid"]);
    let _first = t.client(1000, false);
    let second = t.connect_as(1000, None);
    second.say(1, &hello(false, None));
    let Some(FromDaemon::Reply(1, Reply::Error(failure))) = t.end_of(&second) else {
        panic!("the new limit does not count")
    };
    assert_eq!(failure.code, ErrorCode::QuotaExceeded);
}

#[test]
fn a_service_is_added_changed_and_removed() {
    let (mut t, root) = ready();
    configure(&t, ECHO);
    let done = reload_opening(&mut t, &root, 2);
    assert_eq!(done.services_added, ["echo"]);
    assert_eq!(names(&t), ["echo"]);
    // Whoever came before the service had its number is asked for.
    until_asked(&mut t);
    t.report(Report::ServiceAccepted {
        service: 0,
        connection: None,
    });

    configure(&t, &ECHO.replace("port = 7", "port = 1007"));
    let done = reload_opening(&mut t, &root, 3);
    assert_eq!(done.services_changed, ["echo"]);
    let Order::Service(
        0,
        ServiceOrder::Unlisten {
            address: None,
            port: 7,
        },
    ) = t.order()
    else {
        panic!("it still listens on the old port")
    };

    configure(&t, DISCARD);
    let done = reload_opening(&mut t, &root, 4);
    assert_eq!(
        (done.services_added, done.services_removed),
        (vec!["discard".to_owned()], vec!["echo".to_owned()])
    );
    assert_eq!(names(&t), ["discard"]);
    assert_eq!(t.control.service_name(0), "echo");
    assert_eq!(t.control.service_name(1), "discard");
}

#[test]
fn a_port_passes_from_one_service_to_another_without_being_closed() {
    let (mut t, root) = ready();
    configure(&t, ECHO);
    reload_opening(&mut t, &root, 2);
    until_asked(&mut t);
    t.report(Report::ServiceAccepted {
        service: 0,
        connection: None,
    });
    configure(&t, &DISCARD.replace("port = 9", "port = 7"));
    let done = reloaded(t.answer(&root, 3, &Request::Reload));
    assert_eq!(done.services_added, ["discard"]);
    assert_eq!(done.services_removed, ["echo"]);
    let Order::Service(
        0,
        ServiceOrder::PassTo {
            to: 1,
            address: None,
            port: 7,
        },
    ) = t.order()
    else {
        panic!("the listener was not passed on")
    };
    let Order::Service(1, ServiceOrder::Terms { .. }) = t.order() else {
        panic!("its new owner's terms do not hold")
    };
    let Order::Service(1, ServiceOrder::Accept) = t.order() else {
        panic!("nobody asks for who waits there")
    };
}

#[test]
fn workers_alive_go_on_under_a_service_that_is_removed() {
    let (mut t, root) = ready();
    configure(&t, ECHO);
    reload_opening(&mut t, &root, 2);
    until_asked(&mut t);
    let endpoint = EndpointId::from_bits(1 << 32 | 1);
    let address = "198.18.0.1:7".parse().expect("an address");
    t.report(Report::ServiceAccepted {
        service: 0,
        connection: Some((endpoint, address, address)),
    });
    t.until("a worker", |t| {
        !t.control.services.workforce().ordered.is_empty()
    });
    configure(&t, "");
    let done = reloaded(t.answer(&root, 3, &Request::Reload));
    assert_eq!(done.services_removed, ["echo"]);
    assert_eq!(t.control.services.running(), 1);
    assert!(t.control.services.workforce().killed.is_empty());
    assert_eq!(t.control.services.rows(|_| 0).len(), 1);
    // Nobody new gets one.
    t.report(Report::ServiceIncoming { service: 0 });
    t.turn();
    while let Ok(order) = t.orders.try_recv() {
        let accepts = matches!(order, Order::Service(_, ServiceOrder::Accept));
        assert!(!accepts, "{order:?}");
    }
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let (mut t, root) = ready();
    configure(&t, "[limits]\nsessions_per_uid = 1\nconections = 3\n");
    let (code, detail) = refusal(t.answer(&root, 2, &Request::Reload));
    assert_eq!(code, ErrorCode::BadConfiguration);
    assert!(detail.contains("conections"), "{detail}");
    assert_eq!(t.control.config.limits.sessions_per_uid, 1024);
}

#[test]
fn what_needs_a_restart_is_named_and_nothing_is_half_applied() {
    let (mut t, root) = ready();
    let more = format!("[limits]\nsessions_per_uid = 1\n[tcp]\nmsl = \"1s\"\n{ECHO}");
    configure(&t, &more);
    let (code, detail) = refusal(t.answer(&root, 2, &Request::Reload));
    assert_eq!(code, ErrorCode::NeedsRestart);
    assert!(detail.contains("tcp.msl"), "{detail}");
    assert!(!detail.contains("sessions_per_uid"), "{detail}");
    assert_eq!(t.control.config.limits.sessions_per_uid, 1024);
    assert!(names(&t).is_empty());
    assert!(t.orders.try_recv().is_err());
}

#[test]
fn a_listener_that_cannot_be_opened_takes_back_those_that_were() {
    let (mut t, root) = ready();
    configure(&t, &format!("{ECHO}{DISCARD}"));
    root.say(2, &Request::Reload);
    for port in [7, 9] {
        match t.order() {
            Order::Service(_, ServiceOrder::Listen(listen)) => assert_eq!(listen.port, port),
            other => panic!("{other:?}"),
        }
    }
    let local = "[::]:7".parse().expect("an address");
    t.report(Report::ServiceListening {
        service: 0,
        result: Ok(local),
    });
    t.report(Report::ServiceListening {
        service: 1,
        result: Err("address in use".to_owned()),
    });
    let (code, detail) = refusal(t.answer_to(&root, 2));
    assert_eq!(code, ErrorCode::AddressInUse);
    assert!(
        detail.contains("discard") && detail.contains('9'),
        "{detail}"
    );
    let Order::Service(0, ServiceOrder::Unlisten { port: 7, .. }) = t.order() else {
        panic!("echo was left half applied")
    };
    assert!(names(&t).is_empty());
}

#[test]
fn one_reload_at_a_time_and_none_while_stopping() {
    let (mut t, root) = ready();
    configure(&t, ECHO);
    root.say(2, &Request::Reload);
    let Order::Service(_, ServiceOrder::Listen(_)) = t.order() else {
        panic!()
    };
    let (code, _) = refusal(t.answer(&root, 3, &Request::Reload));
    assert_eq!(code, ErrorCode::TooManyRequests);
    t.control.ask_to_stop(clock::now());
    assert_eq!(
        t.hear(&root),
        FromDaemon::Event(Event::Draining { grace_ms: 10_000 })
    );
    let (code, _) = refusal(t.answer(&root, 4, &Request::Reload));
    assert_eq!(code, ErrorCode::Draining);
}

#[test]
fn a_reload_that_a_stop_overtakes_is_refused() {
    let (mut t, root) = ready();
    configure(&t, ECHO);
    root.say(2, &Request::Reload);
    let Order::Service(service, ServiceOrder::Listen(_)) = t.order() else {
        panic!()
    };
    t.control.ask_to_stop(clock::now());
    assert_eq!(
        t.hear(&root),
        FromDaemon::Event(Event::Draining { grace_ms: 10_000 })
    );
    let local = "[::]:7".parse().expect("an address");
    t.report(Report::ServiceListening {
        service,
        result: Ok(local),
    });
    let (code, _) = refusal(t.answer_to(&root, 2));
    assert_eq!(code, ErrorCode::Draining);
    assert!(names(&t).is_empty());
}

#[test]
fn only_administrators_reload_and_drain() {
    let (mut t, _root) = ready();
    let user = t.client(1000, false);
    for (number, request) in [(2, Request::Reload), (3, Request::Drain { grace_ms: None })] {
        let (code, detail) = refusal(t.answer(&user, number, &request));
        assert_eq!(code, ErrorCode::NotPermitted);
        assert!(detail.contains("rule administrators"), "{detail}");
    }
    assert!(t.control.stop.is_none());
}

#[test]
fn a_drain_is_a_stop_with_a_grace_of_its_own_and_its_end_says_what_was_reset() {
    let (mut t, root) = ready();
    root.say(
        2,
        &Request::Drain {
            grace_ms: Some(60_000),
        },
    );
    assert_eq!(
        t.hear(&root),
        FromDaemon::Event(Event::Draining { grace_ms: 60_000 })
    );
    let Reply::Status(json) = t.answer_to(&root, 2) else {
        panic!()
    };
    assert_eq!(json.as_str(), r#"{"grace_ms":60000}"#);
    let Order::Stop { grace } = t.order() else {
        panic!()
    };
    assert_eq!(grace, Duration::from_secs(60));
    let (code, _) = refusal(t.answer(&root, 3, &Request::Drain { grace_ms: None }));
    assert_eq!(code, ErrorCode::Draining);
    t.control.finish(Some(2));
    assert_eq!(
        root.last_word().detail,
        "the daemon has stopped; connections reset: 2"
    );
}
