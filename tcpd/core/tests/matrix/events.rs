//! What may happen to a connection: segments, ICMP errors, user calls, timers. Each makes itself happen.

use tcpd_core::stack::Timer;

use crate::numbers::Numbers;
use crate::reaction::{Reaction, Watch};
use crate::states::{Impossible, Situation};
use crate::world::{Setup, World};

mod calls;
mod icmp;
mod segments;
mod timers;

pub(crate) use calls::{Call, Outcome};
pub(crate) use icmp::Icmp;
pub(crate) use segments::{Arrived, Spec};
pub(crate) use timers::may_run;

/// One line of the tables.
pub(crate) struct Event {
    /// Its name: `rst-in-window`.
    pub(crate) name: &'static str,
    /// What has to be so before.
    pub(crate) setup: Setup,
    pub(crate) action: Action,
}

/// What happens.
pub(crate) enum Action {
    /// The segments arrive, one after the other; the reaction is that to the last.
    Segments(&'static [Spec]),
    /// An ICMP error arrives.
    Icmp(Icmp),
    /// The user calls.
    Call(Call),
    /// A timer goes off; `last`: as often as it takes to end the connection.
    Timer {
        /// Which.
        timer: Timer,
        /// Until the connection is given up.
        last: bool,
    },
}

impl Event {
    /// What arrives, is called or goes off, in the words of `numbers`.
    pub(crate) fn says(&self, numbers: &Numbers) -> String {
        match &self.action {
            Action::Segments(specs) => {
                let words: Vec<String> = specs.iter().map(|spec| spec.says(numbers)).collect();
                words.join(", ")
            }
            Action::Icmp(icmp) => icmp.says().to_owned(),
            Action::Call(call) => call.says().to_owned(),
            Action::Timer { timer, last: false } => format!("the {} timer", timer.name()),
            Action::Timer { timer, last: true } => {
                format!("the {} timer, again and again", timer.name())
            }
        }
    }

    /// Makes it happen, and watches.
    pub(crate) fn play(
        &self,
        situation: &Situation,
        world: &mut World,
    ) -> Result<Reaction, Impossible> {
        match &self.action {
            Action::Segments(specs) => segments::play(specs, situation, world),
            Action::Icmp(icmp) => {
                let watch = Watch::start(world, situation);
                icmp.play(world, watch.numbers());
                Ok(watch.finish(world, None, None))
            }
            Action::Call(call) => {
                let watch = Watch::start(world, situation);
                let outcome = call.play(world);
                Ok(watch.finish(world, None, Some(outcome)))
            }
            Action::Timer { timer, last } => timers::play(*timer, *last, situation, world),
        }
    }
}

/// All of them, in the order of the tables.
pub(crate) fn all() -> impl Iterator<Item = &'static Event> {
    segments::EVENTS
        .iter()
        .chain(icmp::EVENTS)
        .chain(calls::EVENTS)
        .chain(timers::EVENTS)
}
