//! Where each row goes: down in the order of time, with room for every text.

use std::time::Duration;

use crate::scenario::journal::{Row, What};
use crate::scenario::play::Play;
use crate::scenario::text::wrapped;

/// How far a packet that is lost would have come down.
pub(super) const LOST_DROP: f64 = 40.0;
/// Between two rows that begin at the same time.
const NEXT_ROW: f64 = 30.0;
/// Between two packets that arrive at the same time at the same side.
const NEXT_ARRIVAL: f64 = 24.0;
/// From an arrival to a call at the same time: the arrow must not run through its text.
const AFTER_ARRIVAL: f64 = 22.0;
/// Between the end of an explanation and the next one.
const NOTE_GAP: f64 = 8.0;
/// From here on a gap is drawn as a long one.
const LONG: Duration = Duration::from_millis(1_500);

/// A row's place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Placed {
    pub(super) start: f64,
    /// Where a packet arrives; `None` for what does not.
    pub(super) end: Option<f64>,
    /// Its explanation, the citation in the last line.
    pub(super) note: Vec<String>,
}

/// Every row's place.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) rows: Vec<Placed>,
    /// Times to be shown, and where.
    pub(super) clock: Vec<(Duration, f64)>,
    /// Where much time passes: from, to.
    pub(super) long: Vec<(f64, f64)>,
    pub(super) bottom: f64,
}

/// What happens to a row at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Arrives(usize),
    Starts(usize),
}

impl Layout {
    /// Places the rows of `play` from `top` on; an explanation has lines of `columns` characters, `line` pixels high.
    pub(super) fn of(play: &Play, top: f64, columns: usize, line: f64) -> Layout {
        let mut layout = Layout {
            rows: play.rows.iter().map(|row| unplaced(row, columns)).collect(),
            ..Layout::default()
        };
        let mut pen = Pen {
            y: top + 10.0,
            note_end: 0.0,
            now: Duration::ZERO,
        };
        for (index, (at, moments)) in moments(&play.rows).into_iter().enumerate() {
            layout.place(play, at, &moments, index == 0, line, &mut pen);
        }
        layout.bottom = pen.y.max(pen.note_end) + 16.0;
        layout
    }

    /// Places what happens at one time.
    fn place(
        &mut self,
        play: &Play,
        at: Duration,
        moments: &[Moment],
        first: bool,
        line: f64,
        pen: &mut Pen,
    ) {
        let before = pen.y;
        let passed = at.saturating_sub(pen.now);
        if !first {
            pen.y += drop_of(passed);
        }
        let starts = moments
            .iter()
            .any(|moment| matches!(moment, Moment::Starts(_)));
        if starts {
            pen.y = pen.y.max(pen.note_end + NOTE_GAP);
        }
        if passed >= LONG {
            self.long.push((before + 6.0, pen.y - 6.0));
        }
        if self.clock.last().is_none_or(|(_, y)| pen.y - y >= 14.0) {
            self.clock.push((at, pen.y));
        }
        pen.now = at;
        let (mut arrivals, mut started) = ([0_u32; 2], false);
        let base = pen.y;
        for moment in moments {
            match *moment {
                Moment::Arrives(index) => {
                    let What::Packet(packet) = &play.rows[index].what else {
                        continue;
                    };
                    let here = &mut arrivals[packet.from as usize];
                    let y = base + NEXT_ARRIVAL * f64::from(*here);
                    *here += 1;
                    self.rows[index].end = Some(y);
                    pen.y = pen.y.max(y);
                }
                Moment::Starts(index) => {
                    // An answer leaves where the question came in; the last one, of several.
                    let question = match &play.rows[index].what {
                        What::Packet(packet) => arrivals[packet.from.other() as usize],
                        What::Already(_) | What::Event { .. } | What::Remark(_) => 0,
                    };
                    pen.y = match (started, question, arrivals) {
                        (true, ..) => (pen.y + NEXT_ROW).max(pen.note_end + NOTE_GAP),
                        (false, 1.., _) => base + NEXT_ARRIVAL * f64::from(question - 1),
                        (false, 0, [0, 0]) => pen.y,
                        (false, 0, _) => pen.y + AFTER_ARRIVAL,
                    };
                    started = true;
                    let placed = &mut self.rows[index];
                    placed.start = pen.y;
                    if !placed.note.is_empty() {
                        pen.note_end = pen.y + line * placed.note.len() as f64;
                    }
                }
            }
        }
        let lowest = self
            .rows
            .iter()
            .filter_map(|row| row.end)
            .fold(pen.y, f64::max);
        pen.y = pen.y.max(if starts { pen.y } else { lowest });
    }
}

/// Where drawing has got to.
struct Pen {
    y: f64,
    /// Where the last explanation ends.
    note_end: f64,
    now: Duration,
}

fn unplaced(row: &Row, columns: usize) -> Placed {
    let mut note = Vec::new();
    if let Some(words) = &row.note {
        note = wrapped(&words.text, columns);
        note.push(words.rfc.to_owned());
    }
    Placed {
        note,
        ..Placed::default()
    }
}

/// Everything that happens, by time; arrivals come before what they bring about.
fn moments(rows: &[Row]) -> Vec<(Duration, Vec<Moment>)> {
    let mut all: Vec<(Duration, Moment)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        all.push((row.at, Moment::Starts(index)));
        if let What::Packet(packet) = &row.what {
            all.extend(packet.due.map(|due| (due, Moment::Arrives(index))));
        }
    }
    all.sort_unstable();
    let mut grouped: Vec<(Duration, Vec<Moment>)> = Vec::new();
    for (at, moment) in all {
        match grouped.last_mut() {
            Some((time, moments)) if *time == at => moments.push(moment),
            _ => grouped.push((at, vec![moment])),
        }
    }
    grouped
}

/// How far down so much time goes: more for more, but an hour not ten thousand times as much as a packet's trip.
fn drop_of(passed: Duration) -> f64 {
    let millis = passed.as_secs_f64() * 1_000.0;
    if millis <= 0.0 {
        return 0.0;
    }
    (16.0 + 15.0 * (1.0 + millis).log10()).clamp(20.0, 84.0)
}
