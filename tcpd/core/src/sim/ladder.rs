//! Records what happened for the one ladder format: packets between two columns, and remarks in between.

use crate::time::Instant;
use crate::wire::ladder::{self, Direction, Line, Remark};

/// A ladder that grows while something runs.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    rows: Vec<Row>,
    /// How many rows were left out at the front because there were too many.
    dropped: usize,
}

#[derive(Debug, Clone)]
enum Row {
    Packet {
        time: Instant,
        left: String,
        direction: Direction,
        packet: String,
        arrives: bool,
        right: String,
    },
    Remark {
        time: Instant,
        left: String,
        text: String,
        right: String,
    },
    Note(String),
}

/// The most rows that are kept; older ones go.
const MOST_ROWS: usize = 4_000;

impl Ladder {
    /// Records a packet. `left` and `right` are states or remarks, empty for none; see [`Line`].
    pub fn packet(
        &mut self,
        time: Instant,
        left: &str,
        direction: Direction,
        packet: String,
        arrives: bool,
        right: &str,
    ) {
        self.push(Row::Packet {
            time,
            left: left.to_owned(),
            direction,
            packet,
            arrives,
            right: right.to_owned(),
        });
    }

    /// Records what happened beside the packets, as a call of the user on the left.
    pub fn remark(&mut self, time: Instant, left: &str, text: String) {
        self.remark_between(time, left, text, "");
    }

    /// Records what happened beside the packets, with what stands on the right of it.
    pub fn remark_between(&mut self, time: Instant, left: &str, text: String, right: &str) {
        self.push(Row::Remark {
            time,
            left: left.to_owned(),
            text,
            right: right.to_owned(),
        });
    }

    /// A line of explanation of the row before; empty for a blank one.
    pub fn note(&mut self, text: String) {
        self.push(Row::Note(text));
    }

    /// How many packets stand in it.
    pub fn packets(&self) -> usize {
        let packets = |row: &&Row| matches!(row, Row::Packet { .. });
        self.rows.iter().filter(packets).count()
    }

    /// The whole ladder, a line each with its line end.
    pub fn render(&self) -> String {
        self.render_last(self.rows.len())
    }

    /// The last `most` rows.
    pub fn render_last(&self, most: usize) -> String {
        let skipped = self.rows.len().saturating_sub(most);
        let rows = &self.rows[skipped..];
        let lines: Vec<Line<'_>> = rows.iter().filter_map(Row::line).collect();
        let width = ladder::packet_width(&lines);
        let mut out = String::new();
        if skipped + self.dropped > 0 {
            out = format!("… {} lines before\n", skipped + self.dropped);
        }
        for row in rows {
            match row {
                Row::Packet { .. } => {
                    let line = row.line().map(|line| line.render(width));
                    out.push_str(&line.unwrap_or_default());
                }
                Row::Remark {
                    time,
                    left,
                    text,
                    right,
                } => {
                    let remark = Remark {
                        time: *time,
                        left,
                        text,
                        right,
                    };
                    out.push_str(&remark.render(width));
                }
                Row::Note(text) if text.is_empty() => {}
                Row::Note(text) => out.push_str(&format!("{:9}{text}", "")),
            }
            out.push('\n');
        }
        out
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() >= MOST_ROWS {
            self.rows.drain(..MOST_ROWS / 2);
            self.dropped += MOST_ROWS / 2;
        }
        self.rows.push(row);
    }
}

impl Row {
    /// The row as a line, if it is a packet's.
    fn line(&self) -> Option<Line<'_>> {
        match self {
            Row::Packet {
                time,
                left,
                direction,
                packet,
                arrives,
                right,
            } => Some(Line {
                time: *time,
                left,
                direction: *direction,
                packet,
                arrives: *arrives,
                right,
            }),
            Row::Remark { .. } | Row::Note(_) => None,
        }
    }
}
