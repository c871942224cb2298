//! What came of an event: the next state, what was sent, what the user was told, why a segment was dropped, which timers run.

use tcpd_core::stack::{Changes, EndReason, Event, State, Timer};
use tcpd_core::time::Instant;
use tcpd_core::wire::{Flags, SequenceNumber};

use crate::events::{Arrived, Outcome};
use crate::numbers::Numbers;
use crate::states::Situation;
use crate::world::{Sent, World};

/// The reaction, in words that read the same for both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) before: State,
    pub(crate) next: State,
    /// A line a segment.
    pub(crate) sent: Vec<String>,
    /// For each of them, what the oracle may call it.
    pub(crate) kinds: Vec<Vec<&'static str>>,
    /// What the call returned and the events told.
    pub(crate) user: Vec<String>,
    /// The same for the oracle.
    pub(crate) user_words: Vec<&'static str>,
    /// Why it was dropped.
    pub(crate) dropped: Vec<&'static str>,
    /// What changed about the timers.
    pub(crate) timers: Vec<String>,
    /// Those that run afterwards.
    pub(crate) running: Vec<Timer>,
}

/// Watches a stack from before an event until after it.
pub(crate) struct Watch {
    before: State,
    numbers: Numbers,
    timers: Vec<(Timer, Instant)>,
    window: u32,
}

impl Watch {
    pub(crate) fn start(world: &mut World, situation: &Situation) -> Self {
        let numbers = Numbers::of(world, situation);
        Self::start_at(world, numbers)
    }

    /// As [`Watch::start`], with the words of earlier `numbers`.
    pub(crate) fn start_at(world: &mut World, numbers: Numbers) -> Self {
        world.quiet();
        let status = world.status();
        Self {
            before: status.as_ref().map_or(State::Closed, |one| one.state),
            window: numbers.window(),
            timers: status.map_or_else(Vec::new, |status| status.timers),
            numbers,
        }
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Lets everything out that the event has caused.
    pub(crate) fn finish(
        self,
        world: &mut World,
        arrived: Option<Arrived>,
        outcome: Option<Outcome>,
    ) -> Reaction {
        let sent = world.transmitted();
        let events = world.events();
        let told = world.told();
        world.assert_counters_add_up();
        let after = world.find().and_then(|id| world.stack.status(id));
        let gone_to = told.transitions.last().map_or(self.before, |last| last.1);
        let next = match &after {
            Some(status) if status.state != State::Closed => status.state,
            Some(_) | None => gone_to,
        };
        let place = After {
            nxt: after.as_ref().map_or(self.numbers.nxt, |one| one.snd_nxt),
            rcv: after.as_ref().map_or(self.numbers.rcv, |one| one.rcv_nxt),
            iss: after.as_ref().map(|one| one.iss),
        };
        let running = after.map_or_else(Vec::new, |status| status.timers);

        let mut kinds: Vec<_> = sent
            .iter()
            .map(|one| self.kinds(one, &place, arrived.as_ref()))
            .collect();
        let delays = |timers: &[(Timer, Instant)]| {
            timers.iter().any(|(timer, _)| *timer == Timer::DelayedAck)
        };
        let delayed = sent.is_empty() && delays(&running) && !delays(&self.timers);
        if delayed {
            kinds.push(vec!["a"]);
        }
        let (mut user, mut user_words) = (Vec::new(), Vec::new());
        if let Some(outcome) = outcome {
            user.push(outcome.text);
            user_words.push(outcome.word);
        }
        for event in events {
            told_by(event, world, &mut user, &mut user_words);
        }
        let timers = changes_of_timers(&self.timers, &running);
        if timers.iter().any(|change| change == ANEW) {
            user_words.push("2msl");
        }
        Reaction {
            before: self.before,
            next,
            sent: sent.iter().map(|one| self.words(one, arrived)).collect(),
            kinds,
            user,
            user_words,
            dropped: told.dropped.iter().map(|reason| reason.name()).collect(),
            timers,
            running: running.into_iter().map(|(timer, _)| timer).collect(),
        }
    }

    /// One segment in the words of the ladder.
    fn words(&self, sent: &Sent, arrived: Option<Arrived>) -> String {
        let numbers = &self.numbers;
        if sent.to_another {
            return format!("{} to the one in the queue", sent.flags);
        }
        let syn = sent.flags.contains(Flags::SYN);
        let single = numbers.una == numbers.nxt;
        let seq = if syn && (!numbers.ours_known || sent.seq + 1 != numbers.nxt) {
            "iss".to_owned()
        } else if sent.flags.contains(Flags::RST) && sent.flags.contains(Flags::ACK) {
            assert_eq!(sent.seq, SequenceNumber(0), "RFC 9293 §3.5.2");
            "0".to_owned()
        } else if numbers.ours_known && single && sent.seq + 1 == numbers.nxt {
            "snd.nxt-1".to_owned()
        } else {
            numbers.ours(sent.seq)
        };
        let mut text = format!("{} {seq}({})", sent.flags, sent.length);
        if sent.flags.contains(Flags::ACK) {
            let ack = match arrived {
                Some(arrived) if sent.ack == arrived.end && !numbers.theirs_known => {
                    numbers.theirs(arrived.end)
                }
                _ => numbers.theirs(sent.ack),
            };
            text += &format!(" ack {ack}");
        }
        let controls = sent.flags.intersects(Flags::SYN | Flags::RST);
        if !controls && (sent.window == 0 || self.window == 0) {
            text += &format!(" win {}", sent.window);
        }
        text
    }

    /// What the oracle may call a segment; nothing if it is none of what the RFC knows.
    fn kinds(&self, sent: &Sent, after: &After, arrived: Option<&Arrived>) -> Vec<&'static str> {
        let (numbers, flags) = (&self.numbers, sent.flags);
        if sent.to_another {
            return vec!["other"];
        }
        let mut kinds = Vec::new();
        let mut is = |condition: bool, kind: &'static str| {
            if condition {
                kinds.push(kind);
            }
        };
        if flags == Flags::RST {
            let answers = arrived.and_then(|segment| segment.ack);
            is(answers == Some(sent.seq), "R=");
            is(sent.seq == numbers.nxt, "Rn");
            is(sent.seq == numbers.una, "Ru");
        } else if flags == Flags::RST | Flags::ACK {
            let end = arrived.map(|segment| segment.end);
            is(sent.seq == SequenceNumber(0) && end == Some(sent.ack), "R0");
        } else if flags == Flags::SYN | Flags::ACK {
            let of_entry = after.iss == Some(sent.seq) && sent.ack == after.rcv;
            // With a cookie there is no entry.
            let acknowledged = arrived.map(|segment| segment.seq + 1);
            is(
                of_entry || (after.iss.is_none() && acknowledged == Some(sent.ack)),
                "SA",
            );
        } else if flags == Flags::SYN {
            is(after.iss == Some(sent.seq), "S");
        } else if flags.contains(Flags::FIN | Flags::ACK) {
            is(sent.ack == after.rcv, "F");
        } else if sent.length > 0 && flags.contains(Flags::ACK) {
            is(sent.ack == after.rcv, "D");
        } else if flags == Flags::ACK {
            is(sent.seq + 1 == after.nxt && sent.ack == after.rcv, "K");
            is(sent.seq == after.nxt && sent.ack == after.rcv, "A");
            is(
                sent.seq == numbers.una && self.before == State::FinWait1 && sent.ack == after.rcv,
                "A",
            );
        }
        kinds
    }
}

