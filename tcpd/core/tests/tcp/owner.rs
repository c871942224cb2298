//! What the owner of a stack sees: events, views, lists, counters, the observer.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tcpd_core::stack::{
    Cause, Changes, ConnectOptions, EndpointId, Event, ListenOptions, Observer, ReceiveError,
    SendError, State,
};
use tcpd_core::tcp::buffer::{HeapRing, Ring};
use tcpd_core::time::Instant;

use crate::peer::Peer;
use crate::wire::{LEFT, RIGHT, Wire, pattern};

#[test]
fn events_are_told_once_however_much_has_changed() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.events.clear();
    for piece in 0..10 {
        peer.tell(".", 1 + piece * 100, 1, &[0; 100]);
    }
    peer.tell("F.", 1001, 1, b"");
    peer.out();
    let changes = Changes::READABLE | Changes::PEER_CLOSED;
    assert_eq!(
        peer.events,
        [Event::Changed {
            endpoint: id,
            changes
        }]
    );
}

#[test]
fn a_listener_is_told_again_while_more_wait() {
    let mut peer = Peer::new(|_| {});
    let listener = peer.listen();
    for port in [1, 2, 3] {
        peer.port = port;
        peer.tell("S", 0, 0, b"");
        peer.out();
        peer.tell(".", 1, 1, b"early");
    }
    peer.out();
    let only_incoming = peer
        .events
        .iter()
        .all(|event| *event == Event::Incoming { listener });
    assert!(
        only_incoming && !peer.events.is_empty(),
        "{:?}",
        peer.events
    );
    peer.events.clear();
    let id = peer.stack.accept(peer.now, listener).expect("accepted");
    peer.out();
    let readable = Event::Changed {
        endpoint: id,
        changes: Changes::READABLE,
    };
    assert_eq!(peer.events, [Event::Incoming { listener }, readable]);
    peer.stack.accept(peer.now, listener).expect("accepted");
    peer.stack.accept(peer.now, listener).expect("accepted");
    assert!(peer.stack.accept(peer.now, listener).is_none());
    let status = peer.stack.listener_status(listener).expect("status");
    assert_eq!(
        (status.accepted, status.queued, status.half_open),
        (3, 0, 0)
    );
}

#[test]
fn an_orphans_end_is_told_under_a_name_that_means_nothing_any_more() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell("F.", 1, 1, b"");
    peer.out();
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.events.clear();
    peer.tell(".", 2, 2, b"");
    peer.out();
    let changes = Changes::ACKNOWLEDGED | Changes::ENDED;
    assert_eq!(
        peer.events,
        [Event::Changed {
            endpoint: id,
            changes
        }]
    );
    assert_eq!((peer.stack.view(id), peer.stack.state(id)), (None, None));
}

#[test]
fn a_name_is_never_used_again() {
    let mut wire = Wire::new();
    let listener = wire.listen();
    let mut names = Vec::new();
    for _ in 0..50 {
        let (left, right) = wire.connect_to(listener);
        wire.left.abort(wire.now, left).expect("abort");
        wire.exchange();
        wire.right.close(wire.now, right).expect("close");
        names.push(left);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 50);
    assert!(names.iter().all(|name| wire.left.state(*name).is_none()));
    assert_eq!(
        wire.left.send(wire.now, names[0], b"x"),
        Err(SendError::NoSuchConnection)
    );
}

#[test]
fn the_list_names_every_shape() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.stack.set_tag(id, 77);
    peer.tell(".", 1, 1, b"unread");
    peer.stack
        .send(peer.now, id, b"unacknowledged")
        .expect("send");
    peer.port = 6000;
    peer.tell("S", 0, 0, b"");
    peer.stack
        .connect(peer.now, ConnectOptions::to((IpAddr::from(LEFT), 1).into()))
        .expect("connect");
    peer.out();
    let mut lines: Vec<_> = peer
        .stack
        .endpoints()
        .map(|line| {
            (
                line.state,
                line.recv_q,
                line.send_q,
                line.timer.map(|(timer, _)| timer.name()),
                line.tag,
            )
        })
        .collect();
    lines.sort_by_key(|line| line.0.index());
    assert_eq!(
        lines,
        [
            (State::Listen, 0, 128, None, 0),
            (State::SynSent, 0, 0, Some("handshake"), 0),
            (State::SynReceived, 0, 0, Some("handshake"), 0),
            (State::Established, 6, 14, Some("retransmission"), 77),
        ]
    );
    for line in peer.stack.endpoints().collect::<Vec<_>>() {
        let status = peer.stack.status(line.id).expect("status");
        assert_eq!(
            (status.state, status.local, status.remote),
            (line.state, line.local, line.remote)
        );
        assert_eq!(line.id.to_string().parse(), Ok(line.id));
    }
}

