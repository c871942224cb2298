//! Packets between the two stacks, as bytes and as what a look at them tells.

use std::net::{IpAddr, SocketAddr};

use tcpd_core::sim::pair::{End, Pair};
use tcpd_core::stack::Status;
use tcpd_core::time::Instant;
use tcpd_core::wire::{
    Flags, IpAddresses, IpHeader, SequenceNumber, TcpOptions, TcpSegment, Timestamps, protocol,
};

use crate::common::packets::segment_packet;
use crate::machine::Forgery;

/// The port of each end: there is one pair, and every connection of a walk is an incarnation of it.
pub(crate) const PORTS: [u16; 2] = [6_000, 7];

pub(crate) fn socket(end: End, ipv6: bool) -> SocketAddr {
    SocketAddr::new(Pair::address(end, ipv6), PORTS[end as usize])
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) to: End,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sent_at: Instant,
    pub(crate) damaged: bool,
}

/// A segment, with all it says.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) flags: Flags,
    pub(crate) seq: SequenceNumber,
    pub(crate) ack: SequenceNumber,
    pub(crate) window: u16,
    pub(crate) options: TcpOptions,
    pub(crate) text: Vec<u8>,
}

impl Seen {
    /// What stands in a packet; `None` when it is no good TCP segment.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let header = IpHeader::parse(packet).ok()?;
        let bytes = &packet[header.payload.clone()];
        if header.protocol != protocol::TCP || !TcpSegment::verify(&header.addresses, bytes) {
            return None;
        }
        let segment = TcpSegment::parse(bytes).ok()?;
        Some(Self {
            flags: segment.flags,
            seq: segment.seq,
            ack: segment.ack,
            window: segment.window,
            options: segment.options,
            text: segment.payload.to_vec(),
        })
    }

    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }

    /// SEG.LEN.
    pub(crate) fn len(&self) -> u32 {
        self.text.len() as u32 + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}({}) ack {}",
            self.flags,
            self.seq,
            self.text.len(),
            self.ack
        )
    }
}

/// A packet from the other end's address and port to `to`.
fn packet(to: End, ipv6: bool, mut segment: TcpSegment<'_>) -> Vec<u8> {
    let (source, destination): (IpAddr, IpAddr) =
        (Pair::address(to.other(), ipv6), Pair::address(to, ipv6));
    segment.source_port = PORTS[to.other() as usize];
    segment.destination_port = PORTS[to as usize];
    let addresses = IpAddresses {
        source,
        destination,
    };
    segment_packet(addresses, &segment)
}

/// A segment that must change nothing at `to`, whose endpoint is as `status` says; `None` where there is none of that kind.
pub(crate) fn forge(
    to: End,
    ipv6: bool,
    forgery: Forgery,
    status: &Status,
    ignores_reset: bool,
) -> Option<Vec<u8>> {
    use tcpd_core::stack::State;
    let opening = status.state == State::SynSent;
    let waiting = status.state == State::TimeWait;
    let synchronised = status.state.is_synchronised() && !waiting;
    let window = status.rcv_wnd;
    let timestamps = status.timestamps.then_some(Timestamps {
        value: status.ts_recent,
        echo: 0,
    });
    let text = *b"forged";
    let mut segment = TcpSegment {
        seq: status.rcv_nxt,
        ack: status.snd_una,
        flags: Flags::ACK,
        window: 1_000,
        options: TcpOptions {
            timestamps,
            ..TcpOptions::default()
        },
        payload: &[],
        ..TcpSegment::default()
    };
    match forgery {
        Forgery::ResetInWindow(by) if synchronised && window > 1 => {
            segment.flags = Flags::RST;
            segment.seq = status.rcv_nxt + 1 + u32::from(by) % (window - 1);
        }
        Forgery::ResetOutside(by) if synchronised => {
            segment.flags = Flags::RST;
            segment.seq = if by % 2 == 0 {
                status.rcv_nxt - u32::from(by) - 1
            } else {
                status.rcv_nxt + window.max(1) + u32::from(by)
            };
        }
        // RFC 9293 §3.10.7.3: without an ACK "drop the segment and return".
        Forgery::ResetIgnored if opening => segment.flags = Flags::RST,
        Forgery::ResetIgnored if waiting && ignores_reset => segment.flags = Flags::RST,
        Forgery::Syn(by) if synchronised => {
            segment.flags = Flags::SYN;
            segment.seq = status.rcv_nxt + u32::from(by);
        }
        // An older one than the connection, with its timestamp: no new incarnation.
        Forgery::Syn(by) if waiting => {
            segment.flags = Flags::SYN;
            segment.seq = status.rcv_nxt - 1 - u32::from(by);
        }
        Forgery::NoAck if synchronised => {
            segment.flags = Flags::PSH;
            segment.payload = &text;
        }
        Forgery::AckBeyond(by) if synchronised => {
            segment.ack = status.snd_nxt + u32::from(by);
            segment.payload = &text;
        }
        // RFC 9293 §3.10.7.3: an ACK that is not of our SYN.
        Forgery::AckBeyond(by) if opening => {
            segment.ack = status.iss + 1 + u32::from(by);
            segment.flags = Flags::SYN | Flags::ACK;
        }
        Forgery::AckGhost(by) if synchronised => {
            segment.ack = status.iss - u32::from(by);
            segment.payload = &text;
        }
        Forgery::AckGhost(by) if opening => {
            segment.ack = status.iss - u32::from(by) + 1;
            segment.flags = Flags::SYN | Flags::ACK;
        }
        Forgery::MssOption if synchronised => {
            segment.options.mss = Some(88);
            segment.window = 0xffff;
            // One left of the window: it is old, only its option is new.
            segment.seq = status.rcv_nxt - 1;
        }
        Forgery::ResetInWindow(_)
        | Forgery::ResetOutside(_)
        | Forgery::ResetIgnored
        | Forgery::Syn(_)
        | Forgery::NoAck
        | Forgery::AckBeyond(_)
        | Forgery::AckGhost(_)
        | Forgery::MssOption => return None,
    }
    Some(packet(to, ipv6, segment))
}
