use libtcpclient::protocol::ErrorCode;
use tcpd_core::stack::EndpointId;

use super::*;

const CONNECTION: EndpointId = EndpointId::from_bits(1 << 32 | 5);

fn hand_off(uid: Option<u32>) -> Request {
    Request::HandOff {
        connection: CONNECTION.to_bits(),
        uid,
    }
}

/// Takes orders until there is a request; whose.
fn requested(t: &mut Fixture) -> (SessionId, u32) {
    loop {
        if let Order::Request {
            session,
            request_id,
            request: Request::HandOff { .. },
        } = t.order()
        {
            return (session, request_id);
        }
    }
}

/// The client hands a connection off, and the stack thread obeys; the token.
fn handed_off(t: &mut Fixture, client: &Client, number: u32, uid: Option<u32>) -> [u8; 16] {
    client.say(number, &hand_off(uid));
    let (session, request_id) = requested(t);
    t.report(Report::HandedOff {
        session,
        request_id,
        endpoint: CONNECTION,
        uid,
    });
    match t.answer_to(client, number) {
        Reply::HandedOff { token, life_ms } => {
            assert_eq!(life_ms, 10_000);
            token
        }
        other => panic!("{other:?}"),
    }
}

/// The order that a good token leads to: whose.
fn adopting(t: &mut Fixture) -> (SessionId, u32) {
    loop {
        if let Order::AdoptHandoff {
            session,
            request_id,
            endpoint: CONNECTION,
        } = t.order()
        {
            return (session, request_id);
        }
    }
}

#[test]
fn a_connection_handed_off_goes_to_who_brings_its_token_and_to_nobody_else() {
    let mut t = Fixture::new();
    let (giver, taker, other) = (
        t.client(1000, true),
        t.client(1000, true),
        t.client(1001, true),
    );
    let token = handed_off(&mut t, &giver, 5, None);
    assert_eq!(t.control.handoffs.count(), 1);
    let adopt = Request::AdoptHandoff { token };
    let guess = Request::AdoptHandoff { token: [1; 16] };
    assert_eq!(
        code(&t.answer(&taker, 6, &guess)),
        Some(ErrorCode::BadToken)
    );
    taker.say(7, &adopt);
    let (session, request_id) = adopting(&mut t);
    // While the stack thread has it, and afterwards, it is spent.
    assert_eq!(
        code(&t.answer(&other, 8, &adopt)),
        Some(ErrorCode::BadToken)
    );
    t.report(Report::HandoffAdopted {
        session,
        request_id,
        endpoint: CONNECTION,
        reply: Reply::Adopted(opened(CONNECTION.to_bits())),
    });
    assert!(matches!(t.answer_to(&taker, 7), Reply::Adopted(_)));
    assert_eq!(
        code(&t.answer(&taker, 9, &adopt)),
        Some(ErrorCode::BadToken)
    );
    assert_eq!(t.control.handoffs.count(), 0);
    assert_eq!(t.control.failed_tokens.total(), 3);
    assert_eq!(t.control.handoffs.counts.adopted, 1);
}

#[test]
fn a_token_for_another_user_is_good_for_that_one_only() {
    let mut t = Fixture::new();
    let (giver, taker) = (t.client(1000, true), t.client(1001, true));
    let token = handed_off(&mut t, &giver, 5, Some(1001));
    taker.say(6, &Request::AdoptHandoff { token });
    adopting(&mut t);
    let token = handed_off(&mut t, &giver, 7, Some(1001));
    let mine = t.answer(&giver, 8, &Request::AdoptHandoff { token });
    assert_eq!(code(&mine), Some(ErrorCode::BadToken));
    // It has shown itself to somebody else: it is good for nobody.
    let late = t.answer(&taker, 9, &Request::AdoptHandoff { token });
    assert_eq!(code(&late), Some(ErrorCode::BadToken));
}

