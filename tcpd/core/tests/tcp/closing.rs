//! Closing a connection (RFC 9293 §3.6): FIN in every order, half-close, aborts, orphans.

use std::time::Duration;

use tcpd_core::stack::{Changes, CloseError, EndReason, ReceiveError, SendError, State, Timer};

use crate::peer::Peer;
use crate::wire::{Wire, pattern};

#[test]
fn the_one_who_closes_first_waits_and_the_other_is_gone() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.shutdown_write(peer.now, id).expect("close");
    assert_eq!(peer.stack.state(id), Some(State::FinWait1));
    assert_eq!(peer.out(), ["F. 1(0) ack 1"]);
    peer.tell(".", 1, 2, b"");
    assert_eq!(peer.stack.state(id), Some(State::FinWait2));
    peer.tell("F.", 1, 2, b"");
    assert_eq!(peer.out(), [". 2(0) ack 2"], "the peer waits in LAST-ACK");
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    let view = peer.stack.view(id).expect("still its user's");
    assert_eq!(view.end, Some(EndReason::Closed));
    assert!(view.fin_acknowledged && view.receive.fin_received);
}

#[test]
fn a_fin_and_its_answer_fit_into_one_segment() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("F.", 1, 1, b"");
    assert_eq!(peer.stack.state(id), Some(State::CloseWait));
    assert_eq!(peer.out(), Vec::<String>::new(), "its ACK may be delayed");
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(peer.out(), ["F. 1(0) ack 2"]);
    peer.tell(".", 2, 2, b"");
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn a_fin_whose_user_does_nothing_is_acknowledged_within_the_delay() {
    let mut peer = Peer::new(|_| {});
    peer.established();
    peer.tell("F.", 1, 1, b"");
    assert_eq!(
        peer.wait(Duration::from_secs(1)),
        [(40, ". 1(0) ack 2".to_string())]
    );
}

#[test]
fn both_close_at_once() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.shutdown_write(peer.now, id).expect("close");
    assert_eq!(peer.out(), ["F. 1(0) ack 1"]);
    peer.tell("F.", 1, 1, b"");
    assert_eq!(peer.stack.state(id), Some(State::Closing));
    assert_eq!(peer.out(), [". 2(0) ack 2"]);
    peer.tell(".", 2, 2, b"");
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
}

#[test]
fn in_closing_the_ack_on_the_peers_repeated_fin_counts() {
    // RFC 9293 appendix A.2: else two such peers send each other FINs for ever.
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.shutdown_write(peer.now, id).expect("close");
    peer.out();
    peer.tell("F.", 1, 1, b"");
    peer.out();
    peer.tell("F.", 1, 2, b"");
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    assert_eq!(peer.out(), [". 2(0) ack 2"]);
}

#[test]
fn both_close_at_once_and_any_packet_may_be_lost() {
    for lost in 0..12 {
        let mut wire = Wire::new();
        let (left, right) = wire.connect();
        let first = wire.count;
        wire.pass =
            Box::new(move |_, number, _| number != first + lost && number != first + lost + 1);
        wire.left.close(wire.now, left).expect("close");
        wire.right.close(wire.now, right).expect("close");
        wire.run(Duration::from_secs(30));
        for (stack, id) in [(&wire.left, left), (&wire.right, right)] {
            let state = stack.state(id);
            assert!(
                state.is_none() || state == Some(State::TimeWait),
                "{lost}: {state:?}"
            );
        }
        wire.assert_nothing_left();
        assert!(wire.count < first + 30, "a war of {} packets", wire.count);
    }
}

#[test]
fn a_half_closed_connection_goes_on_in_the_other_direction() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    wire.left.shutdown_write(wire.now, left).expect("close");
    wire.exchange();
    assert!(wire.changes(false, right).contains(Changes::PEER_CLOSED));
    let bytes = pattern(500_000);
    assert!(wire.transfer(false, right, left, &bytes) == bytes);
    // For as long as it likes: nobody let go of it.
    wire.run(Duration::from_secs(600));
    assert_eq!(wire.left.state(left), Some(State::FinWait2));
    assert!(wire.transfer(false, right, left, &bytes) == bytes);
    wire.right.close(wire.now, right).expect("close");
    wire.exchange();
    assert_eq!(wire.left.state(left), Some(State::TimeWait));
    assert_eq!(wire.right.state(right), None);
    wire.left.close(wire.now, left).expect("let go");
    wire.assert_nothing_left();
}

#[test]
fn a_fin_that_comes_early_waits_for_what_is_missing() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("F.", 6, 1, b"world");
    assert_eq!(peer.out(), [". 1(0) ack 1"]);
    // What lies behind the FIN is thrown away, as is another FIN elsewhere.
    peer.tell("F.", 11, 1, b"more");
    peer.tell(".", 1, 1, b"hello");
    assert_eq!(peer.stack.state(id), Some(State::CloseWait));
    assert_eq!(peer.out().last().map(String::as_str), Some(". 1(0) ack 12"));
    let mut out = [0; 20];
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(10));
    assert_eq!(&out[..10], b"helloworld");
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(0));
}

