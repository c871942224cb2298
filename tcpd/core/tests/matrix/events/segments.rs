//! Segments, as the peer or somebody in its name would send them.

use tcpd_core::wire::{Flags, SequenceNumber, TcpSegment, Timestamps};

use super::{Action, Event};
use crate::numbers::Numbers;
use crate::reaction::{Reaction, Watch};
use crate::states::{Impossible, Situation};
use crate::world::{Setup, World};

/// Where a segment begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// So far from RCV.NXT.
    Next(i32),
    /// So far from the right edge of the window.
    Edge(i32),
    /// Where the peer's SYN was.
    Irs,
}

/// What it acknowledges.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ack {
    /// Nothing: no ACK bit.
    None,
    /// Nothing new, but acceptable.
    Current,
    /// So far from SND.UNA.
    Una(i32),
    /// So far from SND.NXT.
    Nxt(i32),
}

/// What is odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    BadChecksum,
    OldTimestamp,
    NoTimestamp,
    /// The urgent pointer.
    Urgent(u16),
}

/// A segment by its relation to the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    flags: &'static str,
    seq: Place,
    ack: Ack,
    length: u32,
    twist: Twist,
}

impl Spec {
    fn seq(&self, numbers: &Numbers) -> SequenceNumber {
        match self.seq {
            Place::Next(offset) => shifted(numbers.rcv, offset),
            Place::Edge(offset) => shifted(numbers.edge, offset),
            Place::Irs => numbers.irs,
        }
    }

    fn ack(&self, numbers: &Numbers) -> SequenceNumber {
        match self.ack {
            Ack::None => SequenceNumber(0),
            Ack::Current => numbers.current_ack,
            Ack::Una(offset) => shifted(numbers.una, offset),
            Ack::Nxt(offset) => shifted(numbers.nxt, offset),
        }
    }

    /// In the words of the ladder.
    pub(super) fn says(&self, numbers: &Numbers) -> String {
        let seq = match self.seq {
            Place::Irs if numbers.theirs_known => "irs".to_owned(),
            Place::Irs | Place::Next(_) | Place::Edge(_) => numbers.theirs(self.seq(numbers)),
        };
        let mut text = format!("{} {seq}({})", self.flags, self.length);
        if !matches!(self.ack, Ack::None) {
            text += &format!(" ack {}", numbers.ours(self.ack(numbers)));
        }
        text += &match self.twist {
            Twist::None => String::new(),
            Twist::BadChecksum => " bad checksum".to_owned(),
            Twist::OldTimestamp => " old timestamp".to_owned(),
            Twist::NoTimestamp => " no timestamp".to_owned(),
            Twist::Urgent(pointer) => format!(" urg {pointer}"),
        };
        text
    }

    /// Whether the window has the place this segment is about.
    fn possible(&self, numbers: &Numbers) -> Result<(), Impossible> {
        let inside = match self.seq {
            Place::Next(offset) => offset > 0,
            Place::Edge(offset) => offset < 0,
            Place::Irs => false,
        };
        if numbers.window() == 0 && inside {
            Err("a closed window has no inside")
        } else {
            Ok(())
        }
    }

    fn tell(&self, world: &mut World, numbers: &Numbers) -> Arrived {
        let text = vec![b'x'; self.length as usize];
        let (seq, ack) = (self.seq(numbers), self.ack(numbers));
        let mut segment = world.segment(self.flags, seq, ack, &text);
        match self.twist {
            Twist::OldTimestamp => {
                segment.options.timestamps = Some(Timestamps { value: 1, echo: 0 });
            }
            Twist::NoTimestamp => segment.options.timestamps = None,
            Twist::Urgent(pointer) => segment.urgent_pointer = pointer,
            Twist::None | Twist::BadChecksum => {}
        }
        let mut packet = world.packet(&segment);
        if self.twist == Twist::BadChecksum {
            let last = packet.len() - 1;
            packet[last] ^= 0x10;
        }
        world.receive(&packet);
        Arrived::of(&segment)
    }
}

