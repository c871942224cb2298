use std::io::ErrorKind;

use super::*;

fn pair() -> (Seqpacket, Seqpacket) {
    Seqpacket::pair().expect("a socketpair")
}

#[test]
fn a_message_arrives_whole_and_end_of_file_is_told_from_it() {
    let (a, b) = pair();
    a.send(b"one").expect("send");
    a.send(b"two!").expect("send");
    let mut buffer = vec![0; MAX_MESSAGE];
    assert_eq!(b.recv(&mut buffer).expect("recv"), Received::Message(3));
    assert_eq!(b.recv(&mut buffer).expect("recv"), Received::Message(4));
    assert_eq!(&buffer[..4], b"two!");
    drop(a);
    assert_eq!(b.recv(&mut buffer).expect("recv"), Received::End);
}

#[test]
fn an_empty_message_is_refused_at_both_ends() {
    let (a, b) = pair();
    assert_eq!(a.send(b"").unwrap_err().kind(), ErrorKind::InvalidInput);
    net::send(&a.0, b"", SendFlags::NOSIGNAL).expect("the kernel takes it");
    let error = b.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "an empty message");
}

#[test]
fn a_message_longer_than_the_buffer_is_an_error_and_not_a_piece() {
    let (a, b) = pair();
    a.send(&[7; 100]).expect("send");
    assert_eq!(
        b.recv(&mut [0; 64]).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
}

#[test]
fn descriptors_travel_and_are_close_on_exec() {
    let (a, b) = pair();
    let (bell, other) = Bell::pair().expect("bell");
    a.try_send_with_fds(b"take", &[other.as_fd()])
        .expect("send");
    drop(other);
    let (received, mut fds) = b.recv_with_fds(&mut [0; 64], 1).expect("recv");
    assert_eq!((received, fds.len()), (Received::Message(4), 1));
    let flags = rustix::io::fcntl_getfd(&fds[0]).expect("flags");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    let other = Bell::from(fds.remove(0));
    bell.ring().expect("ring");
    assert_eq!(other.silence().expect("silence"), Heard::Rung);
}

#[test]
fn descriptors_nobody_expects_do_not_enter_the_process() {
    let (a, b) = pair();
    let (bell, other) = Bell::pair().expect("bell");
    a.try_send_with_fds(b"gift", &[other.as_fd()])
        .expect("send");
    drop(other);
    assert_eq!(b.recv(&mut [0; 64]).expect("recv"), Received::Message(4));
    assert_eq!(bell.ring().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn more_descriptors_than_announced_are_an_error_and_closed() {
    let (a, b) = pair();
    let (bell, other) = Bell::pair().expect("bell");
    a.try_send_with_fds(b"gifts", &[other.as_fd(), other.as_fd()])
        .expect("send");
    drop(other);
    let error = b.recv_with_fds(&mut [0; 64], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(bell.ring().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_bell_made_blocking_and_full_still_does_not_block() {
    let (a, b) = Bell::pair().expect("bell");
    rustix::io::ioctl_fionbio(&a.0, false).expect("make it blocking");
    rustix::io::ioctl_fionbio(&b.0, false).expect("make it blocking");
    for _ in 0..10_000 {
        a.ring().expect("ring");
    }
    while b.silence().expect("silence") == Heard::Rung {}
    assert_eq!(b.silence().expect("silence"), Heard::Quiet);
    drop(a);
    assert_eq!(b.silence().expect("silence"), Heard::Closed);
}

#[test]
fn the_kernel_says_who_is_at_the_other_end() {
    let (a, _b) = pair();
    let peer = a.peer_credentials().expect("SO_PEERCRED");
    assert_eq!(peer.pid, std::process::id());
    assert_eq!(peer.uid, rustix::process::getuid().as_raw());
    let pidfd = a.peer_pidfd().expect("SO_PEERPIDFD");
    assert!(rustix::io::fcntl_getfd(&pidfd).is_ok());
}

#[test]
fn a_socket_that_refuses_descriptors_gets_none_and_what_it_accepts_neither() {
    let gift = std::fs::File::open("/dev/null").expect("/dev/null");
    let give = |to: &Seqpacket| to.try_send_with_fds(b"take this", &[gift.as_fd()]);
    let (ours, theirs) = pair();
    give(&theirs).expect("as long as nobody has refused");
    match refuse_descriptors(&ours) {
        Ok(()) => {}
        // Linux 6.15 and before.
        Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT)),
    }
    let refused = give(&theirs).expect_err("it is refused");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    theirs.try_send(b"only bytes").expect("these are welcome");

    let path = std::env::temp_dir().join(format!("tcpd-rights-{}", std::process::id()));
    std::fs::remove_file(&path).ok();
    let listener = SeqpacketListener::bind(&path).expect("bind");
    refuse_descriptors(&listener).expect("as before");
    let client = Seqpacket::connect(&path).expect("connect");
    std::fs::remove_file(&path).expect("our own");
    let refused = give(&client).expect_err("before it was accepted");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let accepted = listener.accept().expect("a client waits");
    give(&client).expect_err("and after");
    give(&accepted).expect("the other way is not the listener's affair");
}