struct After {
    nxt: SequenceNumber,
    rcv: SequenceNumber,
    iss: Option<SequenceNumber>,
}

fn told_by(event: Event, world: &World, user: &mut Vec<String>, words: &mut Vec<&'static str>) {
    let (endpoint, changes) = match event {
        Event::Incoming { .. } => {
            user.push("INCOMING".to_owned());
            words.push("incoming");
            return;
        }
        Event::Changed { endpoint, changes } => (endpoint, changes),
    };
    let mut known = Changes::ENDED;
    for (change, text, word) in [
        (Changes::CONNECTED, "CONNECTED", "connected"),
        (Changes::ACKNOWLEDGED, "ACKNOWLEDGED", "acknowledged"),
        (Changes::READABLE, "READABLE", "readable"),
        (Changes::URGENT, "URGENT", "urgent"),
        (Changes::PEER_CLOSED, "PEER-CLOSED", "peer-closed"),
        (Changes::TROUBLE, "TROUBLE", "trouble"),
    ] {
        known |= change;
        if changes.contains(change) {
            user.push(text.to_owned());
            words.push(word);
        }
    }
    assert!(known.contains(changes), "no word for all of {changes:?}");
    if changes.contains(Changes::ENDED) {
        match world.stack.release_error(endpoint) {
            Some(reason) => {
                user.push(format!("ENDED {}", reason_text(reason)));
                words.push(reason_word(reason));
            }
            // Nobody holds the name any more.
            None => user.push("ENDED (nobody holds it)".to_owned()),
        }
    }
}

fn reason_text(reason: EndReason) -> String {
    match reason {
        EndReason::TimedOut(timer) => format!("timed-out ({})", timer.name()),
        EndReason::Unreachable(cause) => format!("unreachable ({cause})"),
        other => other.name().to_owned(),
    }
}

/// The oracle's word for the end of a connection.
pub(crate) fn reason_word(reason: EndReason) -> &'static str {
    reason.name()
}

const ANEW: &str = "2MSL anew";

fn changes_of_timers(before: &[(Timer, Instant)], after: &[(Timer, Instant)]) -> Vec<String> {
    let at = |timers: &[(Timer, Instant)], wanted: Timer| {
        timers
            .iter()
            .find(|(timer, _)| *timer == wanted)
            .map(|(_, at)| *at)
    };
    let mut changes = Vec::new();
    for timer in Timer::ALL {
        match (at(before, timer), at(after, timer)) {
            (None, Some(_)) => changes.push(format!("+{}", timer.name())),
            (Some(_), None) => changes.push(format!("-{}", timer.name())),
            (Some(old), Some(new)) if new > old && timer == Timer::TimeWait => {
                changes.push(ANEW.to_owned());
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    changes
}
