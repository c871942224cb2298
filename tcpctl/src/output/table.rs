//! Tables in the manner of ss: a line a row, no frames, as wide as their content, and never wider than the terminal.
//!
//! Where the content is too wide, in this order:
//! 1. the gaps between columns shrink from two blanks to one;
//! 2. columns that may shrink do, the widest first, down to the width they need to be of use;
//! 3. columns that may go are left out, the least important first.
//!
//! What is then still too wide stays so: the terminal breaks the line, nothing is lost.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, TableStyle, Width};

#[cfg(test)]
mod tests;

/// A column: its name, and what may happen to it in a narrow terminal.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
    shrinks_to: Option<u16>,
    leaves: Option<u8>,
}

impl Column {
    /// A column that always stays as wide as its content, aligned left.
    pub const fn new(title: &'static str) -> Column {
        Column {
            title,
            right: false,
            shrinks_to: None,
            leaves: None,
        }
    }

    /// Numbers: aligned right.
    pub const fn right(mut self) -> Column {
        self.right = true;
        self
    }

    /// May be made as narrow as `width` characters.
    pub const fn shrinks_to(mut self, width: u16) -> Column {
        self.shrinks_to = Some(width);
        self
    }

    /// May be left out; of several, that with the lowest `rank` first.
    pub const fn leaves(mut self, rank: u8) -> Column {
        self.leaves = Some(rank);
        self
    }
}

/// Rows of text under columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    wraps: bool,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
            wraps: false,
        }
    }

    /// What does not fit a column goes on in the next line, instead of being cut.
    pub fn wraps(mut self) -> Table {
        self.wraps = true;
        self
    }

    /// Adds a row: a cell for every column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for every column");
        self.rows.push(cells);
    }

    /// The table as text, each line with its end. `width` in characters; `None` is as wide as needed.
    pub fn render(&self, width: Option<u16>, header: bool) -> String {
        if self.rows.is_empty() && !header {
            return String::new();
        }
        let layout = self.layout(width, header);
        let mut table = comfy_table::Table::new();
        table
            .load_style(TableStyle::new())
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_truncation_indicator("…");
        if header {
            table.set_header(layout.shown.iter().map(|&(at, _)| self.columns[at].title));
        }
        for cells in &self.rows {
            let mut row = comfy_table::Row::from(
                layout
                    .shown
                    .iter()
                    .map(|&(at, _)| cells[at].as_str())
                    .collect::<Vec<_>>(),
            );
            if !self.wraps {
                row.max_height(1);
            }
            table.add_row(row);
        }
        for (column, &(at, width)) in table.column_iter_mut().zip(&layout.shown) {
            column
                .set_padding((0, layout.gap))
                .set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + layout.gap)));
            if self.columns[at].right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut out = String::new();
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn layout(&self, width: Option<u16>, header: bool) -> Layout {
        let mut shown: Vec<(usize, u16)> = self
            .natural_widths(header)
            .into_iter()
            .enumerate()
            .collect();
        let Some(width) = width else {
            return Layout { shown, gap: 2 };
        };
        if Layout::width(&shown, 2) <= usize::from(width) {
            return Layout { shown, gap: 2 };
        }
        loop {
            let mut shrunk = shown.clone();
            if self.shrink(&mut shrunk, usize::from(width)) {
                return Layout {
                    shown: shrunk,
                    gap: 1,
                };
            }
            let candidates = shown
                .iter()
                .enumerate()
                .filter_map(|(place, &(at, _))| Some((self.columns[at].leaves?, place)));
            match candidates.min() {
                Some((_, place)) => drop(shown.remove(place)),
                None => {
                    return Layout {
                        shown: shrunk,
                        gap: 1,
                    };
                }
            }
        }
    }

    /// Makes the widest column that may shrink narrower, until all fit or none is left.
    fn shrink(&self, shown: &mut [(usize, u16)], width: usize) -> bool {
        loop {
            if Layout::width(shown, 1) <= width {
                return true;
            }
            let widest = shown
                .iter_mut()
                .filter(|(at, width)| {
                    self.columns[*at]
                        .shrinks_to
                        .is_some_and(|least| *width > least)
                })
                .max_by_key(|(_, width)| *width);
            match widest {
                Some((_, width)) => *width -= 1,
                None => return false,
            }
        }
    }

    fn natural_widths(&self, header: bool) -> Vec<u16> {
        let mut table = comfy_table::Table::new();
        if header {
            table.set_header(self.columns.iter().map(|column| column.title));
        }
        table.add_rows(
            self.rows
                .iter()
                .map(|cells| cells.iter().map(String::as_str).collect::<Vec<_>>()),
        );
        table.column_max_content_widths()
    }
}

/// Which columns are shown, each with the width of its content, and the blanks between two of them.
struct Layout {
    shown: Vec<(usize, u16)>,
    gap: u16,
}

impl Layout {
    fn width(shown: &[(usize, u16)], gap: usize) -> usize {
        shown
            .iter()
            .map(|&(_, width)| usize::from(width))
            .sum::<usize>()
            + gap * shown.len().saturating_sub(1)
    }
}