#[test]
fn the_fin_is_queued_at_once_though_the_window_is_closed() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.window = 0;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, b"abc").expect("send");
    peer.stack.shutdown_write(peer.now, id).expect("close");
    assert_eq!(peer.stack.state(id), Some(State::FinWait1));
    assert_eq!(peer.out(), Vec::<String>::new());
    peer.window = 1000;
    peer.tell(".", 1, 1, b"");
    assert_eq!(peer.out(), ["FP. 1(3) ack 1"]);
    assert_eq!(peer.stack.send(peer.now, id, b"x"), Err(SendError::Closing));
    assert_eq!(
        peer.stack.shutdown_write(peer.now, id),
        Err(CloseError::Closing)
    );
}

#[test]
fn closing_with_unread_bytes_resets() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("P.", 1, 1, b"unread");
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(peer.out(), ["R 1(0)"]);
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn bytes_for_a_user_who_has_closed_reset() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(peer.out(), ["F. 1(0) ack 1"]);
    peer.tell(".", 1, 2, b"late");
    assert_eq!(peer.out(), ["R 2(0)"]);
    assert_eq!(peer.stack.state(id), None);
    assert_eq!(peer.dropped("data-after-close"), 1);
}

#[test]
fn a_user_who_reads_no_more_still_acknowledges() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.shutdown_read(peer.now, id).expect("shutdown");
    for piece in 0..200u32 {
        peer.tell(".", 1 + piece * 1000, 1, &[0; 1000]);
        peer.out();
    }
    peer.tell(".", 200_001, 1, b"x");
    assert_eq!(
        peer.wait(Duration::from_secs(1))
            .last()
            .map(|(_, text)| text.as_str()),
        Some(". 1(0) ack 200002")
    );
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut [0; 4]), Ok(0));
    assert_eq!(peer.stack.state(id), Some(State::Established));
}

#[test]
fn an_abort_sends_one_reset_and_the_peer_learns_it() {
    let mut wire = Wire::new();
    let (left, right) = wire.connect();
    wire.left.send(wire.now, left, b"read me").expect("send");
    wire.exchange();
    wire.left.abort(wire.now, left).expect("abort");
    wire.exchange();
    assert_eq!(wire.left.state(left), None);
    assert!(wire.changes(false, right).contains(Changes::ENDED));
    let mut out = [0; 20];
    assert_eq!(
        wire.right.receive_into(wire.now, right, &mut out),
        Ok(7),
        "what came before is still there"
    );
    assert_eq!(
        wire.right.receive_into(wire.now, right, &mut out),
        Err(ReceiveError::Ended(EndReason::Reset))
    );
    assert_eq!(
        wire.right.send(wire.now, right, b"x"),
        Err(SendError::Ended(EndReason::Reset))
    );
    wire.right.close(wire.now, right).expect("let go");
    assert_eq!(
        wire.right.close(wire.now, right),
        Err(CloseError::NoSuchConnection)
    );
    wire.assert_nothing_left();
}

#[test]
fn an_orphan_in_fin_wait_2_is_given_up_after_its_timeout() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.tell(".", 1, 2, b"");
    assert_eq!(peer.stack.state(id), Some(State::FinWait2));
    peer.wait(Duration::from_secs(59));
    assert_eq!(peer.stack.state(id), Some(State::FinWait2));
    assert_eq!(peer.wait(Duration::from_secs(2)), []);
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn an_orphan_facing_a_zero_window_is_given_up() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.window = 0;
    peer.tell(".", 1, 1, b"");
    peer.stack.send(peer.now, id, b"abc").expect("send");
    peer.stack.close(peer.now, id).expect("close");
    let sent = peer.wait(Duration::from_secs(61));
    assert!(
        sent.last()
            .is_some_and(|(at, text)| *at == 60_000 && text.starts_with('R')),
        "{sent:?}"
    );
    assert_eq!(peer.stack.state(id), None);
}

