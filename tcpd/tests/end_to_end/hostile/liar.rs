//! A client without the library: it says and writes what it likes.

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
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
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const HEADER: u64 = 256;

/// A session by hand.
pub(crate) struct Liar {
    pub(crate) socket: Seqpacket,
    pub(crate) arena: Arc<Arena>,
    pub(crate) bell: Bell,
    number: u32,
}

/// A connection of a liar, and the kernel's end of it.
pub(crate) struct Connection {
    pub(crate) opened: Opened,
    pub(crate) peer: std::net::TcpStream,
}

/// A socket connected to the daemon, on which nothing was said.
pub(crate) fn unannounced(daemon: &Daemon) -> Seqpacket {
    let socket = Seqpacket::connect(&daemon.socket()).expect("connect to the daemon");
    socket
        .set_receive_timeout(Some(PATIENCE))
        .expect("a receive timeout");
    socket
}

/// A Hello that is in order.
pub(crate) fn hello() -> Hello {
    Hello {
        version: VERSION,
        arena: true,
        token: None,
        program: "liar".into(),
    }
}

/// A Connect that is in order.
pub(crate) fn connect_to(remote: SocketAddr) -> Request {
    Request::Connect(Connect {
        local: None,
        local_port: 0,
        reuse: false,
        remote,
        timeout_ms: 0,
        options: Default::default(),
    })
}

/// Sends bytes and descriptors that the library would not send.
pub(crate) fn throw(socket: &Seqpacket, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    give(socket, bytes, descriptors).expect("throw");
}

/// The same, which may fail.
pub(crate) fn give(
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
pub(crate) fn hear(socket: &Seqpacket) -> Option<FromDaemon> {
    let mut buffer = vec![0; MAX_MESSAGE];
    match socket.recv(&mut buffer).expect("a message or the end") {
        Received::Message(length) => {
            Some(FromDaemon::decode(&buffer[..length]).expect("sense from the daemon"))
        }
        Received::End => None,
    }
}

/// Reads to the end of file, which must come; what the daemon said last.
pub(crate) fn last_word(socket: &Seqpacket) -> Option<FromDaemon> {
    let mut last = None;
    while let Some(message) = hear(socket) {
        last = Some(message);
    }
    last
}

impl Liar {
    /// Opens a session as an honest client does.
    pub(crate) fn open(daemon: &Daemon) -> Liar {
        Liar::try_open(&daemon.socket()).expect("a session")
    }

    /// The same; `None` when it is refused.
    pub(crate) fn try_open(path: &Path) -> Option<Liar> {
        let socket = Seqpacket::connect(path).ok()?;
        socket.set_receive_timeout(Some(PATIENCE)).ok()?;
        give(&socket, &Request::Hello(hello()).encode(1), &[]).ok()?;
        let mut buffer = vec![0; MAX_MESSAGE];
        let (received, descriptors) = socket.recv_with_fds(&mut buffer, 4).ok()?;
        let Received::Message(length) = received else {
            return None;
        };
        let Ok((1, Reply::Welcome(welcome))) = Reply::decode(&buffer[..length]) else {
            return None;
        };
        let layout = Layout::new(welcome.stack_threads, welcome.slots, welcome.ring_maximum);
        let [arena, bell]: [OwnedFd; 2] = descriptors.try_into().expect("an arena and a bell");
        Some(Liar {
            socket,
            arena: Arc::new(Arena::map(arena, layout.expect("a layout")).expect("map")),
            bell: Bell::from(bell),
            number: 1,
        })
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.try_ask(request).expect("the session goes on")
    }

    /// The same; `None` when the session is over or the answer does not come.
    pub(crate) fn try_ask(&mut self, request: &Request) -> Option<Reply> {
        self.number += 1;
        give(&self.socket, &request.encode(self.number), &[]).ok()?;
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let Ok(Received::Message(length)) = self.socket.recv(&mut buffer) else {
                return None;
            };
            match FromDaemon::decode(&buffer[..length]).expect("sense from the daemon") {
                FromDaemon::Reply(number, reply) if number == self.number => return Some(reply),
                _ => {}
            }
        }
    }

    /// Whether the session still answers.
    pub(crate) fn is_served(&mut self) -> bool {
        matches!(self.ask(&Request::Ping), Reply::Pong { .. })
    }

    /// A connection to a listener of the kernel.
    pub(crate) fn connect(&mut self) -> Connection {
        let listener = TcpListener::bind((HOST_V4, 0)).expect("the kernel listens");
        let request = connect_to(listener.local_addr().expect("its address"));
        let Reply::Connected(opened) = self.ask(&request) else {
            panic!("no connection");
        };
        let (peer, _) = listener.accept().expect("the kernel accepts");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        peer.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Connection { opened, peer }
    }

    /// The shared words of a connection.
    pub(crate) fn words(&self, connection: &Connection) -> &SlotHeader {
        self.arena.header(connection.opened.slot)
    }

    /// Marks the connection's slot as an honest client does, and rings whether or not anybody sleeps.
    pub(crate) fn tell(&self, connection: &Connection) {
        let doorbell = &self.arena.doorbells(0).to_daemon;
        let _ = doorbell.mark(connection.opened.slot);
        self.bell.ring().expect("the daemon holds its end");
    }

    /// Writes anything anywhere: the memory is the client's as much as the daemon's.
    pub(crate) fn scribble(&self, offset: u64, bytes: &[u8]) {
        self.file()
            .write_all_at(bytes, offset)
            .expect("a writable arena");
    }

    /// The arena as a file.
    pub(crate) fn file(&self) -> File {
        let file = self.arena.as_fd().try_clone_to_owned();
        File::from(file.expect("duplicate"))
    }

    /// Where the connection's words begin in the arena.
    pub(crate) fn header_offset(&self, connection: &Connection) -> u64 {
        self.header_offset_of(connection.opened.slot)
    }

    /// Where a slot's words begin in the arena.
    pub(crate) fn header_offset_of(&self, slot: u32) -> u64 {
        let threads = u64::from(self.arena.layout().stack_threads());
        threads * BLOCK + u64::from(slot) * HEADER
    }

    /// What the daemon says when it ends this session.
    pub(crate) fn farewell(&self) -> String {
        match last_word(&self.socket) {
            Some(FromDaemon::Event(Event::SessionEnding(failure))) => failure.detail,
            other => panic!("an end without a reason: {other:?}"),
        }
    }
}
