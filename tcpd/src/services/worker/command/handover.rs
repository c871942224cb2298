//! From a token to a plain descriptor: a client of a few messages, without arena, rings or thread, since the connection leaves
//! the session before a byte of it is touched.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use libtcpclient::protocol::{FromDaemon, Hello, MAX_MESSAGE, Reply, Request, VERSION};
use libtcpclient::socket::{MAX_FDS, Received, Seqpacket};

use super::super::super::link::Token;

/// How long the daemon may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a command gets of the daemon.
#[derive(Debug)]
pub(super) struct Streams {
    /// The connection: a stream socket.
    pub(super) connection: OwnedFd,
    /// Whose lines the daemon logs: a pipe.
    pub(super) errors: OwnedFd,
}

/// Adopts the connection of `token` and takes it out of the session, which ends.
///
/// # Errors
/// When the daemon refuses, breaks the protocol, does not answer or is gone.
pub(super) fn take_over(socket: &Path, token: Token) -> io::Result<Streams> {
    let mut session = Session::open(socket)?;
    let hello = Hello {
        version: VERSION,
        arena: true,
        token: Some(token.0),
        program: String::new(),
    };
    // The arena is not for us, but who closes a bell has left.
    let _bells = match session.call(&Request::Hello(hello))? {
        (Reply::Welcome(_), descriptors) => descriptors,
        (other, _) => return Err(unexpected(&other)),
    };
    let connection = match session.call(&Request::Adopt)?.0 {
        Reply::Adopted(opened) => opened.connection,
        other => return Err(unexpected(&other)),
    };
    let errors = session.descriptor(&Request::ErrorStream)?;
    let connection = session.descriptor(&Request::IntoSocket { connection })?;
    Ok(Streams { connection, errors })
}

struct Session {
    socket: Seqpacket,
    number: u32,
    buffer: Vec<u8>,
}

impl Session {
    fn open(path: &Path) -> io::Result<Self> {
        let socket = Seqpacket::connect(path)?;
        socket.set_receive_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            number: 0,
            buffer: vec![0; MAX_MESSAGE],
        })
    }

    /// Asks and waits for the answer.
    fn call(&mut self, request: &Request) -> io::Result<(Reply, Vec<OwnedFd>)> {
        self.number += 1;
        self.socket.send(&request.encode(self.number))?;
        loop {
            let (received, descriptors) = self.socket.recv_with_fds(&mut self.buffer, MAX_FDS)?;
            let Received::Message(length) = received else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let message = FromDaemon::decode(&self.buffer[..length]).map_err(io::Error::other)?;
            match message {
                FromDaemon::Reply(_, Reply::Error(failure)) => {
                    return Err(io::Error::other(failure.to_string()));
                }
                FromDaemon::Reply(number, reply) if number == self.number => {
                    return Ok((reply, descriptors));
                }
                FromDaemon::Reply(_, other) => return Err(unexpected(&other)),
                FromDaemon::Event(_) => {} // It may be stopping; its answer comes first.
            }
        }
    }

    /// Asks for something that comes as a descriptor.
    fn descriptor(&mut self, request: &Request) -> io::Result<OwnedFd> {
        match self.call(request)? {
            (Reply::Stream, descriptors) => {
                let [descriptor] = <[OwnedFd; 1]>::try_from(descriptors)
                    .map_err(|_| io::Error::other("an answer without its descriptor"))?;
                Ok(descriptor)
            }
            (other, _) => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!(
        "the daemon gave an answer to something else: {reply:?}"
    ))
}
