//! IP and TCP headers, into the one buffer from which they are handed out.

use crate::stack::slot::Slot;
use crate::stack::{ConnectionOptions, EndpointId, Stack, ip_output};
use crate::tcp::buffer::Ring;
use crate::tcp::endpoint::connection::{offered_mss, syn_window};
use crate::tcp::endpoint::half_open::HalfOpen;
use crate::tcp::endpoint::{Pair, timestamp_value};
use crate::tcp::transmit::{Outgoing, Reply};
use crate::time::Instant;
use crate::wire::{
    Ecn, Flags, IpFields, TcpOptions, TcpSegment, Timestamps, checksum, protocol, tcp,
};

/// What a segment's IP header is to say beside the addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpWishes {
    /// 0 for IPv4.
    pub(super) flow_label: u32,
    /// Six bits.
    pub(super) dscp: u8,
    /// The two below them.
    pub(super) ecn: Ecn,
}

impl<R: Ring> Stack<R> {
    /// A segment of a connection; its text follows from the ring. It has no MSS option, which is for SYNs (RFC 9293 §3.2 MUST-65).
    pub(super) fn build_segment(&mut self, pair: &Pair, ip: IpWishes, out: &Outgoing) {
        let segment = TcpSegment {
            seq: out.seq,
            ack: out.ack,
            flags: out.flags,
            window: out.window,
            urgent_pointer: out.urgent_pointer,
            options: TcpOptions {
                timestamps: out.timestamps,
                sack: out.sack,
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        self.build_headers(pair, ip, segment, out.length);
    }

    /// A RST, or an ACK of a compact shape.
    pub(super) fn build_reply(&mut self, reply: &Reply) {
        if reply.flags.contains(Flags::RST) {
            self.counters.resets_out += 1;
        }
        let segment = TcpSegment {
            seq: reply.seq,
            ack: reply.ack,
            flags: reply.flags,
            window: reply.window,
            options: TcpOptions {
                timestamps: reply.timestamps,
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        let ip = self.ip_wishes(&reply.pair, reply.dscp);
        self.build_headers(&reply.pair, ip, segment, 0);
    }

    /// `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>` of a listener's half-open entry.
    pub(super) fn build_syn_ack(&mut self, now: Instant, half: &HalfOpen) {
        let options = match self.endpoints.get(half.listener.key()) {
            Some(Slot::Listener(listener)) => listener.options.connection,
            _ => ConnectionOptions::default(),
        };
        let window = syn_window(self.receive_ring_of_listener(half.listener));
        self.build_handshake(now, half, &options, window);
    }

    fn build_handshake(
        &mut self,
        now: Instant,
        half: &HalfOpen,
        options: &ConnectionOptions,
        window: u32,
    ) {
        let mtu = u32::from(self.config.mtu);
        let segment = TcpSegment {
            seq: half.iss,
            ack: half.rcv_nxt(),
            flags: Flags::SYN | Flags::ACK | half.agreed.ecn.syn_ack_flags(),
            window: window as u16,
            options: TcpOptions {
                mss: Some(offered_mss(&half.pair, options, mtu)),
                sack_permitted: half.agreed.sack,
                window_scale: half.agreed.send_shift.map(|_| half.agreed.receive_shift),
                timestamps: half.agreed.timestamps.then(|| Timestamps {
                    value: timestamp_value(half.ts_offset, now),
                    echo: half.ts_recent,
                }),
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        let ip = self.ip_wishes(&half.pair, options.dscp);
        self.build_headers(&half.pair, ip, segment, 0);
    }

    /// `<SEQ=ISS><CTL=SYN>` of an active open; SYN-ACK once the SYNs have crossed.
    pub(super) fn build_syn(&mut self, now: Instant, id: EndpointId) {
        let Some(Slot::SynSent(open)) = self.endpoints.get(id.key()) else {
            return;
        };
        let (pair, options) = (open.pair, open.options);
        let window = syn_window(open.rings.receive.capacity());
        if let Some(half) = open.crossed {
            return self.build_handshake(now, &half, &options, window);
        }
        let segment = TcpSegment {
            seq: open.iss,
            flags: Flags::SYN | open.ecn.syn_flags(),
            window: window as u16,
            options: TcpOptions {
                // RFC 9293 §3.7.1 SHLD-5, MAY-3: on every SYN, also where it says the default.
                mss: Some(offered_mss(&pair, &options, u32::from(self.config.mtu))),
                sack_permitted: open.sack,
                window_scale: open.shift,
                timestamps: open.timestamps.then(|| Timestamps {
                    value: timestamp_value(open.ts_offset, now),
                    echo: 0,
                }),
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        let ip = self.ip_wishes(&pair, options.dscp);
        self.build_headers(&pair, ip, segment, 0);
    }

    fn ip_wishes(&self, pair: &Pair, dscp: u8) -> IpWishes {
        IpWishes {
            flow_label: self.flow_label(pair),
            dscp,
            ecn: Ecn::NotEct,
        }
    }

    /// The flow label of a pair; a connection keeps its own.
    pub(in crate::stack) fn flow_label(&self, pair: &Pair) -> u32 {
        ip_output::flow_label(&self.flow_labels, &pair.flow())
    }

    /// Both headers into the buffer. The checksum field gets the folded sum of the pseudo header, as virtio wants it; whoever sends the
    /// packet sums up the rest (RFC 9293 §3.1 MUST-2). The addresses are the pair's for as long as it lives (§3.9.1.1 MUST-45).
    fn build_headers(
        &mut self,
        pair: &Pair,
        ip: IpWishes,
        segment: TcpSegment<'_>,
        payload_len: u32,
    ) {
        let flow = pair.flow();
        let segment = TcpSegment {
            source_port: pair.local_port,
            destination_port: pair.remote_port,
            ..segment
        };
        let fields = IpFields {
            // RFC 9293 §3.9.2 MUST-49: the TTL is a matter of configuration.
            hop_limit: self.config.tcp.hop_limit,
            // RFC 9293 §3.9.1.9 SHLD-22: as the user has it. The two bits of ECN are ours.
            ..ip_output::tcp_fields(&flow, ip.flow_label, ip.dscp << 2 | ip.ecn.bits())
        };
        let header = &mut self.output.header;
        header.clear();
        let length = segment.header_len() as u32 + payload_len;
        fields.emit(length as usize, header);
        let start = header.len();
        segment.emit_header(header);
        let sum = checksum::pseudo_header(&flow.addresses, protocol::TCP, length).fold();
        header[start + tcp::CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.to_be_bytes());
    }
}
