//! What users may have, and what happens to one whose rings near their budget.

use super::*;
use crate::daemon::bridge::quotas::HELD_WINDOW;

const ALICE: u32 = 1000;
const BOB: u32 = 1001;
/// What a test's user may occupy: three full rings, and what a session needs besides.
const BUDGET: u64 = 256 << 10;

impl Daemon {
    fn with_quotas(change: impl FnOnce(&mut Quotas)) -> Daemon {
        let mut daemon = Daemon::new();
        let mut quotas = UNLIMITED;
        change(&mut quotas);
        daemon
            .bridge
            .set_quotas(&mut daemon.stack, daemon.now, quotas);
        daemon
    }

    fn occupied(&self, session: SessionId) -> u64 {
        self.arenas[&session].0.allocated_bytes().expect("fstat")
    }

    /// Moves so many bytes from one end to the other, which reads at once: a ring full each tenth of a millisecond.
    pub(super) fn stream(&mut self, from: &mut End, to: &mut End, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let wrote = from.write(&vec![7; left.min(16 << 10)]);
            self.pass(Duration::from_micros(100));
            let read = to.read(usize::MAX).len();
            self.turn();
            assert!(wrote + read > 0, "nothing moves");
            left -= wrote;
        }
    }

    /// Writes as much as the other end takes though nobody reads it.
    fn fill(&mut self, from: &mut End) {
        while from.write(&[7; 4096]) > 0 {
            self.turn();
        }
        self.pass(Duration::from_millis(50));
    }

    /// RCV.ADV, as the peer knows it.
    fn right_edge(&self, end: &End) -> u64 {
        let status = self.stack.status(EndpointId::from_bits(end.id));
        u64::from(status.expect("it is open").rcv_adv.0)
    }

    fn window(&self, end: &End) -> u32 {
        let status = self.stack.status(EndpointId::from_bits(end.id));
        status.expect("it is open").rcv_wnd
    }
}

fn refusal(reply: Option<Reply>) -> String {
    match reply {
        Some(Reply::Error(failure)) => {
            assert_eq!(failure.code, ErrorCode::QuotaExceeded, "{failure:?}");
            failure.detail
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn connections_count_over_all_sessions_of_a_user_and_no_other() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.connections = 2);
    let (one, two) = (daemon.client_of(ALICE, 1, 4), daemon.client_of(ALICE, 2, 4));
    let other = daemon.client_of(BOB, 3, 4);
    let under_way: Vec<u32> = [one, two]
        .map(|session| daemon.connect_to(session, "198.18.0.77:9", 1000))
        .into();
    let third = daemon.connect_to(one, "198.18.0.77:9", 0);
    assert_eq!(
        refusal(daemon.answer(one, third)),
        "rule limits.connections_per_uid: this user has 2 of 2"
    );
    let fine = daemon.connect_to(other, "198.18.0.77:9", 1000);
    assert_eq!(daemon.answer(other, fine), None, "under way");
    daemon.pass(Duration::from_secs(2));
    assert_eq!(
        error_of(daemon.answer(one, under_way[0])),
        ErrorCode::TimedOut
    );
    let again = daemon.connect_to(two, "198.18.0.77:9", 1000);
    assert_eq!(daemon.answer(two, again), None, "there is room again");
}

#[test]
fn a_listener_takes_no_more_than_its_user_may_have() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.connections = 1);
    let (server, client) = (daemon.client_of(ALICE, 1, 4), daemon.client_of(0, 2, 4));
    let listener = daemon.listen(server, 7);
    for _ in 0..2 {
        daemon.connect_to(client, "198.18.0.2:7", 500);
    }
    let accepting = daemon.accept(server, listener, false);
    assert!(matches!(
        daemon.answer(server, accepting),
        Some(Reply::Accepted(_))
    ));
    let accepting = daemon.accept(server, listener, true);
    assert_eq!(
        error_of(daemon.answer(server, accepting)),
        ErrorCode::WouldBlock
    );
    assert_eq!(daemon.stack.usage(ALICE).connections, 1);
    assert!(daemon.stack.usage(ALICE).refused_full > 0);
}

#[test]
fn listeners_are_counted_and_given_back() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.listeners = 1);
    let (one, two) = (daemon.client_of(ALICE, 1, 1), daemon.client_of(ALICE, 2, 1));
    let listener = daemon.listen(one, 7);
    let listen = |port| {
        Request::Listen(Listen {
            address: None,
            port,
            reuse: false,
            backlog: 1,
            options: StreamOptions::default(),
        })
    };
    let refused = daemon.call(two, listen(8));
    assert_eq!(
        refusal(Some(refused)),
        "rule limits.listeners_per_uid: this user has 1 of 1"
    );
    daemon.call(one, Request::CloseListener { listener });
    daemon.listen(two, 8);
    daemon.end_session(two);
    daemon.listen(one, 9);
}

