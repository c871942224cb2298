//! Plays a script against a stack in virtual time.
//!
//! For each event in order: (1) its time is found; (2) the clock goes there, from deadline to deadline of the stack, and whatever
//! the stack sends on the way is kept; (3) the event happens: a packet goes in, a call is made, a packet is compared, an
//! assertion is checked; (4) what the stack sends now is kept, and a call that was waiting is tried again.

mod calling;
mod expect;
mod inject;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::calls::Sockets;
use super::compare::SideBySide;
use super::flow::{FIRST_REMOTE_PORT, Flow};
use super::report::{Failure, LADDER_LINES, Report};
use super::settings::Settings;
use super::syntax::{Action, Event, Invocation, Script, When};
use super::{Place, assertions, calls};
use crate::random::{Generator, Secret};
use crate::sim::ladder::Ladder;
use crate::stack::Stack;
use crate::tcp::buffer::HeapRing;
use crate::time::Instant;

/// More deadlines than this without the clock moving, or packets out of one event, are a loop in the stack.
const MOST_AT_ONCE: usize = 20_000;

pub(super) struct Runner<'s> {
    pub(super) script: &'s Script,
    pub(super) stack: Stack<HeapRing>,
    pub(super) now: Instant,
    start: Instant,
    /// When the event before happened.
    last: Instant,
    pub(super) tolerance: Duration,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    pub(super) port: u16,
    /// Where the far ends begin to count on the wire.
    first_number: u32,
    pub(super) flows: BTreeMap<u16, Flow>,
    /// What the stack sent and no event has taken yet.
    pub(super) seen: VecDeque<(Instant, Vec<u8>)>,
    pub(super) sockets: Sockets,
    /// Where the script is.
    place: Place,
    waiting: Option<Waiting<'s>>,
    pub(super) ladder: Ladder,
}

/// A call that blocks.
struct Waiting<'s> {
    place: Place,
    invocation: &'s Invocation,
    returns_at: Instant,
}

/// What went wrong, before it is told where.
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) table: Option<SideBySide>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Wrong {
        Wrong {
            message: message.into(),
            table: None,
        }
    }
}

pub(super) type Check<T = ()> = Result<T, Wrong>;

