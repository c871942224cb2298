//! libtcpclient: the client library of tcpd.

#[cfg(not(loom))]
pub mod client;
pub mod protocol;
pub mod shm;
#[cfg(not(loom))]
pub mod socket;

#[cfg(not(loom))]
pub use client::{
    builder::Builder,
    control::Control,
    error::{
        AcceptError, CloseError, ListenError, OpenError, OptionError, ReceiveError, SendError,
        SessionError, StatusError,
    },
    listener::{Incoming, TcpListener},
    session::Session,
    stream::TcpStream,
};
pub use protocol::KeepAlive;
