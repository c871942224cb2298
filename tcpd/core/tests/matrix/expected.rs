//! The oracle: what RFC 9293 and the RFCs beside it prescribe for every cell, written from their text and not from what tcpd did.
//!
//! A block begins with the events it is about. Each of its lines names states (or one variant of a state, or a group), then the next
//! state (`=`: the same), what is sent, what the user is told, and after `|` the paragraph that says so. The most particular
//! line counts: variant before state before group. A line that decides no cell is an error, as is a cell without a line.
//!
//! | answer | |
//! |---|---|
//! | `-` | nothing |
//! | `A` | <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, at once |
//! | `a` | the same, within the delay of §3.8.6.3 |
//! | `R=` | <SEQ=SEG.ACK><CTL=RST> |
//! | `R0` | <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> |
//! | `Rn`, `Ru` | <SEQ=SND.NXT><CTL=RST>; with SND.UNA, where the peer's window ends there |
//! | `S`, `SA` | SYN; SYN,ACK, each with the ISS of this connection |
//! | `D`, `F` | text; FIN,ACK, with or without text |
//! | `K` | the keepalive probe: <SEQ=SND.NXT-1><ACK=RCV.NXT><CTL=ACK> |
//! | `cannot` | the event cannot happen here |
//!
//! The user's words are what a call returned (`ok`, `none`: "connection does not exist", `closing`, `in-use`, `empty`, `eof`, or why the
//! connection ended) and what it was told (`connected`, `incoming`, `readable`, `acknowledged`, `urgent`,
//! `peer-closed`, `trouble`, or why the connection ended). `2msl`: 2MSL began anew. One who has let go is told nothing.

use tcpd_core::stack::State;

use crate::events;
use crate::reaction::Reaction;
use crate::states::Situation;

mod calls;
mod control;
mod text;
mod timers;

const TABLES: [&str; 4] = [control::TABLE, text::TABLE, calls::TABLE, timers::TABLE];

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    events: Vec<&'static str>,
    places: Vec<&'static str>,
    next: &'static str,
    answer: &'static str,
    user: Vec<&'static str>,
    /// The paragraph.
    pub(crate) cite: &'static str,
}

/// Every line of every table.
pub(crate) fn lines() -> Vec<Line> {
    TABLES.iter().flat_map(|table| parse(table)).collect()
}

fn parse(table: &'static str) -> Vec<Line> {
    let mut events = Vec::new();
    let mut lines = Vec::new();
    for text in table.lines().map(str::trim).filter(|text| !text.is_empty()) {
        if let Some(names) = text.strip_suffix(':') {
            events = names.split_whitespace().collect();
            for name in &events {
                let known = events::all().any(|event| event.name == *name);
                assert!(known, "no event {name}");
            }
            continue;
        }
        let (places, rest) = text
            .split_once('>')
            .unwrap_or_else(|| panic!("no >: {text}"));
        let (what, cite) = rest
            .split_once('|')
            .unwrap_or_else(|| panic!("no |: {text}"));
        let words: Vec<&str> = what.split_whitespace().collect();
        let (next, answer, user) = match words[..] {
            ["cannot"] => ("=", "cannot", Vec::new()),
            [next, answer] => (next, answer, Vec::new()),
            [next, answer, user] => (next, answer, user.split(',').collect()),
            _ => panic!("next state, answer and user: {text}"),
        };
        let known = next == "=" || State::ALL.iter().any(|state| state.name() == next);
        assert!(known, "{next} is no state: {text}");
        assert!(!cite.trim().is_empty(), "no paragraph: {text}");
        lines.push(Line {
            events: events.clone(),
            places: places.split_whitespace().collect(),
            next,
            answer,
            user,
            cite: cite.trim(),
        });
    }
    lines
}

impl Line {
    /// How particular this line is about a cell; 0: not about it at all.
    pub(crate) fn rank(&self, situation: &Situation, event: &str) -> u8 {
        if !self.events.contains(&event) {
            return 0;
        }
        let name = situation.name();
        let rank = |place: &&str| match *place {
            place if place == name => 4,
            place if place == situation.state.name() => 3,
            "synchronised" if situation.state.is_synchronised() => 2,
            "every-state" => 1,
            _ => 0,
        };
        self.places.iter().map(rank).max().unwrap_or(0)
    }

    /// What is wrong with `reaction`, if anything.
    pub(crate) fn differs(
        &self,
        situation: &Situation,
        reaction: &Result<Reaction, &'static str>,
    ) -> Option<String> {
        let reaction = match reaction {
            Err(_) if self.answer == "cannot" => return None,
            Err(reason) => return Some(format!("it was not played: {reason}")),
            Ok(_) if self.answer == "cannot" => return Some("it was played".to_owned()),
            Ok(reaction) => reaction,
        };
        let next = if self.next == "=" {
            reaction.before.name()
        } else {
            self.next
        };
        if reaction.next.name() != next {
            return Some(format!("{next} expected, {} reached", reaction.next));
        }
        if !answers(self.answer, &reaction.kinds) {
            let sent = reaction.sent.join(", ");
            return Some(format!(
                "{} expected, sent: {sent} ({:?})",
                self.answer, reaction.kinds
            ));
        }
        let [expected, got] = [&self.user, &reaction.user_words].map(|words| {
            let heard = |word: &&&str| !situation.has_let_go() || !TOLD.contains(*word);
            words.iter().filter(heard).copied().collect::<Vec<_>>()
        });
        (expected != got).then(|| format!("the user expected {expected:?}, and got {got:?}"))
    }
}

/// What is told by an event, and not to one who has let go.
const TOLD: [&str; 11] = [
    "urgent",
    "trouble",
    "connected",
    "acknowledged",
    "readable",
    "peer-closed",
    "reset",
    "closed",
    "timed-out",
    "aborted",
    "incoming",
];

fn answers(expected: &str, kinds: &[Vec<&'static str>]) -> bool {
    if expected == "-" {
        return kinds.is_empty();
    }
    let expected: Vec<&str> = expected.split('+').collect();
    expected.len() == kinds.len()
        && expected
            .iter()
            .zip(kinds)
            .all(|(one, kinds)| kinds.contains(one))
}
