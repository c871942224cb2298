//! The stage: two hosts, the network between them, a virtual clock, and what a scenario's script can say.
//!
//! A script acts as the users of both sides do (the calls in `stage/calls.rs`), and names what it expects to see, one [`Stage::line`] a packet:
//! who sends it, what it is, and the states of both sides, as in the figures of RFC 9293. The line's explanation is put beside
//! that packet only when the stacks really sent it and really are in those states; otherwise the play ends with what is wrong.

use std::time::Duration;

use tcpd_core::sim::link::Impairment;
use tcpd_core::sim::pair::{End, Pair};
use tcpd_core::stack::{ConnectionOptions, ListenerId, Stack, State};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::SequenceNumber;

use super::journal::{Ear, Eye, Journal, Note, Packet, Row, Shared, What};
use super::numbers::Incarnation;
use super::settings::Settings;

mod calls;
mod forger;

pub(super) use calls::{Connection, Reading};
pub(super) use forger::Forged;

/// The port the right side serves.
pub(super) const SERVER_PORT: u16 = 80;
/// The port the left side calls from.
pub(super) const CLIENT_PORT: u16 = 40_000;

/// How long a script waits for what it expects, in virtual time.
const PATIENCE: Duration = Duration::from_secs(400 * 86_400);

/// What did not go as the script tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// How a script, or a step of it, went.
pub(super) type Played<T = ()> = Result<T, Wrong>;

/// See the head of this file.
pub(super) struct Stage {
    pub(super) settings: Settings,
    pub(super) journal: Shared,
    pair: Pair,
    ipv6: bool,
    listeners: Vec<(End, ListenerId)>,
    /// The row after the last one that was told.
    cursor: usize,
    /// The row of the last call.
    last_call: usize,
    restarts: u64,
}

impl Stage {
    pub(super) fn new(settings: Settings, ipv6: bool) -> Self {
        let link = Impairment {
            delay: settings.duration("latency"),
            ..Impairment::default()
        };
        let seed = settings.number("seed");
        let mut configs = [settings.stack.clone(), settings.stack.clone()];
        if settings.has("right_mtu") {
            configs[End::Right as usize].mtu =
                u16::try_from(settings.number("right_mtu")).unwrap_or(u16::MAX);
        }
        let mut pair = Pair::new(configs, [link.clone(), link], ipv6, seed);
        let journal = Shared::default();
        {
            let mut journal = journal.borrow_mut();
            journal.recording = true;
            journal.beginning = pair.now();
            journal.numbers.on_the_wire = settings.text("numbers") == "wire";
        }
        pair.set_witness(Box::new(Eye(journal.clone())));
        let mut stage = Self {
            settings,
            journal,
            pair,
            ipv6,
            listeners: Vec::new(),
            cursor: 0,
            last_call: 0,
            restarts: 0,
        };
        for end in End::BOTH {
            stage.listen_in(end);
        }
        stage
    }

    /// From now on the changes of state of the stack at `end` are heard.
    fn listen_in(&mut self, end: End) {
        let journal = self.journal.clone();
        let ear = Ear { end, journal };
        self.pair.stack(end).set_observer(Box::new(ear));
    }

    /// The next packet that is not told yet is this one: `from` sends it, it begins as `begin` says (as ladders show it with short
    /// numbers: `"S"`, `"S. 300(0) ack 101"`), it arrives, and then the sides are in `states`, left and right: the sender's after the
    /// departure, the receiver's after the arrival.
    ///
    /// # Errors
    /// What happened instead.
    pub(super) fn line(
        &mut self,
        from: End,
        begin: &str,
        states: (State, State),
        text: impl Into<String>,
        rfc: &'static str,
    ) -> Played {
        self.arrives(
            from,
            begin,
            [Some(states.0), Some(states.1)],
            text.into(),
            rfc,
        )
    }

    /// As [`Stage::line`], with a host on the left that has no stack here.
    ///
    /// # Errors
    /// What happened instead.
    pub(super) fn right_line(
        &mut self,
        from: End,
        begin: &str,
        state: State,
        text: impl Into<String>,
        rfc: &'static str,
    ) -> Played {
        self.arrives(from, begin, [None, Some(state)], text.into(), rfc)
    }

