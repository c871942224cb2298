//! Puts a stack into each state, through real calls and segments.

use std::time::Duration;

use tcpd_core::stack::{BacklogFull, StackConfig, State};
use tcpd_core::wire::SequenceNumber;

use crate::world::{Family, RING, Setup, World};

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

const NOTHING_ARRIVED: Impossible = "no text can have arrived before ESTABLISHED";
const LET_GO: Impossible = "the user has let go: a CLOSE with unread text resets instead";
const NO_TIMESTAMPS: Impossible = "timestamps are agreed on SYNs only, and none has come";
const EMPTY_RING: Impossible = "the ring is full of unread text by definition: see the other cells";

fn nothing_known(world: &World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    if world.setup.timestamps {
        return Err(NO_TIMESTAMPS);
    }
    Ok(())
}

fn closed(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)
}

fn closed_held(world: &mut World) -> Result<(), Impossible> {
    if world.setup.timestamps {
        return Err("the connection is gone, and what was agreed with it");
    }
    open(world);
    world.close_listener();
    let (nxt, rcv) = world.next();
    world.tell("R", rcv, nxt, b"");
    world.quiet();
    Ok(())
}

fn listen(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)?;
    world.listen(1);
    world.id = world.listener.endpoint();
    Ok(())
}

fn listen_full(world: &mut World) -> Result<(), Impossible> {
    listen(world)?;
    world.fill_queue();
    Ok(())
}

fn listen_cookie(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.listen(1);
    world.id = world.listener.endpoint();
    world.another_syn();
    world.tell("S", world.isn, SequenceNumber(0), b"");
    let answer = world.transmitted().pop().expect("SYN-ACK");
    world.cookie = Some(answer.seq);
    assert_eq!(world.find(), None, "nothing is kept");
    Ok(())
}

fn syn_sent(world: &mut World) -> Result<(), Impossible> {
    nothing_known(world)?;
    world.connect();
    Ok(())
}

fn syn_received(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.listen(1);
    world.tell("S", world.isn, SequenceNumber(0), b"");
    world.quiet();
    Ok(())
}

fn syn_received_full(world: &mut World) -> Result<(), Impossible> {
    syn_received(world)?;
    world.fill_queue();
    Ok(())
}

fn syn_received_reopened(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    time_wait_orphan(world)?;
    let (nxt, rcv) = world.next();
    world.tell("S", rcv + 1000, nxt, b"");
    world.isn = rcv + 1000;
    world.quiet();
    Ok(())
}

fn syn_received_active(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(NOTHING_ARRIVED);
    }
    world.connect();
    world.quiet();
    world.tell("S", world.isn, SequenceNumber(0), b"");
    Ok(())
}

/// ESTABLISHED as most connections are: opened by the peer, accepted, used in both directions, and idle.
fn open(world: &mut World) {
    world.listen(1);
    world.tell("S", world.isn, SequenceNumber(0), b"");
    world.quiet();
    world.id = world.find().expect("a half-open entry");
    let (nxt, rcv) = world.next();
    world.tell(".", rcv, nxt, b"");
    world.id = world
        .stack
        .accept(world.now, world.listener)
        .expect("accepted");
    for _ in 0..2 {
        send(world, 1000);
        let (nxt, rcv) = world.next();
        world.tell(".", rcv, nxt, b"");
    }
    arrive(world, 200);
    let read = world
        .stack
        .receive_into(world.now, world.id, &mut [0; 1000]);
    assert_eq!(read, Ok(200));
    world.pass(Duration::from_secs(2));
    if world.setup.unread {
        arrive(world, 10);
        world.pass(Duration::from_secs(2));
    }
    if world.setup.peer_window_closed {
        world.window = 0;
        let (nxt, rcv) = world.next();
        world.tell(".", rcv, nxt, b"");
    }
    world.quiet();
}

/// The user writes.
pub(crate) fn send(world: &mut World, count: usize) {
    let sent = world.stack.send(world.now, world.id, &vec![b's'; count]);
    assert_eq!(sent, Ok(count));
    world.transmitted();
}

/// Text from the peer, in order.
pub(crate) fn arrive(world: &mut World, count: usize) {
    let (nxt, rcv) = world.next();
    world.tell("P.", rcv, nxt, &vec![b'r'; count]);
    world.transmitted();
}

fn established(world: &mut World) -> Result<(), Impossible> {
    open(world);
    Ok(())
}

