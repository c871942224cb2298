use libtcpclient::protocol::ErrorCode;
use tcpd_core::stack::EndpointId;

use super::*;
use crate::daemon::config::{Handler, Service};
use crate::daemon::orders::{ServiceIndex, ServiceOrder};

const CONNECTION: EndpointId = EndpointId::from_bits(1 << 32 | 5);

fn with_echo() -> Fixture {
    Fixture::with(|config| {
        let disabled = Service {
            enabled: false,
            ..Service::new("off", 9, Handler::Discard)
        };
        config.services = vec![disabled, Service::new("echo", 7, Handler::Echo)];
    })
}

/// A connection arrives and a worker is ordered; its token.
fn ordered(t: &mut Fixture) -> [u8; 16] {
    let service: ServiceIndex = 0;
    t.report(Report::ServiceIncoming { service });
    let Order::Service(0, ServiceOrder::Accept) = t.order() else {
        panic!()
    };
    let connection = Some((
        CONNECTION,
        "198.18.0.2:7".parse().expect("one"),
        "198.18.0.1:40000".parse().expect("one"),
    ));
    t.report(Report::ServiceAccepted {
        service,
        connection,
    });
    t.until("a worker", |t| {
        !t.control.services.workforce().ordered.is_empty()
    });
    let ticket = t.control.services.workforce().ordered[0].ticket;
    ticket.expect("a connection").token.0
}

#[test]
fn enabled_services_are_asked_to_listen() {
    let mut t = with_echo();
    t.control.open_services();
    let Order::Service(0, ServiceOrder::Listen(listen)) = t.order() else {
        panic!()
    };
    let wanted = Listen {
        address: None,
        port: 7,
        reuse: true,
        backlog: 128,
        options: StreamOptions::default(),
    };
    assert_eq!(listen, wanted);
    assert!(t.orders.try_recv().is_err());
    assert_eq!(t.control.service_name(0), "echo");
    assert!(!t.control.ready, "not before the listener is open");
    t.report(Report::ServiceListening {
        service: 0,
        result: Ok("[::]:7".parse().expect("an address")),
    });
    t.until("readiness", |t| t.control.ready);
}

#[test]
fn a_daemon_one_of_whose_services_cannot_listen_does_not_start() {
    let mut t = with_echo();
    t.control.open_services();
    t.report(Report::ServiceListening {
        service: 0,
        result: Err("insufficient resources".to_owned()),
    });
    let mut failure = None;
    for _ in 0..PATIENCE {
        failure = t.control.turn(&mut t.events, Some(TICK)).err();
        if failure.is_some() {
            break;
        }
    }
    let failure = failure.expect("it fails");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert_eq!(
        failure.message,
        "service echo cannot listen: insufficient resources"
    );
    assert!(!t.control.ready);
}

#[test]
fn the_watchdog_waits_for_the_stack_thread() {
    let mut t = Fixture::new();
    t.control.watchdog = Some((Duration::from_secs(1), clock::now()));
    let Order::Heartbeat = t.order() else {
        panic!()
    };
    t.report(Report::Heartbeat);
    t.turn();
    assert!(t.orders.try_recv().is_err(), "once in an interval");
}

#[test]
fn a_worker_adopts_its_connection_by_token_and_can_do_nothing_else() {
    let mut t = with_echo();
    let token = ordered(&mut t);
    let worker = t.connect_as(0, None);
    worker.say(1, &hello(true, Some(token)));
    let FromDaemon::Reply(1, Reply::Welcome(welcome)) = t.hear(&worker) else {
        panic!()
    };
    assert_eq!(welcome.slots, 1);
    let Order::SessionOpened {
        session,
        worker: true,
        ..
    } = t.order()
    else {
        panic!()
    };
    assert_eq!(
        code(&t.answer(&worker, 2, &listen(8080))),
        Some(ErrorCode::NotPermitted)
    );
    worker.say(3, &Request::Adopt);
    let Order::Adopt {
        session: whose,
        request_id: 3,
        endpoint,
    } = t.order()
    else {
        panic!()
    };
    assert_eq!((whose, endpoint), (session, CONNECTION));
    assert_eq!(
        code(&t.answer(&worker, 4, &Request::Adopt)),
        Some(ErrorCode::BadToken)
    );
    drop(worker);
    let Order::SessionClosed { .. } = t.order() else {
        panic!("the session's end settles an adopted connection")
    };
    assert!(t.orders.try_recv().is_err());
}

#[test]
fn a_worker_that_ends_between_hello_and_adopt_costs_its_connection() {
    let mut t = with_echo();
    let token = ordered(&mut t);
    let worker = t.connect_as(0, None);
    worker.say(1, &hello(true, Some(token)));
    t.hear(&worker);
    let Order::SessionOpened { .. } = t.order() else {
        panic!()
    };
    drop(worker);
    let Order::AbortUnclaimed {
        endpoint: CONNECTION,
    } = t.order()
    else {
        panic!()
    };
}

