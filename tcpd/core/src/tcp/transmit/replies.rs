//! Segments that belong to no connection's stream: RST, the ACKs of the compact shapes, SYN-ACKs with cookies. A bounded queue of values.

use std::collections::VecDeque;

use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::endpoint::time_wait::TimeWait;
use crate::tcp::endpoint::{Pair, timestamp_value};
use crate::time::Instant;
use crate::wire::{Flags, SequenceNumber, Timestamps};

/// How many may wait: a device that takes nothing must not make the queue grow.
const MOST: usize = 1024;

/// One segment without text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) pair: Pair,
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) timestamps: Option<Timestamps>,
    /// Of the connection it is about; 0 where there is none.
    pub(crate) dscp: u8,
}

impl Reply {
    /// `<SEQ=seq><CTL=RST>`.
    pub(crate) fn reset(pair: Pair, seq: SequenceNumber) -> Self {
        Self {
            pair,
            seq,
            ack: SequenceNumber(0),
            flags: Flags::RST,
            window: 0,
            timestamps: None,
            dscp: 0,
        }
    }

    /// `<SEQ=0><ACK=ack><CTL=RST,ACK>`.
    pub(crate) fn reset_and_ack(pair: Pair, ack: SequenceNumber) -> Self {
        let mut reply = Self::reset(pair, SequenceNumber(0));
        reply.acknowledge(ack);
        reply
    }

    /// `<SEQ=seq><ACK=ack><CTL=ACK>`.
    pub(crate) fn ack(
        pair: Pair,
        seq: SequenceNumber,
        ack: SequenceNumber,
        window: u16,
        timestamps: Option<Timestamps>,
    ) -> Self {
        Self {
            pair,
            seq,
            ack,
            flags: Flags::ACK,
            window,
            timestamps,
            dscp: 0,
        }
    }

    /// The ACK of a half-open entry, at `seq`; `window` in bytes is scaled as agreed.
    pub(crate) fn of_half_open(
        half: &HalfOpen,
        seq: SequenceNumber,
        window: u32,
        now: Instant,
    ) -> Self {
        let field = (window >> half.agreed.receive_shift()).min(u32::from(u16::MAX)) as u16;
        let timestamps = half.agreed.timestamps.then(|| Timestamps {
            value: timestamp_value(half.ts_offset, now),
            echo: half.ts_recent,
        });
        Self::ack(half.pair, seq, half.rcv_nxt(), field, timestamps)
    }

    /// The ACK that TIME-WAIT sends; `offset` is that of the pair's timestamp clock, `clock` its value now.
    pub(crate) fn of_time_wait(old: &TimeWait, pair: Pair, clock: u32) -> Self {
        let timestamps = old.timestamps.then_some(Timestamps {
            value: clock,
            echo: old.ts_recent,
        });
        Self::ack(pair, old.snd_nxt, old.rcv_nxt, old.window, timestamps)
    }

    /// Adds an acknowledgment.
    pub(crate) fn acknowledge(&mut self, ack: SequenceNumber) {
        self.ack = ack;
        self.flags |= Flags::ACK;
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    queue: VecDeque<Reply>,
    /// SYN-ACKs of which nothing else is kept (SYN cookies).
    syn_acks: VecDeque<HalfOpen>,
    /// How many found it full.
    pub(crate) lost: u64,
}

impl Replies {
    pub(crate) fn push(&mut self, reply: Reply) {
        if self.queue.len() < MOST {
            self.queue.push_back(reply);
        } else {
            self.lost += 1;
        }
    }

    pub(crate) fn push_syn_ack(&mut self, half: HalfOpen) {
        if self.syn_acks.len() < MOST {
            self.syn_acks.push_back(half);
        } else {
            self.lost += 1;
        }
    }

    pub(crate) fn pop_syn_ack(&mut self) -> Option<HalfOpen> {
        self.syn_acks.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.syn_acks.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Reply> {
        self.queue.pop_front()
    }
}
