use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use libtcpclient::protocol::ErrorCode;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::*;

/// Sends raw bytes, which [`Seqpacket`] would refuse to send.
fn throw(client: &Client, bytes: &[u8], descriptors: &[&OwnedFd]) {
    let descriptors: Vec<_> = descriptors
        .iter()
        .map(|descriptor| descriptor.as_fd())
        .collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    }
    sendmsg(
        &client.socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .expect("room");
}

/// Throws `bytes` from a session that has said Hello, and expects its end, and nobody else's.
fn ends_with(by: EndedBy, bytes: &[u8], descriptors: &[&OwnedFd]) {
    let mut t = Fixture::new();
    let bystander = t.client(1000, true);
    let liar = t.client(1001, true);
    throw(&liar, bytes, descriptors);
    let last = t.end_of(&liar);
    assert!(
        matches!(last, Some(FromDaemon::Event(Event::SessionEnding(_)))),
        "{by:?}: {last:?}"
    );
    assert_eq!(t.ended(by), 1, "{:?}", t.control.counts.ended);
    assert_eq!(t.control.counts.ended.values().sum::<u64>(), 1);
    let orders: Vec<Order> = t.orders.try_iter().collect();
    let closed = orders
        .iter()
        .filter(|order| matches!(order, Order::SessionClosed { .. }))
        .count();
    assert_eq!(closed, 1, "{orders:?}");
    assert!(matches!(
        t.answer(&bystander, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn a_message_that_stops_inside_a_field_ends_the_session() {
    let whole = listen(80).encode(5);
    ends_with(EndedBy::TruncatedMessage, &whole[..whole.len() - 1], &[]);
    ends_with(EndedBy::TruncatedMessage, &whole[..9], &[]);
    ends_with(EndedBy::TruncatedMessage, &[0x40], &[]);
}

#[test]
fn an_unknown_message_ends_the_session() {
    let mut message = Request::Ping.encode(5);
    message[..2].copy_from_slice(&0x7777_u16.to_le_bytes());
    ends_with(EndedBy::UnknownMessage, &message, &[]);
}

#[test]
fn a_message_that_is_no_encoding_ends_the_session() {
    ends_with(
        EndedBy::MalformedMessage,
        &[Request::Ping.encode(5), vec![0]].concat(),
        &[],
    );
    ends_with(EndedBy::MalformedMessage, &Request::Ping.encode(0), &[]);
    ends_with(EndedBy::MalformedMessage, &[0x40, 0, 1, 0, 5, 0, 0, 0], &[]);
}

#[test]
fn an_empty_message_ends_the_session() {
    ends_with(EndedBy::EmptyMessage, &[], &[]);
}

#[test]
fn an_oversized_message_ends_the_session() {
    ends_with(EndedBy::OversizedMessage, &vec![0x40; MAX_MESSAGE + 1], &[]);
}

#[test]
fn descriptors_end_the_session_and_are_not_kept() {
    let (gift, _other_end) = libtcpclient::socket::Bell::pair().expect("sockets");
    let gift = OwnedFd::from(gift);
    let open = || std::fs::read_dir("/proc/self/fd").expect("proc").count();
    let before = open();
    ends_with(
        EndedBy::UnexpectedDescriptors,
        &Request::Ping.encode(5),
        &[&gift, &gift, &gift],
    );
    // Other tests of this process open descriptors too, so this is only what can be said.
    assert!(open() < before + 1000);
}

#[test]
fn anything_before_hello_ends_the_session() {
    let mut t = Fixture::new();
    let client = t.connect();
    client.say(1, &Request::Ping);
    let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&client) else {
        panic!()
    };
    assert_eq!(
        (failure.code, t.ended(EndedBy::NoHello)),
        (ErrorCode::HelloExpected, 1)
    );
}

#[test]
fn another_version_is_told_both_versions() {
    let mut t = Fixture::new();
    for body in [&[][..], &[1, 2, 3, 4][..]] {
        let client = t.connect();
        // What follows the version may be anything in another version.
        let message = [&[1, 0, 0, 0, 77, 0, 0, 0, 9, 0][..], body].concat();
        client.say_bytes(&message);
        let Some(FromDaemon::Reply(77, Reply::Error(failure))) = t.end_of(&client) else {
            panic!()
        };
        assert_eq!(failure.code, ErrorCode::VersionMismatch);
        assert_eq!(
            failure.detail,
            format!("the daemon speaks version {VERSION}, the client version 9")
        );
    }
    assert_eq!(t.ended(EndedBy::Version), 2);
}

#[test]
fn hello_twice_is_refused_and_harmless() {
    let mut t = Fixture::new();
    let client = t.client(1000, true);
    assert_eq!(
        code(&t.answer(&client, 2, &hello(true, None))),
        Some(ErrorCode::HelloExpected)
    );
    assert!(matches!(
        t.answer(&client, 3, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn a_client_that_never_reads_is_ended_and_holds_nobody_up() {
    let mut t = Fixture::with(|config| config.limits.unread_bytes_per_session = 128 << 10);
    let bystander = t.client(1000, true);
    let flood = t.client(1001, false);
    let ping = Request::Ping.encode(2);
    let mut answered = 0;
    t.until("the end of the flood", |t| {
        while flood.socket.try_send(&ping).is_ok() {}
        if t.ended(EndedBy::UnreadReplies) == 1 {
            return true;
        }
        answered += u32::from(matches!(
            t.answer(&bystander, 2, &Request::Ping),
            Reply::Pong { .. }
        ));
        false
    });
    assert!(answered > 0);
    assert!(matches!(
        t.answer(&bystander, 3, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn what_all_sessions_of_a_user_leave_unread_is_limited_and_costs_the_worst() {
    let mut t = Fixture::with(|config| config.limits.unread_bytes_per_uid = 256 << 10);
    let (reader, other_user) = (t.client(1001, false), t.client(1002, false));
    let (worst, second) = (t.client(1001, false), t.client(1001, false));
    let (ping, mut buffer) = (Request::Ping.encode(2), vec![0; MAX_MESSAGE]);
    // None of them leaves as much as one session may.
    let most = t.control.config.limits.unread_bytes_per_session;
    let id = |t: &Fixture| {
        t.control
            .clients
            .iter()
            .map(|client| client.session.unread())
            .max()
    };
    let fill = |t: &mut Fixture, client: &Client, bytes: u64| {
        let before = t.control.clients.unread.of(1001).bytes();
        t.until("unread answers", |t| {
            while client.socket.try_send(&ping).is_ok() {}
            t.control.clients.unread.of(1001).bytes() >= before + bytes
                || t.ended(EndedBy::UnreadReplies) > 0
        });
    };
    fill(&mut t, &worst, 150 << 10);
    assert_eq!(t.ended(EndedBy::UnreadReplies), 0);
    assert!(id(&t).expect("a session") < most);
    fill(&mut t, &second, 200 << 10);
    assert_eq!(t.ended(EndedBy::UnreadReplies), 1);
    let row = &t.control.refusals.of_user(1001);
    assert_eq!(row.get("limits.unread_bytes_per_uid"), Some(&1), "{row:?}");
    for fine in [&reader, &other_user] {
        let pong = t.answer(fine, 3, &Request::Ping);
        assert!(matches!(pong, Reply::Pong { .. }), "{pong:?}");
    }
    // Who has left most is gone; the others can read all of it and go on.
    t.until("the rest of the second", |t| {
        while second
            .socket
            .recv(&mut buffer)
            .is_ok_and(|heard| heard != Received::End)
        {}
        t.control.clients.unread.of(1001).bytes() == 0
    });
    assert_eq!(t.control.clients.count(), 3);
}

#[test]
fn a_forked_child_that_talks_without_a_pause_does_not_keep_the_session_of_its_dead_parent() {
    let mut t = Fixture::new();
    let mut parent = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("sleep is there");
    let pid = rustix::process::Pid::from_child(&parent);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let child = t.connect_as(1000, Some(pidfd.expect("our child")));
    child.say(1, &hello(false, None));
    parent.kill().expect("our child");
    parent.wait().expect("our child");
    let ping = Request::Ping.encode(2);
    let mut answer = vec![0; MAX_MESSAGE];
    t.until("the end", |t| {
        // The queue is never empty when the daemon looks, and what it answers is read.
        while child.socket.try_send(&ping).is_ok() {}
        while child
            .socket
            .recv(&mut answer)
            .is_ok_and(|heard| heard != Received::End)
        {}
        t.ended(EndedBy::ConnectorGone) == 1
    });
}

#[test]
fn a_flood_of_one_session_does_not_delay_another() {
    let mut t = Fixture::with(|config| config.limits.messages_per_turn = 16);
    let bystander = t.client(1000, true);
    let flood = t.client(1001, false);
    let ping = Request::Ping.encode(2);
    let mut sent = 0;
    while sent < 200 && flood.socket.try_send(&ping).is_ok() {
        sent += 1;
    }
    assert!(sent > 32, "a flood of {sent} is none");
    bystander.say(2, &Request::Ping);
    // One turn to see that there is something, in which each gets its share.
    t.turn();
    let mut buffer = vec![0; MAX_MESSAGE];
    let heard = bystander
        .socket
        .recv(&mut buffer)
        .expect("answered in the first turn");
    assert!(matches!(heard, Received::Message(_)));
    assert!(
        t.control.clients.any_ready(),
        "the flood has to wait for its next turn"
    );
}

#[test]
fn a_violation_in_shared_memory_ends_that_session_and_is_counted_by_name() {
    let mut t = Fixture::new();
    let liar = t.client(1001, true);
    let Order::SessionOpened { session, .. } = t.order() else {
        panic!()
    };
    let bystander = t.client(1000, true);
    t.report(Report::Violation {
        session,
        what: "transmit-beyond-capacity",
    });
    t.report(Report::Violation {
        session,
        what: "transmit-beyond-capacity",
    });
    let Some(FromDaemon::Event(Event::SessionEnding(failure))) = t.end_of(&liar) else {
        panic!()
    };
    assert_eq!(failure.detail, "transmit-beyond-capacity");
    assert_eq!(
        (
            t.ended(EndedBy::Violation),
            t.control.counts.violations["transmit-beyond-capacity"]
        ),
        (1, 2)
    );
    assert!(matches!(
        t.answer(&bystander, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
}

#[test]
fn random_bytes_never_disturb_the_loop() {
    let mut random = tcpd_core::random::Generator::from_seed(7);
    let mut t = Fixture::new();
    let bystander = t.client(1000, true);
    for round in 0..300 {
        let liar = if round % 2 == 0 {
            t.client(1001, true)
        } else {
            t.connect_as(1001, None)
        };
        for _ in 0..4 {
            let length = 1 + random.below(80) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
            if random.chance(0.7) && length >= 8 {
                // A good header: the body is what is wrong.
                bytes[1..4].copy_from_slice(&[0, 0, 0]);
                bytes[0] &= 0x7f;
            }
            let _ = liar.socket.try_send(&bytes);
        }
        t.turn();
    }
    t.until("the liars are gone", |t| t.control.clients.count() == 1);
    assert!(matches!(
        t.answer(&bystander, 2, &Request::Ping),
        Reply::Pong { .. }
    ));
}