fn established_unacked(world: &mut World) -> Result<(), Impossible> {
    open(world);
    send(world, 10);
    Ok(())
}

fn established_window_0(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread || world.setup.acknowledgment_owed {
        return Err(EMPTY_RING);
    }
    open(world);
    for _ in 0..RING / 1024 {
        arrive(world, 1024);
    }
    world.pass(Duration::from_secs(2));
    assert_eq!(world.status().expect("a connection").rcv_wnd, 0);
    Ok(())
}

fn shut_down_writing(world: &mut World) {
    world
        .stack
        .shutdown_write(world.now, world.id)
        .expect("writing was open");
}

fn close(world: &mut World) -> Result<(), Impossible> {
    if world.setup.unread {
        return Err(LET_GO);
    }
    world
        .stack
        .close(world.now, world.id)
        .expect("the user held it");
    Ok(())
}

fn fin_wait_1(world: &mut World) -> Result<(), Impossible> {
    open(world);
    shut_down_writing(world);
    Ok(())
}

fn fin_wait_1_unacked(world: &mut World) -> Result<(), Impossible> {
    open(world);
    send(world, 10);
    shut_down_writing(world);
    Ok(())
}

fn fin_wait_1_orphan(world: &mut World) -> Result<(), Impossible> {
    open(world);
    close(world)
}

fn fin_wait_1_unsent(world: &mut World) -> Result<(), Impossible> {
    world.setup.peer_window_closed = true;
    fin_wait_1(world)
}

fn fin_wait_1_opening(world: &mut World) -> Result<(), Impossible> {
    syn_received_active(world)?;
    world.quiet();
    shut_down_writing(world);
    Ok(())
}

/// The peer acknowledges our FIN, which has left by then, though it be as a probe.
fn acknowledge_fin(world: &mut World) {
    world.quiet();
    if world.setup.peer_window_closed {
        world.pass(Duration::from_secs(2));
    }
    let (nxt, rcv) = world.next();
    world.tell(".", rcv, nxt, b"");
    world.quiet();
}

fn fin_wait_2(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1(world)?;
    acknowledge_fin(world);
    Ok(())
}

fn fin_wait_2_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_orphan(world)?;
    acknowledge_fin(world);
    Ok(())
}

/// The peer's FIN, which acknowledges nothing new.
fn fin_arrives(world: &mut World) {
    world.quiet();
    let status = world.status().expect("a connection");
    world.tell("F.", status.rcv_nxt, status.snd_una, b"");
}

fn close_wait(world: &mut World) -> Result<(), Impossible> {
    open(world);
    fin_arrives(world);
    if !world.setup.acknowledgment_owed {
        world.pass(Duration::from_secs(2));
    }
    Ok(())
}

fn close_wait_unacked(world: &mut World) -> Result<(), Impossible> {
    if world.setup.acknowledgment_owed {
        return Err("what is unacknowledged of ours carried the ACK already");
    }
    close_wait(world)?;
    send(world, 10);
    Ok(())
}

fn closing(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1(world)?;
    fin_arrives(world);
    Ok(())
}

fn closing_unacked(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_unacked(world)?;
    fin_arrives(world);
    Ok(())
}

fn closing_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_1_orphan(world)?;
    fin_arrives(world);
    Ok(())
}

fn last_ack(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    shut_down_writing(world);
    Ok(())
}

fn last_ack_unacked(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    send(world, 10);
    shut_down_writing(world);
    Ok(())
}

fn last_ack_orphan(world: &mut World) -> Result<(), Impossible> {
    close_wait(world)?;
    close(world)
}

/// Time passes, so that one sees when 2MSL start anew.
fn some_time_later(world: &mut World) {
    world.pass(Duration::from_secs(2));
}

fn time_wait(world: &mut World) -> Result<(), Impossible> {
    fin_wait_2(world)?;
    fin_arrives(world);
    some_time_later(world);
    Ok(())
}

fn time_wait_orphan(world: &mut World) -> Result<(), Impossible> {
    fin_wait_2_orphan(world)?;
    fin_arrives(world);
    some_time_later(world);
    Ok(())
}

fn time_wait_no_listener(world: &mut World) -> Result<(), Impossible> {
    time_wait_orphan(world)?;
    world.close_listener();
    Ok(())
}

fn time_wait_crossed(world: &mut World) -> Result<(), Impossible> {
    closing_orphan(world)?;
    acknowledge_fin(world);
    some_time_later(world);
    Ok(())
}
