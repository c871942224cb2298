//! What RFC 9293 says about a walk: a plain book-keeper of calls, packets and time, which knows nothing of how the stack does it.
//!
//! A *side* is one end of one incarnation of the pair. The model knows what its user has written, read and closed; which segments were
//! really delivered to it; and when. From this follows what may be true of it:
//!
//! 1. it goes only along the arrows of figure 5, each for its cause (`arrows.rs`);
//! 2. what it sends is its own: its numbers, its bytes, inside the window it was offered; RST only where §3.5.2 has one (`segments.rs`);
//! 3. what its user reads is a beginning of what the other side of the same incarnation wrote; the end of the stream comes after all of
//!    it and after a CLOSE; an error for its cause (`streams.rs`);
//! 4. both sides are in states that can meet.

use std::time::Duration;

use tcpd_core::sim::pair::End;
use tcpd_core::stack::{EndReason, EndpointId, Stack, State, Status};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, SequenceNumber};

use crate::air::Seen;
use crate::coverage;
use crate::machine::{Patience, Setup};

mod arrows;
mod segments;
mod streams;

pub(crate) use streams::byte_of;

/// A change of state, as the stack reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrow {
    pub(crate) id: EndpointId,
    pub(crate) from: State,
    pub(crate) to: State,
}

/// A user call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Listen,
    CloseListener,
    Connect,
    Accept,
    Send,
    Receive,
    ShutdownWrite,
    ShutdownRead,
    Close { unread: bool },
    Abort,
    Options,
}

/// Why something happens at an end.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// A segment that the other end sent, now or long ago.
    Arrival(Seen),
    /// A segment that must change nothing.
    Forgery(Seen),
    /// A packet that is no good segment.
    Noise,
    Call(Call),
    Time,
}

/// One end of one incarnation.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) end: End,
    id: EndpointId,
    /// The name that its user knows, when TIME-WAIT went on under another.
    first_id: EndpointId,
    epoch: u32,
    passive: bool,
    established: bool,
    pub(crate) state: State,
    pub(crate) iss: Option<SequenceNumber>,
    pub(crate) irs: Option<SequenceNumber>,
    // The user.
    pub(crate) written: u64,
    pub(crate) write_closed: bool,
    read: u64,
    saw_end: bool,
    pub(crate) read_closed: bool,
    released: bool,
    /// The user let go before it knew how it ends.
    left_early: bool,
    crashed: bool,
    pub(crate) patience: Patience,
    /// Why it ended.
    pub(crate) reason: Option<EndReason>,
    // The wire.
    /// Position after the last text sent, and whether FIN was.
    sent: u64,
    fin_sent: bool,
    /// What was delivered of the other side's stream: ranges of positions, and where a FIN stands (one of another incarnation: anywhere).
    arrived: Vec<(u64, u64)>,
    fins_arrived: Vec<u64>,
    /// The largest acknowledgment delivered, as a position.
    acknowledged: u64,
    own_shift: Option<u8>,
    peer_shift: Option<u8>,
    edge_told: Option<SequenceNumber>,
    edge_heard: Option<SequenceNumber>,
    // Time.
    opened_at: Instant,
    /// When a segment was last delivered.
    arrived_at: Instant,
    /// When one was last delivered that counts as a sign of life: a stranger's guesses do not (§3.8.4).
    heard_at: Instant,
    /// Since when something is outstanding, or the last progress: a delivered acknowledgment is none when it lies outside of the window.
    waiting_since: Instant,
    snd_una: Option<SequenceNumber>,
    released_at: Instant,
    entered_at: Instant,
    time_wait_until: Option<Instant>,
}

/// What a host has heard and done since its packets were last fetched: causes of what it sends.
#[derive(Default)]
struct Recent {
    sides: Vec<usize>,
    arrivals: Vec<Seen>,
    called: bool,
    timed: bool,
}

/// Both ends.
pub(crate) struct Model {
    pub(crate) sides: Vec<Side>,
    living: [Option<usize>; 2],
    /// A side in TIME-WAIT whose pair a newer SYN has taken, until its handshake is over: TIME-WAIT goes on if it comes to nothing (§3.6.1
    /// MAY-2 (2)).
    aside: [Option<usize>; 2],
    epochs: [u32; 2],
    recent: [Recent; 2],
    two_msl: Duration,
    ignores_reset: bool,
    /// Since when the network is good.
    pub(crate) healed_at: Option<Instant>,
}

