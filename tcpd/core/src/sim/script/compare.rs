//! A packet expected and a packet seen, side by side.

use super::flow::{Flow, pattern};
use super::frame::{Seen, SeenTcp, Upper};
use super::syntax::{
    Attributes, Body, IcmpContent, IcmpPacket, Options, Stamp, TcpOption, TcpPacket,
};
use crate::wire::{Ecn, Flags};

/// The fields of two packets in pairs.
#[derive(Debug, Clone, Default)]
pub(super) struct SideBySide {
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    field: &'static str,
    expected: String,
    seen: String,
    agrees: bool,
}

impl SideBySide {
    pub(super) fn push(
        &mut self,
        field: &'static str,
        expected: String,
        seen: String,
        agrees: bool,
    ) {
        self.rows.push(Row {
            field,
            expected,
            seen,
            agrees,
        });
    }

    fn same<T: PartialEq + ToString>(&mut self, field: &'static str, expected: T, seen: T) {
        let agrees = expected == seen;
        self.push(field, expected.to_string(), seen.to_string(), agrees);
    }

    /// Adds the lines of another table.
    pub(super) fn append(&mut self, other: SideBySide) {
        self.rows.extend(other.rows);
    }

    /// The fields that differ; empty when the packets agree.
    pub(super) fn differences(&self) -> Vec<&'static str> {
        let differing = self.rows.iter().filter(|row| !row.agrees);
        differing.map(|row| row.field).collect()
    }

    pub(super) fn agrees(&self) -> bool {
        self.rows.iter().all(|row| row.agrees)
    }

    /// A table; lines that differ are marked.
    pub(super) fn render(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|row| row.expected.chars().count())
            .max()
            .unwrap_or(0)
            .max("expected".len());
        let mut out = format!("  {:<10}  {:<width$}  seen\n", "", "expected");
        for row in &self.rows {
            let mark = if row.agrees { ' ' } else { '*' };
            let line = format!(
                "{mark} {:<10}  {:<width$}  {}",
                row.field, row.expected, row.seen
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Compares all but the time. `tolerance` is for timestamps, in ticks of a millisecond.
pub(super) fn compare(
    attributes: &Attributes,
    expected: &Body,
    seen: &Seen,
    flow: &mut Flow,
    tolerance: u32,
) -> SideBySide {
    let mut table = SideBySide::default();
    if let Some(source) = attributes.source {
        table.same("from", source, seen.addresses.source);
    }
    if let Some(destination) = attributes.destination {
        table.same("to", destination, seen.addresses.destination);
    }
    if let Some(class) = attributes.traffic_class {
        table.same("class", class, seen.traffic_class);
    }
    if let Some(ecn) = attributes.ecn {
        table.same("ecn", ecn, Ecn::of(seen.traffic_class));
    }
    match (expected, &seen.upper) {
        (Body::Tcp(expected), Upper::Tcp(seen)) => {
            tcp(&mut table, attributes, expected, seen, flow, tolerance);
        }
        (
            Body::Icmp(expected),
            Upper::Icmp {
                kind,
                code,
                rest,
                data,
            },
        ) => {
            icmp(&mut table, expected, (*kind, *code, *rest), data);
        }
        (expected, seen) => {
            let name = match expected {
                Body::Tcp(_) => "tcp",
                Body::Icmp(_) => "icmp",
                Body::Udp(_) => "udp",
            };
            let found = match seen {
                Upper::Tcp(segment) => format!("tcp {}", text_of_range(flow, segment)),
                Upper::Icmp { kind, code, .. } => format!("icmp {kind} code {code}"),
            };
            table.push("packet", name.to_owned(), found, false);
        }
    }
    table
}

fn text_of_range(flow: &Flow, seen: &SeenTcp) -> String {
    let seq = seen.seq.wrapping_sub(flow.ours);
    let length = seen.payload.len() as u32;
    format!(
        "{} {seq}:{}({length})",
        seen.flags,
        seq.wrapping_add(length)
    )
}

fn tcp(
    table: &mut SideBySide,
    attributes: &Attributes,
    expected: &TcpPacket,
    seen: &SeenTcp,
    flow: &mut Flow,
    tolerance: u32,
) {
    if seen.flags.contains(Flags::SYN) {
        flow.our_syn(expected.seq, seen.seq);
    }
    let length = seen.payload.len() as u32;
    let controls = u32::from(seen.flags.intersects(Flags::SYN | Flags::FIN));
    if !seen.flags.contains(Flags::RST) {
        flow.sent_up_to(seen.seq.wrapping_add(length + controls));
    }
    let from = attributes.source_port.unwrap_or(flow.local_port);
    table.same("from port", from, seen.source_port);
    if let Some(to) = attributes.destination_port {
        table.same("to port", to, seen.destination_port);
    }
    table.same("flags", expected.flags, seen.flags);
    let seq = script_seq(expected, seen, flow);
    let range = |seq: u32, length: u32| format!("{seq}:{}({length})", seq.wrapping_add(length));
    table.same(
        "seq",
        range(expected.seq, expected.length),
        range(seq, length),
    );
    if let Some(ack) = expected.ack {
        table.same("ack", ack, seen.ack.wrapping_sub(flow.theirs));
    } else if seen.ack != 0 && !seen.flags.contains(Flags::ACK) {
        table.push("ack", "0 without ACK".into(), seen.ack.to_string(), false);
    }
    match expected.window {
        Some(window) => table.same("win", window, seen.window),
        None => table.push("win", String::new(), seen.window.to_string(), true),
    }
    match expected.urgent {
        Some(urgent) => table.same("urg", urgent, seen.urgent),
        None if seen.urgent != 0 => {
            table.push("urg", "0".into(), seen.urgent.to_string(), false);
        }
        None => {}
    }
    options(table, expected, seen, flow, tolerance);
    payload(table, seq, seen, flow);
}

/// The sequence number of a segment as the script counts. `<SEQ=0><CTL=RST,ACK>` answers a segment without ACK: that zero
/// stands for itself (RFC 9293 §3.10.7.1).
fn script_seq(expected: &TcpPacket, seen: &SeenTcp, flow: &Flow) -> u32 {
    if seen.seq == 0 && expected.seq == 0 && seen.flags == Flags::RST | Flags::ACK {
        return 0;
    }
    seen.seq.wrapping_sub(flow.ours)
}

fn options(
    table: &mut SideBySide,
    expected: &TcpPacket,
    seen: &SeenTcp,
    flow: &mut Flow,
    tolerance: u32,
) {
    let wanted: &[TcpOption] = match &expected.options {
        Options::Any => &[],
        Options::These(wanted) => wanted,
    };
    let seen = flow.script_options(&seen.options, wanted);
    if expected.options == Options::Any {
        table.push("options", "...".into(), text_of(&seen), true);
        return;
    }
    let wanted: Vec<TcpOption> = wanted
        .iter()
        .filter(|option| !matches!(option, TcpOption::Nop | TcpOption::End))
        .cloned()
        .collect();
    let agrees = wanted.len() == seen.len()
        && wanted
            .iter()
            .zip(&seen)
            .all(|(wanted, seen)| option_agrees(wanted, seen, tolerance));
    table.push("options", text_of(&wanted), text_of(&seen), agrees);
}

fn option_agrees(wanted: &TcpOption, seen: &TcpOption, tolerance: u32) -> bool {
    let stamp_agrees = |wanted: Stamp, seen: Stamp, tolerance: u32| match (wanted, seen) {
        (Stamp::Number(wanted), Stamp::Number(seen)) => {
            seen.wrapping_sub(wanted).cast_signed().unsigned_abs() <= tolerance
        }
        _ => true,
    };
    match (wanted, seen) {
        (
            TcpOption::Timestamps { value, echo },
            TcpOption::Timestamps {
                value: seen_value,
                echo: seen_echo,
            },
        ) => stamp_agrees(*value, *seen_value, tolerance) && stamp_agrees(*echo, *seen_echo, 0),
        (wanted, seen) => wanted == seen,
    }
}

fn payload(table: &mut SideBySide, seq: u32, seen: &SeenTcp, flow: &Flow) {
    let first = flow.our_position(seq);
    let wrong = (0u32..)
        .zip(&seen.payload)
        .find(|(index, byte)| **byte != pattern(true, first.wrapping_add(*index)));
    if let Some((index, _)) = wrong {
        let text = format!("byte {index} is not what was written at that place");
        table.push("payload", "as written".into(), text, false);
    }
}

fn icmp(table: &mut SideBySide, expected: &IcmpPacket, head: (u8, u8, u32), data: &[u8]) {
    let (kind, code, rest) = head;
    table.same("type", expected.kind, kind);
    table.same("code", expected.code, code);
    table.same("rest", expected.rest, rest);
    match expected.content {
        IcmpContent::Data(length) => {
            table.same("data", length as usize, data.len());
            let same = (0u32..)
                .zip(data)
                .all(|(index, byte)| *byte == pattern(false, index));
            table.push("bytes", "those of the request".into(), String::new(), same);
        }
        IcmpContent::Quote { .. } => {
            let text = format!("{} bytes", data.len());
            table.push("quote", "at least 28 bytes".into(), text, data.len() >= 28);
        }
    }
}

/// Options as a script writes them.
pub(super) fn text_of(options: &[TcpOption]) -> String {
    let stamp = |stamp: &Stamp| match stamp {
        Stamp::Number(number) => number.to_string(),
        Stamp::Any => "any".into(),
        Stamp::Last => "last".into(),
    };
    let texts: Vec<String> = options
        .iter()
        .map(|option| match option {
            TcpOption::Mss(mss) => format!("mss {mss}"),
            TcpOption::WindowScale(shift) => format!("wscale {shift}"),
            TcpOption::SackPermitted => "sackOK".into(),
            TcpOption::Sack(blocks) => {
                let blocks: Vec<String> = blocks.iter().map(|(a, b)| format!("{a}:{b}")).collect();
                format!("sack {}", blocks.join(" "))
            }
            TcpOption::Timestamps { value, echo } => {
                format!("TS val {} ecr {}", stamp(value), stamp(echo))
            }
            TcpOption::Nop => "nop".into(),
            TcpOption::End => "eol".into(),
            TcpOption::Raw(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("raw \"{digits}\"")
            }
        })
        .collect();
    format!("<{}>", texts.join(","))
}
