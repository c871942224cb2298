//! ICMP and ICMPv6 at a host: what is answered, what is reported, what an error says about a connection.
//!
//! * An echo request to us is answered with its own data (RFC 1122 §3.2.2.6, RFC 4443 §4.2).
//! * `icmp/errors.rs`: a packet for which we have no handler, or one that RFC 8200 wants reported, gives an error to its sender, under the rules of RFC 1122 §3.2.2 and
//!   RFC 4443 §2.4 (never about an error, a multicast, a later fragment).
//! * Both are limited by token buckets of their own, so that neither can be used as an amplifier (RFC 4443 §2.4 (f)).
//! * An error about one of our segments becomes an [`IcmpError`]. Whether it is believed is for the owner of the connection to say (RFC 5927):
//!   the quoted number has to lie in flight, and no error ends a synchronised connection.
//! * Source quench (RFC 6633), redirects, router and neighbour discovery are ignored.

mod errors;

use super::token_bucket::TokenBucket;
use crate::time::Instant;
use crate::wire::icmpv4::Icmpv4Message;
use crate::wire::icmpv6::Icmpv6Message;
use crate::wire::{
    FlowTuple, IpFields, IpHeader, ParseError, QuotedPacket, SequenceNumber, protocol,
};

pub use crate::tcp::endpoint::IcmpCause;

/// How much ICMP we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpLimits {
    /// Errors a second, in the long run.
    pub errors_per_second: u32,
    /// Errors at once.
    pub errors_burst: u32,
    /// Echo replies a second, in the long run.
    pub echoes_per_second: u32,
    /// Echo replies at once.
    pub echoes_burst: u32,
}

impl Default for IcmpLimits {
    fn default() -> IcmpLimits {
        IcmpLimits {
            errors_per_second: 200,
            errors_burst: 50,
            echoes_per_second: 10_000,
            echoes_burst: 1_000,
        }
    }
}

/// The ICMP part of a host.
#[derive(Clone, Debug)]
pub struct Icmp {
    errors: TokenBucket,
    echoes: TokenBucket,
}

/// What came of an ICMP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpInput {
    /// An echo request: the reply, a whole packet, has been appended to `out`.
    Replied,
    /// An error about a TCP segment that we may have sent.
    Error(IcmpError),
    /// Nothing to do.
    Ignored(IcmpIgnored),
}

/// Why an ICMP message had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IcmpIgnored {
    /// Too short or with a wrong checksum.
    #[error("malformed: {0}")]
    Malformed(ParseError),
    /// An echo request beyond the rate.
    #[error("beyond the rate of echo replies")]
    RateLimited,
    /// A kind that a host on a point-to-point link has no use for, or must ignore (source quench, redirect).
    #[error("a kind that is ignored")]
    Kind,
    /// An echo reply: we never ask.
    #[error("an echo reply nobody asked for")]
    Unsolicited,
    /// An error whose quote is too short to find the segment it is about.
    #[error("a quote too short to tell")]
    QuoteTooShort,
    /// An error about something that is not TCP.
    #[error("not about TCP")]
    NotTcp,
}

/// An ICMP error about a segment of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// The connection, as our segments name it: source = local.
    pub flow: FlowTuple,
    /// SEG.SEQ of the quoted segment: to be checked against SND.UNA =< seq < SND.NXT (RFC 5927 §4.1).
    pub seq: SequenceNumber,
    /// What it says.
    pub kind: IcmpErrorKind,
}

/// How an error is to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpErrorKind {
    /// Remember it, report it if the connection fails (RFC 9293 §3.9.2.2, RFC 5461).
    Soft(IcmpCause),
    /// Ends an attempt to connect; soft for a synchronised connection (RFC 5927 §5.2).
    HardDuringOpen(IcmpCause),
    /// Lower the path MTU and send again; see `stack/path_mtu.rs`. Never counts as congestion.
    PacketTooBig {
        /// As reported; 0 from routers older than RFC 1191.
        mtu: u32,
        /// Length of the packet it is about, as quoted.
        quoted_len: u32,
    },
}

impl Icmp {
    /// With full buckets.
    pub fn new(limits: IcmpLimits) -> Icmp {
        Icmp {
            errors: TokenBucket::new(limits.errors_per_second, limits.errors_burst),
            echoes: TokenBucket::new(limits.echoes_per_second, limits.echoes_burst),
        }
    }

