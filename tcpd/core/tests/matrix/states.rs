//! Puts a stack into each state, through real calls and segments.

use tcpd_core::stack::{BacklogFull, StackConfig, State};

use crate::world::{Family, Setup, World};

mod build;

use build::*;
pub(crate) use build::{arrive, send};

/// Why a cell cannot be played.
pub(crate) type Impossible = &'static str;

/// A state, or a variant of one that may answer otherwise.
pub(crate) struct Situation {
    /// The RFC's state.
    pub(crate) state: State,
    /// What tells it from the other variants of that state; empty where there is one only.
    pub(crate) variant: &'static str,
    /// What is true in it.
    pub(crate) says: &'static str,
    build: fn(&mut World) -> Result<(), Impossible>,
    /// The knob that makes the variant, if one does.
    tweak: fn(&mut StackConfig),
}

impl Situation {
    /// As the tables name it: `FIN-WAIT-2/orphan`.
    pub(crate) fn name(&self) -> String {
        if self.variant.is_empty() {
            self.state.name().to_owned()
        } else {
            format!("{}/{}", self.state, self.variant)
        }
    }

    /// The user holds no name of the connection any more.
    pub(crate) fn has_let_go(&self) -> bool {
        matches!(
            self.variant,
            "orphan" | "no-listener" | "crossed" | "rfc1337-off"
        )
    }

    /// A stack in this situation.
    pub(crate) fn build(&self, family: Family, setup: Setup) -> Result<World, Impossible> {
        let mut world = World::new(family, setup, self.tweak);
        (self.build)(&mut world)?;
        world.quiet();
        if self.state != State::Closed && self.state != State::Listen {
            world.id = world.find().expect("the pair is known");
        }
        let state = world.stack.state(world.id).unwrap_or(State::Closed);
        assert_eq!(state, self.state, "{} was not reached", self.name());
        Ok(world)
    }
}

const fn situation(
    state: State,
    variant: &'static str,
    says: &'static str,
    build: fn(&mut World) -> Result<(), Impossible>,
) -> Situation {
    Situation {
        state,
        variant,
        says,
        build,
        tweak: |_| {},
    }
}

/// A variant made by a knob.
const fn knob(mut situation: Situation, tweak: fn(&mut StackConfig)) -> Situation {
    situation.tweak = tweak;
    situation
}

/// All of them, in the RFC's order.
pub(crate) static SITUATIONS: [Situation; 34] = [
    situation(State::Closed, "", "nothing is known of the pair", closed),
    situation(
        State::Closed,
        "held",
        "reset by the peer; the user has not let go of the name",
        closed_held,
    ),
    situation(State::Listen, "", "a listener, its queue empty", listen),
    situation(
        State::Listen,
        "full",
        "a listener whose queue is full",
        listen_full,
    ),
    knob(
        situation(
            State::Listen,
            "cookie",
            "half-open entries are at their limit; SYN,ACK is out, and nothing is kept of it",
            listen_cookie,
        ),
        |config| config.limits.half_open_per_listener = 1,
    ),
    situation(State::SynSent, "", "SYN is out", syn_sent),
    situation(
        State::SynReceived,
        "passive",
        "from LISTEN: the compact entry; SYN-ACK is out",
        syn_received,
    ),
    situation(
        State::SynReceived,
        "full",
        "from LISTEN, and meanwhile the listener's queue is full",
        syn_received_full,
    ),
    knob(
        situation(
            State::SynReceived,
            "full-reset",
            "the same with backlog_full = reset",
            syn_received_full,
        ),
        |config| config.tcp.backlog_full = BacklogFull::Reset,
    ),
    situation(
        State::SynReceived,
        "reopened",
        "from TIME-WAIT, by a newer SYN: the old connection's entry is set aside",
        syn_received_reopened,
    ),
    situation(
        State::SynReceived,
        "active",
        "from SYN-SENT: the SYNs have crossed; SYN-ACK is out",
        syn_received_active,
    ),
    situation(
        State::Established,
        "",
        "nothing unacknowledged, nothing unread",
        established,
    ),
    situation(
        State::Established,
        "unacked",
        "ten bytes of ours are unacknowledged",
        established_unacked,
    ),
    situation(
        State::Established,
        "window-0",
        "our receive window is closed: the ring is full of unread text",
        established_window_0,
    ),
    situation(
        State::FinWait1,
        "",
        "the user shut down writing; FIN is unacknowledged",
        fin_wait_1,
    ),
    situation(
        State::FinWait1,
        "unacked",
        "ten bytes of ours and the FIN behind them are unacknowledged",
        fin_wait_1_unacked,
    ),
    situation(
        State::FinWait1,
        "orphan",
        "the user closed and let go; FIN is unacknowledged",
        fin_wait_1_orphan,
    ),
    situation(
        State::FinWait1,
        "unsent",
        "the user shut down writing while the peer's window is closed: FIN waits",
        fin_wait_1_unsent,
    ),
    situation(
        State::FinWait1,
        "opening",
        "the user shut down writing in SYN-RECEIVED: our SYN and our FIN are unacknowledged",
        fin_wait_1_opening,
    ),
    situation(
        State::FinWait2,
        "",
        "the user shut down writing and reads on",
        fin_wait_2,
    ),
    situation(
        State::FinWait2,
        "orphan",
        "the user closed and let go",
        fin_wait_2_orphan,
    ),
    situation(
        State::CloseWait,
        "",
        "the peer's FIN is acknowledged",
        close_wait,
    ),
    situation(
        State::CloseWait,
        "unacked",
        "the peer's FIN is acknowledged; ten bytes of ours are not",
        close_wait_unacked,
    ),
    situation(
        State::Closing,
        "",
        "the user shut down writing; both FINs crossed",
        closing,
    ),
    situation(
        State::Closing,
        "unacked",
        "both FINs crossed; ten bytes of ours before our FIN are unacknowledged",
        closing_unacked,
    ),
    situation(
        State::Closing,
        "orphan",
        "the user closed and let go; both FINs crossed",
        closing_orphan,
    ),
    situation(
        State::LastAck,
        "",
        "the user shut down writing after the peer's FIN",
        last_ack,
    ),
    situation(
        State::LastAck,
        "unacked",
        "after the peer's FIN; ten bytes of ours before our FIN are unacknowledged",
        last_ack_unacked,
    ),
    situation(
        State::LastAck,
        "orphan",
        "the user closed and let go after the peer's FIN",
        last_ack_orphan,
    ),
    situation(
        State::TimeWait,
        "",
        "the user still holds the name; a listener is there",
        time_wait,
    ),
    situation(
        State::TimeWait,
        "orphan",
        "the user has let go: the compact entry alone; a listener is there",
        time_wait_orphan,
    ),
    situation(
        State::TimeWait,
        "no-listener",
        "the user has let go; nobody listens on the port",
        time_wait_no_listener,
    ),
    situation(
        State::TimeWait,
        "crossed",
        "reached through CLOSING, the user has let go",
        time_wait_crossed,
    ),
    knob(
        situation(
            State::TimeWait,
            "rfc1337-off",
            "the user has let go; RFC 1337 is switched off",
            time_wait_orphan,
        ),
        |config| config.tcp.time_wait_ignores_reset = false,
    ),
];
