//! What may happen in a walk, and how likely: the machine that proptest draws sequences from, and shrinks.
//!
//! Its own state is only what makes a step worth trying. Any step is allowed at any time: one that finds nothing to act on does
//! nothing. So steps can be left out one by one, and what is left of a failure is short.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use tcpd_core::sim::pair::End;

/// One thing that happens. Packets in the air are counted from the oldest, modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A packet arrives, whichever was sent before it.
    Deliver(u8),
    /// So many packets arrive, oldest first.
    DeliverOldest(u8),
    /// A packet is lost.
    Drop(u8),
    /// A packet travels twice from here on.
    Duplicate(u8),
    /// A bit of a packet is flipped.
    Corrupt(u8, u16),
    /// Time passes until the next deadline of either stack.
    Timer,
    /// So many milliseconds pass; deadlines on the way are served in time.
    Wait(u32),
    /// So many milliseconds pass, and only then deadlines are looked at: a machine that was suspended.
    Sleep(u32),
    /// The owner of a stack stops fetching packets, or goes on: what it does meanwhile merges.
    Hold(End),
    /// A segment arrives at this end that nobody sent; it must change nothing.
    Forge(End, Forgery),
    /// The host restarts: a new stack at the same address.
    Crash(End),
    Listen(End),
    CloseListener(End),
    /// From the own port to the other end's.
    Connect(End, Reuse),
    Accept(End),
    Send(End, u16),
    Receive(End, u16),
    ShutdownWrite(End),
    ShutdownRead(End),
    Close(End),
    Abort(End),
    Options(End, Patience),
}

/// Whether a connect asks for SO_REUSEADDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    Yes,
    No,
}

/// What the user says about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The defaults.
    Endless,
    /// Keepalive after 10 s, every 2 s, 3 times.
    KeepAlive,
    /// A user timeout of 30 s.
    UserTimeout,
    /// No Nagle.
    NoDelay,
}

/// Segments of somebody who knows the numbers, each wrong by a little: `u16` says by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// RST inside the window, not at its left edge.
    ResetInWindow(u16),
    /// RST one left of the window, or beyond.
    ResetOutside(u16),
    /// RST exactly at RCV.NXT, where it must not count: TIME-WAIT; without the ACK: SYN-SENT.
    ResetIgnored,
    /// SYN anywhere.
    Syn(u16),
    /// Text exactly at RCV.NXT without ACK.
    NoAck,
    /// Text exactly at RCV.NXT that acknowledges what was never sent.
    AckBeyond(u16),
    /// Text exactly at RCV.NXT that acknowledges numbers below our SYN (CVE-2023-52881).
    AckGhost(u16),
    /// An ACK like the last one with an MSS option of 88.
    MssOption,
}

/// What a walk is set up with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) ipv6: bool,
    pub(crate) timestamps: bool,
    pub(crate) window_scale: bool,
    /// Capacity of the rings, as a power of two.
    pub(crate) ring_bits: u32,
    pub(crate) small_mtu: bool,
    /// Milliseconds.
    pub(crate) msl: u64,
    pub(crate) ignores_reset: bool,
    /// Whose initial sequence number stands just before the wrap.
    pub(crate) wraps: Option<End>,
    /// Whether the walk begins with a connection that the left end has opened.
    pub(crate) connected: bool,
    pub(crate) seed: u64,
}

/// How a connection comes about.
pub(crate) const CONNECTED: [Step; 5] = [
    Step::Listen(End::Right),
    Step::Connect(End::Left, Reuse::Yes),
    Step::DeliverOldest(1),
    Step::DeliverOldest(2),
    Step::Accept(End::Right),
];

/// What is known about an end's user without looking.
#[derive(Clone, Copy, Debug, Default)]
struct Knows {
    opened: bool,
    closed: bool,
}

/// The machine's state.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) setup: Setup,
    ends: [Knows; 2],
}

