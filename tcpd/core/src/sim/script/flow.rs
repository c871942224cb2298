//! One far end of a script: how the script's numbers and those of the wire belong together, and what bytes stand where.

use super::syntax::{Stamp, TcpOption};

/// A far end and its (latest) connection with the stack.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// The stack's port: the script's own until a connect shows another.
    pub(super) local_port: u16,
    /// The far end's port.
    pub(super) remote_port: u16,
    /// What is added to the far end's script numbers on the wire.
    pub(super) theirs: u32,
    /// What is added to the stack's script numbers on the wire. 0 until a SYN showed it.
    pub(super) ours: u32,
    /// The far end's initial sequence number, as the script counts.
    their_isn: u32,
    /// The stack's, as the script counts.
    our_isn: u32,
    /// The next SYN of the stack begins a new connection, so it shows `ours` anew.
    fresh: bool,
    /// The same for timestamps of the stack.
    stamp: Option<u32>,
    /// The newest timestamp that the stack sent, as on the wire.
    newest_stamp: u32,
    /// The last window that the far end offered: the one of packets that name none.
    pub(super) window: u16,
    /// The end of what the stack sent so far on the wire.
    sent_end: Option<u32>,
    /// How far the ISS of this connection is beyond the end of the one before, if there was one.
    pub(super) iss_step: Option<i32>,
}

/// The ports of far end 1, 2, … are these plus the number.
pub(super) const FIRST_REMOTE_PORT: u16 = 40_000;

impl Flow {
    /// Far end number `peer`, whose numbers are moved by `theirs`.
    pub(super) fn new(peer: u16, local_port: u16, theirs: u32) -> Flow {
        Flow {
            local_port,
            remote_port: FIRST_REMOTE_PORT.saturating_add(peer),
            theirs,
            ours: 0,
            their_isn: 0,
            our_isn: 0,
            fresh: true,
            stamp: None,
            newest_stamp: 0,
            window: u16::MAX,
            sent_end: None,
            iss_step: None,
        }
    }

    /// A new connection begins between the pair.
    pub(super) fn begin(&mut self) {
        self.fresh = true;
        self.stamp = None;
    }

    /// The far end begins its numbers at `isn`.
    pub(super) fn their_syn(&mut self, isn: u32) {
        self.their_isn = isn;
    }

    /// The stack sent a SYN that a script calls `script`: the first of a connection shows where our numbers begin.
    pub(super) fn our_syn(&mut self, script: u32, wire: u32) {
        if self.fresh {
            self.fresh = false;
            self.ours = wire.wrapping_sub(script);
            self.our_isn = script;
            self.iss_step = self
                .sent_end
                .map(|end| wire.wrapping_sub(end).cast_signed());
            self.sent_end = Some(wire.wrapping_add(1));
        }
    }

    /// The stack sent something that ends at `wire`.
    pub(super) fn sent_up_to(&mut self, wire: u32) {
        match self.sent_end {
            Some(end) if wire.wrapping_sub(end).cast_signed() <= 0 => {}
            _ => self.sent_end = Some(wire),
        }
    }

    /// The position in the stream of the byte that the far end numbers `seq` in the script.
    pub(super) fn their_position(&self, seq: u32) -> u32 {
        seq.wrapping_sub(self.their_isn).wrapping_sub(1)
    }

    /// The position in the stream of the byte that the stack numbers `seq` in the script.
    pub(super) fn our_position(&self, seq: u32) -> u32 {
        seq.wrapping_sub(self.our_isn).wrapping_sub(1)
    }

    /// An injected option with the numbers of the wire.
    pub(super) fn wire_option(&self, option: &TcpOption) -> TcpOption {
        match option {
            TcpOption::Sack(blocks) => TcpOption::Sack(
                blocks
                    .iter()
                    .map(|(start, end)| {
                        (start.wrapping_add(self.ours), end.wrapping_add(self.ours))
                    })
                    .collect(),
            ),
            TcpOption::Timestamps { value, echo } => TcpOption::Timestamps {
                value: *value,
                echo: match (*echo, self.stamp) {
                    (Stamp::Last, _) => Stamp::Number(self.newest_stamp),
                    // 0 says that nothing is echoed; without a mapping a number stands for itself.
                    (Stamp::Number(echo), Some(offset)) if echo != 0 => {
                        Stamp::Number(echo.wrapping_add(offset))
                    }
                    (other, _) => other,
                },
            },
            other => other.clone(),
        }
    }

    /// Options of the stack's with the numbers of the script; notes timestamps.
    ///
    /// `expected` is what the script says: the first timestamp it names shows how they are counted.
    pub(super) fn script_options(
        &mut self,
        seen: &[TcpOption],
        expected: &[TcpOption],
    ) -> Vec<TcpOption> {
        seen.iter()
            .map(|option| match option {
                TcpOption::Sack(blocks) => TcpOption::Sack(
                    blocks
                        .iter()
                        .map(|(start, end)| {
                            (
                                start.wrapping_sub(self.theirs),
                                end.wrapping_sub(self.theirs),
                            )
                        })
                        .collect(),
                ),
                TcpOption::Timestamps {
                    value: Stamp::Number(value),
                    echo,
                } => {
                    self.newest_stamp = *value;
                    let named = expected.iter().find_map(|option| match option {
                        TcpOption::Timestamps {
                            value: Stamp::Number(named),
                            ..
                        } => Some(*named),
                        _ => None,
                    });
                    if let (None, Some(named)) = (self.stamp, named) {
                        self.stamp = Some(value.wrapping_sub(named));
                    }
                    TcpOption::Timestamps {
                        value: Stamp::Number(value.wrapping_sub(self.stamp.unwrap_or(0))),
                        echo: *echo,
                    }
                }
                other => other.clone(),
            })
            .collect()
    }
}

/// The byte at `position` of a stream; every direction has a pattern of its own.
pub(super) fn pattern(from_stack: bool, position: u32) -> u8 {
    let salt = if from_stack { 0x5bd1_e995 } else { 0x2545_f491 };
    (position.wrapping_add(salt).wrapping_mul(0x9e37_79b1) >> 23) as u8
}
