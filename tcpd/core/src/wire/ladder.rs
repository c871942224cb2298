//! The one ladder format: how packets look in tests, traces and bug reports.
//!
//! ```text
//! 0.000    SYN-SENT     ── S  100(0) mss 1460 ──▶   LISTEN
//! 0.050    ESTABLISHED  ◀─ S. 300(0) ack 101  ──    SYN-RECEIVED
//! 0.051                 ── P. 101(512) ack 301 ─✗   lost (seed 7)
//! ```
//!
//! [`one_line`] shows one whole IP packet as tcpdump would, for mismatches where every field may matter.

use std::fmt;
use std::net::SocketAddr;

use super::icmpv4::Icmpv4Message;
use super::icmpv6::Icmpv6Message;
use super::tcp::Flags;
use super::{Ecn, IpHeader, QuotedPacket, SequenceNumber, TcpSegment, protocol};
use crate::time::Instant;

/// Which way a packet goes between the two columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the left column's side to the right one's.
    Right,
    /// From the right column's side to the left one's.
    Left,
}

/// One line of a ladder. Its `Display` has no line end and no trailing blanks.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// When the packet was sent.
    pub time: Instant,
    /// State of the left side; empty for none.
    pub left: &'a str,
    /// Which way.
    pub direction: Direction,
    /// What: see [`brief`].
    pub packet: &'a str,
    /// False for a packet that is lost on its way: its arrow ends in ✗.
    pub arrives: bool,
    /// State of the right side, or a remark.
    pub right: &'a str,
}

/// Columns a packet's text has before it pushes its arrow to the right: what the handshake needs.
const PACKET_WIDTH: usize = 18;
/// The widest a whole ladder gets for the sake of one packet's text.
const MAX_PACKET_WIDTH: usize = 48;

impl Line<'_> {
    /// The line in a ladder whose packets are `packet_width` wide ([`packet_width`]), without line end and trailing blanks.
    pub fn render(&self, packet_width: usize) -> String {
        let (tail, head) = match (self.direction, self.arrives) {
            (Direction::Right, true) => ("──", "──▶"),
            (Direction::Right, false) => ("──", "─✗"),
            (Direction::Left, true) => ("◀─", "──"),
            (Direction::Left, false) => ("✗─", "──"),
        };
        let arrow = format!("{tail} {:<packet_width$} {head}", self.packet);
        let arrow_width = packet_width + 7;
        let line = format!(
            "{:<8} {:<12} {arrow:<arrow_width$}   {}",
            self.time, self.left, self.right
        );
        line.trim_end().to_string()
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(PACKET_WIDTH))
    }
}

/// What happened at one side beside the packets, as a call of its user: the text stands where packets stand.
#[derive(Clone, Debug)]
pub struct Remark<'a> {
    /// When.
    pub time: Instant,
    /// State of the left side; empty for none.
    pub left: &'a str,
    /// What happened.
    pub text: &'a str,
    /// State of the right side; empty for none.
    pub right: &'a str,
}

impl Remark<'_> {
    /// The remark as a line of a ladder whose packets are `packet_width` wide ([`packet_width`]), without line end and trailing blanks.
    pub fn render(&self, packet_width: usize) -> String {
        let width = packet_width + 7;
        let Remark {
            time, left, text, ..
        } = self;
        // What happened at the right stands at the right.
        let text = match (left.is_empty(), self.right.is_empty()) {
            (true, false) => format!("{text:>width$}"),
            _ => format!("{text:<width$}"),
        };
        let line = format!("{time:<8} {left:<12} {text}   {}", self.right);
        line.trim_end().to_string()
    }
}

