//! A play as text: a head, then the ladder, an explanation and its RFC paragraph below each step.

use tcpd_core::sim::ladder::Ladder;
use tcpd_core::sim::pair::End;
use tcpd_core::stack::State;
use tcpd_core::time::Instant;
use tcpd_core::wire::ladder::Direction;

use super::journal::{Packet, Row, What};
use super::play::Play;
use super::stage::side;

/// Columns of running text.
const WIDTH: usize = 100;
/// Columns of an explanation, which stands a little to the right.
const NOTE_WIDTH: usize = WIDTH - 11;

/// The whole text, with its last line end.
pub(super) fn render(play: &Play) -> String {
    let scenario = play.scenario;
    let mut text = format!(
        "{}: {} ({})\n\n",
        scenario.name, scenario.title, scenario.rfc
    );
    let about = format!("{} {}", scenario.about, play.played_with());
    for line in wrapped(&about, WIDTH) {
        text += &format!("{line}\n");
    }
    text += "\n";
    text += &numbers(play);
    let mut ladder = Ladder::default();
    for row in &play.rows {
        add(&mut ladder, row);
    }
    text += &ladder.render();
    text
}

/// Where the numbers of each side begin.
fn numbers(play: &Play) -> String {
    let Some(sockets) = play.sockets() else {
        return String::new();
    };
    let short = play.settings.text("numbers") == "short";
    let mut text = String::new();
    for end in End::BOTH {
        text += &format!("{:<6} {}", side(end), sockets[end as usize]);
        let own = play.incarnations.iter().filter(|one| one.end == end);
        for (index, one) in own.enumerate().filter(|_| short) {
            let then = if index == 0 {
                ", counts from"
            } else {
                ", then from"
            };
            text += &format!("{then} {} (on the wire {})", one.short, one.wire);
        }
        text += "\n";
    }
    text + "\n"
}

fn add(ladder: &mut Ladder, row: &Row) {
    let at = Instant::ZERO + row.at;
    match &row.what {
        What::Already([left, right]) => {
            ladder.remark_between(at, left.name(), String::new(), right.name());
        }
        What::Packet(packet) => add_packet(ladder, at, packet),
        What::Event {
            end, text, state, ..
        } => {
            // Not nothing: a call on the right stands on the right.
            let state = state.map_or("-", State::name);
            let (left, right) = match end {
                End::Left => (state, ""),
                End::Right => ("", state),
            };
            ladder.remark_between(at, left, text.clone(), right);
        }
        What::Remark(text) => ladder.remark(at, "", text.clone()),
    }
    if let Some(note) = &row.note {
        let mut lines = wrapped(&format!("{} [{}]", note.text, whole(note.rfc)), NOTE_WIDTH);
        if let Some(first) = lines.first_mut() {
            *first = format!("· {first}");
        }
        for (index, line) in lines.iter().enumerate() {
            let indent = if index == 0 { "" } else { "  " };
            ladder.note(format!("{indent}{line}"));
        }
    }
}

fn add_packet(ladder: &mut Ladder, at: Instant, packet: &Packet) {
    let name = |end: End| packet.states[end as usize].map_or("", State::name);
    let (mut left, mut right) = (name(End::Left).to_owned(), name(End::Right).to_owned());
    let sender = match packet.from {
        End::Left => &mut left,
        End::Right => &mut right,
    };
    if let Some(foreign) = packet.foreign {
        *sender = format!("({foreign})");
    }
    let lost = packet.due.is_none();
    let receiver = match packet.from {
        End::Left => &mut right,
        End::Right => &mut left,
    };
    if lost {
        *receiver = "lost".to_owned();
    }
    let direction = match packet.from {
        End::Left => Direction::Right,
        End::Right => Direction::Left,
    };
    ladder.packet(at, &left, direction, packet.shown.clone(), !lost, &right);
}

/// The text as one word, for [`wrapped`].
fn whole(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// `text` in lines of at most `width` columns, broken between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let word = word.replace('\u{a0}', " ");
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}
