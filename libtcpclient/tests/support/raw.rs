//! The daemon's end of a session by hand: to say what no daemon should.

use std::os::fd::BorrowedFd;

use libtcpclient::protocol::{Reply, Request, VERSION, Welcome};
use libtcpclient::socket::{Received, Seqpacket};

/// Waits for a request; its number. `None` when the client closed.
pub(crate) fn next_request(socket: &Seqpacket) -> Option<(u32, Request)> {
    let mut buffer = vec![0; 65536];
    match socket.recv(&mut buffer) {
        Ok(Received::Message(len)) => Some(Request::decode(&buffer[..len]).expect("a request")),
        _ => None,
    }
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        stack_threads: 1,
        slots: 4,
        ring_maximum: 65536,
        session: 1,
        daemon_version: "hostile".into(),
    }
}

/// Answers Hello with `welcome` and `fds`.
pub(crate) fn answer_hello(socket: &Seqpacket, welcome: Welcome, fds: &[BorrowedFd<'_>]) {
    let (number, _) = next_request(socket).expect("Hello");
    let reply = Reply::Welcome(welcome).encode(number);
    socket.try_send_with_fds(&reply, fds).expect("send");
}
