//! One connection with everything a TCB holds (RFC 9293 §3.3.1), in groups:
//!
//! 1. what it is, and why it is where it is;
//! 2. [`sequence_spaces`]: the send and the receive sequence space, as figures 3 and 4 draw them;
//! 3. [`path`]: congestion control, round-trip time, timers;
//! 4. [`stores`]: options, rings, counts.

use libtcpclient::protocol::status::{
    ConnectionStatus, EndpointKind, ListenerRow, Owner, OwnerKind,
};

use super::human::{count, counted, duration, harmless};
use super::list::listening_at;
use super::sheet::Sheet;
use super::users::Users;
use super::why;

mod path;
mod sequence_spaces;
mod stores;
#[cfg(test)]
mod tests;

/// A connection.
pub fn connection(status: &ConnectionStatus, users: &Users) -> String {
    let mut sheet = Sheet::new();
    identity(&mut sheet, status, users);
    sequence_spaces::send_space(&mut sheet, status);
    sequence_spaces::receive_space(&mut sheet, status);
    path::congestion(&mut sheet, status);
    path::round_trip(&mut sheet, status);
    path::ecn(&mut sheet, status);
    path::timers(&mut sheet, status);
    stores::options(&mut sheet, &status.options);
    stores::rings(&mut sheet, &status.rings);
    stores::counters(&mut sheet, status);
    sheet.finish()
}

/// A listener.
pub fn listener(row: &ListenerRow, users: &Users) -> String {
    let mut sheet = Sheet::new();
    sheet
        .group(&format!(
            "Listener {}  {}",
            harmless(&row.id),
            listening_at(row.local)
        ))
        .line("state", "LISTEN: it waits for connection requests")
        .line("owner", owner(&row.owner, users))
        .line(
            "waiting",
            format!(
                "{} of {} may wait to be accepted",
                count(row.queued.into()),
                count(row.backlog.into())
            ),
        )
        .line(
            "half-open",
            counted(row.half_open.into(), "handshake") + " not finished",
        )
        .line("accepted", count(row.accepted))
        .line("refused", count(row.refused));
    sheet.finish()
}

fn identity(sheet: &mut Sheet, status: &ConnectionStatus, users: &Users) {
    let row = &status.row;
    sheet
        .group(&format!(
            "Connection {}  {} <-> {}",
            harmless(&row.id),
            row.local,
            row.peer
        ))
        .line("state", format!("{}: {}", row.state, why::state(status)))
        .maybe("ended", status.end.as_deref().map(why::end))
        .maybe("trouble", status.soft_error.as_deref().map(why::end))
        .maybe(
            "opened",
            status.passive.map(|passive| match passive {
                true => "by the peer (passive OPEN)".to_owned(),
                false => "by this side (active OPEN)".to_owned(),
            }),
        )
        .line("owner", owner_of_connection(&row.owner, users))
        .maybe("endpoint", endpoint(&row.owner))
        .maybe(
            "age",
            status.age_ms.map(|age| duration(age.saturating_mul(1_000))),
        )
        .line("last received", ago(status.last_received_ms))
        .line("last sent", ago(status.last_sent_ms))
        .line(
            "our side",
            if status.send_closed {
                "closed: nothing more will be written"
            } else {
                "open"
            },
        )
        .line(
            "the peer's side",
            if status.peer_closed {
                "closed: its FIN is in"
            } else {
                "open"
            },
        )
        .line("sending", why::sending(status));
}

/// A connection of a service waits in the backlog until a worker has it.
fn owner_of_connection(row: &Owner, users: &Users) -> String {
    match (row.kind, row.pid) {
        (OwnerKind::Service, None) if row.endpoint.is_none() => {
            owner(row, users) + ", no worker yet"
        }
        _ => owner(row, users),
    }
}

/// How the owner has the connection.
fn endpoint(row: &Owner) -> Option<String> {
    let program = row.program.as_deref().filter(|name| !name.is_empty());
    Some(match (row.endpoint?, row.pid) {
        (EndpointKind::Ring, _) => "rings in shared memory".to_owned(),
        (EndpointKind::Socket, Some(pid)) => match program {
            Some(program) => format!("an ordinary socket, of {} ({pid})", harmless(program)),
            None => format!("an ordinary socket, of process {pid}"),
        },
        (EndpointKind::Socket, None) => {
            "an ordinary socket, passed on by a process that has ended".to_owned()
        }
    })
}

fn owner(owner: &Owner, users: &Users) -> String {
    let program = owner
        .program
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(harmless);
    let mut parts = Vec::new();
    match owner.kind {
        OwnerKind::Client => parts
            .push(program.map_or_else(|| "a program".to_owned(), |name| format!("program {name}"))),
        OwnerKind::Service => {
            parts.push(format!(
                "service {}",
                owner
                    .service
                    .as_deref()
                    .map(harmless)
                    .or(program)
                    .unwrap_or_default()
            ));
        }
        OwnerKind::HandedOff => {
            let giver = owner.uid.map(|uid| harmless(&users.name(uid)));
            let giver = giver.map_or_else(|| "a program".to_owned(), |name| format!("user {name}"));
            return format!("none yet: {giver} handed it off, and nobody has adopted it");
        }
        OwnerKind::Orphan => {
            return "none any more: the program closed it, tcpd finishes it".to_owned();
        }
        OwnerKind::None => return "none".to_owned(),
    }
    let of_worker = if owner.kind == OwnerKind::Service {
        "worker"
    } else {
        "pid"
    };
    parts.extend(owner.pid.map(|pid| format!("{of_worker} {pid}")));
    parts.extend(
        owner
            .uid
            .map(|uid| format!("user {}", harmless(&users.name(uid)))),
    );
    parts.extend(owner.session.map(|session| format!("session {session}")));
    parts.join(", ")
}

fn ago(millis: Option<u64>) -> String {
    match millis {
        Some(millis) => format!("{} ago", duration(millis.saturating_mul(1_000))),
        None => "never".to_owned(),
    }
}
