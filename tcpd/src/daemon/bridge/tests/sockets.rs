//! Connections that leave their slots for a socketpair.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::*;

impl Daemon {
    /// The connection as a socket that never blocks.
    fn socket(&mut self, end: &End) -> UnixStream {
        let connection = end.id;
        let request = self.ask(end.session, Request::IntoSocket { connection });
        let (session, descriptor) = (end.session, self.descriptors.pop());
        assert_eq!(self.answer(session, request), Some(Reply::Stream));
        let socket = UnixStream::from(descriptor.expect("a descriptor"));
        socket.set_nonblocking(true).expect("a socket");
        socket
    }

    fn allocated(&self) -> u64 {
        self.bridge.endpoints.allocated_bytes()
    }
}

#[test]
fn bytes_on_their_way_come_along_and_the_slot_is_free() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 1), daemon.client(2, 1));
    let (mut near, mut far) = daemon.pair(one, two);
    far.write(b"unread");
    near.write(b"unsent");
    let mut socket = daemon.socket(&near);
    assert_eq!(daemon.slots_of(one), 0);
    let mut unread = [0; 16];
    assert_eq!(socket.read(&mut unread).expect("bytes"), 6);
    assert_eq!(&unread[..6], b"unread");
    assert_eq!(far.read(16), b"unsent");
    let error = daemon.call(
        one,
        Request::Abort {
            connection: near.id,
        },
    );
    assert_eq!(error_of(Some(error)), ErrorCode::NoSuchConnection);
    // The only slot of the session is good for another one.
    let three = daemon.client(3, 4);
    let (other, _) = daemon.pair(one, three);
    assert_eq!(other.slot.slot(), near.slot.slot());
    drop(socket);
    daemon.turn();
    assert!(far.is_at(SlotState::PEER_CLOSED));
}

#[test]
fn what_is_not_a_sessions_own_does_not_become_a_socket() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (near, far) = daemon.pair(one, two);
    for (session, connection) in [(one, far.id), (two, near.id), (one, 0), (one, u64::MAX)] {
        let reply = daemon.call(session, Request::IntoSocket { connection });
        assert_eq!(error_of(Some(reply)), ErrorCode::NoSuchConnection);
    }
    let socket = daemon.socket(&near);
    let connection = near.id;
    let reply = daemon.call(one, Request::IntoSocket { connection });
    assert_eq!(error_of(Some(reply)), ErrorCode::NoSuchConnection);
    daemon.end_session(one);
    assert!(daemon.is_released(one), "its arena holds nothing of it");
    assert!(
        !far.is_at(SlotState::PEER_CLOSED),
        "it outlives the session"
    );
    drop(socket);
    daemon.turn();
    assert!(far.is_at(SlotState::PEER_CLOSED));
}

#[test]
fn neither_ring_grows_without_bound_and_all_of_it_arrives() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (near, mut far) = daemon.pair(one, two);
    let mut socket = daemon.socket(&near);
    let bytes = pattern(8 << 20);
    let mut sent = 0;
    for _ in 0..100 {
        if let Ok(count) = socket.write(&bytes[sent..]) {
            sent += count;
        }
        daemon.turn();
    }
    assert!(sent < 1 << 20, "{sent} bytes, and nobody has read one");
    assert_eq!(
        socket.write(b"x").expect_err("full").kind(),
        ErrorKind::WouldBlock
    );
    let mut read = Vec::new();
    while read.len() < bytes.len() {
        read.extend(far.read(100_000));
        daemon.turn();
        if let Ok(count) = socket.write(&bytes[sent..]) {
            sent += count;
        }
        daemon.pass(Duration::from_millis(1));
    }
    assert!(read == bytes);
}

#[test]
fn rings_give_their_memory_back_when_they_rest() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    let (near, mut far) = daemon.pair(one, two);
    let mut socket = daemon.socket(&near);
    let before = daemon.allocated();
    socket.write_all(b"there").expect("room");
    far.write(b"back");
    daemon.pass(Duration::from_millis(200));
    assert_eq!(far.read(16), b"there");
    let mut back = [0; 4];
    socket.read_exact(&mut back).expect("bytes");
    assert!(daemon.allocated() > before);
    let id = EndpointId::from_bits(near.id);
    let private = |daemon: &Daemon| {
        let rings = [daemon.stack.receive_ring(id), daemon.stack.send_ring(id)];
        rings.map(|ring| ring.expect("it lives").private_bytes())
    };
    assert_eq!(private(&daemon), [4096, 4096]);
    daemon.pass(Duration::from_secs(3));
    assert_eq!(daemon.allocated(), before);
    assert_eq!(private(&daemon), [0, 0]);
    assert_eq!(daemon.bridge.next_look_at_sockets(), None, "it rests");
    socket.write_all(b"again").expect("room");
    daemon.turn();
    assert_eq!(far.read(16), b"again");
}

