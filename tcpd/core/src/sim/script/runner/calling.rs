//! Calls: at once, or waiting until they can return.

use std::time::Duration;

use super::{Check, Runner, Waiting, Wrong};
use crate::sim::script::Place;
use crate::sim::script::calls::{self, Outcome};
use crate::sim::script::syntax::{Call, Errno, Event, Invocation, Wanted, When};
use crate::time::Instant;

impl<'s> Runner<'s> {
    pub(super) fn invoke(
        &mut self,
        event: &Event,
        invocation: &'s Invocation,
        from: Instant,
    ) -> Check {
        if self.waiting.is_some() && invocation.returns_at.is_some() {
            return Err(Wrong::new("another call is still waiting: one at a time"));
        }
        let outcome = calls::call(self, &invocation.call, false)?;
        // Looking at a state is nothing that happens.
        if !matches!(
            invocation.call,
            Call::State { .. } | Call::StateOfPeer { .. }
        ) {
            let state = self.state_text(self.sockets.peer_of(&invocation.call));
            let text = calls::describe(&invocation.call, &outcome);
            self.ladder.remark(self.shown(self.now), &state, text);
        }
        let Some(returns_at) = invocation.returns_at else {
            if outcome == Outcome::Blocks {
                return Err(Wrong::new(
                    "the call would block; expected it to return at once (write `start...end call` if it may wait)",
                ));
            }
            return wanted(invocation, &outcome);
        };
        // Counted from the same origin as the start.
        let offset = match event.when {
            When::At(at) | When::After(at) => at,
            When::Between(..) | When::AfterBetween(..) | When::Any => Duration::ZERO,
        };
        self.waiting = Some(Waiting {
            place: event.place,
            invocation,
            returns_at: from - offset + returns_at,
        });
        match outcome {
            Outcome::Blocks => Ok(()),
            outcome => self.returned(&outcome),
        }
    }

    /// Tries the waiting call again; it must return at its time.
    pub(super) fn retry_waiting(&mut self) -> Result<(), (Place, Wrong)> {
        let Some(waiting) = &self.waiting else {
            return Ok(());
        };
        let (place, invocation, returns_at) =
            (waiting.place, waiting.invocation, waiting.returns_at);
        let here = |wrong| (place, wrong);
        match calls::call(self, &invocation.call, true).map_err(here)? {
            Outcome::Blocks if self.now > returns_at + self.tolerance => {
                let text = format!(
                    "expected the call to return at {}, but at {} it still waits",
                    self.text(returns_at),
                    self.text(self.now)
                );
                Err(here(Wrong::new(text)))
            }
            Outcome::Blocks => Ok(()),
            outcome => {
                let state = self.state_text(self.sockets.peer_of(&invocation.call));
                let text = calls::describe(&invocation.call, &outcome);
                self.ladder.remark(self.shown(self.now), &state, text);
                self.returned(&outcome).map_err(here)
            }
        }
    }

    /// The waiting call came back.
    fn returned(&mut self, outcome: &Outcome) -> Check {
        let Some(waiting) = self.waiting.take() else {
            return Ok(());
        };
        wanted(waiting.invocation, outcome)?;
        let early = waiting.returns_at.duration_since(self.now) > self.tolerance;
        let late = self.now.duration_since(waiting.returns_at) > self.tolerance;
        if early || late {
            return Err(Wrong::new(format!(
                "expected the call to return at {}, it returned at {}",
                self.text(waiting.returns_at),
                self.text(self.now)
            )));
        }
        Ok(())
    }
}

fn wanted(invocation: &Invocation, outcome: &Outcome) -> Check {
    let (value, errno): (String, Option<Errno>) = match outcome {
        Outcome::Value(value) => (value.to_string(), None),
        Outcome::State(state) => ((*state).to_owned(), None),
        Outcome::Error(errno) => ("-1".into(), Some(*errno)),
        Outcome::Blocks => ("(it blocks)".into(), None),
    };
    let agrees = match (&invocation.wanted, outcome) {
        (Wanted::Any, _) => true,
        (Wanted::Integer(wanted), Outcome::Value(value)) => wanted == value,
        (Wanted::Integer(-1), Outcome::Error(errno)) => invocation.errno == Some(*errno),
        (Wanted::State(wanted), Outcome::State(state)) => wanted == state,
        _ => false,
    };
    if agrees {
        return Ok(());
    }
    let name =
        |errno: Option<Errno>| errno.map_or(String::new(), |errno| format!(" {}", errno.name));
    let expected = match &invocation.wanted {
        Wanted::Integer(value) => value.to_string(),
        Wanted::State(state) => state.clone(),
        Wanted::Any => "anything".into(),
    };
    Err(Wrong::new(format!(
        "expected {} = {expected}{}, it gave {value}{}",
        calls::name(&invocation.call),
        name(invocation.errno),
        name(errno)
    )))
}
