//! Counters as a table.

use libtcpclient::protocol::status::CounterRow;

use super::human::{count, harmless};
use super::table::{Column, Table};

#[cfg(test)]
mod tests;

const COLUMNS: [Column; 3] = [
    Column::new("Value").right(),
    Column::new("Counter"),
    Column::new("Meaning").shrinks_to(24).leaves(1),
];

/// Keeps the counters that are asked for, in the daemon's order: those whose name contains one of `names` (every one, when there are
/// none), and of these those that are not zero (every one, if `all`).
pub fn select(rows: Vec<CounterRow>, names: &[String], all: bool) -> Vec<CounterRow> {
    let names: Vec<String> = names.iter().map(|name| normal(name)).collect();
    let named = |row: &CounterRow| {
        let counter = normal(&row.name);
        names.is_empty() || names.iter().any(|name| counter.contains(name.as_str()))
    };
    rows.into_iter()
        .filter(|row| named(row) && (all || row.value != 0))
        .collect()
}

/// Upper and lower case, `-` and `_` are the same.
fn normal(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// The table.
pub fn table(rows: &[CounterRow]) -> Table {
    let mut table = Table::new(&COLUMNS).wraps();
    for row in rows {
        table.row(vec![
            count(row.value),
            harmless(&row.name),
            harmless(row.help.trim()),
        ]);
    }
    table
}