    /// Takes in an ICMP or ICMPv6 packet whose addresses have been judged (it is for us, from one host). A reply is appended to `out` as a
    /// whole IP packet.
    pub fn receive(
        &mut self,
        now: Instant,
        header: &IpHeader,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> IcmpInput {
        let message = &packet[header.payload.clone()];
        match (header.protocol, header.addresses.is_ipv6()) {
            (protocol::ICMPV4, false) => self.receive_v4(now, header, message, out),
            (protocol::ICMPV6, true) => self.receive_v6(now, header, message, out),
            _ => IcmpInput::Ignored(IcmpIgnored::Kind),
        }
    }

    fn receive_v4(
        &mut self,
        now: Instant,
        header: &IpHeader,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> IcmpInput {
        let message = match Icmpv4Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => return IcmpInput::Ignored(IcmpIgnored::Malformed(error)),
        };
        match message {
            Icmpv4Message::EchoRequest(_) if !self.echoes.take(now) => {
                IcmpInput::Ignored(IcmpIgnored::RateLimited)
            }
            Icmpv4Message::EchoRequest(echo) => {
                reply_fields(header).emit(bytes.len(), out);
                Icmpv4Message::EchoReply(echo).emit(out);
                IcmpInput::Replied
            }
            Icmpv4Message::EchoReply(_) => IcmpInput::Ignored(IcmpIgnored::Unsolicited),
            Icmpv4Message::Other { .. } => IcmpInput::Ignored(IcmpIgnored::Kind),
            Icmpv4Message::Unreachable { .. }
            | Icmpv4Message::TimeExceeded { .. }
            | Icmpv4Message::ParameterProblem { .. } => {
                about_tcp(message.quoted(), |quoted| kind_v4(&message, quoted))
            }
        }
    }

    fn receive_v6(
        &mut self,
        now: Instant,
        header: &IpHeader,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> IcmpInput {
        let message = match Icmpv6Message::parse(&header.addresses, bytes) {
            Ok(message) => message,
            Err(error) => return IcmpInput::Ignored(IcmpIgnored::Malformed(error)),
        };
        match message {
            Icmpv6Message::EchoRequest(_) if !self.echoes.take(now) => {
                IcmpInput::Ignored(IcmpIgnored::RateLimited)
            }
            Icmpv6Message::EchoRequest(echo) => {
                let fields = reply_fields(header);
                fields.emit(bytes.len(), out);
                Icmpv6Message::EchoReply(echo).emit(&fields.addresses, out);
                IcmpInput::Replied
            }
            Icmpv6Message::EchoReply(_) => IcmpInput::Ignored(IcmpIgnored::Unsolicited),
            Icmpv6Message::Other { .. } => IcmpInput::Ignored(IcmpIgnored::Kind),
            Icmpv6Message::Unreachable { .. }
            | Icmpv6Message::PacketTooBig { .. }
            | Icmpv6Message::TimeExceeded { .. }
            | Icmpv6Message::ParameterProblem { .. } => {
                about_tcp(message.quoted(), |quoted| kind_v6(&message, quoted))
            }
        }
    }
}

/// Back to where it came from, with the DSCP it came with (RFC 1122 §3.2.2.6), not ECN-capable.
fn reply_fields(header: &IpHeader) -> IpFields {
    let traffic_class = header.traffic_class & !3;
    IpFields {
        traffic_class,
        ..IpFields::new(header.addresses.reversed(), header.protocol)
    }
}

fn about_tcp(
    quoted: Option<QuotedPacket>,
    kind: impl FnOnce(&QuotedPacket) -> IcmpErrorKind,
) -> IcmpInput {
    let Some(quoted) = quoted else {
        return IcmpInput::Ignored(IcmpIgnored::QuoteTooShort);
    };
    if quoted.protocol != protocol::TCP {
        return IcmpInput::Ignored(IcmpIgnored::NotTcp);
    }
    let (Some(flow), Some(seq)) = (quoted.tcp_flow(), quoted.seq) else {
        return IcmpInput::Ignored(IcmpIgnored::QuoteTooShort);
    };
    IcmpInput::Error(IcmpError {
        flow,
        seq,
        kind: kind(&quoted),
    })
}

/// RFC 9293 §3.9.2.2 MUST-56, SHLD-26 with RFC 5927 §5.2: which errors are soft, and which are hard while opening; RFC 1122 §3.2.2.1.
fn kind_v4(message: &Icmpv4Message<'_>, quoted: &QuotedPacket) -> IcmpErrorKind {
    use IcmpErrorKind::{HardDuringOpen, PacketTooBig, Soft};
    match *message {
        Icmpv4Message::Unreachable { code, mtu, .. } => match code {
            0 | 6 | 11 => Soft(IcmpCause::Network),
            2 => HardDuringOpen(IcmpCause::Protocol),
            3 => HardDuringOpen(IcmpCause::Port),
            4 => PacketTooBig {
                mtu: u32::from(mtu),
                quoted_len: quoted.total_len,
            },
            9 | 10 | 13 => HardDuringOpen(IcmpCause::Prohibited),
            _ => Soft(IcmpCause::Host),
        },
        Icmpv4Message::TimeExceeded { .. } => Soft(IcmpCause::TimeExceeded),
        _ => Soft(IcmpCause::ParameterProblem),
    }
}

/// The same for RFC 4443.
fn kind_v6(message: &Icmpv6Message<'_>, quoted: &QuotedPacket) -> IcmpErrorKind {
    use IcmpErrorKind::{HardDuringOpen, PacketTooBig, Soft};
    match *message {
        Icmpv6Message::Unreachable { code, .. } => match code {
            0 => Soft(IcmpCause::Network),
            1 | 5 | 6 => HardDuringOpen(IcmpCause::Prohibited),
            4 => HardDuringOpen(IcmpCause::Port),
            _ => Soft(IcmpCause::Host),
        },
        Icmpv6Message::PacketTooBig { mtu, .. } => PacketTooBig {
            mtu,
            quoted_len: quoted.total_len,
        },
        Icmpv6Message::TimeExceeded { .. } => Soft(IcmpCause::TimeExceeded),
        _ => Soft(IcmpCause::ParameterProblem),
    }
}

#[cfg(test)]
mod tests;