#[test]
fn a_worker_counts_for_the_services_and_has_no_limit() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.connections = 0);
    let worker = daemon.open_session_of(ALICE, 1, 1, true);
    assert_eq!(daemon.bridge.account_of(worker), SERVICES);
    assert!(
        daemon
            .bridge
            .refuse_connection(&daemon.stack, worker)
            .is_none()
    );
    let root = daemon.client_of(0, 2, 1);
    assert!(
        daemon
            .bridge
            .refuse_connection(&daemon.stack, root)
            .is_none()
    );
    let quotas = Quotas {
        connections: 0,
        root: true,
        ..UNLIMITED
    };
    daemon
        .bridge
        .set_quotas(&mut daemon.stack, daemon.now, quotas);
    assert!(
        daemon
            .bridge
            .refuse_connection(&daemon.stack, root)
            .is_some()
    );
}

/// The whole of it: a slow reader's rings fill until its user is near its budget; then nothing grows, nothing new is opened,
/// windows close and no right edge moves left; the neighbour goes on; when all is read, it is as before.
#[test]
fn a_user_near_its_budget_is_held_without_harm_and_let_go_when_it_has_read() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.ring_bytes_per_uid = BUDGET);
    let (peer, slow) = (daemon.client_of(0, 1, 8), daemon.client_of(ALICE, 2, 8));
    let (mut a, mut b) = daemon.pair(peer, slow);
    daemon.stream(&mut a, &mut b, 1 << 20);
    assert!(
        daemon.window(&b) > RING_MAX / 2,
        "a fast reader has a large window"
    );
    let mut pairs = vec![(a, b)];
    for _ in 0..4 {
        let (mut from, mut to) = daemon.pair(peer, slow);
        daemon.stream(&mut from, &mut to, 200 << 10);
        pairs.push((from, to));
    }
    assert!(daemon.bridge.counts.growths_refused > 0, "not all can grow");
    let edges: Vec<u64> = pairs.iter().map(|(_, to)| daemon.right_edge(to)).collect();
    for (from, _) in &mut pairs {
        daemon.fill(from);
    }
    daemon.pass(Duration::from_secs(2));
    assert!(daemon.bridge.users.is_pressed(ALICE));
    assert!(daemon.occupied(slow) <= BUDGET, "{}", daemon.occupied(slow));
    for ((_, to), edge) in pairs.iter().zip(&edges) {
        assert!(daemon.right_edge(to) >= *edge, "the right edge moved left");
        assert_eq!(daemon.window(to), 0);
    }
    // Nothing new, by its rule.
    let refused = daemon.connect_to(slow, "198.18.0.77:9", 0);
    let detail = refusal(daemon.answer(slow, refused));
    assert!(
        detail.starts_with("rule limits.ring_bytes_per_uid: the rings of this user occupy 0.2 MiB"),
        "{detail}"
    );
    daemon.listen(slow, 80);
    let syn = daemon.connect_to(peer, "198.18.0.2:80", 400);
    daemon.pass(Duration::from_millis(500));
    assert_eq!(error_of(daemon.answer(peer, syn)), ErrorCode::TimedOut);
    assert!(daemon.stack.usage(ALICE).refused_closed > 0);
    // A neighbour does not notice.
    let neighbour = daemon.client_of(BOB, 3, 2);
    let (mut from, mut to) = daemon.pair(peer, neighbour);
    daemon.stream(&mut from, &mut to, 1 << 20);
    assert!(daemon.window(&to) > RING_MAX / 2);
    // A reader who comes down to little sees its window open by little; nothing is lost.
    let (from, to) = &mut pairs[0];
    let unread = (to.slot.received() - to.read) as usize;
    to.read(unread - 1000);
    daemon.turn();
    let opened = daemon.window(to);
    assert!((1..=HELD_WINDOW).contains(&opened), "{opened}");
    daemon.stream(from, to, 100 << 10);
    // All is read: it is let go, and a fast reader has its window again.
    for (_, to) in &mut pairs {
        to.read(usize::MAX);
    }
    daemon.pass(Duration::from_secs(2));
    assert!(
        !daemon.bridge.users.is_pressed(ALICE),
        "{}",
        daemon.occupied(slow)
    );
    let (from, to) = &mut pairs[0];
    daemon.stream(from, to, 200 << 10);
    assert!(daemon.window(to) > 2 * HELD_WINDOW, "{}", daemon.window(to));
    daemon.pair(peer, slow);
}