#[test]
fn of_too_many_orphans_the_one_let_go_first_is_given_up_and_its_peer_told() {
    let mut peer = Peer::new(|config| config.limits.orphans = 2);
    let listener = peer.listen();
    let (mut ids, mut numbers) = (Vec::new(), Vec::new());
    for port in 1..=4 {
        peer.port = port;
        peer.tell("S", 0, 0, b"");
        peer.out();
        peer.tell(".", 1, 1, b"");
        ids.push(peer.stack.accept(peer.now, listener).expect("accepted"));
        numbers.push(peer.iss);
    }
    let counted = |peer: &Peer| peer.stack.counters().orphans_reset;
    for id in &ids[..2] {
        peer.stack.close(peer.now, *id).expect("close");
    }
    assert_eq!(peer.out().len(), 2, "two FINs");
    // The second one has delivered everything.
    (peer.port, peer.iss) = (2, numbers[1]);
    peer.tell(".", 1, 2, b"");
    assert_eq!(peer.stack.state(ids[1]), Some(State::FinWait2));
    assert_eq!(counted(&peer), 0);

    peer.stack.close(peer.now, ids[2]).expect("close");
    peer.iss = numbers[0];
    assert_eq!(peer.out()[0], "R 2(0)");
    assert_eq!((peer.stack.state(ids[0]), counted(&peer)), (None, 1));

    peer.stack.close(peer.now, ids[3]).expect("close");
    peer.iss = numbers[3];
    assert_eq!(peer.out(), ["F. 1(0) ack 1"], "quiet in FIN-WAIT-2");
    assert_eq!((peer.stack.state(ids[1]), counted(&peer)), (None, 2));
    let given_up = |from| peer.stack.counters().transitions(from, State::Closed);
    assert_eq!(
        (given_up(State::FinWait1), given_up(State::FinWait2)),
        (1, 1)
    );
    assert_eq!(peer.stack.state(ids[3]), Some(State::FinWait1));
}

#[test]
fn where_no_orphan_is_allowed_closing_resets() {
    let mut peer = Peer::new(|config| config.limits.orphans = 0);
    let id = peer.established();
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(peer.out(), ["R 1(0)"]);
    assert_eq!(peer.stack.state(id), None);
    assert_eq!(peer.stack.counters().orphans_reset, 1);
}

#[test]
fn closing_before_the_handshake_is_over_sends_what_was_written_and_then_fin() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.stack.send(peer.now, id, b"early").expect("queued");
    peer.stack.shutdown_write(peer.now, id).expect("queued");
    assert_eq!(peer.stack.send(peer.now, id, b"x"), Err(SendError::Closing));
    peer.tell("S.", 0, 1, b"");
    assert_eq!(peer.stack.state(id), Some(State::FinWait1));
    assert_eq!(peer.out(), ["FP. 1(5) ack 1"]);
}

#[test]
fn the_user_timeout_ends_it_with_a_reset() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    let options = tcpd_core::stack::ConnectionOptions {
        user_timeout: Some(Duration::from_secs(5)),
        ..Default::default()
    };
    peer.stack
        .set_options(peer.now, id, options)
        .expect("options");
    peer.stack.send(peer.now, id, b"abc").expect("send");
    let sent = peer.wait(Duration::from_secs(20));
    assert!(
        sent.last()
            .is_some_and(|(at, text)| *at == 5000 && text.starts_with('R')),
        "{sent:?}"
    );
    assert_eq!(
        peer.stack.view(id).and_then(|view| view.end),
        Some(EndReason::TimedOut(Timer::User))
    );
}

#[test]
fn closing_in_syn_received_waits_for_established_only_when_something_was_written() {
    // RFC 9293 §3.10.4, CLOSE in SYN-RECEIVED: "otherwise, queue for processing after entering ESTABLISHED state".
    for written in [false, true] {
        let mut peer = Peer::new(|_| {});
        let id = peer.connecting();
        peer.tell("S", 0, 0, b"");
        assert_eq!(peer.out(), ["S. 0(0) ack 1"]);
        if written {
            peer.stack.send(peer.now, id, b"abc").expect("queued");
        }
        peer.stack.close(peer.now, id).expect("close");
        assert_eq!(
            peer.stack.close(peer.now, id),
            Err(CloseError::NoSuchConnection)
        );
        let (state, sent) = match written {
            true => (State::SynReceived, vec![]),
            false => (State::FinWait1, vec!["F. 1(0) ack 1"]),
        };
        assert_eq!(peer.stack.state(id), Some(state));
        assert_eq!(peer.out(), sent);
        peer.tell(".", 1, 1, b"");
        assert_eq!(peer.stack.state(id), Some(State::FinWait1));
        let (sent, last) = match written {
            true => (vec!["FP. 1(3) ack 1"], 5),
            false => (vec![], 2),
        };
        assert_eq!(peer.out(), sent);
        peer.tell("F.", 1, last, b"");
        assert_eq!(peer.out(), [format!(". {last}(0) ack 2")]);
        assert_eq!(peer.stack.state(id), Some(State::TimeWait));
        let established = peer
            .stack
            .counters()
            .transitions(State::SynReceived, State::Established);
        assert_eq!(established, u64::from(written), "round ESTABLISHED");
        peer.wait(Duration::from_secs(61));
        assert_eq!(peer.stack.endpoints().count(), 0);
    }
}

#[test]
fn a_reset_ends_an_orphan_that_closed_in_syn_received() {
    let mut peer = Peer::new(|_| {});
    let id = peer.connecting();
    peer.tell("S", 0, 0, b"");
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.tell("R", 1, 0, b"");
    assert_eq!(peer.stack.state(id), None);
    assert_eq!(peer.stack.next_deadline(), None);
}