    fn arrives(
        &mut self,
        from: End,
        begin: &str,
        expected: [Option<State>; 2],
        text: String,
        rfc: &'static str,
    ) -> Played {
        let index = self.expect_packet(from, begin)?;
        let arrived = |row: &Packet| row.arrived.is_some() || row.due.is_none();
        self.run_until(|journal| packet(journal, index).is_some_and(arrived))?;
        self.tell(index, begin, expected, true, text, rfc)
    }

    /// As [`Stage::line`], but the packet is lost on its way. `state` is the sender's.
    ///
    /// # Errors
    /// What happened instead.
    pub(super) fn lost(
        &mut self,
        from: End,
        begin: &str,
        state: State,
        text: impl Into<String>,
        rfc: &'static str,
    ) -> Played {
        let index = self.expect_packet(from, begin)?;
        let mut expected = [None; 2];
        expected[from as usize] = Some(state);
        self.tell(index, begin, expected, false, text.into(), rfc)
    }

    /// What happens next is no packet but a timer at `end`, which leaves its connection in `state`.
    ///
    /// # Errors
    /// What happened instead.
    pub(super) fn timer(
        &mut self,
        end: End,
        state: State,
        text: impl Into<String>,
        rfc: &'static str,
    ) -> Played {
        let index = self.next_untold()?;
        let mut journal = self.journal.borrow_mut();
        let row = &mut journal.rows[index];
        match &row.what {
            What::Event {
                end: at, state: to, ..
            } if (*at, *to) == (end, Some(state)) => {}
            _ => {
                return Err(Wrong(format!(
                    "expected a timer at the {} to lead to {state}; there was {}",
                    side(end),
                    in_words(row)
                )));
            }
        }
        row.note = Some(note(text.into(), rfc));
        self.cursor = index + 1;
        Ok(())
    }

    /// Explains the last call.
    pub(super) fn say(&mut self, text: impl Into<String>, rfc: &'static str) {
        let mut journal = self.journal.borrow_mut();
        if let Some(row) = journal.rows.get_mut(self.last_call) {
            row.note = Some(note(text.into(), rfc));
        }
    }

    /// The next `count` packets that `from` sends are lost on their way.
    pub(super) fn lose(&mut self, from: End, count: u32) {
        self.journal.borrow_mut().losing[from as usize] = count;
    }

