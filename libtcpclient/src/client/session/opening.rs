//! How a session begins: Hello, its answer, and what comes with that.

use std::io;
use std::os::fd::OwnedFd;

use super::{PATIENCE, UNASKED};
use crate::client::control::program_name;
use crate::client::error::SessionError;
use crate::protocol::{Event, FromDaemon, Hello, MAX_MESSAGE, Reply, Request, VERSION, Welcome};
use crate::shm::{Arena, Layout};
use crate::socket::{Bell, MAX_FDS, Received, Seqpacket, says_gone};

/// Says Hello and waits for the answer, with its descriptors.
pub(super) fn hello(
    socket: &Seqpacket,
    token: Option<[u8; 16]>,
) -> Result<(Welcome, Vec<OwnedFd>), SessionError> {
    let hello = Request::Hello(Hello {
        version: VERSION,
        arena: true,
        token,
        program: program_name(),
    });
    socket.set_receive_timeout(Some(PATIENCE))?;
    let gone = |reason| SessionError::DaemonGone { reason };
    // A daemon that refuses a client may close before it hears Hello; what it said is there to read.
    let sent = socket.send(&hello.encode(1));
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut reason = None;
    loop {
        let (received, fds) = match socket.recv_with_fds(&mut buffer, MAX_FDS) {
            Ok(received) => received,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Err(SessionError::Silent),
                _ if says_gone(&error) => return Err(gone(reason)),
                io::ErrorKind::InvalidData => {
                    return Err(SessionError::BadDaemon(
                        "a message that is empty or too long",
                    ));
                }
                _ => return Err(error.into()),
            },
        };
        let Received::Message(len) = received else {
            return match sent {
                Err(error) if !says_gone(&error) => Err(error.into()),
                _ => Err(gone(reason)),
            };
        };
        match FromDaemon::decode(&buffer[..len])? {
            FromDaemon::Reply(1, Reply::Welcome(welcome)) => {
                socket.set_receive_timeout(None)?;
                return Ok((welcome, fds));
            }
            FromDaemon::Reply(1, Reply::Error(failure)) => {
                return Err(SessionError::Refused(failure));
            }
            FromDaemon::Reply(..) => return Err(UNASKED),
            FromDaemon::Event(Event::SessionEnding(failure)) => reason = Some(failure),
            FromDaemon::Event(_) => {}
        }
    }
}

/// Checks what came with Welcome, and maps it.
pub(super) fn take_over(
    welcome: &Welcome,
    fds: Vec<OwnedFd>,
) -> Result<(Arena, Vec<Bell>), SessionError> {
    let bad = SessionError::BadDaemon;
    if welcome.version != VERSION {
        return Err(bad("a version that was not asked for"));
    }
    let layout = Layout::new(welcome.stack_threads, welcome.slots, welcome.ring_maximum)
        .map_err(|_| bad("an arena of impossible sizes"))?;
    if fds.len() != 1 + usize::from(welcome.stack_threads) {
        return Err(bad("another number of descriptors than announced"));
    }
    let mut fds = fds.into_iter();
    let memory = fds.next().ok_or(bad("no arena"))?;
    let arena = Arena::map(memory, layout).map_err(|error| match error {
        crate::shm::MapError::Os(error) => SessionError::Os(error),
        _ => bad("an arena that is not sealed or not of the announced size"),
    })?;
    let bells = fds
        .map(|fd| match rustix::net::sockopt::socket_type(&fd) {
            Ok(_) => Ok(Bell::from(fd)),
            Err(_) => Err(bad("a doorbell that is not a socket")),
        })
        .collect::<Result<Vec<Bell>, SessionError>>()?;
    Ok((arena, bells))
}
