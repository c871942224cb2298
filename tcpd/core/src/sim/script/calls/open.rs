//! `bind`, `listen`, `accept`, `connect`: OPEN in its two forms (RFC 9293 §3.10.1).

use std::net::{IpAddr, SocketAddr};

use super::{Kind, Outcome, Socket, Stream, end_errno, error, put};
use crate::sim::script::runner::{Check, Runner, Wrong};
use crate::sim::script::syntax::Descriptor;
use crate::stack::{ConnectOptions, ListenOptions, OpenError};

pub(super) fn bind(
    runner: &mut Runner<'_>,
    fd: Descriptor,
    port: Option<u16>,
    address: Option<IpAddr>,
) -> Outcome {
    let port = port.unwrap_or(runner.port);
    match runner.sockets.open.get_mut(&fd) {
        None => error("EBADF"),
        Some(socket) => match socket.kind {
            Kind::Fresh => {
                socket.bound = Some((address, port));
                Outcome::Value(0)
            }
            _ => error("EINVAL"),
        },
    }
}

pub(super) fn listen(runner: &mut Runner<'_>, fd: Descriptor, backlog: u32) -> Outcome {
    let Some(socket) = runner.sockets.open.get_mut(&fd) else {
        return error("EBADF");
    };
    if !matches!(socket.kind, Kind::Fresh) {
        return error("EINVAL");
    }
    let (local, port) = socket.bound.unwrap_or((None, 0));
    let options = ListenOptions {
        local,
        port,
        backlog,
        reuse: socket.reuse,
        connection: socket.options,
        ..ListenOptions::default()
    };
    match runner.stack.listen(runner.now, options) {
        Ok(id) => {
            socket.kind = Kind::Listener(id);
            Outcome::Value(0)
        }
        Err(refused) => error(open_errno(refused)),
    }
}

fn open_errno(refused: OpenError) -> &'static str {
    match refused {
        OpenError::AddressInUse => "EADDRINUSE",
        OpenError::AddressNotAvailable | OpenError::NoFreePort => "EADDRNOTAVAIL",
        OpenError::RemoteInvalid => "ENETUNREACH",
        OpenError::NoRoute => "ENETUNREACH",
        OpenError::InsufficientResources => "ENOBUFS",
    }
}

pub(super) fn accept(runner: &mut Runner<'_>, fd: Descriptor) -> Check<Outcome> {
    let (listener, mut socket) = match runner.sockets.open.get(&fd) {
        None => return Ok(error("EBADF")),
        Some(socket) => match socket.kind {
            Kind::Listener(id) => (id, Socket { ..*socket }),
            _ => return Ok(error("EINVAL")),
        },
    };
    let Some(id) = runner.stack.accept(runner.now, listener) else {
        return Ok(Outcome::Blocks);
    };
    let Some(view) = runner.stack.view(id) else {
        return Err(Wrong::new("accept gave a connection that there is not"));
    };
    let peer = runner.peer_at(view.remote.port());
    socket.kind = Kind::Stream(Stream::new(id, peer, true));
    socket.nonblocking = false;
    Ok(runner.sockets.add(socket))
}

pub(super) fn connect(
    runner: &mut Runner<'_>,
    fd: Descriptor,
    peer: u16,
    again: bool,
) -> Check<Outcome> {
    let remote: SocketAddr = runner.remote_of(peer);
    let Some(socket) = runner.sockets.open.get_mut(&fd) else {
        return Ok(error("EBADF"));
    };
    let mut stream = match socket.kind {
        Kind::Listener(_) => return Ok(error("EISCONN")),
        Kind::Stream(stream) => stream,
        Kind::Fresh => {
            let (local, local_port) = socket.bound.unwrap_or((None, 0));
            let options = ConnectOptions {
                local,
                local_port,
                reuse: socket.reuse,
                connection: socket.options,
                ..ConnectOptions::to(remote)
            };
            let id = match runner.stack.connect(runner.now, options) {
                Ok(id) => id,
                Err(refused) => return Ok(error(open_errno(refused))),
            };
            socket.kind = Kind::Stream(Stream::new(id, peer, false));
            let local = runner.stack.view(id).map(|view| view.local.port());
            let flow = runner.flow(peer);
            flow.begin();
            if let Some(port) = local {
                flow.local_port = port;
            }
            return Ok(Outcome::Blocks);
        }
    };
    if stream.opened {
        return Ok(error("EISCONN"));
    }
    let Some(view) = runner.stack.view(stream.id) else {
        return Err(Wrong::new("the connection disappeared under its user"));
    };
    let outcome = if let Some(reason) = view.end {
        stream.end_told = true;
        stream.opened = true;
        end_errno(reason).map_or(Outcome::Value(0), error)
    } else if view.connected {
        stream.opened = true;
        Outcome::Value(0)
    } else if again {
        Outcome::Blocks
    } else {
        error("EALREADY")
    };
    put(runner, fd, stream);
    Ok(outcome)
}