    /// Lets `time` pass.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(super) fn pass(&mut self, time: Duration) -> Played {
        let until = self.pair.now() + time;
        while self.step(until)? {}
        Ok(())
    }

    /// Lets everything that travels arrive, with what follows at once.
    ///
    /// # Errors
    /// What a stack did that it must never do.
    pub(super) fn settle(&mut self) -> Played {
        while self.pair.in_flight() > 0 {
            self.step(Instant::MAX)?;
        }
        Ok(())
    }

    /// A connection from the left to the right, in ESTABLISHED; how it came about is not shown, and the clock begins now.
    ///
    /// # Errors
    /// When it is not established.
    pub(super) fn established(&mut self) -> Played<(Connection, Connection)> {
        self.established_with(ConnectionOptions::default())
    }

    /// The same; `options` are the left side's.
    ///
    /// # Errors
    /// When it is not established.
    pub(super) fn established_with(
        &mut self,
        options: ConnectionOptions,
    ) -> Played<(Connection, Connection)> {
        self.listen(End::Right)?;
        let client = self.connect_with(End::Left, options)?;
        self.settle()?;
        let server = self.accept(End::Right)?;
        let states = [self.state(client), self.state(server)];
        self.check(states == [State::Established; 2], "both are ESTABLISHED")?;
        self.begin(states);
        Ok((client, server))
    }

    /// The ladder begins here and now, in `states`; what was before is left out of it.
    pub(super) fn begin(&mut self, states: [State; 2]) {
        let now = self.pair.now();
        let mut journal = self.journal.borrow_mut();
        let before = std::mem::take(&mut journal.rows);
        let began = now.duration_since(journal.beginning);
        journal
            .before
            .extend(before.into_iter().filter_map(|row| match row.what {
                What::Packet(packet) => Some((row.at, packet)),
                What::Already(_) | What::Event { .. } | What::Remark(_) => None,
            }));
        journal.began = began;
        journal.beginning = now;
        journal.push(now, What::Already(states));
        self.cursor = 0;
    }

    /// A line for the reader that is neither a packet nor a call.
    pub(super) fn remark(&mut self, text: impl Into<String>) {
        let now = self.pair.now();
        self.journal
            .borrow_mut()
            .push(now, What::Remark(text.into()));
    }

    /// What `act` does is left out of the ladder. How many packets were sent in it.
    ///
    /// # Errors
    /// Those of `act`.
    pub(super) fn unseen(&mut self, act: impl FnOnce(&mut Stage) -> Played) -> Played<u64> {
        let before = self.pair.packets();
        self.journal.borrow_mut().recording = false;
        let outcome = act(self);
        self.journal.borrow_mut().recording = true;
        outcome.map(|()| self.pair.packets() - before)
    }

    /// The initial sequence number that `end` chose last.
    ///
    /// # Errors
    /// When it has chosen none.
    pub(super) fn last_iss(&self, end: End) -> Played<SequenceNumber> {
        let journal = self.journal.borrow();
        let own = |one: &&Incarnation| one.end == end;
        let last = journal.numbers.incarnations.iter().rfind(own);
        last.map(|one| one.wire)
            .ok_or_else(|| Wrong(format!("the {} has sent no SYN", side(end))))
    }

    /// The bytes of the last packet on the ladder that `from` sent.
    ///
    /// # Errors
    /// When it has sent none.
    pub(super) fn last_packet(&self, from: End) -> Played<Vec<u8>> {
        let journal = self.journal.borrow();
        let last = journal.rows.iter().rev().find_map(|row| match &row.what {
            What::Packet(packet) if packet.from == from => Some(packet.bytes.clone()),
            _ => None,
        });
        last.ok_or_else(|| Wrong(format!("the {} has sent nothing", side(from))))
    }

    /// Checks something about the stacks that the text will claim.
    ///
    /// # Errors
    /// When it is not so.
    pub(super) fn check(&self, holds: bool, claim: &str) -> Played {
        match holds {
            true => Ok(()),
            false => Err(Wrong(format!("it does not hold that {claim}"))),
        }
    }

    /// The stack at `end`.
    pub(super) fn stack(&mut self, end: End) -> &mut Stack<HeapRing> {
        self.pair.stack(end)
    }

    /// The clock.
    pub(super) fn now(&self) -> Instant {
        self.pair.now()
    }

    /// The row of the next packet or timer that is not told yet, once there is one.
    fn next_untold(&mut self) -> Played<usize> {
        let cursor = self.cursor;
        self.run_until(|journal| untold(journal, cursor).is_some())?;
        let index = untold(&self.journal.borrow(), cursor);
        index.ok_or_else(|| Wrong("nothing more happens".to_owned()))
    }

    /// The same; it must be `from`'s packet, and begin as `begin` says.
    fn expect_packet(&mut self, from: End, begin: &str) -> Played<usize> {
        let expected = || format!("expected {} from the {}", quoted(begin), side(from));
        loop {
            let index = self
                .next_untold()
                .map_err(|Wrong(why)| Wrong(format!("{}: {why}", expected())))?;
            let journal = self.journal.borrow();
            match &journal.rows[index].what {
                What::Packet(packet) if packet.from == from && begins(&packet.name, begin) => {
                    return Ok(index);
                }
                What::Packet(packet) if self.may_be_passed_over(&journal, index, packet) => {
                    self.cursor = index + 1;
                }
                _ => {
                    let was = in_words(&journal.rows[index]);
                    return Err(Wrong(format!("{}; there was {was}", expected())));
                }
            }
        }
    }

    /// With other settings than the scenario's own (a path slower than a timeout, say) a packet may come more often than it tells.
    fn may_be_passed_over(&self, journal: &Journal, index: usize, packet: &Packet) -> bool {
        let same = |row: &Row| matches!(&row.what, What::Packet(before) if (before.from, &before.name) == (packet.from, &packet.name));
        !self.settings.changed.is_empty() && journal.rows[..index].iter().any(same)
    }

    fn tell(
        &mut self,
        index: usize,
        begin: &str,
        expected: [Option<State>; 2],
        arrives: bool,
        text: String,
        rfc: &'static str,
    ) -> Played {
        let mut journal = self.journal.borrow_mut();
        let row = &mut journal.rows[index];
        let What::Packet(packet) = &row.what else {
            return Err(Wrong(format!("{} is no packet", quoted(begin))));
        };
        let goes = match arrives {
            true => packet.arrived.is_some(),
            // Not only on its way still.
            false => packet.due.is_none(),
        };
        if !goes {
            let what = if arrives { "was lost" } else { "was not lost" };
            return Err(Wrong(format!("{} {what}", quoted(begin))));
        }
        for end in End::BOTH {
            let (was, expected) = (packet.states[end as usize], expected[end as usize]);
            let matters = !(packet.foreign.is_some() && packet.from == end);
            if matters && expected.is_some() && was != expected {
                let name = |state: Option<State>| state.map_or("nothing", State::name);
                return Err(Wrong(format!(
                    "after {} the {} is in {}, not in {}",
                    quoted(begin),
                    side(end),
                    name(was),
                    name(expected)
                )));
            }
        }
        row.note = Some(note(text, rfc));
        self.cursor = index + 1;
        Ok(())
    }

    /// Steps until `done`.
    fn run_until(&mut self, done: impl Fn(&Journal) -> bool) -> Played {
        let until = self.pair.now() + PATIENCE;
        while !done(&self.journal.borrow()) {
            if !self.step(until)? {
                return Err(Wrong("nothing more happens".to_owned()));
            }
        }
        Ok(())
    }

    /// The next thing that happens by itself.
    fn step(&mut self, until: Instant) -> Played<bool> {
        let went_on = self.pair.step(until).map_err(Wrong)?;
        let now = self.pair.now();
        self.journal.borrow_mut().account_for_timers(now);
        Ok(went_on)
    }

    /// Puts what the stacks want to send on its way.
    fn flush(&mut self) -> Played {
        self.pair.flush().map_err(Wrong)
    }
}

