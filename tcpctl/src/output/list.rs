//! Connections and listeners as a table.

use std::net::SocketAddr;

use libtcpclient::protocol::status::{
    ConnectionRow, EndpointKind, ListenerRow, Owner, OwnerKind, TcpState, TimerRow,
};

use super::human::{harmless, short_duration};
use super::table::{Column, Table};
use super::users::Users;

#[cfg(test)]
mod tests;

const COLUMNS: [Column; 8] = [
    Column::new("ID"),
    Column::new("State"),
    Column::new("Recv-Q").right(),
    Column::new("Send-Q").right(),
    Column::new("Local"),
    Column::new("Peer"),
    Column::new("Owner").shrinks_to(10).leaves(1),
    Column::new("Timer").shrinks_to(12).leaves(2),
];

/// Sorts in the order of the table: by local port, local address, peer, ID. The same connections are always in the same order.
pub fn sort(listeners: &mut [ListenerRow], connections: &mut [ConnectionRow]) {
    listeners.sort_by_cached_key(|row| (by_port(row.local), id_order(&row.id)));
    connections
        .sort_by_cached_key(|row| (by_port(row.local), by_port(row.peer), id_order(&row.id)));
}

fn by_port(address: SocketAddr) -> (u16, SocketAddr) {
    (address.port(), address)
}

/// `12.3` after `9.1`: by number where they are numbers.
fn id_order(id: &str) -> (Vec<u64>, String) {
    (
        id.split('.')
            .map(|part| part.parse().unwrap_or(u64::MAX))
            .collect(),
        id.to_owned(),
    )
}

/// The table: listeners first.
pub fn table(listeners: &[ListenerRow], connections: &[ConnectionRow], users: &Users) -> Table {
    let mut table = Table::new(&COLUMNS);
    for row in listeners {
        table.row(vec![
            harmless(&row.id),
            TcpState::Listen.to_string(),
            row.queued.to_string(),
            row.backlog.to_string(),
            listening_at(row.local),
            "*".to_owned(),
            owner(&row.owner, users),
            "-".to_owned(),
        ]);
    }
    for row in connections {
        table.row(vec![
            harmless(&row.id),
            row.state.to_string(),
            row.recv_q_bytes.to_string(),
            row.send_q_bytes.to_string(),
            row.local.to_string(),
            row.peer.to_string(),
            owner(&row.owner, users),
            row.timer.as_ref().map_or_else(|| "-".to_owned(), timer),
        ]);
    }
    table
}

/// `*:80` for a listener on every address, as ss writes it.
pub fn listening_at(local: SocketAddr) -> String {
    match local.ip().is_unspecified() {
        true => format!("*:{}", local.port()),
        false => local.to_string(),
    }
}

/// `4711/nc/alice` for a program, `echo/4712` for a service and its worker, `handed-off/alice`, `orphan`, or `-`; `/socket` behind one
/// that has it as an ordinary socket, and for a service the command that holds it.
pub fn owner(owner: &Owner, users: &Users) -> String {
    let pid = owner.pid.map(|pid| pid.to_string());
    let service = owner.service.as_deref().map(harmless);
    let program = owner
        .program
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(harmless);
    let user = owner.uid.map(|uid| harmless(&users.name(uid)));
    let socket = (owner.endpoint == Some(EndpointKind::Socket)).then(|| "socket".to_owned());
    let parts: Vec<String> = match owner.kind {
        OwnerKind::Client => [pid, program, user, socket].into_iter().flatten().collect(),
        OwnerKind::Service if socket.is_some() => {
            let what = [service, pid, program, socket];
            what.into_iter().flatten().collect()
        }
        OwnerKind::Service => [service.or(program), pid].into_iter().flatten().collect(),
        OwnerKind::HandedOff => [Some("handed-off".to_owned()), user]
            .into_iter()
            .flatten()
            .collect(),
        OwnerKind::Orphan => vec!["orphan".to_owned()],
        OwnerKind::None => Vec::new(),
    };
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join("/"),
    }
}

/// `59s time-wait`: the time until the timer fires, and its name. The time comes first: it is what must not be cut off.
pub fn timer(timer: &TimerRow) -> String {
    format!(
        "{} {}",
        short_duration(timer.left_ms.saturating_mul(1_000)),
        harmless(&timer.name)
    )
}
