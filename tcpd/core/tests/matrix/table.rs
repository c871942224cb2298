//! Plays every cell, for both families, and writes what came of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

use tcpd_core::stack::State;

use crate::events::{self, Event};
use crate::numbers::Numbers;
use crate::reaction::Reaction;
use crate::states::{SITUATIONS, Situation};
use crate::world::{Family, Setup};

/// One cell: a situation and an event.
pub(crate) struct Cell {
    pub(crate) situation: &'static Situation,
    pub(crate) event: &'static Event,
    /// What arrives, in this situation's words.
    says: String,
    /// What came of it, or why it cannot happen.
    pub(crate) reaction: Result<Reaction, &'static str>,
}

impl Cell {
    /// `FIN-WAIT-2/orphan × rst-exact`.
    pub(crate) fn name(&self) -> String {
        format!("{} × {}", self.situation.name(), self.event.name)
    }
}

/// Every cell, situation by situation; played once for all tests.
pub(crate) fn cells() -> &'static [Cell] {
    static CELLS: OnceLock<Vec<Cell>> = OnceLock::new();
    CELLS.get_or_init(|| {
        SITUATIONS
            .iter()
            .flat_map(|situation| events::all().map(|event| cell(situation, event)))
            .collect()
    })
}

fn cell(situation: &'static Situation, event: &'static Event) -> Cell {
    // An invariant that does not hold names its cell before it fails the test.
    let named = Named(situation, event.name);
    let [four, six] = [Family::V4, Family::V6].map(|family| played(situation, event, family));
    assert_eq!(four, six, "IPv4 and IPv6 differ");
    drop(named);
    let (says, reaction) = four;
    Cell {
        situation,
        event,
        says,
        reaction,
    }
}

/// Says which cell it was, if the test ends in it.
struct Named(&'static Situation, &'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the cell {} × {}", self.0.name(), self.1);
        }
    }
}

fn played(
    situation: &'static Situation,
    event: &'static Event,
    family: Family,
) -> (String, Result<Reaction, &'static str>) {
    let mut world = match situation.build(family, event.setup) {
        Ok(world) => world,
        Err(reason) => return (words(situation, event, family), Err(reason)),
    };
    let numbers = Numbers::of(&world, situation);
    (event.says(&numbers), event.play(situation, &mut world))
}

/// What an event is, where it cannot happen.
fn words(situation: &'static Situation, event: &'static Event, family: Family) -> String {
    match situation.build(family, Setup::NONE) {
        Ok(world) => event.says(&Numbers::of(&world, situation)),
        Err(reason) => panic!("{} × {}: {reason}", situation.name(), event.name),
    }
}

/// The table of one state: a section a variant, a line an event.
pub(crate) fn of_state(state: State) -> String {
    let mut text = String::new();
    for situation in SITUATIONS.iter().filter(|one| one.state == state) {
        let lines: Vec<[String; 6]> = cells()
            .iter()
            .filter(|cell| std::ptr::eq(cell.situation, situation))
            .map(line)
            .collect();
        assert_eq!(lines.len(), events::all().count(), "a line an event");
        if !text.is_empty() {
            text.push('\n');
        }
        writeln!(text, "{}: {}\n", situation.name(), situation.says).expect("a String");
        text += &aligned(&lines);
    }
    text
}

fn line(cell: &Cell) -> [String; 6] {
    let event = format!("{:<28}{}", cell.event.name, cell.says);
    match &cell.reaction {
        Err(reason) => [
            event,
            "cannot happen".to_owned(),
            (*reason).to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ],
        Ok(reaction) => [
            event,
            if reaction.next == reaction.before {
                "stays".to_owned()
            } else {
                reaction.next.to_string()
            },
            or_dash(reaction.sent.join(", ")),
            or_dash(reaction.user.join(", ")),
            reaction.dropped.join(", "),
            reaction.timers.join(", "),
        ],
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

const HEADS: [&str; 6] = [
    "event",
    "next state",
    "sends",
    "user",
    "dropped as",
    "timers",
];

fn aligned(lines: &[[String; 6]]) -> String {
    let heads = HEADS.map(str::to_owned);
    let mut widths = [0; 6];
    for line in std::iter::once(&heads).chain(lines) {
        // What cannot happen has its reason in place of the columns behind.
        let columns = if line[1] == "cannot happen" { 2 } else { 6 };
        for (width, field) in widths.iter_mut().zip(line).take(columns) {
            *width = (*width).max(field.chars().count());
        }
    }
    let mut text = String::new();
    for line in std::iter::once(&heads).chain(lines) {
        let mut row = String::new();
        for (field, width) in line.iter().zip(widths) {
            write!(row, "{field:<width$}  ").expect("a String");
        }
        text += row.trim_end();
        text.push('\n');
    }
    text
}

/// Two letters for a state in the index.
fn letters(state: State) -> &'static str {
    match state {
        State::Closed => "CL",
        State::Listen => "LI",
        State::SynSent => "SS",
        State::SynReceived => "SR",
        State::Established => "ES",
        State::FinWait1 => "F1",
        State::FinWait2 => "F2",
        State::CloseWait => "CW",
        State::Closing => "CG",
        State::LastAck => "LA",
        State::TimeWait => "TW",
    }
}

/// State × event, the next state in each cell.
pub(crate) fn index() -> String {
    let mut text = String::from(
        "The next state of every cell: = stays, / cannot happen (the state's own table says why).\n",
    );
    for state in State::ALL {
        writeln!(text, "{} {state}", letters(state)).expect("a String");
    }
    text.push('\n');
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in cells() {
        let place = *places.entry(cell.event.name).or_insert_with(|| {
            rows.push((cell.event.name, Vec::new()));
            rows.len() - 1
        });
        rows[place].1.push(match &cell.reaction {
            Err(_) => "/".to_owned(),
            Ok(reaction) if reaction.next == reaction.before => "=".to_owned(),
            Ok(reaction) => letters(reaction.next).to_owned(),
        });
    }
    let heads: Vec<String> = SITUATIONS
        .iter()
        .enumerate()
        .map(|(number, one)| format!("{:>2} {}: {}", number + 1, one.name(), one.says))
        .collect();
    text += &heads.join("\n");
    text += &format!("\n\n{:<28}", "");
    for number in 1..=SITUATIONS.len() {
        write!(text, "{number:<3}").expect("a String");
    }
    text += &format!("\n{:<28}", "");
    for one in &SITUATIONS {
        write!(text, "{:<3}", letters(one.state)).expect("a String");
    }
    text.push('\n');
    for (name, fields) in rows {
        let mut row = format!("{name:<28}");
        for field in fields {
            write!(row, "{field:<3}").expect("a String");
        }
        text += row.trim_end();
        text.push('\n');
    }
    text
}
