//! A play as a picture: time goes down, each side is a line, each packet an arrow from one to the other, as steep as it was slow. States
//! stand beside the lines, explanations on the right.
//!
//! 1. [`layout`] says where everything goes. Time is not to scale: a gap of an hour would leave no room for the rest. It is monotone,
//!    though, and a packet that is under way longer has a longer way down.
//! 2. This file draws it: plain SVG 1.1 with its own style for light and dark, nothing loaded from anywhere.

use std::fmt::Write;

use tcpd_core::sim::pair::End;
use tcpd_core::stack::State;

use super::journal::{Packet, What};
use super::play::Play;
use super::text::wrapped;

mod layout;
pub(super) mod style;

use layout::{Layout, Placed};

/// Width of the picture, in pixels as everything here.
const WIDTH: f64 = 1240.0;
/// Where the clock's column ends.
const CLOCK: f64 = 78.0;
/// Where the two lines stand.
const LINES: [f64; 2] = [216.0, 640.0];
/// Where explanations begin, and how many characters fit.
const NOTES: f64 = 788.0;
const NOTE_COLUMNS: usize = 58;
/// Height of a line of explanation.
const NOTE_LINE: f64 = 16.0;
/// Columns of the text above the picture.
const HEAD_COLUMNS: usize = 150;
/// Half the height, and the width of a state's box.
const BOX: (f64, f64) = (10.0, 116.0);
/// How far along its arrow a packet's text begins; farther where another arrow has just ended.
const BEHIND_THE_LINE: f64 = 14.0;
const BEHIND_A_HEAD: f64 = 76.0;
/// So many characters fit where a state's box would stand.
const OUTSIDE: usize = 16;
/// How far a lost packet gets, of the way.
const LOST_AT: f64 = 0.62;

/// The picture.
pub(super) fn draw(play: &Play) -> String {
    let about = format!("{} {}", play.scenario.about, play.played_with());
    let head = wrapped(&about, HEAD_COLUMNS);
    let top = 66.0 + 17.0 * head.len() as f64 + 62.0;
    let layout = Layout::of(play, top, NOTE_COLUMNS, NOTE_LINE);
    let height = layout.bottom + 24.0;
    let mut out = Picture::default();
    let about = format!("{}: {}", play.scenario.name, play.scenario.title);
    out.line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">"
    ));
    out.line(format!("<title>{}</title>", escaped(&about)));
    out.line(style::sheet());
    out.line("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>");
    out.text(24.0, 34.0, "title", "start", play.scenario.name);
    let title = format!("{} ({})", play.scenario.title, play.scenario.rfc);
    out.text(24.0, 56.0, "subtitle", "start", &title);
    for (index, line) in head.iter().enumerate() {
        out.text(24.0, 80.0 + 17.0 * index as f64, "note", "start", line);
    }
    sides(&mut out, play, top - 18.0);
    for x in LINES {
        out.stroke("life", x, top, x, layout.bottom);
    }
    let begun = states(&mut out, play, &layout);
    breaks(&mut out, &layout);
    for (at, y) in &layout.clock {
        out.text(
            CLOCK,
            y + 4.0,
            "clock",
            "end",
            &format!("{:.3}", at.as_secs_f64()),
        );
    }
    for (row, placed) in play.rows.iter().zip(&layout.rows) {
        match &row.what {
            What::Packet(packet) => arrow(&mut out, packet, placed, &layout),
            What::Event { end, text, .. } => {
                let near = |(y, _): &(f64, State)| (y - placed.start).abs() < 2.0 * BOX.0 + 2.0;
                let alone = !begun[*end as usize].iter().any(near);
                event(&mut out, *end, text, placed.start, alone);
            }
            What::Remark(text) => {
                let middle = (LINES[0] + LINES[1]) / 2.0;
                out.text(middle, placed.start + 4.0, "remark", "middle", text);
            }
            What::Already(_) => {}
        }
        for (index, line) in placed.note.iter().enumerate() {
            let y = placed.start + 4.0 + NOTE_LINE * index as f64;
            let class = if index + 1 == placed.note.len() {
                "rfc"
            } else {
                "note"
            };
            out.text(NOTES, y, class, "start", line);
        }
    }
    out.line("</svg>");
    out.svg
}

/// The heads of the two lines.
fn sides(out: &mut Picture, play: &Play, y: f64) {
    let sockets = play.sockets().unwrap_or_default();
    for (end, name) in [(End::Left, "left"), (End::Right, "right")] {
        let x = LINES[end as usize];
        let socket = &sockets[end as usize];
        out.text(x, y - 14.0, "side", "middle", name);
        out.text(x, y + 2.0, "clock", "middle", socket);
    }
}

/// The two lines are broken where much time passes.
fn breaks(out: &mut Picture, layout: &Layout) {
    for x in LINES {
        for (begin, end) in &layout.long {
            out.stroke("long", x, *begin, x, *end);
        }
    }
}

