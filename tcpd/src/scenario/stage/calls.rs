//! The calls of RFC 9293 §3.10 as the users of both sides make them. Each is a row of the ladder, with the state it leaves behind.

use std::net::{IpAddr, SocketAddr};

use tcpd_core::sim::pair::{End, Pair};
use tcpd_core::stack::{
    ConnectOptions, ConnectionOptions, EndReason, EndpointId, ListenOptions, ListenerId,
    ReceiveError, State,
};

use super::{CLIENT_PORT, Played, SERVER_PORT, Stage, Wrong, side};
use crate::scenario::journal::What;

/// A connection at one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) struct Connection {
    pub(in crate::scenario) end: End,
    pub(in crate::scenario) id: EndpointId,
}

impl Stage {
    /// The address of a side.
    pub(in crate::scenario) fn address(&self, end: End) -> IpAddr {
        Pair::address(end, self.ipv6)
    }

    /// A passive OPEN on [`SERVER_PORT`].
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn listen(&mut self, end: End) -> Played {
        let options = ListenOptions {
            port: SERVER_PORT,
            ..ListenOptions::default()
        };
        self.listen_with(end, options).map(drop)
    }

    /// A passive OPEN.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn listen_with(
        &mut self,
        end: End,
        options: ListenOptions,
    ) -> Played<ListenerId> {
        let now = self.now();
        let listener = self
            .stack(end)
            .listen(now, options)
            .map_err(|error| Wrong(format!("listen on the {}: {error}", side(end))))?;
        self.listeners.push((end, listener));
        self.called(end, format!("listen({})", options.port), State::Listen)?;
        Ok(listener)
    }

    /// An active OPEN from `end`'s [`CLIENT_PORT`] to the other's [`SERVER_PORT`].
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn connect(&mut self, end: End) -> Played<Connection> {
        self.connect_with(end, ConnectionOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn connect_with(
        &mut self,
        end: End,
        connection: ConnectionOptions,
    ) -> Played<Connection> {
        let remote = SocketAddr::new(self.address(end.other()), SERVER_PORT);
        let options = ConnectOptions {
            local_port: CLIENT_PORT,
            connection,
            ..ConnectOptions::to(remote)
        };
        self.open(end, options)
    }

    /// An active OPEN from `end`'s own [`SERVER_PORT`] or [`CLIENT_PORT`] to the other's, for SYNs to cross.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn connect_port(&mut self, end: End) -> Played<Connection> {
        let (own, other) = match end {
            End::Left => (CLIENT_PORT, SERVER_PORT),
            End::Right => (SERVER_PORT, CLIENT_PORT),
        };
        let remote = SocketAddr::new(self.address(end.other()), other);
        let options = ConnectOptions {
            local_port: own,
            ..ConnectOptions::to(remote)
        };
        self.open(end, options)
    }

    /// An active OPEN.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn open(
        &mut self,
        end: End,
        options: ConnectOptions,
    ) -> Played<Connection> {
        let now = self.now();
        let id = self
            .stack(end)
            .connect(now, options)
            .map_err(|error| Wrong(format!("connect on the {}: {error}", side(end))))?;
        self.called(end, format!("connect({})", options.remote), State::SynSent)?;
        Ok(Connection { end, id })
    }

    /// What a call that must fail says; it stands in the ladder as a row in `state`.
    pub(in crate::scenario) fn refused<T>(
        &mut self,
        end: End,
        call: &str,
        result: Result<T, impl std::fmt::Display>,
        state: State,
    ) -> Played {
        match result {
            Ok(_) => Err(Wrong(format!(
                "{call} on the {} was not refused",
                side(end)
            ))),
            Err(error) => self.called(end, format!("{call}: {error}"), state),
        }
    }

    /// Takes the connection that waits at the listener of `end`. No row: the peer sees nothing of it.
    ///
    /// # Errors
    /// When none waits.
    pub(in crate::scenario) fn accept(&mut self, end: End) -> Played<Connection> {
        let now = self.now();
        let listeners: Vec<ListenerId> = self
            .listeners
            .iter()
            .filter(|(at, _)| *at == end)
            .map(|(_, listener)| *listener)
            .collect();
        let id = listeners
            .into_iter()
            .find_map(|listener| self.stack(end).accept(now, listener));
        let id = id.ok_or_else(|| Wrong(format!("no connection waits on the {}", side(end))))?;
        Ok(Connection { end, id })
    }

    /// SEND of `count` bytes.
    ///
    /// # Errors
    /// When the stack does not take all of them.
    pub(in crate::scenario) fn send(&mut self, connection: Connection, count: usize) -> Played {
        let (now, Connection { end, id }) = (self.now(), connection);
        let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(count).collect();
        match self.stack(end).send(now, id, &bytes) {
            Ok(taken) if taken == count => self.called_on(connection, format!("send({count})")),
            Ok(taken) => Err(Wrong(format!("only {taken} of {count} bytes were taken"))),
            Err(error) => Err(Wrong(format!("send on the {}: {error}", side(end)))),
        }
    }

    /// RECEIVE of everything there is; how it went is what the row says: bytes, end of file, or how the connection ended.
    ///
    /// # Errors
    /// When there is nothing to tell.
    pub(in crate::scenario) fn read(&mut self, connection: Connection) -> Played<Reading> {
        let (now, Connection { end, id }) = (self.now(), connection);
        let mut bytes = vec![0; 1 << 20];
        let (reading, text) = match self.stack(end).receive_into(now, id, &mut bytes) {
            Ok(0) => (Reading::EndOfFile, "read() = 0: end of file".to_owned()),
            Ok(count) => (Reading::Bytes(count), format!("read() = {count} bytes")),
            Err(ReceiveError::Ended(reason)) => (
                Reading::Ended(reason),
                format!("read(): error, {}", end_text(reason)),
            ),
            Err(error) => return Err(Wrong(format!("read on the {}: {error}", side(end)))),
        };
        let state = self.state(connection);
        let last = self.journal.borrow().last_state(end);
        // A connection that has ended may have a successor already, which the ladder is about now.
        let replaced = state == State::Closed && last.is_some_and(|last| last != State::Closed);
        self.row(end, text, (!replaced).then_some(state))?;
        Ok(reading)
    }

    /// CLOSE of the sending direction.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn shutdown_write(&mut self, connection: Connection) -> Played {
        let (now, Connection { end, id }) = (self.now(), connection);
        self.stack(end)
            .shutdown_write(now, id)
            .map_err(|error| Wrong(format!("shutdown on the {}: {error}", side(end))))?;
        self.called_on(connection, "shutdown(write)".to_owned())
    }

    /// CLOSE of both directions; the user lets go.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn close(&mut self, connection: Connection) -> Played {
        let (now, Connection { end, id }) = (self.now(), connection);
        self.stack(end)
            .close(now, id)
            .map_err(|error| Wrong(format!("close on the {}: {error}", side(end))))?;
        self.called_on(connection, "close()".to_owned())
    }

    /// ABORT; the user lets go.
    ///
    /// # Errors
    /// When the stack refuses.
    pub(in crate::scenario) fn abort(&mut self, connection: Connection) -> Played {
        let (now, Connection { end, id }) = (self.now(), connection);
        self.stack(end)
            .abort(now, id)
            .map_err(|error| Wrong(format!("abort on the {}: {error}", side(end))))?;
        self.called_on(connection, "abort()".to_owned())
    }

    /// A connection's state; CLOSED once it is gone.
    pub(in crate::scenario) fn state(&mut self, connection: Connection) -> State {
        let status = self.stack(connection.end).status(connection.id);
        status.map_or(State::Closed, |status| status.state)
    }

    /// A row without any call: what the reader is to know of a host.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(in crate::scenario) fn happens(
        &mut self,
        end: End,
        text: impl Into<String>,
        state: State,
    ) -> Played {
        self.called(end, text.into(), state)
    }

    /// The host at `end` crashes and starts again, without memory.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(in crate::scenario) fn restart(&mut self, end: End) -> Played {
        self.restarts += 1;
        let seed = self
            .settings
            .number("seed")
            .wrapping_add(0x1000 * self.restarts);
        self.pair.restart(end, self.settings.stack.clone(), seed);
        self.listeners.retain(|(at, _)| *at != end);
        self.listen_in(end);
        self.called(end, "crashes, and starts again".to_owned(), State::Closed)
    }

    fn called_on(&mut self, connection: Connection, text: String) -> Played {
        let state = self.state(connection);
        self.called(connection.end, text, state)
    }

    fn called(&mut self, end: End, text: String, state: State) -> Played {
        self.row(end, text, Some(state))
    }

    /// Makes the row of a call and lets the stacks send what follows.
    fn row(&mut self, end: End, text: String, state: Option<State>) -> Played {
        let now = self.now();
        let called = true;
        let mut journal = self.journal.borrow_mut();
        journal.account(end);
        self.last_call = journal.rows.len();
        journal.push(
            now,
            What::Event {
                end,
                text,
                state,
                called,
            },
        );
        drop(journal);
        self.flush()
    }
}

/// What a RECEIVE said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Reading {
    Bytes(usize),
    EndOfFile,
    Ended(EndReason),
}

/// How a connection ended, in the words of §3.10 and of a user.
fn end_text(reason: EndReason) -> String {
    match reason {
        EndReason::Refused => "connection refused".to_owned(),
        EndReason::Reset => "connection reset".to_owned(),
        EndReason::TimedOut(timer) => format!("timed out ({})", timer.name()),
        EndReason::Closed | EndReason::Unreachable(_) | EndReason::Aborted | EndReason::Evicted => {
            reason.name().to_owned()
        }
    }
}
