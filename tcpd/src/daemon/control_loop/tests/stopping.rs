use libtcpclient::protocol::ErrorCode;

use super::*;

#[test]
fn a_stop_is_graceful_and_a_second_one_is_now() {
    let mut t = Fixture::with(|config| config.shutdown_grace = Duration::from_secs(3));
    let client = t.client(1000, true);
    let Order::SessionOpened { .. } = t.order() else {
        panic!()
    };
    t.control.ask_to_stop(clock::now());
    assert_eq!(
        t.hear(&client),
        FromDaemon::Event(Event::Draining { grace_ms: 3000 })
    );
    let Order::Stop { grace } = t.order() else {
        panic!()
    };
    assert_eq!(grace, Duration::from_secs(3));
    assert_eq!(
        code(&t.answer(&client, 2, &listen(8080))),
        Some(ErrorCode::Draining)
    );
    client.say(3, &Request::Abort { connection: 1 });
    let Order::Request { .. } = t.order() else {
        panic!("what it has, it may still act on")
    };
    let newcomer = t.connect();
    newcomer.say(1, &hello(true, None));
    let Some(FromDaemon::Reply(1, Reply::Error(failure))) = t.end_of(&newcomer) else {
        panic!()
    };
    assert_eq!(failure.code, ErrorCode::Draining);
    let _operator = t.client(0, false);
    t.control.ask_to_stop(clock::now());
    let Order::Stop {
        grace: Duration::ZERO,
    } = t.order()
    else {
        panic!()
    };
    t.report(Report::Stopped { reset: 4 });
    let mut reset = None;
    for _ in 0..PATIENCE {
        reset = t.turn();
        if reset.is_some() {
            break;
        }
    }
    assert_eq!(reset, Some(4));
}

#[test]
fn at_the_end_every_session_hears_it_and_the_sockets_file_is_gone() {
    let mut t = Fixture::new();
    let client = t.client(1000, true);
    let path = t.control.config.control.socket.clone();
    t.control.finish(Some(0));
    assert!(!path.exists());
    let failure = client.last_word();
    assert_eq!(
        (failure.code, failure.detail.as_str()),
        (ErrorCode::Draining, "the daemon has stopped")
    );
    assert_eq!(
        client.socket.recv(&mut [0]).expect("the end"),
        Received::End
    );
}

#[test]
fn without_the_stack_thread_the_daemon_fails() {
    let mut t = Fixture::new();
    let (sender, _) = channel::reports().expect("an eventfd");
    drop(std::mem::replace(&mut t.reports, sender));
    let failure = (0..PATIENCE)
        .find_map(|_| t.control.turn(&mut t.events, Some(TICK)).err())
        .expect("the loop notices");
    assert_eq!(failure.exit, Exit::Internal);
}

#[test]
fn when_the_device_fails_the_daemon_fails_with_its_reason() {
    let mut t = Fixture::new();
    t.report(Report::DeviceFailed {
        error: io::Error::from_raw_os_error(libc::ENODEV),
    });
    let failure = (0..PATIENCE)
        .find_map(|_| t.control.turn(&mut t.events, Some(TICK)).err())
        .expect("the loop notices");
    assert_eq!(failure.exit, Exit::System);
    assert_eq!(
        failure.message,
        "the device tcpd0 failed: No such device (os error 19)"
    );
}
