//! Accounts: whose connections are counted together, and what an account may have.

use tcpd_core::stack::{
    Allowance, ConnectOptions, EndpointId, ListenOptions, ListenerId, State, Usage,
};

use crate::peer::Peer;
use crate::wire::LEFT;

const ALICE: u32 = 1000;
const BOB: u32 = 1001;

fn listen(peer: &mut Peer, account: u32) -> ListenerId {
    let options = ListenOptions {
        port: 80,
        account,
        ..ListenOptions::default()
    };
    peer.stack.listen(peer.now, options).expect("listen")
}

/// The peer opens a connection from this port; it waits in the backlog, if it was let in.
fn open(peer: &mut Peer, port: u16) {
    (peer.port, peer.iss) = (port, None);
    peer.tell("S", 0, 0, b"");
    if peer.out().iter().any(|answer| answer.starts_with("S.")) {
        peer.tell(".", 1, 1, b"");
        peer.out();
    }
}

fn opened(peer: &mut Peer, listener: ListenerId, port: u16) -> EndpointId {
    open(peer, port);
    peer.stack.accept(peer.now, listener).expect("it waits")
}

fn has(peer: &Peer, account: u32) -> (u32, u32) {
    let usage = peer.stack.usage(account);
    (usage.connections, usage.orphans)
}

#[test]
fn a_connection_counts_from_the_backlog_until_it_is_over_and_orphans_apart() {
    let mut peer = Peer::new(|_| {});
    let listener = listen(&mut peer, ALICE);
    open(&mut peer, 5000);
    assert_eq!(has(&peer, ALICE), (1, 0), "in the backlog");
    let id = peer.stack.accept(peer.now, listener).expect("it waits");
    assert_eq!(has(&peer, ALICE), (1, 0));
    let remote = (std::net::IpAddr::from(LEFT), 9).into();
    let options = ConnectOptions {
        account: ALICE,
        ..ConnectOptions::to(remote)
    };
    let syn_sent = peer.stack.connect(peer.now, options).expect("connect");
    assert_eq!(has(&peer, ALICE), (2, 0));
    peer.stack.set_account(syn_sent, BOB);
    assert_eq!((has(&peer, ALICE), has(&peer, BOB)), ((1, 0), (1, 0)));
    peer.stack.abort(peer.now, syn_sent).expect("it is there");
    assert_eq!(has(&peer, BOB), (0, 0));
    peer.out();
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(has(&peer, ALICE), (0, 1));
    assert_eq!(peer.out(), ["F. 1(0) ack 1"]);
    peer.tell("F.", 1, 2, b"");
    assert_eq!(peer.stack.state(id), Some(State::TimeWait));
    assert_eq!(has(&peer, ALICE), (0, 0), "TIME-WAIT is nobody's");
    assert_eq!(peer.stack.usages().count(), 0, "nothing is kept");
}

#[test]
fn beyond_its_connections_an_account_gets_no_more_and_others_do() {
    let mut peer = Peer::new(|_| {});
    let allowance = Allowance {
        connections: 2,
        ..Allowance::default()
    };
    peer.stack.set_allowance(ALICE, allowance);
    let listener = listen(&mut peer, ALICE);
    let first = opened(&mut peer, listener, 5000);
    open(&mut peer, 5001);
    open(&mut peer, 5002);
    assert_eq!(has(&peer, ALICE), (2, 0));
    assert_eq!(peer.dropped("account-limit"), 1);
    assert_eq!(peer.stack.usage(ALICE).refused_full, 1);
    peer.stack.abort(peer.now, first).expect("it is there");
    peer.out();
    open(&mut peer, 5002);
    assert_eq!(has(&peer, ALICE), (2, 0), "there is room again");
}

/// Two handshakes are under way when there is room for one: the ACK of the second counts for nothing, and its SYN-ACK goes out again.
#[test]
fn an_account_that_closes_its_door_meanwhile_lets_no_handshake_finish() {
    let mut peer = Peer::new(|_| {});
    listen(&mut peer, ALICE);
    peer.tell("S", 0, 0, b"");
    assert_eq!(peer.out().len(), 1, "SYN-ACK");
    let closed = Allowance {
        open: false,
        ..Allowance::default()
    };
    peer.stack.set_allowance(ALICE, closed);
    peer.tell(".", 1, 1, b"");
    assert_eq!(has(&peer, ALICE), (0, 0));
    assert_eq!(peer.dropped("account-limit"), 1);
    peer.stack.set_allowance(ALICE, Allowance::default());
    peer.tell(".", 1, 1, b"");
    assert_eq!(has(&peer, ALICE), (1, 0), "nothing was lost");
}

#[test]
fn the_orphan_let_go_first_makes_way_for_others_of_its_account_only() {
    let mut peer = Peer::new(|_| {});
    let listener = listen(&mut peer, ALICE);
    let ids: Vec<EndpointId> = (0..4)
        .map(|n| opened(&mut peer, listener, 5000 + n))
        .collect();
    peer.stack.set_account(ids[0], BOB);
    let allowance = Allowance {
        orphans: 2,
        ..Allowance::default()
    };
    peer.stack.set_allowance(ALICE, allowance);
    for id in &ids {
        peer.stack
            .send(peer.now, *id, b"unacknowledged")
            .expect("send");
        peer.stack.close(peer.now, *id).expect("close");
    }
    assert_eq!((has(&peer, ALICE), has(&peer, BOB)), ((0, 2), (0, 1)));
    assert_eq!(peer.stack.state(ids[1]), None, "the first of its account");
    assert!(peer.stack.state(ids[0]).is_some());
    assert_eq!(peer.stack.counters().orphans_reset, 1);
}

#[test]
fn bytes_in_private_rings_are_on_the_bill_until_the_last_of_them_is_gone() {
    let mut peer = Peer::new(|config| config.tcp.receive_ring = 4096);
    let listener = listen(&mut peer, ALICE);
    let id = opened(&mut peer, listener, 5000);
    let bytes = |peer: &Peer, account| peer.stack.usage(account).private_bytes;
    assert_eq!(bytes(&peer, ALICE), 0, "idle");
    peer.tell("P.", 1, 1, b"hello");
    assert_eq!(bytes(&peer, ALICE), 4096);
    peer.stack.set_account(id, BOB);
    assert_eq!((bytes(&peer, ALICE), bytes(&peer, BOB)), (0, 4096));
    peer.tell("R.", 6, 1, b"");
    assert_eq!(peer.stack.usage(BOB).connections, 0);
    assert_eq!(bytes(&peer, BOB), 4096, "it can still be read");
    peer.stack.close(peer.now, id).expect("close");
    assert_eq!(peer.stack.usage(BOB), Usage::default());
}