fn shifted(number: SequenceNumber, offset: i32) -> SequenceNumber {
    SequenceNumber(number.0.wrapping_add_signed(offset))
}

/// What of a segment decides the form of a RST that answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    /// SEG.ACK, if the ACK bit is set.
    pub(crate) ack: Option<SequenceNumber>,
    /// SEG.SEQ.
    pub(crate) seq: SequenceNumber,
    /// SEG.SEQ + SEG.LEN.
    pub(crate) end: SequenceNumber,
}

impl Arrived {
    fn of(segment: &TcpSegment<'_>) -> Self {
        Self {
            ack: segment.flags.contains(Flags::ACK).then_some(segment.ack),
            seq: segment.seq,
            end: segment.end(),
        }
    }
}

/// All but the last are told first, and what they bring about is forgotten.
pub(super) fn play(
    specs: &[Spec],
    situation: &Situation,
    world: &mut World,
) -> Result<Reaction, Impossible> {
    let numbers = Numbers::of(world, situation);
    for spec in specs {
        spec.possible(&numbers)?;
    }
    let Some((last, before)) = specs.split_last() else {
        return Err("no segment");
    };
    for spec in before {
        spec.tell(world, &numbers);
        world.quiet();
    }
    let watch = Watch::start_at(world, numbers);
    let arrived = last.tell(world, &numbers);
    Ok(watch.finish(world, Some(arrived), None))
}

const fn spec(flags: &'static str, seq: Place, ack: Ack, length: u32) -> Spec {
    Spec {
        flags,
        seq,
        ack,
        length,
        twist: Twist::None,
    }
}

const fn twisted(flags: &'static str, length: u32, twist: Twist) -> Spec {
    Spec {
        flags,
        seq: Place::Next(0),
        ack: Ack::Current,
        length,
        twist,
    }
}

/// A SYN of which nothing is newer than the old connection.
const fn old_syn(twist: Twist) -> Spec {
    Spec {
        flags: "S",
        seq: Place::Next(-100),
        ack: Ack::None,
        length: 0,
        twist,
    }
}

const fn event(name: &'static str, specs: &'static [Spec]) -> Event {
    Event {
        name,
        setup: Setup::NONE,
        action: Action::Segments(specs),
    }
}

const fn with_timestamps(name: &'static str, specs: &'static [Spec]) -> Event {
    let mut event = event(name, specs);
    event.setup.timestamps = true;
    event
}

use Ack::{Current, Nxt, Una};
use Place::{Edge, Irs, Next};

const NO: Ack = Ack::None;