/// How wide the packets of a ladder are: as the longest needs, within limits.
pub fn packet_width(lines: &[Line<'_>]) -> usize {
    let longest = lines
        .iter()
        .map(|line| line.packet.chars().count())
        .max()
        .unwrap_or(0);
    longest.clamp(PACKET_WIDTH, MAX_PACKET_WIDTH)
}

/// A whole ladder, a line each with its line end, the arrows as long as the longest text needs.
pub fn render(lines: &[Line<'_>]) -> String {
    let width = packet_width(lines);
    lines.iter().map(|line| line.render(width) + "\n").collect()
}

/// A segment in a ladder: flags, sequence number, length, acknowledgment, then what is special about it. Numbers are
/// relative to `seq_base` and `ack_base` (zero for absolute ones).
pub fn brief(
    segment: &TcpSegment<'_>,
    seq_base: SequenceNumber,
    ack_base: SequenceNumber,
) -> String {
    let mut text = format!(
        "{:<2} {}({})",
        segment.flags,
        segment.seq.offset_from(seq_base),
        segment.payload.len()
    );
    if segment.flags.contains(Flags::ACK) {
        text += &format!(" ack {}", segment.ack.offset_from(ack_base));
    }
    if segment.window == 0 && !segment.flags.intersects(Flags::SYN | Flags::RST) {
        text += " win 0";
    }
    if segment.flags.contains(Flags::URG) {
        text += &format!(" urg {}", segment.urgent_pointer);
    }
    if let Some(mss) = segment.options.mss {
        text += &format!(" mss {mss}");
    }
    if !segment.options.sack.is_empty() {
        text += " sack";
        for (start, end) in segment.options.sack.as_slice() {
            text += &format!(
                " {}:{}",
                start.offset_from(ack_base),
                end.offset_from(ack_base)
            );
        }
    }
    text
}

/// A whole IP packet on one line, all numbers absolute; whatever the bytes are.
pub fn one_line(packet: &[u8]) -> String {
    let header = match IpHeader::parse(packet) {
        Ok(header) => header,
        Err(refusal) => return format!("no packet ({}), {} bytes", refusal.reason, packet.len()),
    };
    let payload = &packet[header.payload.clone()];
    let mut text = if header.fragment.is_some_and(|fragment| fragment.offset != 0) {
        format!(
            "{}, protocol {}, {} bytes",
            ends(&header, None),
            header.protocol,
            payload.len()
        )
    } else {
        upper_layer(&header, payload)
    };
    if let Some(fragment) = header.fragment {
        let more = if fragment.more { "+" } else { "" };
        text += &format!(
            " [fragment {}@{}{more}]",
            fragment.identification, fragment.offset
        );
    }
    match header.ecn() {
        Ecn::NotEct => text,
        ecn => format!("{text} [{ecn}]"),
    }
}

fn upper_layer(header: &IpHeader, payload: &[u8]) -> String {
    match header.protocol {
        protocol::TCP => match TcpSegment::parse(payload) {
            Ok(segment) => {
                let wrong = if TcpSegment::verify(&header.addresses, payload) {
                    ""
                } else {
                    " [bad checksum]"
                };
                let ports = (segment.source_port, segment.destination_port);
                format!("{}: {segment}{wrong}", ends(header, Some(ports)))
            }
            Err(error) => format!("{}: no TCP segment ({error})", ends(header, None)),
        },
        protocol::ICMPV4 => match Icmpv4Message::parse(payload) {
            Ok(message) => format!("{}: {}", ends(header, None), icmpv4(&message)),
            Err(error) => format!("{}: no ICMP message ({error})", ends(header, None)),
        },
        protocol::ICMPV6 => match Icmpv6Message::parse(&header.addresses, payload) {
            Ok(message) => format!("{}: {}", ends(header, None), icmpv6(&message)),
            Err(error) => format!("{}: no ICMPv6 message ({error})", ends(header, None)),
        },
        number => format!(
            "{}: protocol {number}, {} bytes",
            ends(header, None),
            payload.len()
        ),
    }
}

fn ends(header: &IpHeader, ports: Option<(u16, u16)>) -> String {
    let (source, destination) = (header.addresses.source, header.addresses.destination);
    match ports {
        Some((from, to)) => format!(
            "{} > {}",
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to)
        ),
        None => format!("{source} > {destination}"),
    }
}

fn icmpv4(message: &Icmpv4Message<'_>) -> String {
    let about = about(message.quoted());
    match message {
        Icmpv4Message::EchoRequest(echo) => {
            format!("echo request id {} seq {}", echo.identifier, echo.sequence)
        }
        Icmpv4Message::EchoReply(echo) => {
            format!("echo reply id {} seq {}", echo.identifier, echo.sequence)
        }
        Icmpv4Message::Unreachable { code: 4, mtu, .. } => {
            format!("fragmentation needed, mtu {mtu}{about}")
        }
        Icmpv4Message::Unreachable { code, .. } => format!("unreachable, code {code}{about}"),
        Icmpv4Message::TimeExceeded { code, .. } => format!("time exceeded, code {code}{about}"),
        Icmpv4Message::ParameterProblem { code, pointer, .. } => {
            format!("parameter problem, code {code}, pointer {pointer}{about}")
        }
        Icmpv4Message::Other { kind, code } => format!("icmp type {kind}, code {code}"),
    }
}

fn icmpv6(message: &Icmpv6Message<'_>) -> String {
    let about = about(message.quoted());
    match message {
        Icmpv6Message::EchoRequest(echo) => {
            format!("echo request id {} seq {}", echo.identifier, echo.sequence)
        }
        Icmpv6Message::EchoReply(echo) => {
            format!("echo reply id {} seq {}", echo.identifier, echo.sequence)
        }
        Icmpv6Message::Unreachable { code, .. } => format!("unreachable, code {code}{about}"),
        Icmpv6Message::PacketTooBig { mtu, .. } => format!("packet too big, mtu {mtu}{about}"),
        Icmpv6Message::TimeExceeded { code, .. } => format!("time exceeded, code {code}{about}"),
        Icmpv6Message::ParameterProblem { code, pointer, .. } => {
            format!("parameter problem, code {code}, pointer {pointer}{about}")
        }
        Icmpv6Message::Other { kind, code } => format!("icmp type {kind}, code {code}"),
    }
}

fn about(quoted: Option<QuotedPacket>) -> String {
    let Some(quoted) = quoted else {
        return String::new();
    };
    let (from, to) = (quoted.addresses.source, quoted.addresses.destination);
    let ends = match quoted.ports {
        Some((source, destination)) => {
            format!(
                "{} > {}",
                SocketAddr::new(from, source),
                SocketAddr::new(to, destination)
            )
        }
        None => format!("{from} > {to} protocol {}", quoted.protocol),
    };
    let seq = quoted
        .seq
        .map(|seq| format!(" seq {seq}"))
        .unwrap_or_default();
    format!(" [about {ends}{seq}]")
}

#[cfg(test)]
mod tests;