/// RFC 9293 §3.8.6 SHLD-14 holds for rings that grow, too.
#[test]
fn a_ring_grows_as_far_as_its_user_can_afford_and_no_right_edge_moves_left() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.ring_bytes_per_uid = u64::MAX);
    let (peer, reader) = (daemon.client_of(0, 1, 2), daemon.client_of(ALICE, 2, 2));
    let (mut from, mut to) = daemon.pair(peer, reader);
    let affordable =
        |daemon: &mut Daemon, wanted| daemon.bridge.affordable(&daemon.stack, ALICE, RING, wanted);
    assert_eq!(affordable(&mut daemon, RING), None, "nothing to grow");
    assert_eq!(affordable(&mut daemon, RING_MAX), Some(RING_MAX));
    let quotas = Quotas {
        ring_bytes_per_uid: u64::from(RING_MAX),
        ..UNLIMITED
    };
    daemon
        .bridge
        .set_quotas(&mut daemon.stack, daemon.now, quotas);
    // Seven eighths of it count, less what is there already.
    assert_eq!(affordable(&mut daemon, RING_MAX), Some(RING_MAX / 2));
    daemon.bridge.has_grown(ALICE, RING_MAX / 2);
    assert_eq!(affordable(&mut daemon, RING_MAX), Some(RING_MAX / 4));
    daemon.bridge.has_grown(ALICE, RING_MAX / 2);
    assert_eq!(affordable(&mut daemon, RING_MAX), None);
    let mut edge = daemon.right_edge(&to);
    for _ in 0..50 {
        daemon.stream(&mut from, &mut to, 10_000);
        assert!(daemon.right_edge(&to) >= edge, "the right edge moved left");
        edge = daemon.right_edge(&to);
    }
}

#[test]
fn a_connection_handed_off_by_a_held_user_has_its_window_again_with_who_is_not() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.ring_bytes_per_uid = BUDGET);
    let (peer, slow) = (daemon.client_of(0, 1, 8), daemon.client_of(ALICE, 2, 8));
    let mut pairs: Vec<(End, End)> = (0..5).map(|_| daemon.pair(peer, slow)).collect();
    for (from, to) in &mut pairs {
        daemon.stream(from, to, 200 << 10);
    }
    for (from, _) in &mut pairs {
        daemon.fill(from);
    }
    daemon.pass(Duration::from_secs(2));
    assert!(daemon.bridge.users.is_pressed(ALICE));
    let (_, given) = &pairs[0];
    let endpoint = handoffs::hand_off(&mut daemon, given, Some(BOB));
    let heir = daemon.client_of(BOB, 3, 2);
    let mut taken = handoffs::adopted(&mut daemon, heir, endpoint);
    taken.read(usize::MAX);
    daemon.turn();
    let window = daemon.window(&taken);
    assert!(window > 2 * HELD_WINDOW, "{window}");
}

#[test]
fn when_all_rings_near_their_limit_only_who_has_more_than_its_share_is_pressed() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.ring_bytes = BUDGET);
    let peer = daemon.client_of(0, 1, 8);
    let (greedy, modest) = (daemon.client_of(ALICE, 2, 8), daemon.client_of(BOB, 3, 2));
    let mut pairs: Vec<(End, End)> = (0..8).map(|_| daemon.pair(peer, greedy)).collect();
    for (from, to) in &mut pairs {
        daemon.stream(from, to, 200 << 10);
        daemon.fill(from);
    }
    daemon.pass(Duration::from_secs(2));
    assert!(daemon.bridge.users.is_pressed(ALICE));
    let refused = daemon.connect_to(greedy, "198.18.0.77:9", 0);
    let detail = refusal(daemon.answer(greedy, refused));
    assert!(
        detail.starts_with("rule limits.ring_bytes: of 0.2 MiB for all"),
        "{detail}"
    );
    let (mut from, mut to) = daemon.pair(modest, modest);
    daemon.stream(&mut from, &mut to, 64 << 10);
    assert!(!daemon.bridge.users.is_pressed(BOB));
}

#[test]
fn nothing_is_kept_of_users_who_have_gone() {
    let mut daemon = Daemon::with_quotas(|quotas| quotas.connections = 7);
    for uid in 1..100 {
        let session = daemon.client_of(uid, uid.into(), 2);
        daemon.listen(session, 7);
        let (mut from, mut to) = {
            let connecting = daemon.connect_to(session, "198.18.0.2:7", 0);
            let listener = *daemon.bridge.sessions[&session]
                .listeners
                .iter()
                .next()
                .expect("one");
            let accepting = daemon.accept(session, listener.to_bits(), false);
            (
                daemon.end(session, connecting),
                daemon.end(session, accepting),
            )
        };
        daemon.stream(&mut from, &mut to, 10_000);
        daemon.end_session(session);
    }
    daemon.pass(Duration::from_secs(120));
    let left = daemon.client_of(0, 1000, 1);
    let (mut from, mut to) = {
        let root = daemon.client_of(0, 1001, 2);
        daemon.pair(root, left)
    };
    daemon.stream(&mut from, &mut to, 1000);
    daemon.pass(Duration::from_secs(2));
    assert_eq!(daemon.bridge.user_uses(&daemon.stack).len(), 1, "root");
}
