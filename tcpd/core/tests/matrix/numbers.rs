//! The numbers of a connection before an event, and the words for others relative to them.

use tcpd_core::stack::State;
use tcpd_core::wire::SequenceNumber;

use crate::states::Situation;
use crate::world::{RING, World};

/// Where the connection stands. Where nothing is known of a side, its numbers are any: `x` for the peer's, `y` for ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) una: SequenceNumber,
    pub(crate) nxt: SequenceNumber,
    /// RCV.NXT.
    pub(crate) rcv: SequenceNumber,
    /// RCV.NXT + RCV.WND.
    pub(crate) edge: SequenceNumber,
    /// IRS.
    pub(crate) irs: SequenceNumber,
    /// The ACK field of a segment that acknowledges nothing new but is acceptable.
    pub(crate) current_ack: SequenceNumber,
    /// Our numbers are known.
    pub(crate) ours_known: bool,
    /// The peer's are.
    pub(crate) theirs_known: bool,
}

impl Numbers {
    pub(crate) fn of(world: &World, situation: &Situation) -> Self {
        let y = SequenceNumber(0x8000_0000);
        let x = world.isn;
        if let Some(iss) = world.cookie {
            return Self {
                una: iss,
                nxt: iss + 1,
                rcv: world.isn + 1,
                edge: world.isn + 1 + RING,
                irs: world.isn,
                current_ack: iss + 1,
                ours_known: true,
                theirs_known: true,
            };
        }
        let ours_known = !matches!(situation.state, State::Closed | State::Listen);
        let theirs_known = ours_known && situation.state != State::SynSent;
        let status = world.status().filter(|_| ours_known);
        let (una, nxt) = status
            .as_ref()
            .map_or((y, y), |status| (status.snd_una, status.snd_nxt));
        let known = status.as_ref().filter(|_| theirs_known);
        let rcv = known.map_or(x, |status| status.rcv_nxt);
        // The compact shapes offer what a connection of theirs would.
        let opening = situation.variant == "opening";
        let compact = opening || matches!(situation.state, State::SynReceived | State::TimeWait);
        let edge = known
            .filter(|_| !compact)
            .map_or(rcv + RING, |status| status.rcv_adv);
        let current_ack = match situation.state {
            State::SynSent | State::SynReceived => nxt,
            // Our SYN and no more.
            _ if opening => una + 1,
            _ => una,
        };
        Self {
            una,
            nxt,
            rcv,
            edge,
            irs: known.map_or(x, |_| world.isn),
            current_ack,
            ours_known,
            theirs_known,
        }
    }

    /// RCV.WND.
    pub(crate) fn window(&self) -> u32 {
        self.edge.offset_from(self.rcv)
    }

    /// One of our numbers, as `snd.nxt-1`.
    pub(crate) fn ours(&self, number: SequenceNumber) -> String {
        if !self.ours_known {
            return relative("y", self.nxt, number);
        }
        if number == self.una && self.una != self.nxt {
            return "snd.una".to_owned();
        }
        let (from_una, from_nxt) = (
            number.signed_offset_from(self.una),
            number.signed_offset_from(self.nxt),
        );
        if from_una < 0 {
            relative("snd.una", self.una, number)
        } else {
            debug_assert!(from_nxt.abs() < 1 << 20, "{from_nxt}");
            relative("snd.nxt", self.nxt, number)
        }
    }

    /// One of the peer's, as `rcv.nxt+10`, or `edge` for the right edge of the window.
    pub(crate) fn theirs(&self, number: SequenceNumber) -> String {
        if !self.theirs_known {
            return relative("x", self.rcv, number);
        }
        let from_edge = number.signed_offset_from(self.edge);
        if self.window() > 0 && from_edge.abs() <= 100 {
            relative("edge", self.edge, number)
        } else {
            relative("rcv.nxt", self.rcv, number)
        }
    }
}

fn relative(word: &str, base: SequenceNumber, number: SequenceNumber) -> String {
    match number.signed_offset_from(base) {
        0 => word.to_owned(),
        offset => format!("{word}{offset:+}"),
    }
}
