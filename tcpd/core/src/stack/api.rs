//! The user calls of RFC 9293 §3.10, as the owner of the stack makes them: find the endpoint, make the call, settle what follows.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use slotmap::SlotMap;

use crate::stack::deadlines::Deadlines;
use crate::stack::demux::FlowTable;
use crate::stack::handshakes::{handshake_timeout, offered_shift};
use crate::stack::listener::{Listener, check_local};
use crate::stack::slot::Slot;
use crate::stack::{
    AbortError, CloseError, ConnectionOptions, EndpointId, ListenOptions, ListenerId,
    ListenerStatus, NoSuchConnection, OpenError, ReceiveError, SendError, Stack,
};
use crate::tcp::buffer::Ring;
use crate::tcp::calls;
use crate::tcp::config::TcpConfig;
use crate::tcp::endpoint::connection::Rings;
use crate::tcp::endpoint::syn_sent::SynSent;
use crate::tcp::endpoint::{Cause, Changes, EndReason, Owner, Pair, State};
use crate::tcp::id::SlotKey;
use crate::tcp::timeouts;
use crate::time::Instant;

mod connect;
mod connections;
mod listeners;
mod rings;

/// How an active OPEN is to be (§3.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The own address to use (RFC 9293 §3.9.1.1 MUST-43); `None`: the stack chooses (MUST-44).
    pub local: Option<IpAddr>,
    /// The own port; 0: an ephemeral one (RFC 6056).
    pub local_port: u16,
    /// The peer.
    pub remote: SocketAddr,
    /// Whether the own port may be one that others have bound. A pair in TIME-WAIT is taken over after a second, if its timestamps tell
    /// old segments from new ones; else it is [`OpenError::AddressInUse`].
    pub reuse: bool,
    /// The owner's cookie, reported back.
    pub tag: u64,
    /// Whose it is: see [`Allowance`](crate::stack::Allowance).
    pub account: u32,
    /// What the connection starts with.
    pub connection: ConnectionOptions,
}

impl ConnectOptions {
    /// To `remote`, everything else by default.
    #[must_use]
    pub fn to(remote: SocketAddr) -> Self {
        Self {
            local: None,
            local_port: 0,
            remote,
            reuse: false,
            tag: 0,
            account: 0,
            connection: ConnectionOptions::default(),
        }
    }
}