impl Side {
    /// SEND took `count` bytes, or CLOSE a FIN.
    pub(crate) fn wrote(&mut self, count: u64, now: Instant) {
        if self.acknowledged >= self.written {
            self.waiting_since = now;
        }
        self.written += count;
    }

    pub(crate) fn let_go(&mut self, now: Instant) {
        self.released = true;
        self.released_at = now;
        self.write_closed = true;
        self.left_early = !self.saw_end && self.reason.is_none();
    }

    /// What was delivered without a gap, FIN included.
    fn in_order(&self) -> u64 {
        let text = match self.arrived.first() {
            Some(&(0, end)) => end,
            _ => 0,
        };
        text + u64::from(self.fin_is_reached(text))
    }

    fn fin_is_reached(&self, text: u64) -> bool {
        self.fins_arrived.iter().any(|&fin| fin <= text)
    }

    /// Whether both are sides of one incarnation: each knows the other's SYN.
    fn is_linked_with(&self, other: &Side) -> bool {
        let known = self.iss.is_some() && self.irs.is_some();
        known && self.iss == other.irs && other.iss == self.irs
    }

    fn is_alive(&self) -> bool {
        self.state != State::Closed
    }
}

impl Model {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            sides: Vec::new(),
            living: [None; 2],
            aside: [None; 2],
            epochs: [0; 2],
            recent: [Recent::default(), Recent::default()],
            two_msl: 2 * Duration::from_millis(setup.msl),
            ignores_reset: setup.ignores_reset,
            healed_at: None,
        }
    }

    /// The one endpoint of the pair that is not CLOSED.
    pub(crate) fn living(&self, end: End) -> Option<EndpointId> {
        self.living[end as usize].map(|side| self.sides[side].id)
    }

    pub(crate) fn state(&self, end: End) -> State {
        self.living[end as usize].map_or(State::Closed, |side| self.sides[side].state)
    }

    /// Whether some handshake is under way.
    pub(crate) fn opening(&self) -> bool {
        End::BOTH
            .iter()
            .any(|&end| matches!(self.state(end), State::SynSent | State::SynReceived))
    }

    pub(crate) fn side_of(&self, end: End, id: EndpointId) -> Result<usize, String> {
        let epoch = self.epochs[end as usize];
        self.sides
            .iter()
            .rposition(|side| {
                side.end == end && side.epoch == epoch && (side.id == id || side.first_id == id)
            })
            .ok_or_else(|| format!("{end:?}: nobody has seen {id} begin"))
    }

    pub(crate) fn accepted(&self, end: End, id: EndpointId) -> Result<(), String> {
        let side = &self.sides[self.side_of(end, id)?];
        if !side.passive || side.state == State::SynReceived {
            return Err(format!(
                "{end:?}: ACCEPT gave a connection in {}",
                side.state
            ));
        }
        Ok(())
    }

    pub(crate) fn crashed(&mut self, end: End) {
        let epoch = self.epochs[end as usize];
        for side in &mut self.sides {
            if side.end == end && side.epoch == epoch {
                side.crashed |= side.is_alive();
                side.state = State::Closed;
            }
        }
        self.epochs[end as usize] += 1;
        self.living[end as usize] = None;
        self.aside[end as usize] = None;
        self.recent[end as usize] = Recent::default();
    }

    /// Its packets were fetched: what caused them is history.
    pub(crate) fn fetched(&mut self, end: End) {
        self.recent[end as usize] = Recent::default();
    }

    /// What an event led to at an end, judged.
    pub(crate) fn judge(
        &mut self,
        end: End,
        now: Instant,
        why: &Why,
        before: Option<&Status>,
        arrows: &[Arrow],
        stack: &Stack<HeapRing>,
    ) -> Result<(), String> {
        let recent = &mut self.recent[end as usize];
        match why {
            Why::Arrival(seen) | Why::Forgery(seen) => recent.arrivals.push(seen.clone()),
            Why::Call(_) => recent.called = true,
            Why::Time => recent.timed = true,
            Why::Noise => {}
        }
        if !matches!(why, Why::Arrival(_) | Why::Call(_) | Why::Time) && !arrows.is_empty() {
            return Err(format!("{why:?} led to {arrows:?}"));
        }
        if let (Some(side), Why::Arrival(seen)) = (self.living[end as usize], why) {
            self.learn_numbers(side, stack);
            self.arrives(side, seen, now);
        }
        for arrow in arrows {
            if matches!(
                (arrow.from, arrow.to),
                (State::Closed, State::Listen) | (State::Listen, State::Closed)
            ) {
                self.judge_listener(arrow, why)?;
                continue;
            }
            let side = match arrow.from {
                State::Closed | State::Listen => self.begins(end, arrow, now),
                _ => self.side_of(end, arrow.id)?,
            };
            self.learn_numbers(side, stack);
            if let (State::Listen, Why::Arrival(seen)) = (arrow.from, why) {
                self.arrives(side, seen, now);
            }
            self.lawful(side, arrow, why, before, now)
                .map_err(|wrong| format!("{} to {}: {wrong} ({why:?})", arrow.from, arrow.to))?;
            self.goes(side, arrow, why, now, stack)?;
        }
        if let (Some(side), None) = (self.aside[end as usize], self.living[end as usize]) {
            // The handshake came to nothing.
            let id = waiting_in(stack).ok_or("TIME-WAIT does not go on")?;
            self.sides[side].id = id;
            self.sides[side].state = State::TimeWait;
            self.living[end as usize] = Some(side);
            self.aside[end as usize] = None;
        }
        if let (Why::Arrival(seen), Some(before)) = (why, before)
            && arrows.is_empty()
            && arrows::must_end(seen, before)
        {
            return Err(format!("{seen} did not end it in {}", before.state));
        }
        if let (Some(side), Why::Arrival(seen)) = (self.living[end as usize], why)
            && arrows.is_empty()
        {
            self.fin_in_time_wait(side, seen, before, now);
        }
        Ok(())
    }

    fn begins(&mut self, end: End, arrow: &Arrow, now: Instant) -> usize {
        let passive = arrow.from == State::Listen;
        self.sides.push(Side {
            end,
            id: arrow.id,
            first_id: arrow.id,
            epoch: self.epochs[end as usize],
            passive,
            established: false,
            state: arrow.from,
            iss: None,
            irs: None,
            written: 0,
            write_closed: false,
            read: 0,
            saw_end: false,
            read_closed: false,
            released: false,
            left_early: false,
            crashed: false,
            patience: Patience::Endless,
            reason: None,
            sent: 0,
            fin_sent: false,
            arrived: Vec::new(),
            fins_arrived: Vec::new(),
            acknowledged: 0,
            own_shift: None,
            peer_shift: None,
            edge_told: None,
            edge_heard: None,
            opened_at: now,
            arrived_at: now,
            heard_at: now,
            waiting_since: now,
            snd_una: None,
            released_at: now,
            entered_at: now,
            time_wait_until: None,
        });
        self.sides.len() - 1
    }

    fn learn_numbers(&mut self, side: usize, stack: &Stack<HeapRing>) {
        let known = &mut self.sides[side];
        if let Some(status) = stack.status(known.id) {
            known.iss.get_or_insert(status.iss);
            if !matches!(status.state, State::SynSent | State::Closed) {
                known.irs.get_or_insert(status.irs);
            }
        }
    }

    /// It has gone along an arrow.
    fn goes(
        &mut self,
        side: usize,
        arrow: &Arrow,
        why: &Why,
        now: Instant,
        stack: &Stack<HeapRing>,
    ) -> Result<(), String> {
        let known = &mut self.sides[side];
        if known.state != arrow.from {
            return Err(format!(
                "an arrow from {} while it is in {}",
                arrow.from, known.state
            ));
        }
        coverage::arrow(arrow.from, arrow.to);
        let (index, two_msl) = (known.end as usize, self.two_msl);
        known.state = arrow.to;
        known.entered_at = now;
        if self.aside[index] == Some(side) {
            self.aside[index] = None;
            // Its last answer may wait to be sent.
            self.recent[index].sides.push(side);
            return Ok(());
        }
        if let (State::Listen, Some(waiting)) = (arrow.from, self.living[index]) {
            self.aside[index] = Some(waiting);
        }
        self.living[index] = Some(side);
        match arrow.to {
            State::Closed | State::Listen => {
                known.state = State::Closed;
                self.living[index] = None;
                self.recent[index].sides.push(side);
                let told = stack.status(arrow.id).and_then(|status| status.end);
                let expected = arrows::reason_of(arrow, why, known.acknowledged < known.written);
                if let Some(told) = told
                    && !expected.contains(&arrows::Kind::of(told))
                {
                    return Err(format!(
                        "its user hears {told:?} of {arrow:?} after {why:?}"
                    ));
                }
                known
                    .reason
                    .get_or_insert(told.unwrap_or(EndReason::Closed));
            }
            State::TimeWait => {
                known.time_wait_until = Some(now + two_msl);
                known.reason = Some(EndReason::Closed);
            }
            State::Established => known.established = true,
            _ => {}
        }
        Ok(())
    }

    /// What one end says of itself against what the model knows.
    pub(crate) fn compare(
        &mut self,
        end: End,
        now: Instant,
        status: Option<&Status>,
    ) -> Result<(), String> {
        let Some(side) = self.living[end as usize] else {
            return Ok(());
        };
        let known = &mut self.sides[side];
        let Some(status) = status else {
            return Err(format!("it vanished in {}", known.state));
        };
        if status.state != known.state {
            return Err(format!(
                "{} without an arrow from {}",
                status.state, known.state
            ));
        }
        if known.iss != Some(status.iss) && known.state != State::TimeWait {
            return Err(format!(
                "its ISS changed from {:?} to {}",
                known.iss, status.iss
            ));
        }
        if let (Some(until), State::TimeWait) = (known.time_wait_until, known.state)
            && now > until
        {
            return Err(format!(
                "TIME-WAIT lasts beyond 2MSL, which ended at {until}"
            ));
        }
        if !known.state.is_synchronised() {
            return Ok(());
        }
        let (Some(iss), Some(irs)) = (known.iss, known.irs) else {
            return Err(format!("{} without numbers", known.state));
        };
        if known.state != State::TimeWait && known.irs != Some(status.irs) {
            return Err("its IRS changed".into());
        }
        let received = u64::from(status.rcv_nxt.offset_from(irs + 1));
        if received > known.in_order() {
            return Err(format!(
                "RCV.NXT counts {received}, but {} was delivered in order",
                known.in_order()
            ));
        }
        known.heard_at = status.last_heard;
        if known.snd_una != Some(status.snd_una) {
            known.snd_una = Some(status.snd_una);
            known.waiting_since = now;
        }
        let acknowledged = u64::from(status.snd_una.offset_from(iss + 1));
        // Before the SYN is acknowledged SND.UNA is ISS, one below (CLOSE in SYN-RECEIVED).
        if status.snd_una != iss && acknowledged > known.acknowledged {
            return Err(format!(
                "SND.UNA counts {acknowledged}, but only {} was acknowledged",
                known.acknowledged
            ));
        }
        Ok(())
    }

    /// Both sides of one incarnation are in states that can meet (§3.3.2, figure 5): who has taken in a FIN has a peer that sent
    /// one; whose FIN is acknowledged has a peer that has taken it in; who is synchronised has a peer that has sent SYN and seen ours.
    pub(crate) fn compare_ends(&self) -> Result<(), String> {
        let [Some(left), Some(right)] = self.living else {
            return Ok(());
        };
        let (left, right) = (&self.sides[left], &self.sides[right]);
        if left.is_linked_with(right)
            && !(can_meet(left.state, right.state) && can_meet(right.state, left.state))
        {
            return Err(format!(
                "{} and {} cannot be two sides of one connection",
                left.state, right.state
            ));
        }
        Ok(())
    }

    /// After everything has ended: whoever stayed to the end has heard how it ended.
    pub(crate) fn all_arrived(&self) -> Result<(), String> {
        for side in self.sides.iter().filter(|side| !side.crashed) {
            if side.is_alive() {
                return Err(format!("a side is left in {}", side.state));
            }
        }
        Ok(())
    }
}

/// The entry in TIME-WAIT.
fn waiting_in(stack: &Stack<HeapRing>) -> Option<EndpointId> {
    let mut endpoints = stack.endpoints();
    endpoints
        .find(|summary| summary.state == State::TimeWait)
        .map(|summary| summary.id)
}

fn can_meet(one: State, other: State) -> bool {
    use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait};
    let took_fin = |state| matches!(state, CloseWait | Closing | LastAck | TimeWait);
    let sent_fin = |state| matches!(state, FinWait1 | FinWait2 | Closing | LastAck | TimeWait);
    let fin_acknowledged = matches!(one, FinWait2 | TimeWait);
    (!took_fin(one) || sent_fin(other))
        && (!fin_acknowledged || took_fin(other))
        && !(matches!(one, Established | CloseWait | FinWait2) && other == SynSent)
}

/// The flags of a segment that takes part in a handshake or a stream; RST does not.
fn counts(seen: &Seen) -> bool {
    !seen.has(Flags::RST)
}