#[test]
fn a_user_with_all_the_sessions_it_may_have_still_gets_its_workers() {
    let mut t = Fixture::with(|config| {
        config.services = vec![Service::new("echo", 7, Handler::Echo)];
        // Workers of this service are root's.
        config.limits.root = true;
        config.limits.sessions_per_uid = 1;
    });
    let _one = t.client(0, false);
    let too_many = t.connect_as(0, None);
    too_many.say(1, &hello(false, None));
    let refused = t.answer_to(&too_many, 1);
    assert_eq!(code(&refused), Some(ErrorCode::QuotaExceeded));
    let token = ordered(&mut t);
    let worker = t.connect_as(0, None);
    worker.say(1, &hello(true, Some(token)));
    let welcome = t.answer_to(&worker, 1);
    assert!(matches!(welcome, Reply::Welcome(_)), "{welcome:?}");
    assert_eq!(t.control.clients.of_user(0), 1);
    drop(worker);
    t.until("the end of the worker", |t| t.ended(EndedBy::Client) == 1);
    assert_eq!(t.control.clients.of_user(0), 1, "it never counted");
}

#[test]
fn a_bad_token_is_refused_and_counted() {
    let mut t = with_echo();
    let token = ordered(&mut t);
    let guess = t.connect_as(1000, None);
    guess.say(1, &hello(true, Some([9; 16])));
    let Some(FromDaemon::Reply(1, Reply::Error(failure))) = t.end_of(&guess) else {
        panic!()
    };
    assert_eq!(
        (failure.code, t.ended(EndedBy::Token)),
        (ErrorCode::BadToken, 1)
    );
    let without_arena = t.connect_as(0, None);
    without_arena.say(1, &hello(false, Some(token)));
    let Some(FromDaemon::Reply(1, Reply::Error(failure))) = t.end_of(&without_arena) else {
        panic!()
    };
    assert_eq!(failure.code, ErrorCode::BadRequest);
    let worker = t.connect_as(0, None);
    worker.say(1, &hello(true, Some(token)));
    assert!(
        matches!(t.hear(&worker), FromDaemon::Reply(1, Reply::Welcome(_))),
        "the token was not used up"
    );
}

#[test]
fn adopt_without_a_token_is_refused() {
    let mut t = Fixture::new();
    let client = t.client(0, true);
    assert_eq!(
        code(&t.answer(&client, 2, &Request::Adopt)),
        Some(ErrorCode::NotPermitted)
    );
}

fn with_command() -> Fixture {
    Fixture::with(|config| {
        let mut command = Service::new("cat", 7, Handler::Exec);
        command.exec = vec!["/bin/cat".to_owned()];
        config.services = vec![command];
    })
}

fn worker(t: &mut Fixture) -> Client {
    let token = ordered(t);
    let worker = t.connect_as(0, None);
    worker.say(1, &hello(true, Some(token)));
    t.hear(&worker);
    worker
}

#[test]
fn an_error_stream_is_for_a_commands_worker_once() {
    let mut t = with_command();
    let command = worker(&mut t);
    command.say(2, &Request::ErrorStream);
    let (answer, mut descriptors) = t.hear_with_descriptors(&command);
    assert!(matches!(answer, FromDaemon::Reply(2, Reply::Stream)));
    let pipe = descriptors.pop().expect("the pipe");
    assert_eq!(
        code(&t.answer(&command, 3, &Request::ErrorStream)),
        Some(ErrorCode::NotPermitted)
    );
    rustix::io::write(&pipe, b"said\nand not ended").expect("room");
    assert!(!t.control.error_streams.is_empty());
    drop(pipe);
    t.until("the end of the stream", |t| {
        t.control.error_streams.is_empty()
    });
}

#[test]
fn an_error_stream_ends_with_its_worker_whoever_still_holds_it() {
    let mut t = with_command();
    let command = worker(&mut t);
    command.say(2, &Request::ErrorStream);
    t.until("the stream", |t| !t.control.error_streams.is_empty());
    let job = t.control.services.workforce().ordered[0].job;
    let end = None;
    t.worker_event(WorkerEvent::Started { job, pid: 5 });
    t.worker_event(WorkerEvent::Ended { job, end });
    t.until("the end of the stream", |t| {
        t.control.error_streams.is_empty()
    });
}

#[test]
fn a_built_in_worker_and_a_client_have_no_error_stream() {
    let mut t = with_echo();
    let echo = worker(&mut t);
    let client = t.client(0, true);
    for session in [echo, client] {
        assert_eq!(
            code(&t.answer(&session, 9, &Request::ErrorStream)),
            Some(ErrorCode::NotPermitted)
        );
    }
    assert!(t.control.error_streams.is_empty());
}
