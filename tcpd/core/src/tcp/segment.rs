//! A segment as the eight steps see it: parsed, unwrapped to positions, and cut to the window as they go.

use crate::wire::{Ecn, Flags, SackBlocks, SequenceNumber, TcpSegment, Timestamps, UserTimeout};

/// SEG.* of RFC 9293 §3.3.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    pub(crate) flags: Flags,
    /// The ECN field of the IP header it came in.
    pub(crate) ecn: Ecn,
    /// SEG.WND as it stands in the header.
    pub(crate) window: u16,
    pub(crate) urgent_pointer: u16,
    pub(crate) timestamps: Option<Timestamps>,
    pub(crate) sack: SackBlocks,
    pub(crate) user_timeout: Option<UserTimeout>,
    pub(crate) payload: &'a [u8],
    /// Payload bytes of each segment that was on the wire: less than `payload.len()` in a super-segment.
    pub(crate) segment_size: u32,
    /// Bytes of text that were cut off on the left: they had arrived before.
    pub(crate) old: u32,
    /// Position of the first byte of `payload` in the receive space; set by the first step, negative for what is old.
    pub(crate) start: i64,
}

impl<'a> Segment<'a> {
    /// `segment_size`: what the device says about a super-segment.
    pub(crate) fn new(tcp: &TcpSegment<'a>, segment_size: Option<u16>, ecn: Ecn) -> Self {
        let length = tcp.payload.len() as u32;
        Self {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            ecn,
            window: tcp.window,
            urgent_pointer: tcp.urgent_pointer,
            timestamps: tcp.options.timestamps,
            sack: tcp.options.sack,
            user_timeout: tcp.options.user_timeout,
            payload: tcp.payload,
            segment_size: segment_size.map_or(length, |size| length.min(u32::from(size.max(1)))),
            old: 0,
            start: 0,
        }
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }

    /// SEG.LEN: payload and the controls that take a sequence number.
    pub(crate) fn len(&self) -> u32 {
        self.payload.len() as u32
            + u32::from(self.has(Flags::SYN))
            + u32::from(self.has(Flags::FIN))
    }

    /// How many segments of the wire this is.
    pub(crate) fn parts(&self) -> u32 {
        (self.payload.len() as u32)
            .div_ceil(self.segment_size.max(1))
            .max(1)
    }

    /// Position after the last byte of the payload.
    pub(crate) fn payload_end(&self) -> i64 {
        self.start + self.payload.len() as i64
    }

    /// Cuts off what lies left of `edge`.
    pub(crate) fn trim_left(&mut self, edge: u64) {
        let old = (edge as i64 - self.start).clamp(0, self.payload.len() as i64);
        self.payload = &self.payload[old as usize..];
        self.start += old;
        self.old += old as u32;
    }

    /// Cuts off what lies right of `edge`; a FIN goes with it.
    pub(crate) fn trim_right(&mut self, edge: u64) {
        let beyond = self.payload_end() - edge as i64;
        if beyond > 0 {
            let keep = self.payload.len() - (beyond as usize).min(self.payload.len());
            self.payload = &self.payload[..keep];
        }
        if beyond >= 0 {
            self.flags = self.flags.without(Flags::FIN);
        }
    }
}
