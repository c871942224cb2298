//! The client library of tcpd: TCP as a service.
//!
//! tcpd is a daemon that owns a network interface and a complete TCP/IP stack in user space. A
//! program uses it through this library as it would use `std::net`:
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use std::net::Shutdown;
//! use libtcpclient::{TcpListener, TcpStream};
//!
//! fn main() -> std::io::Result<()> {
//!     // A client.
//!     let mut stream = TcpStream::connect("198.18.0.1:7")?;
//!     stream.write_all(b"hello")?;
//!     stream.shutdown(Shutdown::Write)?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer)?;
//!
//!     // What TCP has and std lacks: the state of the connection, as the stack sees it.
//!     let status = stream.status()?;
//!     println!("{}: rto {} µs", status.row.state, status.rtt.rto_us);
//!
//!     // A server.
//!     let listener = TcpListener::bind("198.18.0.2:7777")?;
//!     for stream in listener.incoming() {
//!         stream?.write_all(b"welcome\n")?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What is different from std
//!
//! * The daemon is found at `$TCPD_SOCKET`, else at `/run/tcpd/tcpd.sock`. When it stops or is
//!   killed, every call, also one that waits, ends with `ConnectionAborted` ([`SessionError::DaemonGone`]): its connections are
//!   over. When it runs again, the next connect and the next accept go to the new one: a listener registers itself again.
//!   `$TCPD_WAIT` or [`Builder::wait_for_daemon`] have them wait for it, also for one that was not started yet ([`client::patience`]).
//! * [`Builder`] has what must be said before there is a connection: local address, timeout, options, backlog.
//! * Each call has its own error enum with RFC 9293's words in it; `?` makes the [`std::io::Error`] of
//!   it that std would give.
//! * A read or write that fails says how the connection ended: refused, reset, timed out and end of file are four
//!   things. [`TcpStream::set_idle_timeout`] ends one that carries no data; `status()` has the word for it.
//! * After a `fork` the child's copies of streams, listeners and sessions are errors; its parent's go on.
//!   The child may open its own session; [`Session::default_session`] does so.
//! * For poll, epoll and what is built on them a stream has a descriptor of its own
//!   ([`TcpStream::readiness`], also through `AsFd`): it shows when a read or write would return at once. So have a listener
//!   and a connection that is being opened ([`Builder::start_connect`]). With the feature `mio` all three are mio's `event::Source`:
//!   examples/mio_server.rs serves thousands of connections in one loop.
//! * A connection can go to another process: [`TcpStream::into_handoff`] makes plain data of it, [`TcpStream::adopt`] the stream
//!   again; examples/forking_server.rs serves each connection in a process of its own.
//! * A blocking write returns when the first bytes found room, like any `Write`: use `write_all`.
//!
//! # The parts
//!
//! [`client`] is what the re-exports below come from. [`protocol`] is the messages on the daemon's
//! socket, [`shm`] the memory that connections' bytes pass through, [`socket`] the sockets: these three are
//! used by the daemon too, and are the specification for clients in other languages.

#[cfg(not(loom))]
pub mod client;
pub mod protocol;
pub mod shm;
#[cfg(not(loom))]
pub mod socket;

#[cfg(not(loom))]
pub use client::{
    builder::Builder,
    connecting::Connecting,
    control::Control,
    error::{
        AcceptError, CloseError, HandoffError, ListenError, OpenError, OptionError, ReceiveError,
        SendError, SessionError, SocketError, StatusError,
    },
    handoff::Handoff,
    listener::{Incoming, TcpListener},
    session::Session,
    stream::TcpStream,
};
pub use protocol::{CongestionControl, KeepAlive};
