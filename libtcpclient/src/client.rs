//! The public client API.
//!
//! * [`stream`], [`listener`], [`builder`]: `TcpStream`, `TcpListener` and `Builder` in the image of `std::net`.
//! * [`connecting`]: a connection being opened that nobody waits for. With the feature `mio`, all three are mio's
//!   `event::Source`.
//! * [`handoff`]: a connection on its way to another process.
//! * [`session`]: the connection to the daemon they live on. There is a default one.
//! * [`patience`]: waiting for a daemon that is not there yet.
//! * [`control`]: a session that only inspects and controls, for `tcpctl`.
//! * [`error`]: one enum per call.

pub mod builder;
pub mod connecting;
pub mod control;
pub mod error;
pub mod handoff;
pub mod listener;
pub mod patience;
pub mod session;
pub mod stream;

mod clock;
#[cfg(feature = "mio")]
mod event_source;
mod spin;