/// The first row from `cursor` on that is a packet or a timer's doing: calls explain themselves.
fn untold(journal: &Journal, cursor: usize) -> Option<usize> {
    let told_by_itself = |row: &Row| match row.what {
        What::Packet(_) => false,
        What::Event { called, .. } => called,
        What::Already(_) | What::Remark(_) => true,
    };
    (cursor..journal.rows.len()).find(|index| !told_by_itself(&journal.rows[*index]))
}

fn packet(journal: &Journal, index: usize) -> Option<&Packet> {
    match &journal.rows.get(index)?.what {
        What::Packet(packet) => Some(packet),
        What::Already(_) | What::Event { .. } | What::Remark(_) => None,
    }
}

/// Whether a packet, as ladders show it, begins like that: whole words, however many blanks.
fn begins(name: &str, begin: &str) -> bool {
    let name: Vec<&str> = name.split_whitespace().collect();
    let begin: Vec<&str> = begin.split_whitespace().collect();
    name.starts_with(&begin)
}

fn note(text: String, rfc: &'static str) -> Note {
    Note { text, rfc }
}

/// What a row is about.
pub(super) fn in_words(row: &Row) -> String {
    match &row.what {
        What::Packet(packet) => format!("{} from the {}", quoted(&packet.name), side(packet.from)),
        What::Event {
            end, text, state, ..
        } => {
            let state = state.map_or("no state", State::name);
            format!("{text} at the {} ({state})", side(*end))
        }
        What::Already(_) => "the beginning".to_owned(),
        What::Remark(text) => text.clone(),
    }
}

fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    format!("`{}`", words.join(" "))
}

/// `left` or `right`.
pub(super) fn side(end: End) -> &'static str {
    match end {
        End::Left => "left",
        End::Right => "right",
    }
}

#[cfg(test)]
mod tests;