/// Every kind of segment that §3.10.7 tells apart.
pub(super) const EVENTS: &[Event] = &[
    event("syn-exact", &[spec("S", Next(0), NO, 0)]),
    event("syn-in-window", &[spec("S", Next(100), NO, 0)]),
    event("syn-left", &[spec("S", Next(-100), NO, 0)]),
    event("syn-right", &[spec("S", Edge(100), NO, 0)]),
    event("syn-again", &[spec("S", Irs, NO, 0)]),
    event("syn-data", &[spec("S", Next(0), NO, 10)]),
    event("syn-fin", &[spec("SF", Next(0), NO, 0)]),
    event("syn-rst", &[spec("SR", Next(0), NO, 0)]),
    event("syn-urg", &[spec("SU", Next(0), NO, 0)]),
    event("syn-ack", &[spec("S.", Next(0), Nxt(0), 0)]),
    event("syn-ack-wrong-ack", &[spec("S.", Next(0), Nxt(1), 0)]),
    event("syn-ack-old-ack", &[spec("S.", Next(0), Una(0), 0)]),
    event("syn-ack-again", &[spec("S.", Irs, Nxt(0), 0)]),
    event("syn-ack-data", &[spec("SP.", Next(0), Nxt(0), 10)]),
    event("ack-exact", &[spec(".", Next(0), Nxt(0), 0)]),
    event("ack-duplicate", &[spec(".", Next(0), Una(0), 0)]),
    event("ack-partial", &[spec(".", Next(0), Nxt(-1), 0)]),
    event("ack-old", &[spec(".", Next(0), Una(-500), 0)]),
    event("ack-too-old", &[spec(".", Next(0), Una(-1500), 0)]),
    event("ack-beyond", &[spec(".", Next(0), Nxt(1), 0)]),
    event("ack-probe", &[spec(".", Next(-1), Nxt(0), 0)]),
    event("ack-right", &[spec(".", Edge(100), Nxt(0), 0)]),
    event("no-ack", &[spec("-", Next(0), NO, 0)]),
    event("no-ack-data", &[spec("P", Next(0), NO, 10)]),
    event("data", &[spec("P.", Next(0), Current, 10)]),
    event("data-acks-all", &[spec("P.", Next(0), Nxt(0), 10)]),
    event("data-out-of-order", &[spec("P.", Next(100), Current, 10)]),
    event("data-old", &[spec("P.", Next(-50), Current, 10)]),
    event("data-right", &[spec("P.", Edge(0), Current, 10)]),
    event("data-across-left", &[spec("P.", Next(-5), Current, 10)]),
    event("data-across-right", &[spec("P.", Edge(-5), Current, 10)]),
    event("fin", &[spec("F.", Next(0), Current, 0)]),
    event("fin-acks-all", &[spec("F.", Next(0), Nxt(0), 0)]),
    event("fin-no-ack", &[spec("F", Next(0), NO, 0)]),
    event("fin-early", &[spec("F.", Next(100), Current, 0)]),
    event("fin-data", &[spec("FP.", Next(0), Current, 10)]),
    event(
        "fin-data-across-right",
        &[spec("FP.", Edge(-5), Current, 10)],
    ),
    event(
        "fin-twice",
        &[
            spec("F.", Next(100), Current, 0),
            spec("F.", Next(50), Current, 0),
        ],
    ),
    event("fin-again", &[spec("F.", Next(-1), Nxt(0), 0)]),
    event("rst-exact", &[spec("R", Next(0), NO, 0)]),
    event("rst-in-window", &[spec("R", Next(100), NO, 0)]),
    event("rst-left", &[spec("R", Next(-100), NO, 0)]),
    event("rst-right", &[spec("R", Edge(100), NO, 0)]),
    event("rst-data", &[spec("R", Next(0), NO, 10)]),
    event("rst-ack-exact", &[spec("R.", Next(0), Nxt(0), 0)]),
    event("rst-ack-wrong-ack", &[spec("R.", Next(0), Nxt(1), 0)]),
    event("rst-ack-in-window", &[spec("R.", Next(100), Nxt(0), 0)]),
    event("rst-ack-left", &[spec("R.", Next(-100), Nxt(0), 0)]),
    event("rst-ack-right", &[spec("R.", Edge(100), Nxt(0), 0)]),
    event("urg-data", &[twisted("PU.", 10, Twist::Urgent(5))]),
    event("urg-no-data", &[twisted("U.", 0, Twist::Urgent(5))]),
    event("urg-beyond", &[twisted("PU.", 10, Twist::Urgent(60_000))]),
    event("bad-checksum", &[twisted("P.", 10, Twist::BadChecksum)]),
    with_timestamps("ts-old", &[twisted("P.", 10, Twist::OldTimestamp)]),
    with_timestamps("ts-missing", &[twisted("P.", 10, Twist::NoTimestamp)]),
    with_timestamps("ts-old-rst", &[twisted("R.", 0, Twist::OldTimestamp)]),
    with_timestamps("ts-missing-rst", &[twisted("R.", 0, Twist::NoTimestamp)]),
    with_timestamps("ts-old-syn", &[old_syn(Twist::OldTimestamp)]),
    with_timestamps("ts-missing-syn", &[old_syn(Twist::NoTimestamp)]),
    with_timestamps("ts-newer-syn", &[spec("S", Next(-100), NO, 0)]),
];