impl<'s> Runner<'s> {
    /// A runner before the first event. `seed` decides the initial sequence numbers of both sides.
    pub(super) fn new(script: &'s Script, settings: Settings, seed: u64) -> Runner<'s> {
        let mut generator = Generator::from_seed(seed);
        let mut key = [0; 16];
        generator.fill(&mut key);
        let start = Instant::from_secs(1_000 + generator.below(1_000_000));
        // Anywhere, and every other time where numbers wrap within a short script, or change their sign.
        let anywhere = generator.next_u64() as u32;
        let first_number = settings.peer_isn.unwrap_or(match seed % 4 {
            1 => (anywhere % 2_000).wrapping_neg(),
            3 => (1 << 31) - anywhere % 2_000,
            _ => anywhere,
        });
        let mut stack = Stack::new(
            settings.stack,
            Secret::new(key),
            generator.next_u64(),
            start,
        );
        stack.check_every_event();
        Runner {
            script,
            stack,
            now: start,
            start,
            last: start,
            tolerance: settings.tolerance,
            local: settings.local,
            remote: settings.remote,
            port: settings.port,
            first_number,
            flows: BTreeMap::new(),
            seen: VecDeque::new(),
            sockets: Sockets::default(),
            place: Place { line: 1, column: 1 },
            waiting: None,
            ladder: Ladder::default(),
        }
    }

    /// Plays the whole script.
    pub(super) fn run(mut self) -> Result<Report, Failure> {
        let outcome = crate::sim::catching(|| self.events()).unwrap_or_else(|panic| {
            Err((
                self.place,
                Wrong::new(format!("the stack panicked: {panic}")),
            ))
        });
        match outcome {
            Ok(()) => Ok(Report {
                ladder: self.ladder,
                duration: self.now.duration_since(self.start),
            }),
            Err((place, wrong)) => Err(self.failure(place, wrong)),
        }
    }

    fn events(&mut self) -> Result<(), (Place, Wrong)> {
        let script = self.script;
        for event in &script.events {
            self.event(event)?;
        }
        self.leftovers().map_err(|wrong| {
            let waiting = self.waiting.as_ref().map(|waiting| waiting.place);
            (waiting.unwrap_or(self.place), wrong)
        })
    }

    fn failure(&mut self, place: Place, wrong: Wrong) -> Failure {
        // What was sent and not looked at belongs to the picture.
        while let Some((at, bytes)) = self.seen.pop_front() {
            self.show_unexpected(at, &bytes);
        }
        Failure {
            script: self.script.name.clone(),
            place,
            message: wrong.message,
            table: wrong.table.map(|table| table.render()),
            ladder: self.ladder.render_last(LADDER_LINES),
        }
    }

    fn event(&mut self, event: &'s Event) -> Result<(), (Place, Wrong)> {
        let here = |wrong| (event.place, wrong);
        self.place = event.place;
        let (from, to) = self.window(event.when);
        match &event.action {
            Action::Expect { packet, optional } => {
                let at = self.expect(packet, *optional, from, to)?;
                // Relative times go on from what really happened.
                if let Some(at) = at {
                    self.last = at;
                }
                return Ok(());
            }
            Action::Inject(packet) => {
                self.advance_to(from)?;
                self.inject(packet).map_err(here)?;
            }
            Action::Call(invocation) => {
                self.advance_to(from)?;
                self.invoke(event, invocation, from).map_err(here)?;
            }
            Action::Assert(assertions) => {
                self.advance_to(from)?;
                for assertion in assertions {
                    assertions::check(self, assertion).map_err(|wrong| (assertion.place, wrong))?;
                }
            }
        }
        self.last = self.now;
        self.settle()
    }

    /// When an event may happen: from, to.
    fn window(&self, when: When) -> (Instant, Instant) {
        match when {
            When::At(at) => (self.start + at, self.start + at),
            When::After(after) => (self.last + after, self.last + after),
            When::Between(from, to) => (self.start + from, self.start + to),
            When::AfterBetween(from, to) => (self.last + from, self.last + to),
            When::Any => (Instant::ZERO, self.now + Duration::from_secs(7 * 86_400)),
        }
    }

    /// Moves the clock to `to`, with everything the stack does on the way. A time that has passed is now.
    fn advance_to(&mut self, to: Instant) -> Result<(), (Place, Wrong)> {
        let mut at_once = 0;
        while let Some(deadline) = self.stack.next_deadline()
            && deadline <= to
        {
            at_once = if deadline > self.now { 0 } else { at_once + 1 };
            if at_once > MOST_AT_ONCE {
                let text = format!(
                    "the stack wants to be woken at {} for ever",
                    self.text(self.now)
                );
                return Err((self.place, Wrong::new(text)));
            }
            self.now = self.now.max(deadline);
            self.stack.on_deadline(self.now);
            self.settle()?;
        }
        self.now = self.now.max(to);
        self.retry_waiting()
    }

    /// Runs until the stack has sent something, at most to `to`.
    pub(super) fn advance_until_seen(&mut self, to: Instant) -> Result<(), (Place, Wrong)> {
        while self.seen.is_empty() {
            match self.stack.next_deadline() {
                Some(deadline) if deadline <= to => self.advance_to(deadline)?,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes what the stack sends, and tries a waiting call again.
    fn settle(&mut self) -> Result<(), (Place, Wrong)> {
        let place = self.place;
        self.collect().map_err(|wrong| (place, wrong))?;
        self.retry_waiting()?;
        self.collect().map_err(|wrong| (place, wrong))
    }

    fn collect(&mut self) -> Check {
        let now = self.now;
        let mut sent = Vec::new();
        while let Some(transmit) = self.stack.poll_transmit(now) {
            transmit.write_packets(|packet| sent.push(packet.to_vec()));
            if sent.len() > MOST_AT_ONCE {
                return Err(Wrong::new(format!(
                    "the stack sent more than {MOST_AT_ONCE} packets at {}",
                    self.text(now)
                )));
            }
        }
        while self.stack.poll_event().is_some() {}
        self.seen
            .extend(sent.into_iter().map(|packet| (now, packet)));
        Ok(())
    }

    fn leftovers(&mut self) -> Check {
        if let Some(waiting) = &self.waiting {
            return Err(Wrong::new(format!(
                "the script ended, but {} has not returned",
                calls::name(&waiting.invocation.call)
            )));
        }
        match self.seen.front() {
            None => Ok(()),
            Some((at, _)) => Err(Wrong::new(format!(
                "the script ended, but the stack sent {} more at {} (see the ladder's end)",
                match self.seen.len() {
                    1 => "one packet".to_owned(),
                    more => format!("{more} packets"),
                },
                self.text(*at)
            ))),
        }
    }
}

/// Names, times and states.
impl Runner<'_> {
    /// Far end number `peer`, made when it is named for the first time.
    pub(super) fn flow(&mut self, peer: u16) -> &mut Flow {
        let (port, theirs) = (self.port, self.first_number);
        self.flows.entry(peer).or_insert_with(|| {
            Flow::new(
                peer,
                port,
                theirs.wrapping_add(u32::from(peer) * 0x0100_0000),
            )
        })
    }

    /// The number of the far end that has this port.
    pub(super) fn peer_at(&self, port: u16) -> u16 {
        port.saturating_sub(FIRST_REMOTE_PORT)
    }

    /// The address of far end number `peer`.
    pub(super) fn remote_of(&self, peer: u16) -> SocketAddr {
        SocketAddr::new(self.remote, FIRST_REMOTE_PORT.saturating_add(peer))
    }

    /// The state of the connection with far end number `peer`; CLOSED when there is none.
    pub(super) fn state_of(&self, peer: u16) -> &'static str {
        let remote = self.remote_of(peer);
        let local_port = self.flows.get(&peer).map(|flow| flow.local_port);
        self.stack
            .endpoints()
            .filter(|summary| {
                summary.remote == remote
                    && local_port.is_none_or(|port| summary.local.port() == port)
            })
            .map(|summary| summary.state.name())
            // A connection that is over may still be held by its user beside a new one.
            .find(|state| *state != "CLOSED")
            .unwrap_or("CLOSED")
    }

    fn state_text(&self, peer: Option<u16>) -> String {
        peer.map_or(String::new(), |peer| self.state_of(peer).to_owned())
    }

    /// A time as scripts count it.
    pub(super) fn shown(&self, at: Instant) -> Instant {
        Instant::ZERO + at.duration_since(self.start)
    }

    pub(super) fn text(&self, at: Instant) -> String {
        let seconds = at.duration_since(self.start).as_secs_f64();
        format!("{seconds:.6}")
    }
}