#[test]
fn nothing_is_left_of_a_socket_that_was_closed() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client(1, 4), daemon.client(2, 4));
    for reset in [false, true] {
        let (near, mut far) = daemon.pair(one, two);
        let mut socket = daemon.socket(&near);
        socket.write_all(b"last words").expect("room");
        daemon.turn();
        if reset {
            far.write(b"unread");
            daemon.turn();
        }
        drop(socket);
        daemon.turn();
        let closed = |report: &Report| matches!(report, Report::SocketClosed { connection } if *connection == near.id);
        assert!(daemon.told.iter().any(closed));
        match reset {
            true => assert_eq!(far.end_reason(), Some(EndReason::Reset)),
            false => assert_eq!(far.read(16), b"last words"),
        }
        daemon.close(&far, None);
        daemon.pass(Duration::from_secs(5));
        assert!(!daemon.bridge.endpoints.has(EndpointId::from_bits(near.id)));
        assert_eq!(daemon.bridge.endpoints.count(), 0);
        assert_eq!(daemon.allocated(), 0);
    }
}

/// What `uid` has.
fn use_of(daemon: &Daemon, uid: u32) -> crate::daemon::orders::UserUse {
    let uses = daemon.bridge.user_uses(&daemon.stack);
    let found = uses.into_iter().find(|user| user.account == Some(uid));
    found.expect("it has something")
}

/// Writes until nothing goes any more.
fn fill(daemon: &mut Daemon, from: &mut End) {
    while from.write(&[7; 4096]) > 0 {
        daemon.pass(Duration::from_micros(100));
    }
    daemon.pass(Duration::from_millis(50));
}

/// Reads what is there; how much it was.
fn read_all(socket: &mut UnixStream) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        all += count;
    }
    all
}

#[test]
fn what_lies_in_a_pair_counts_for_who_asked_for_it_until_it_is_read() {
    let mut daemon = Daemon::new();
    let (one, two) = (daemon.client_of(1000, 1, 4), daemon.client_of(1001, 2, 4));
    let (near, mut far) = daemon.pair(one, two);
    let mut socket = daemon.socket(&near);
    assert_eq!(use_of(&daemon, 1000).pair_bytes, 0);
    let mut written = 0;
    while written < 30_000 {
        written += far.write(&pattern(30_000 - written));
        daemon.turn();
    }
    daemon.pass(Duration::from_secs(3));
    assert!(use_of(&daemon, 1000).pair_bytes >= 30_000);
    assert_eq!(use_of(&daemon, 1001).pair_bytes, 0);
    assert_eq!(read_all(&mut socket), 30_000);
    far.write(b"more");
    daemon.pass(Duration::from_millis(500));
    assert_eq!(read_all(&mut socket), 4);
    daemon.pass(Duration::from_secs(3));
    assert_eq!(use_of(&daemon, 1000).pair_bytes, 0);
    // The other way: what the holder wrote, and the peer has no room for.
    while socket.write(&[7; 4096]).is_ok() {
        daemon.turn();
    }
    daemon.pass(Duration::from_secs(3));
    assert!(use_of(&daemon, 1000).pair_bytes >= 100_000);
    // It is there for as long as the peer takes none of it, whoever holds the other end.
    drop(socket);
    daemon.pass(Duration::from_secs(3));
    assert!(use_of(&daemon, 1000).pair_bytes >= 100_000);
    while !far.is_at(SlotState::PEER_CLOSED) {
        far.read(usize::MAX);
        daemon.pass(Duration::from_millis(1));
    }
    let uses = daemon.bridge.user_uses(&daemon.stack);
    assert!(uses.iter().all(|user| user.pair_bytes == 0), "{uses:?}");
}

#[test]
fn pairs_of_a_user_near_its_budget_get_a_page_at_a_time() {
    let mut daemon = Daemon::new();
    let quotas = Quotas {
        ring_bytes_per_uid: 512 << 10,
        ..UNLIMITED
    };
    daemon
        .bridge
        .set_quotas(&mut daemon.stack, daemon.now, quotas);
    let (alice, bob) = (daemon.client_of(1000, 1, 8), daemon.client_of(0, 2, 8));
    let mut ends = Vec::new();
    for _ in 0..3 {
        let (near, far) = daemon.pair(alice, bob);
        ends.push((daemon.socket(&near), far));
    }
    fill(&mut daemon, &mut ends[0].1);
    daemon.pass(Duration::from_secs(2));
    assert!(use_of(&daemon, 1000).pressed, "a full pair and a full ring");
    let before = use_of(&daemon, 1000).pair_bytes;
    for number in [1, 2] {
        fill(&mut daemon, &mut ends[number].1);
    }
    daemon.pass(Duration::from_secs(2));
    let more = use_of(&daemon, 1000).pair_bytes - before;
    assert!(more < 40 << 10, "{more} bytes more, under pressure");
    // Who reads gets all of it, and when enough is read the user is let go.
    let mut read = [0; 3];
    for _ in 0..10_000 {
        daemon.pass(Duration::from_millis(20));
        for (number, (socket, _)) in ends.iter_mut().enumerate() {
            read[number] += read_all(socket);
        }
        if !use_of(&daemon, 1000).pressed
            && read
                .iter()
                .zip(&ends)
                .all(|(read, (_, far))| *read as u64 == far.written)
        {
            return;
        }
    }
    panic!("pressed for ever, or not all was read: {read:?}");
}
