//! What really happened, as the two stacks and the links tell it: every packet with the states of both sides, every change of state
//! without a packet, every call of a user. A scenario puts its explanations beside these rows and can add none of its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tcpd_core::sim::link::Fate;
use tcpd_core::sim::pair::{End, Verdict, Witness};
use tcpd_core::stack::{Cause, EndpointId, Observer, Stack, State};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::tcp::drop_reason::DropReason;
use tcpd_core::time::Instant;

use super::numbers::{Flow, Numbers};

/// The journal, shared between the stage, the link's witness and the stacks' observers.
pub(super) type Shared = Rc<RefCell<Journal>>;

/// Why a step is as it is, and where that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) text: String,
    pub(super) rfc: &'static str,
}

/// A line of the ladder.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) what: What,
    pub(super) note: Option<Note>,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// How things stand when the ladder begins.
    Already([State; 2]),
    Packet(Packet),
    /// Something at one side without a packet: a call of its user, or a timer.
    Event {
        end: End,
        text: String,
        /// What that side is in then; `None` for what concerns a connection that another one has replaced already.
        state: Option<State>,
        /// By a call (or the script's doing), not by a timer.
        called: bool,
    },
    /// The clock was moved on, or packets were left out of the picture: so much for the reader.
    Remark(String),
}

#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// The side it comes from, or seems to come from.
    pub(super) from: End,
    /// Not sent by that side's stack: by whom, or what it is, as the ladder names it.
    pub(super) foreign: Option<&'static str>,
    pub(super) bytes: Vec<u8>,
    /// As ladders show it, with short numbers: what a scenario names it by.
    pub(super) name: String,
    /// As this ladder shows it.
    pub(super) shown: String,
    /// When; `None` while it travels, and for one that is lost.
    pub(super) arrived: Option<Duration>,
    /// When it should arrive; `None` for one that is lost.
    pub(super) due: Option<Duration>,
    /// The state at each side: the sender's after the departure, the receiver's after the arrival (RFC 9293 §3.5).
    pub(super) states: [Option<State>; 2],
    /// Why the receiver refused it, if it did.
    pub(super) refused: Option<DropReason>,
}

/// A change of state, as an observer heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) end: End,
    pub(super) id: EndpointId,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) why: Cause,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// When the play began.
    pub(super) beginning: Instant,
    pub(super) rows: Vec<Row>,
    /// Packets from before the ladder's beginning, with their time on an earlier clock.
    pub(super) before: Vec<(Duration, Packet)>,
    /// When, on that clock, the ladder began.
    pub(super) began: Duration,
    pub(super) numbers: Numbers,
    /// Every arrow that was taken, at which side.
    pub(super) taken: BTreeSet<(usize, usize, usize)>,
    /// Connections that there were: side, and the pair seen from it.
    known: BTreeSet<(usize, Flow)>,
    /// Changes of state that no row accounts for yet.
    loose: Vec<Transition>,
    /// The reason why the packet that is being taken in was refused.
    refusal: [Option<DropReason>; 2],
    /// The next packet is somebody else's: see [`Packet::foreign`].
    pub(super) foreign: Option<&'static str>,
    /// Rows are made. Off for what is too much to be shown.
    pub(super) recording: bool,
    /// How many of the next packets of each side are lost on the way.
    pub(super) losing: [u32; 2],
}

impl Journal {
    /// The time on the ladder's clock.
    pub(super) fn time(&self, at: Instant) -> Duration {
        at.duration_since(self.beginning)
    }

    /// Adds a row.
    pub(super) fn push(&mut self, at: Instant, what: What) {
        if self.recording {
            self.rows.push(Row {
                at: self.time(at),
                what,
                note: None,
            });
        }
    }

    /// The state of `end` in the last row that has one.
    pub(super) fn last_state(&self, end: End) -> Option<State> {
        self.rows.iter().rev().find_map(|row| match &row.what {
            What::Already(states) => Some(states[end as usize]),
            What::Packet(packet) => packet.states[end as usize],
            What::Event { end: at, state, .. } if *at == end => *state,
            What::Event { .. } | What::Remark(_) => None,
        })
    }

    /// Forgets the changes of state at `end` that no row accounts for: the caller's row does. Where the last of them led.
    pub(super) fn account(&mut self, end: End) -> Option<State> {
        let last = self.loose.iter().rfind(|loose| loose.end == end);
        let to = last.map(|loose| loose.to);
        self.loose.retain(|loose| loose.end != end);
        to
    }