#[test]
fn what_nobody_adopts_in_time_is_reset() {
    let mut t = Fixture::with(|config| config.control.handoff_timeout = Duration::from_millis(100));
    let giver = t.client(1000, true);
    giver.say(5, &hand_off(None));
    let (session, request_id) = requested(&mut t);
    t.report(Report::HandedOff {
        session,
        request_id,
        endpoint: CONNECTION,
        uid: None,
    });
    let Reply::HandedOff { token, life_ms } = t.answer_to(&giver, 5) else {
        panic!()
    };
    assert_eq!(life_ms, 100);
    // The giver need not stay.
    drop(giver);
    loop {
        match t.order() {
            Order::AbortHandoff { endpoint } => break assert_eq!(endpoint, CONNECTION),
            Order::SessionClosed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(t.control.handoffs.count(), 0);
    assert_eq!(t.control.handoffs.counts.expired, 1);
    let taker = t.client(1000, true);
    let late = t.answer(&taker, 6, &Request::AdoptHandoff { token });
    assert_eq!(code(&late), Some(ErrorCode::BadToken));
}

#[test]
fn a_token_that_could_not_be_used_stays_good() {
    let mut t = Fixture::new();
    let (giver, full, taker) = (
        t.client(1000, true),
        t.client(1000, true),
        t.client(1000, true),
    );
    let token = handed_off(&mut t, &giver, 5, None);
    full.say(6, &Request::AdoptHandoff { token });
    let (session, request_id) = adopting(&mut t);
    t.report(Report::HandoffAdopted {
        session,
        request_id,
        endpoint: CONNECTION,
        reply: Reply::error(ErrorCode::QuotaExceeded, "all slots"),
    });
    assert_eq!(code(&t.answer_to(&full, 6)), Some(ErrorCode::QuotaExceeded));
    taker.say(7, &Request::AdoptHandoff { token });
    adopting(&mut t);
}

#[test]
fn a_giver_that_is_gone_before_it_has_the_token_costs_the_connection() {
    let mut t = Fixture::new();
    let giver = t.client(1000, true);
    giver.say(5, &hand_off(None));
    let (session, request_id) = requested(&mut t);
    drop(giver);
    t.until("its end", |t| t.control.clients.count() == 0);
    t.report(Report::HandedOff {
        session,
        request_id,
        endpoint: CONNECTION,
        uid: None,
    });
    let Order::SessionClosed { .. } = t.order() else {
        panic!()
    };
    let Order::AbortHandoff { endpoint } = t.order() else {
        panic!()
    };
    assert_eq!(endpoint, CONNECTION);
    assert_eq!(t.control.handoffs.tokens(), 0);
}

#[test]
fn hand_offs_have_a_quota_that_counts_those_under_way() {
    let mut t = Fixture::with(|config| config.limits.handoffs_per_uid = 2);
    let (giver, root) = (t.client(1000, true), t.client(0, true));
    handed_off(&mut t, &giver, 5, None);
    giver.say(6, &hand_off(None));
    let (session, request_id) = requested(&mut t);
    let Reply::Error(refused) = t.answer(&giver, 7, &hand_off(None)) else {
        panic!()
    };
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    assert!(refused.detail.contains("limits.handoffs_per_uid"));
    // One that is refused counts no more.
    t.report(Report::Reply {
        session,
        request_id,
        reply: Reply::error(ErrorCode::NoSuchConnection, ""),
        descriptor: None,
    });
    t.answer_to(&giver, 6);
    giver.say(8, &hand_off(None));
    requested(&mut t);
    // Nor does what a session that is gone asked for.
    drop(giver);
    t.until("its end", |t| t.control.clients.count() == 1);
    let again = t.client(1000, true);
    again.say(9, &hand_off(None));
    requested(&mut t);
    for number in 0..5 {
        root.say(10 + number, &hand_off(None));
        requested(&mut t);
    }
}

#[test]
fn who_guesses_tokens_loses_the_session() {
    let mut t = Fixture::new();
    let (guesser, bystander) = (t.client(1000, true), t.client(1000, true));
    for number in 0..crate::tokens::MAX_FAILURES {
        let guess = Request::AdoptHandoff {
            token: [number as u8; 16],
        };
        let reply = t.answer(&guesser, number + 5, &guess);
        assert_eq!(code(&reply), Some(ErrorCode::BadToken));
    }
    guesser.say(99, &Request::AdoptHandoff { token: [99; 16] });
    let last = t.end_of(&guesser);
    let Some(FromDaemon::Reply(99, Reply::Error(failure))) = last else {
        panic!("{last:?}")
    };
    assert_eq!(failure.code, ErrorCode::BadToken);
    assert_eq!(t.ended(EndedBy::Token), 1);
    assert!(matches!(
        t.answer(&bystander, 5, &Request::Ping),
        Reply::Pong { .. }
    ));
}
