use std::collections::HashSet;
use std::io::IoSlice;
use std::mem::MaybeUninit;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg};

use super::*;

fn pair(unread_limit: u64) -> (Session, Seqpacket) {
    let (ours, theirs) = Seqpacket::pair().expect("sockets");
    let identity = Identity {
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        pid: std::process::id(),
    };
    (
        Session::new(
            1,
            identity,
            true,
            ours,
            None,
            Unread::default().limited_to(unread_limit),
            Instant::ZERO,
        ),
        theirs,
    )
}

fn say(theirs: &Seqpacket, bytes: &[u8]) {
    send(theirs, bytes, SendFlags::NOSIGNAL).expect("room");
}

/// Something to give away, and how to see whether it is still held somewhere.
fn bells() -> (OwnedFd, OwnedFd) {
    let (one, other) = libtcpclient::socket::Bell::pair().expect("sockets");
    (one.into(), other.into())
}

fn heard(session: &Session) -> Incoming {
    session.receive(&mut vec![0; MAX_MESSAGE + 1])
}

#[test]
fn a_message_comes_as_it_was_sent() {
    let (session, theirs) = pair(1 << 20);
    assert_eq!(heard(&session), Incoming::Nothing);
    say(&theirs, b"hello");
    say(&theirs, &vec![7; MAX_MESSAGE]);
    let mut buffer = vec![0; MAX_MESSAGE + 1];
    assert_eq!(session.receive(&mut buffer), Incoming::Message(5));
    assert_eq!(&buffer[..5], b"hello");
    assert_eq!(session.receive(&mut buffer), Incoming::Message(MAX_MESSAGE));
    assert_eq!(session.receive(&mut buffer), Incoming::Nothing);
}

#[test]
fn an_oversized_message_ends_the_session() {
    let (session, theirs) = pair(1 << 20);
    say(&theirs, &vec![7; MAX_MESSAGE + 1]);
    assert_eq!(heard(&session), Incoming::Ended(EndedBy::OversizedMessage));
    let (session, theirs) = pair(1 << 20);
    say(&theirs, &vec![7; MAX_MESSAGE + 1000]);
    assert_eq!(heard(&session), Incoming::Ended(EndedBy::OversizedMessage));
}

#[test]
fn an_empty_message_is_told_from_the_end_of_file() {
    let (session, theirs) = pair(1 << 20);
    say(&theirs, b"");
    assert_eq!(heard(&session), Incoming::Ended(EndedBy::EmptyMessage));
    let (session, theirs) = pair(1 << 20);
    drop(theirs);
    assert_eq!(heard(&session), Incoming::Ended(EndedBy::Client));
}

#[test]
fn descriptors_where_none_belong_end_the_session_and_are_not_kept() {
    let (session, theirs) = pair(1 << 20);
    let (gift, other_end) = bells();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let gifts = [gift.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&gifts)));
    sendmsg(
        &theirs,
        &[IoSlice::new(b"take this")],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .expect("room");
    drop(gift);
    assert_eq!(
        heard(&session),
        Incoming::Ended(EndedBy::UnexpectedDescriptors)
    );
    let (left, _) =
        recv(&other_end, &mut [0; 1][..], RecvFlags::DONTWAIT).expect("the end of file");
    assert_eq!(left, 0, "somebody still holds the descriptor");
}

#[test]
fn a_client_that_does_not_read_is_given_up_at_the_limit() {
    let (mut session, theirs) = pair(300_000);
    let result = (0..1000).find_map(|_| session.send(vec![1; 10_000]).err());
    assert_eq!(result, Some(EndedBy::UnreadReplies));
    drop(theirs);
}

#[test]
fn small_answers_that_wait_count_as_what_they_occupy() {
    let (mut session, _theirs) = pair(300_000);
    let small = || {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(&[1; 8]);
        bytes
    };
    let taken = (0..100_000).position(|_| session.send(small()).is_err());
    // Those in the kernel's buffer, and 300,000 bytes of memory: not of answers.
    let most = MOST_QUEUED as usize + 300_000 / 128;
    assert!(taken.is_some_and(|taken| taken < most), "{taken:?}");
    let held: usize = session
        .outgoing
        .iter()
        .map(|one| one.bytes.capacity())
        .sum();
    assert!(held <= 16 * session.outgoing.len(), "{held}");
}

#[test]
fn an_empty_queue_of_answers_gives_its_memory_back() {
    let (mut session, theirs) = pair(10 << 20);
    for _ in 0..5000 {
        session.send(vec![7; 8]).expect("within the limit");
    }
    while recv(&theirs, &mut [0; 8][..], RecvFlags::DONTWAIT).is_ok() {
        session.flush().expect("the client is there");
    }
    assert!(session.outgoing.is_empty() && session.outgoing.capacity() <= 2 * KEPT_PLACES);
}

#[test]
fn replies_wait_for_room_and_keep_their_order() {
    let (mut session, theirs) = pair(10 << 20);
    for index in 0..200_u32 {
        session
            .send([&index.to_le_bytes()[..], &[0; 10_000]].concat())
            .expect("within the limit");
    }
    let mut buffer = vec![0; 20_000];
    for index in 0..200_u32 {
        let (length, _) = recv(&theirs, &mut buffer[..], RecvFlags::DONTWAIT).expect("a message");
        assert_eq!((length, &buffer[..4]), (10_004, &index.to_le_bytes()[..]));
        session.flush().expect("the client is there");
    }
}

#[test]
fn the_last_word_reaches_a_client_with_unread_messages_of_its_own() {
    let (session, theirs) = pair(1 << 20);
    for _ in 0..10 {
        say(&theirs, b"never read");
    }
    session.end(Some(b"goodbye".to_vec()));
    let mut buffer = [0; 64];
    let (length, _) = recv(&theirs, &mut buffer[..], RecvFlags::DONTWAIT).expect("the last word");
    assert_eq!(&buffer[..length], b"goodbye");
    let (length, _) = recv(&theirs, &mut buffer[..], RecvFlags::DONTWAIT).expect("the end of file");
    assert_eq!(length, 0);
}

#[test]
fn descriptors_travel_with_their_message() {
    let (mut session, theirs) = pair(1 << 20);
    let (gift, other_end) = bells();
    session
        .send_with(b"welcome".to_vec(), vec![gift])
        .expect("room");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 64];
    recvmsg(
        &theirs,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("a message");
    let received: usize = control
        .drain()
        .map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(descriptors) => descriptors.count(),
            _ => 0,
        })
        .sum();
    assert_eq!(received, 1);
    let (left, _) =
        recv(&other_end, &mut [0; 1][..], RecvFlags::DONTWAIT).expect("the end of file");
    assert_eq!(left, 0, "the session kept its copy");
}

#[test]
fn every_end_has_its_own_name() {
    let names: HashSet<&str> = EndedBy::ALL.iter().map(|end| end.name()).collect();
    assert_eq!(names.len(), EndedBy::ALL.len());
}
