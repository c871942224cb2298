//! A connection on its way from one process to another.
//!
//! [`TcpStream::into_handoff`] gives the connection back to the daemon, with everything unread and unacknowledged, and
//! returns a [`Handoff`]: plain data for whatever channel the two processes have. [`TcpStream::adopt`] makes the stream of it
//! again. Meanwhile the peer notices nothing: what it sends is kept, what was written is sent.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::builder::Builder;
use super::error::{HandoffError, OpenError};
use super::session::UNASKED;
use super::stream::{Manners, TcpStream};
use crate::protocol::{Reply, Request, StreamOptions};

/// The right to adopt a connection: once, for a short time, for one user. Serde-able. Who has it can take the connection, so
/// treat it as a password: its `Debug` does not show the token.
///
/// Dropping it leaves the connection to its time: it is reset when nobody has adopted it then.
#[derive(Serialize, Deserialize)]
pub struct Handoff {
    token: [u8; 16],
    life: Duration,
    local: SocketAddr,
    peer: SocketAddr,
    options: StreamOptions,
    manners: Manners,
}

impl Handoff {
    /// The address and port of this side.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address and port of the other side.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// How long the connection waits, from the moment it was handed off.
    pub fn life(&self) -> Duration {
        self.life
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl TcpStream {
    /// Gives the connection away to another process of the same user: everything unread, everything unacknowledged, its
    /// options, timeouts and half-closes go along. Clones of this stream then say that the connection does not exist, also
    /// those that wait in a read or write.
    ///
    /// # Errors
    /// [`HandoffError`]; the connection is as it was then, and closes with this, its last stream. Keep a clone to go on with it.
    pub fn into_handoff(self) -> Result<Handoff, HandoffError> {
        self.hand_off(None)
    }

    /// As [`TcpStream::into_handoff`], to a process of this user.
    ///
    /// # Errors
    /// As [`TcpStream::into_handoff`].
    pub fn into_handoff_for(self, uid: u32) -> Result<Handoff, HandoffError> {
        self.hand_off(Some(uid))
    }

    fn hand_off(self, uid: Option<u32>) -> Result<Handoff, HandoffError> {
        let given = self.give_away(|session, connection| {
            match session.call(&Request::HandOff { connection, uid })? {
                Reply::HandedOff { token, life_ms } => Ok((token, life_ms)),
                _ => Err(UNASKED),
            }
        })?;
        let (token, life_ms) = given.answer;
        Ok(Handoff {
            token,
            life: Duration::from_millis(life_ms.into()),
            local: given.opened.local,
            peer: given.opened.remote,
            options: given.options,
            manners: given.manners,
        })
    }

    /// Takes over a connection that another process has handed off, on the default session; on another one:
    /// [`Builder::adopt`].
    ///
    /// # Errors
    /// [`OpenError::BadToken`] when it was adopted already, has waited too long or is for another user.
    pub fn adopt(handoff: Handoff) -> Result<TcpStream, OpenError> {
        Builder::new().adopt(handoff)
    }
}

impl Builder {
    /// [`TcpStream::adopt`] on this builder's session; its options do not count, those of the connection go on.
    ///
    /// # Errors
    /// As [`TcpStream::adopt`].
    pub fn adopt(&self, handoff: Handoff) -> Result<TcpStream, OpenError> {
        let session = self.open_session()?;
        let token = handoff.token;
        match session.call(&Request::AdoptHandoff { token })? {
            Reply::Adopted(opened) => {
                let stream = TcpStream::over(session, opened, handoff.options)?;
                stream.behave(&handoff.manners);
                Ok(stream)
            }
            _ => Err(UNASKED.into()),
        }
    }
}
