//! The user calls of RFC 9293 §3.10.1 to §3.10.6, on the connection itself; the stack finds it and settles what follows.
//!
//! Each call has its own error type, whose variants are the RFC's "error: …" sentences.

mod abort;
mod close;
mod open;
mod receive;
mod send;
pub mod status;

pub(crate) use abort::abort;
pub(crate) use close::{close, close_crossed, shutdown_read, shutdown_write};
pub(crate) use receive::{consumed, receive_into, urgent};
pub(crate) use send::{committed, send, send_urgent};

pub use abort::AbortError;
pub use close::CloseError;
pub use open::OpenError;
pub use receive::ReceiveError;
pub use send::SendError;

/// "error: connection does not exist".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection does not exist")]
pub struct NoSuchConnection;
