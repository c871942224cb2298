//! A client without the library: it says and writes what it likes.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use libtcpclient::protocol::{
    Connect, Event, FromDaemon, Hello, MAX_MESSAGE, Opened, Reply, Request, VERSION,
};
use libtcpclient::shm::layout::SlotHeader;
use libtcpclient::shm::{Arena, Layout};
use libtcpclient::socket::{Bell, Received, Seqpacket};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::common::daemon::{Daemon, HOST_V4};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a doorbell block and of a slot header.
pub(super) const BLOCK: u64 = 4096;
pub(super) const HEADER: u64 = 256;

/// A session by hand.
pub(super) struct Liar {
    pub(super) socket: Seqpacket,
    pub(super) arena: Arc<Arena>,
    pub(super) bell: Bell,
    number: u32,
}

/// A connection of a liar, and the kernel's end of it.
pub(super) struct Connection {
    pub(super) opened: Opened,
    pub(super) peer: std::net::TcpStream,
}

/// A socket connected to the daemon, on which nothing was said.
pub(super) fn unannounced(daemon: &Daemon) -> Seqpacket {
    let socket = Seqpacket::connect(&daemon.socket()).expect("connect to the daemon");
    socket
        .set_receive_timeout(Some(PATIENCE))
        .expect("a receive timeout");
    socket
}

/// A Hello that is in order.
pub(super) fn hello() -> Hello {
    Hello {
        version: VERSION,
        arena: true,
        token: None,
        program: "liar".into(),
    }
}

/// Sends bytes and descriptors that the library would not send.
pub(super) fn throw(socket: &Seqpacket, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    give(socket, bytes, descriptors).expect("throw");
}

/// The same, which may fail.
pub(super) fn give(
    socket: &impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let parts = [IoSlice::new(bytes)];
    sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message; `None` at the end of file.
pub(super) fn hear(socket: &Seqpacket) -> Option<FromDaemon> {
    let mut buffer = vec![0; MAX_MESSAGE];
    match socket.recv(&mut buffer).expect("a message or the end") {
        Received::Message(length) => {
            Some(FromDaemon::decode(&buffer[..length]).expect("sense from the daemon"))
        }
        Received::End => None,
    }
}

/// Reads to the end of file, which must come; what the daemon said last.
pub(super) fn last_word(socket: &Seqpacket) -> Option<FromDaemon> {
    let mut last = None;
    while let Some(message) = hear(socket) {
        last = Some(message);
    }
    last
}

impl Liar {
    /// Opens a session as an honest client does.
    pub(super) fn open(daemon: &Daemon) -> Liar {
        let socket = unannounced(daemon);
        throw(&socket, &Request::Hello(hello()).encode(1), &[]);
        let mut buffer = vec![0; MAX_MESSAGE];
        let (received, descriptors) = socket.recv_with_fds(&mut buffer, 4).expect("an answer");
        let Received::Message(length) = received else {
            panic!("no welcome");
        };
        let Ok((1, Reply::Welcome(welcome))) = Reply::decode(&buffer[..length]) else {
            panic!("no welcome");
        };
        let layout = Layout::new(welcome.stack_threads, welcome.slots, welcome.ring_maximum);
        let [arena, bell]: [OwnedFd; 2] = descriptors.try_into().expect("an arena and a bell");
        Liar {
            socket,
            arena: Arc::new(Arena::map(arena, layout.expect("a layout")).expect("map")),
            bell: Bell::from(bell),
            number: 1,
        }
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&mut self, request: &Request) -> Reply {
        self.number += 1;
        throw(&self.socket, &request.encode(self.number), &[]);
        loop {
            match hear(&self.socket) {
                Some(FromDaemon::Reply(number, reply)) if number == self.number => return reply,
                Some(_) => {}
                None => panic!("the session is over"),
            }
        }
    }

    /// Whether the session still answers.
    pub(super) fn is_served(&mut self) -> bool {
        matches!(self.ask(&Request::Ping), Reply::Pong { .. })
    }

    /// A connection to a listener of the kernel.
    pub(super) fn connect(&mut self) -> Connection {
        let listener = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let request = Request::Connect(Connect {
            local: None,
            local_port: 0,
            reuse: false,
            remote: listener.local_addr().expect("its address"),
            timeout_ms: 0,
            options: Default::default(),
        });
        let Reply::Connected(opened) = self.ask(&request) else {
            panic!("no connection");
        };
        let (peer, _) = listener.accept().expect("the kernel accepts");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        peer.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Connection { opened, peer }
    }

    /// The shared words of a connection.
    pub(super) fn words(&self, connection: &Connection) -> &SlotHeader {
        self.arena.header(connection.opened.slot)
    }

    /// Marks the connection's slot as an honest client does, and rings whether or not anybody sleeps.
    pub(super) fn tell(&self, connection: &Connection) {
        let doorbell = &self.arena.doorbells(0).to_daemon;
        let _ = doorbell.mark(connection.opened.slot);
        self.bell.ring().expect("the daemon holds its end");
    }

    /// Writes anything anywhere: the memory is the client's as much as the daemon's.
    pub(super) fn scribble(&self, offset: u64, bytes: &[u8]) {
        let file = self.arena.as_fd().try_clone_to_owned().expect("duplicate");
        File::from(file)
            .write_all_at(bytes, offset)
            .expect("a writable arena");
    }

    /// Where the connection's words begin in the arena.
    pub(super) fn header_offset(&self, connection: &Connection) -> u64 {
        let threads = u64::from(self.arena.layout().stack_threads());
        threads * BLOCK + u64::from(connection.opened.slot) * HEADER
    }

    /// What the daemon says when it ends this session.
    pub(super) fn farewell(&self) -> String {
        match last_word(&self.socket) {
            Some(FromDaemon::Event(Event::SessionEnding(failure))) => failure.detail,
            other => panic!("an end without a reason: {other:?}"),
        }
    }
}
