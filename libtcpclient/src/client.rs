//! The public client API.
//!
//! * [`stream`], [`listener`], [`builder`]: `TcpStream`, `TcpListener` and `Builder` in the image of `std::net`.
//! * [`session`]: the connection to the daemon they live on. There is a default one.
//! * [`control`]: a session that only inspects and controls, for `tcpctl`.
//! * [`error`]: one enum per call.

pub mod builder;
pub mod control;
pub mod error;
pub mod listener;
pub mod session;
pub mod stream;

mod clock;
mod spin;
