//! What the impairment layer does and has done, as a table.

use libtcpclient::protocol::status::ImpairmentRow;

use super::human::{count, harmless};
use super::table::{Column, Table};

#[cfg(test)]
mod tests;

const COLUMNS: [Column; 11] = [
    Column::new("Packets"),
    Column::new("Way"),
    Column::new("Came").right(),
    Column::new("Lost").right(),
    Column::new("Queue full").right().leaves(5),
    Column::new("Marked").right().leaves(0),
    Column::new("Reordered").right().leaves(3),
    Column::new("Twice").right().leaves(2),
    Column::new("Damaged").right().leaves(4),
    Column::new("On the way").right().leaves(1),
    Column::new("What happens").shrinks_to(16),
];

/// A line for each path.
pub fn table(rows: &[ImpairmentRow]) -> Table {
    let mut table = Table::new(&COLUMNS).wraps();
    for row in rows {
        let what = match row.impairment.as_str() {
            "" => "nothing".to_owned(),
            words => harmless(words),
        };
        table.row(vec![
            harmless(&row.packets),
            harmless(&row.direction),
            count(row.packets_in),
            count(row.lost),
            count(row.queue_full + row.overflowed),
            count(row.marked),
            count(row.reordered),
            count(row.duplicated),
            count(row.corrupted),
            count(row.held),
            what,
        ]);
    }
    table
}