/// A coloured bar along each line, and a box with its name where a state begins: where, for each side.
fn states(out: &mut Picture, play: &Play, layout: &Layout) -> [Vec<(f64, State)>; 2] {
    let both = End::BOTH.map(|end| changes(play, layout, end));
    for (end, changes) in End::BOTH.into_iter().zip(&both) {
        let x = LINES[end as usize];
        for (index, (y, state)) in changes.iter().enumerate() {
            let until = changes.get(index + 1).map_or(layout.bottom, |next| next.0);
            let class = style::class(*state);
            out.line(format!(
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"8\" height=\"{:.1}\"/>",
                x - 4.0,
                (until - y).max(0.0)
            ));
            let (half, width) = BOX;
            let left = match end {
                End::Left => x - 10.0 - width,
                End::Right => x + 10.0,
            };
            out.line(format!(
                "<rect class=\"box {class}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width}\" height=\"{}\" rx=\"5\"/>",
                y - half,
                2.0 * half
            ));
            out.text(left + width / 2.0, y + 4.0, "state", "middle", state.name());
        }
    }
    both
}

/// Where the state of a side changes, and to what.
fn changes(play: &Play, layout: &Layout, end: End) -> Vec<(f64, State)> {
    let mut seen: Vec<(f64, State)> = Vec::new();
    for (row, placed) in play.rows.iter().zip(&layout.rows) {
        match &row.what {
            What::Already(states) => seen.push((placed.start, states[end as usize])),
            What::Event { end: at, state, .. } if *at == end => {
                seen.extend(state.map(|state| (placed.start, state)))
            }
            What::Packet(packet) => {
                let y = if packet.from == end {
                    Some(placed.start)
                } else {
                    placed.end
                };
                seen.extend(y.zip(packet.states[end as usize]));
            }
            What::Event { .. } | What::Remark(_) => {}
        }
    }
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut changes: Vec<(f64, State)> = Vec::new();
    for (y, state) in seen {
        match changes.last_mut() {
            Some(last) if last.1 == state => {}
            // Two at one place: the later one counts.
            Some(last) if y - last.0 < 1.0 => last.1 = state,
            _ => changes.push((y, state)),
        }
    }
    changes
}

/// A packet: its arrow, and along it what it is.
fn arrow(out: &mut Picture, packet: &Packet, placed: &Placed, layout: &Layout) {
    let (from, to) = (
        LINES[packet.from as usize],
        LINES[packet.from.other() as usize],
    );
    let way = if to > from { 1.0 } else { -1.0 };
    let (x1, x2) = (from + way * 6.0, to - way * 6.0);
    let (y1, mut y2) = (
        placed.start,
        placed.end.unwrap_or(placed.start + layout::LOST_DROP),
    );
    let class = match (packet.foreign, packet.due) {
        (Some(_), _) => "packet foreign",
        (None, None) => "packet lost",
        (None, Some(_)) => "packet",
    };
    out.line(format!("<g class=\"{class}\">"));
    let mut end = x2;
    if packet.due.is_none() {
        end = x1 + (x2 - x1) * LOST_AT;
        y2 = y1 + (y2 - y1) * LOST_AT;
        out.stroke("cross", end - 6.0, y2 - 6.0, end + 6.0, y2 + 6.0);
        out.stroke("cross", end - 6.0, y2 + 6.0, end + 6.0, y2 - 6.0);
    } else {
        out.head("head", (x1, y1), (end, y2));
    }
    out.stroke("arrow", x1, y1, end, y2);
    let angle = ((y2 - y1) / (end - x1)).atan().to_degrees();
    let anchor = if way > 0.0 { "start" } else { "end" };
    let mut label = packet
        .shown
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if let Some(foreign) = packet.foreign {
        label += &format!(" ({foreign})");
    }
    // Where another arrow ends at the same place, its head needs room.
    let answers = layout.rows.iter().any(|row| row.end == Some(y1));
    let away = if answers {
        BEHIND_A_HEAD
    } else {
        BEHIND_THE_LINE
    };
    let (x, slope) = (x1 + way * away, (y2 - y1) / (end - x1));
    let y = y1 + slope * (x - x1) - 5.0;
    out.line(format!(
        "<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" transform=\"rotate({angle:.2} {x:.1} {y:.1})\">{}</text>",
        escaped(&label)
    ));
    out.line("</g>");
}

/// A call or a timer, beside the line of its side: on its outer side in short lines, when no state's box is there.
fn event(out: &mut Picture, end: End, text: &str, y: f64, alone: bool) {
    let x = LINES[end as usize];
    let (x, anchor) = match (end, alone) {
        (End::Left, false) | (End::Right, true) => (x + 12.0, "start"),
        (End::Right, false) | (End::Left, true) => (x - 12.0, "end"),
    };
    let columns = if alone { OUTSIDE } else { usize::MAX };
    for (index, line) in wrapped(text, columns).iter().enumerate() {
        out.text(x, y + 4.0 + 14.0 * index as f64, "event", anchor, line);
    }
}

/// The text that grows.
#[derive(Default)]
pub(super) struct Picture {
    pub(super) svg: String,
}

impl Picture {
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.svg.push_str(line.as_ref());
        self.svg.push('\n');
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        if !text.is_empty() {
            self.line(format!(
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
                escaped(text)
            ));
        }
    }

    /// The head of an arrow that comes from `from` and ends at `to`.
    pub(super) fn head(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let (bx, by) = (to.0 - 10.0 * ux, to.1 - 10.0 * uy);
        let corner = |way: f64| format!("{:.1},{:.1}", bx - way * uy, by + way * ux);
        self.line(format!(
            "<polygon class=\"{class}\" points=\"{:.1},{:.1} {} {}\"/>",
            to.0,
            to.1,
            corner(4.0),
            corner(-4.0)
        ));
    }

    pub(super) fn stroke(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.line(format!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }
}

/// As text of an XML document.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => {
                let _ = write!(out, "{other}");
            }
        }
    }
    out
}
