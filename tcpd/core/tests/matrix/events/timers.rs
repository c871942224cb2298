//! The timers of RFC 9293 §3.10.8 and its §3.8: armed as far as the state allows, then fired.

use tcpd_core::stack::{ConnectionOptions, State, Timer};

use super::{Action, Event};
use crate::reaction::{Reaction, Watch};
use crate::states::{self, Impossible, Situation};
use crate::world::{Setup, World};

/// More deadlines than any timer needs to give up.
const ENOUGH: usize = 200;

/// Lets `timer` go off once, or until the connection is given up.
pub(super) fn play(
    timer: Timer,
    last: bool,
    situation: &Situation,
    world: &mut World,
) -> Result<Reaction, Impossible> {
    arm(timer, world);
    let armed = world
        .status()
        .is_some_and(|status| has(&status.timers, timer));
    let reason = never(situation, timer);
    assert_eq!(
        armed,
        reason.is_none(),
        "{}: whether the {} timer can run",
        situation.name(),
        timer.name()
    );
    if let Some(reason) = reason {
        return Err(reason);
    }
    let state = world.stack.state(world.id);
    for _ in 0..ENOUGH {
        let watch = Watch::start(world, situation);
        let due = fire(timer, world);
        let reaction = watch.finish(world, None, None);
        let over = world.stack.state(world.id) != state;
        if over || (due && !last) {
            return Ok(reaction);
        }
        if !reaction.running.contains(&timer) {
            return Err("stopped: what another timer sent has done its work");
        }
    }
    Err("however often it goes off, the connection goes on")
}

/// The next deadline; whether `timer` was due at it.
fn fire(timer: Timer, world: &mut World) -> bool {
    let at = |world: &World| {
        let status = world.status()?;
        let mut timers = status.timers.into_iter();
        timers.find(|(one, _)| *one == timer).map(|(_, at)| at)
    };
    let due_at = at(world);
    if let Some(deadline) = world.stack.next_deadline() {
        world.now = world.now.max(deadline);
        world.stack.on_deadline(world.now);
    }
    due_at.is_some_and(|at| at <= world.now)
}

fn has<T>(timers: &[(Timer, T)], timer: Timer) -> bool {
    timers.iter().any(|(one, _)| *one == timer)
}

/// What makes the timer run, where the state lets it.
fn arm(timer: Timer, world: &mut World) {
    let Some(status) = world.status() else { return };
    if status.state == State::Listen {
        return;
    }
    let sends = status.state.may_send();
    let reads = status.state.may_receive() && !status.orphan && status.rcv_wnd > 0;
    match timer {
        Timer::Retransmission | Timer::ZeroWindow | Timer::User if sends => states::send(world, 10),
        Timer::DelayedAck if reads => states::arrive(world, 10),
        // The first is answered, the second is held back.
        Timer::ChallengeAck if status.state.is_synchronised() => {
            for _ in 0..2 {
                world.tell("S", status.rcv_nxt, status.snd_nxt, b"");
                world.transmitted();
            }
        }
        // From now on, not from the handshake on.
        Timer::KeepAlive | Timer::Idle => {
            let options = world.options();
            for options in [ConnectionOptions::default(), options] {
                world.stack.set_options(world.now, world.id, options).ok();
            }
        }
        _ => {}
    }
}