    /// What the stack of `end` has for `flow`, seen from itself: a connection's state; LISTEN for a newcomer if somebody listens; CLOSED.
    /// `None` for what is not its own.
    fn state_of(
        &mut self,
        end: End,
        stack: &Stack<HeapRing>,
        flow: Option<Flow>,
        led_to: Option<State>,
    ) -> Option<State> {
        let flow = flow.filter(|flow| {
            let own = &stack.config().addresses;
            own.iter().any(|own| own.addr == flow.local.ip())
        })?;
        let mut listens = false;
        for endpoint in stack.endpoints() {
            if endpoint.local == flow.local && endpoint.remote == flow.remote {
                self.known.insert((end as usize, flow));
                // One that has ended may still be held by its user, beside a new one.
                if endpoint.state != State::Closed {
                    return Some(endpoint.state);
                }
            }
            listens |=
                endpoint.state == State::Listen && endpoint.local.port() == flow.local.port();
        }
        // A connection that has ended is CLOSED, though others may still be welcome.
        let ended = led_to != Some(State::Listen) && self.known.contains(&(end as usize, flow));
        Some(match listens && !ended {
            true => State::Listen,
            false => State::Closed,
        })
    }

    /// Makes a row of each change of state that no packet and no call brought about: a timer did.
    pub(super) fn account_for_timers(&mut self, now: Instant) {
        for loose in std::mem::take(&mut self.loose) {
            self.push(
                now,
                What::Event {
                    end: loose.end,
                    text: timer_text(loose),
                    state: Some(loose.to),
                    called: false,
                },
            );
        }
    }
}

/// What a timer did, in words.
fn timer_text(transition: Transition) -> String {
    match transition.why {
        Cause::TwoMslOver => "timer: 2MSL are over".to_owned(),
        Cause::TimedOut => format!("timer: {} given up", transition.from),
        other => format!("{} ({})", transition.to, other.name()),
    }
}

/// Stands beside the links.
pub(super) struct Eye(pub(super) Shared);

impl Witness for Eye {
    fn judge(&mut self, _: Instant, from: End, _: &[u8]) -> Verdict {
        let mut journal = self.0.borrow_mut();
        if journal.foreign.is_some() || journal.losing[from as usize] == 0 {
            return Verdict::Pass;
        }
        journal.losing[from as usize] -= 1;
        Verdict::Lose
    }

    fn sent(
        &mut self,
        now: Instant,
        from: End,
        packet: &[u8],
        fate: Fate,
        stack: &Stack<HeapRing>,
    ) {
        let mut journal = self.0.borrow_mut();
        journal.account_for_timers(now);
        let foreign = journal.foreign;
        if !journal.recording {
            return;
        }
        if foreign.is_none() {
            journal.numbers.learn(from, packet);
        }
        let due = match fate {
            Fate::Arrives { at, .. } => Some(journal.time(at)),
            Fate::Lost | Fate::QueueFull => None,
        };
        let mut states = [None; 2];
        if foreign.is_none() {
            let flow = Flow::of_sent(packet);
            states[from as usize] = journal.state_of(from, stack, flow, None);
        }
        let packet = Packet {
            from,
            foreign,
            bytes: packet.to_vec(),
            name: journal.numbers.name(from, packet),
            shown: journal.numbers.show(from, packet),
            arrived: None,
            due,
            states,
            refused: None,
        };
        journal.push(now, What::Packet(packet));
    }

    fn arrived(&mut self, now: Instant, at: End, packet: &[u8], stack: &Stack<HeapRing>) {
        let mut journal = self.0.borrow_mut();
        let led_to = journal.account(at);
        let refused = journal.refusal[at as usize].take();
        let now = journal.time(now);
        let is_it = |row: &Row| match &row.what {
            What::Packet(row) => {
                row.from != at
                    && row.arrived.is_none()
                    && row.due == Some(now)
                    && row.bytes == packet
            }
            What::Already(_) | What::Event { .. } | What::Remark(_) => false,
        };
        let Some(index) = journal.rows.iter().position(is_it) else {
            return;
        };
        let state = journal.state_of(at, stack, Flow::of_received(packet), led_to);
        if let What::Packet(row) = &mut journal.rows[index].what {
            row.arrived = Some(now);
            row.refused = refused;
            row.states[at as usize] = state;
        }
    }
}

/// Stands inside a stack.
pub(super) struct Ear {
    pub(super) end: End,
    pub(super) journal: Shared,
}

impl Observer for Ear {
    fn transition(&mut self, _: Instant, id: EndpointId, from: State, to: State, why: Cause) {
        let mut journal = self.journal.borrow_mut();
        let end = self.end;
        journal
            .taken
            .insert((end as usize, from.index(), to.index()));
        journal.loose.push(Transition {
            end,
            id,
            from,
            to,
            why,
        });
    }

    fn dropped(&mut self, _: Instant, reason: DropReason, _: &[u8]) {
        self.journal.borrow_mut().refusal[self.end as usize] = Some(reason);
    }
}