#[test]
fn positions_out_of_range_change_nothing() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell(".", 1, 1, b"12345");
    for wrong in [6, 1000, u64::MAX] {
        assert_eq!(
            peer.stack.consumed(peer.now, id, wrong),
            Err(ReceiveError::OutOfRange)
        );
    }
    peer.stack.consumed(peer.now, id, 3).expect("read");
    assert_eq!(
        peer.stack.consumed(peer.now, id, 2),
        Err(ReceiveError::OutOfRange)
    );
    peer.stack.committed(peer.now, id, 100).expect("written");
    for wrong in [99, 65_537, u64::MAX] {
        assert_eq!(
            peer.stack.committed(peer.now, id, wrong),
            Err(SendError::OutOfRange)
        );
    }
    peer.stack
        .committed(peer.now, id, 65_536)
        .expect("all the ring holds");
    assert!(
        peer.stack
            .attach(
                peer.now,
                id,
                HeapRing::private(1024),
                HeapRing::private(1 << 20)
            )
            .is_err()
    );
    assert!(
        peer.stack
            .attach(
                peer.now,
                id,
                HeapRing::private(1 << 20),
                HeapRing::private(1024)
            )
            .is_err()
    );
    let view = peer.stack.view(id).expect("view");
    assert_eq!(
        (view.receive.read, view.receive.next, view.send.written),
        (3, 5, 65_536)
    );
    assert_eq!(view.receive.capacity, 65_536);
}

struct Ear(Rc<RefCell<Vec<String>>>);

impl Observer for Ear {
    fn transition(&mut self, _now: Instant, _id: EndpointId, from: State, to: State, why: Cause) {
        self.0
            .borrow_mut()
            .push(format!("{from} {to} {}", why.name()));
    }
}

#[test]
fn the_observer_hears_every_transition_in_order() {
    let mut peer = Peer::new(|_| {});
    let heard = Rc::new(RefCell::new(Vec::new()));
    peer.stack.set_observer(Box::new(Ear(Rc::clone(&heard))));
    let id = peer.established();
    peer.stack.close(peer.now, id).expect("close");
    peer.out();
    peer.tell("F.", 1, 2, b"");
    peer.wait(Duration::from_secs(61));
    assert_eq!(
        *heard.borrow(),
        [
            "CLOSED LISTEN passive-open",
            "LISTEN SYN-RECEIVED syn-arrived",
            "SYN-RECEIVED ESTABLISHED syn-acknowledged",
            "ESTABLISHED FIN-WAIT-1 close-call",
            "FIN-WAIT-1 FIN-WAIT-2 fin-acknowledged",
            "FIN-WAIT-2 TIME-WAIT fin-arrived",
            "TIME-WAIT CLOSED two-msl-over",
        ]
    );
}

#[test]
fn a_stack_moves_megabytes_to_itself_in_bounded_turns() {
    let mut wire = Wire::new();
    let listener = wire.listen();
    let now = wire.now;
    let stack = &mut wire.right;
    let client = stack
        .connect(now, ConnectOptions::to((IpAddr::from(RIGHT), 80).into()))
        .expect("connect");
    assert!(stack.poll_transmit(now).is_none());
    let server = stack.accept(now, listener).expect("accepted");
    let bytes = pattern(4 << 20);
    let (mut sent, mut received) = (0, Vec::new());
    let mut out = vec![0; 100_000];
    let mut now = now;
    while received.len() < bytes.len() {
        sent += stack.send(now, client, &bytes[sent..]).unwrap_or(0);
        assert!(stack.poll_transmit(now).is_none(), "nothing leaves");
        while let Ok(count) = stack.receive_into(now, server, &mut out) {
            received.extend_from_slice(&out[..count]);
        }
        assert!(stack.poll_transmit(now).is_none(), "nothing leaves");
        if let Some(at) = stack.next_deadline() {
            now = now.max(at);
            stack.on_deadline(now);
        }
    }
    assert!(received == bytes);
    assert_eq!(stack.counters().bytes_out, 0);
}

#[test]
fn ten_thousand_connections_are_found_listed_and_forgotten() {
    let mut wire = Wire::new();
    let options = ListenOptions {
        port: 80,
        backlog: 4096,
        ..ListenOptions::default()
    };
    let listener = wire.right.listen(wire.now, options).expect("listen");
    let mut ids = Vec::new();
    for _ in 0..10_000 {
        ids.push(wire.connect_to(listener));
    }
    assert_eq!(wire.right.endpoints().count(), 10_001);
    for (left, right) in ids.iter().step_by(97) {
        wire.left
            .send(wire.now, *left, b"are you there?")
            .expect("send");
        wire.exchange();
        let mut out = [0; 20];
        assert_eq!(wire.right.receive_into(wire.now, *right, &mut out), Ok(14));
    }
    for (left, right) in ids {
        wire.left.close(wire.now, left).expect("close");
        wire.exchange();
        wire.right.close(wire.now, right).expect("close");
    }
    wire.run(Duration::from_secs(61));
    assert_eq!(wire.left.endpoints().count(), 0);
    assert_eq!(wire.right.endpoints().count(), 1);
    assert_eq!(
        wire.right.next_deadline(),
        None,
        "an idle stack needs no waking"
    );
}

#[test]
fn a_ring_of_another_kind_takes_over_what_is_out_of_order_as_well() {
    let mut peer = Peer::new(|_| {});
    let id = peer.established();
    peer.tell(".", 6, 1, b"world");
    peer.out();
    peer.stack
        .attach(
            peer.now,
            id,
            HeapRing::private(1 << 17),
            HeapRing::private(1 << 17),
        )
        .expect("attach");
    peer.tell(".", 1, 1, b"hello");
    let mut out = [0; 20];
    assert_eq!(peer.stack.receive_into(peer.now, id, &mut out), Ok(10));
    assert_eq!(&out[..10], b"helloworld");
    assert_eq!(peer.stack.send_ring(id).map(Ring::capacity), Some(1 << 17));
}