/// Why `timer` cannot run in `situation`; the test proves each.
fn never(situation: &Situation, timer: Timer) -> Option<Impossible> {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived,
        SynSent, TimeWait,
    };
    let (state, variant) = (situation.state, situation.variant);
    let orphan = variant == "orphan";
    match (timer, state) {
        (_, Closed) => Some("never armed: nothing is left that could wait"),
        (_, Listen) => Some("never armed: a listener waits for ever"),
        (Timer::Handshake, SynSent | SynReceived) => None,
        (Timer::TimeWait, TimeWait) => None,
        (Timer::TimeWait, _) => Some("never armed: both FINs are not through yet"),
        (_, TimeWait) => Some("never armed: only the 2MSL timer runs here"),
        (Timer::Handshake, FinWait1) if variant == "opening" => None,
        (_, FinWait1) if variant == "opening" => {
            Some("never armed: the handshake timer does it all")
        }
        (_, SynSent | SynReceived) => Some("never armed: the handshake timer does it all"),
        (Timer::Handshake, _) => Some("never armed: our SYN is acknowledged"),
        (Timer::Pacing, _) => Some("never armed: CWND is the initial one"),
        (Timer::TailLoss | Timer::Reordering, _) => {
            Some("never armed: this peer does not know SACK")
        }
        (Timer::Orphan, _) if orphan => None,
        (Timer::Orphan, _) => Some("never armed: the user holds the connection"),
        (Timer::KeepAlive | Timer::Idle | Timer::ChallengeAck, _) => None,
        (Timer::Retransmission | Timer::ZeroWindow | Timer::User, FinWait2) => {
            Some("never armed: all we sent is acknowledged, FIN included")
        }
        (Timer::Retransmission, FinWait1) if variant == "unsent" => {
            Some("never armed: the window is closed, FIN waits for the zero-window timer")
        }
        (Timer::User, FinWait1) if variant == "unsent" => None,
        (Timer::Retransmission | Timer::ZeroWindow | Timer::User, _) => None,
        (Timer::DelayedAck, _) if orphan => {
            Some("never armed: text for an orphan resets, a FIN is acknowledged at once")
        }
        (Timer::DelayedAck, Established) if variant == "window-0" => {
            Some("never armed: a closed window takes no text")
        }
        (Timer::DelayedAck, CloseWait) if variant == "unacked" => {
            Some("never armed: what we sent carried the ACK")
        }
        (Timer::DelayedAck, Closing | LastAck) => {
            Some("never armed: the peer's FIN is acknowledged, nothing follows it")
        }
        (Timer::DelayedAck, Established | FinWait1 | FinWait2 | CloseWait) => None,
    }
}

/// Whether `timer` can run in any variant of `state`.
pub(crate) fn may_run(timer: Timer, state: State) -> bool {
    states::SITUATIONS
        .iter()
        .filter(|situation| situation.state == state)
        .any(|situation| never(situation, timer).is_none())
}

const fn event(name: &'static str, timer: Timer, setup: Setup) -> Event {
    Event {
        name,
        setup,
        action: Action::Timer { timer, last: false },
    }
}

const fn until_the_end(name: &'static str, timer: Timer, setup: Setup) -> Event {
    Event {
        name,
        setup,
        action: Action::Timer { timer, last: true },
    }
}

const KEPT_ALIVE: Setup = Setup {
    keep_alive: true,
    ..Setup::NONE
};
const IDLE: Setup = Setup {
    idle_timeout: true,
    ..Setup::NONE
};
const WINDOW_CLOSED: Setup = Setup {
    peer_window_closed: true,
    ..Setup::NONE
};
const IMPATIENT: Setup = Setup {
    user_timeout: true,
    ..Setup::NONE
};
const OWING: Setup = Setup {
    acknowledgment_owed: true,
    ..Setup::NONE
};

pub(super) const EVENTS: &[Event] = &[
    event("timer-handshake", Timer::Handshake, Setup::NONE),
    until_the_end("timer-handshake-last", Timer::Handshake, Setup::NONE),
    event("timer-retransmission", Timer::Retransmission, Setup::NONE),
    until_the_end(
        "timer-retransmission-last",
        Timer::Retransmission,
        Setup::NONE,
    ),
    event("timer-zero-window", Timer::ZeroWindow, WINDOW_CLOSED),
    until_the_end("timer-zero-window-last", Timer::ZeroWindow, WINDOW_CLOSED),
    event("timer-delayed-ack", Timer::DelayedAck, OWING),
    event("timer-keep-alive", Timer::KeepAlive, KEPT_ALIVE),
    until_the_end("timer-keep-alive-last", Timer::KeepAlive, KEPT_ALIVE),
    event("timer-user", Timer::User, IMPATIENT),
    event("timer-challenge-ack", Timer::ChallengeAck, Setup::NONE),
    event("timer-idle", Timer::Idle, IDLE),
    event("timer-orphan", Timer::Orphan, Setup::NONE),
    event("timer-time-wait", Timer::TimeWait, Setup::NONE),
];
