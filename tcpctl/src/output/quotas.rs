//! Users, what they have and what they may have, as a table.

use std::collections::BTreeMap;

use libtcpclient::protocol::status::{UserKind, UserRow};

use super::human::{bytes, count, harmless};
use super::table::{Column, Table};
use super::users::Users;

#[cfg(test)]
mod tests;

const COLUMNS: [Column; 8] = [
    Column::new("User"),
    Column::new("Sessions").right().leaves(3),
    Column::new("Connections").right(),
    Column::new("Orphans").right().leaves(1),
    Column::new("Listeners").right().leaves(2),
    Column::new("Hand-offs").right().leaves(0),
    Column::new("Ring memory").right(),
    Column::new("Refused by rule").shrinks_to(12).leaves(4),
];

/// A line for every user, one for the services, one for all together.
pub fn table(rows: &[UserRow], users: &Users) -> Table {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        table.row(vec![
            name(row, users),
            of(
                row.sessions.into(),
                row.sessions_limit.map(u64::from),
                count,
            ),
            of(
                row.connections.into(),
                row.connections_limit.map(u64::from),
                count,
            ),
            of(row.orphans.into(), row.orphans_limit.map(u64::from), count),
            of(
                row.listeners.into(),
                row.listeners_limit.map(u64::from),
                count,
            ),
            of(
                row.handoffs.into(),
                row.handoffs_limit.map(u64::from),
                count,
            ),
            rings(row),
            refused(&row.refused),
        ]);
    }
    table
}

fn name(row: &UserRow, users: &Users) -> String {
    match (row.kind, row.uid) {
        (UserKind::Services, _) => "(services)".to_owned(),
        (UserKind::All, _) => "(all)".to_owned(),
        (UserKind::User, Some(uid)) => harmless(&users.name(uid)),
        (UserKind::User, None) => "?".to_owned(),
    }
}

/// `3/1,024`, or `3` without a limit.
fn of(has: u64, limit: Option<u64>, show: impl Fn(u64) -> String) -> String {
    match limit {
        Some(limit) => format!("{}/{}", show(has), show(limit)),
        None => show(has),
    }
}

/// Who is near the limit is held: its windows do not open further, new connections are refused.
fn rings(row: &UserRow) -> String {
    let rings = of(row.ring_bytes, row.ring_bytes_limit, bytes);
    match row.pressed && row.kind != UserKind::All {
        true => format!("{rings} held"),
        false => rings,
    }
}

/// `limits.connections_per_uid 12`; `-` when nothing was refused.
fn refused(rules: &BTreeMap<String, u64>) -> String {
    let rules: Vec<String> = rules
        .iter()
        .map(|(rule, times)| format!("{} {}", harmless(rule), count(*times)))
        .collect();
    match rules.is_empty() {
        true => "-".to_owned(),
        false => rules.join(", "),
    }
}