fn end() -> impl Strategy<Value = End> + Clone {
    prop_oneof![Just(End::Left), Just(End::Right)]
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        9u32..15,
        any::<bool>(),
        prop_oneof![Just(1_000u64), Just(30_000), Just(120_000)],
        prop_oneof![4 => Just(true), 1 => Just(false)],
        prop::option::of(end()),
        prop_oneof![2 => Just(false), 3 => Just(true)],
        any::<u64>(),
    )
        .prop_map(
            |(
                ipv6,
                timestamps,
                window_scale,
                ring_bits,
                small_mtu,
                msl,
                ignores_reset,
                wraps,
                connected,
                seed,
            )| {
                Setup {
                    ipv6,
                    timestamps,
                    window_scale,
                    ring_bits,
                    small_mtu,
                    msl,
                    ignores_reset,
                    wraps,
                    connected,
                    seed,
                }
            },
        )
}

fn forgery() -> impl Strategy<Value = Forgery> {
    prop_oneof![
        2 => (1u16..400).prop_map(Forgery::ResetInWindow),
        1 => (1u16..400).prop_map(Forgery::ResetOutside),
        2 => Just(Forgery::ResetIgnored),
        2 => any::<u16>().prop_map(Forgery::Syn),
        1 => Just(Forgery::NoAck),
        2 => (1u16..400).prop_map(Forgery::AckBeyond),
        2 => (1u16..400).prop_map(Forgery::AckGhost),
        1 => Just(Forgery::MssOption),
    ]
}

fn amount() -> impl Strategy<Value = u16> {
    prop_oneof![3 => 1u16..20, 3 => 400u16..3_000, 1 => 3_000u16..20_000]
}

fn millis() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1u32..50, 3 => 50u32..2_000, 2 => 2_000u32..40_000, 1 => 40_000u32..300_000]
}

impl ReferenceStateMachine for Machine {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        setup()
            .prop_map(|setup| {
                let begins: &[Step] = if setup.connected { &CONNECTED } else { &[] };
                let machine = Machine {
                    setup,
                    ends: [Knows::default(); 2],
                };
                begins.iter().fold(machine, Self::apply)
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let any_open = state.ends.iter().any(|knows| knows.opened);
        let all_closed = state.ends.iter().all(|knows| !knows.opened || knows.closed);
        let if_open = |weight: u32| if any_open { weight } else { 1 };
        let opening = if all_closed { 12 } else { 2 };
        prop_oneof![
            14 => (0u8..3).prop_map(Step::Deliver),
            10 => (1u8..8).prop_map(Step::DeliverOldest),
            2 => any::<u8>().prop_map(Step::Deliver),
            4 => any::<u8>().prop_map(Step::Drop),
            3 => any::<u8>().prop_map(Step::Duplicate),
            1 => (any::<u8>(), any::<u16>()).prop_map(|(packet, bit)| Step::Corrupt(packet, bit)),
            8 => Just(Step::Timer),
            4 => millis().prop_map(Step::Wait),
            1 => millis().prop_map(Step::Sleep),
            2 => end().prop_map(Step::Hold),
            4 => (end(), forgery()).prop_map(|(end, forgery)| Step::Forge(end, forgery)),
            1 => end().prop_map(Step::Crash),
            opening => end().prop_map(Step::Listen),
            1 => end().prop_map(Step::CloseListener),
            opening => (end(), prop_oneof![3 => Just(Reuse::Yes), 1 => Just(Reuse::No)]).prop_map(|(end, reuse)| Step::Connect(end, reuse)),
            if_open(6) => end().prop_map(Step::Accept),
            if_open(10) => (end(), amount()).prop_map(|(end, bytes)| Step::Send(end, bytes)),
            if_open(9) => (end(), amount()).prop_map(|(end, bytes)| Step::Receive(end, bytes)),
            if_open(4) => end().prop_map(Step::ShutdownWrite),
            1 => end().prop_map(Step::ShutdownRead),
            if_open(4) => end().prop_map(Step::Close),
            1 => end().prop_map(Step::Abort),
            1 => (end(), prop_oneof![Just(Patience::Endless), Just(Patience::KeepAlive), Just(Patience::UserTimeout), Just(Patience::NoDelay)])
                .prop_map(|(end, patience)| Step::Options(end, patience)),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match *step {
            Step::Connect(end, _) | Step::Accept(end) => {
                state.ends[end as usize].opened = true;
                state.ends[end as usize].closed = false;
            }
            Step::Close(end) | Step::Abort(end) => state.ends[end as usize].closed = true,
            Step::Crash(end) => state.ends[end as usize] = Knows::default(),
            _ => {}
        }
        state
    }
}
