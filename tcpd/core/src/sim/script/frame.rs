//! Packets as bytes: made as a script says (also wrong ones), and read back with every check a receiver could make.
//!
//! Independent of the stack's own parsers as far as that costs little, so that the two cannot be wrong together.

use std::net::IpAddr;

use super::syntax::{Stamp, TcpOption};
use crate::wire::{Flags, IpAddresses, checksum, protocol};

/// What an injected segment is made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Segment {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Flags,
    pub(super) window: u16,
    pub(super) urgent: u16,
    /// Options as they stand in the header, padded or not.
    pub(super) options: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) reserved: u8,
    /// In words; `None`: what the options need.
    pub(super) data_offset: Option<u8>,
}

impl Segment {
    /// The segment's bytes with its checksum.
    pub(super) fn emit(&self, addresses: &IpAddresses) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let words = (5 + options.len() / 4) as u8;
        let mut out = Vec::with_capacity(20 + options.len() + self.payload.len());
        out.extend(self.source_port.to_be_bytes());
        out.extend(self.destination_port.to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.push(self.data_offset.unwrap_or(words) << 4 | (self.reserved & 15));
        out.push(self.flags.0);
        out.extend(self.window.to_be_bytes());
        out.extend([0, 0]);
        out.extend(self.urgent.to_be_bytes());
        out.extend(options);
        out.extend(&self.payload);
        fill_checksum(&mut out, 16, addresses, protocol::TCP);
        out
    }
}

/// The bytes of one option; numbers in it are those of the wire already.
pub(super) fn emit_option(option: &TcpOption, out: &mut Vec<u8>) {
    match option {
        TcpOption::Mss(mss) => {
            out.extend([2, 4]);
            out.extend(mss.to_be_bytes());
        }
        TcpOption::WindowScale(shift) => out.extend([3, 3, *shift]),
        TcpOption::SackPermitted => out.extend([4, 2]),
        TcpOption::Sack(blocks) => {
            out.extend([5, (2 + 8 * blocks.len()) as u8]);
            for (start, end) in blocks {
                out.extend(start.to_be_bytes());
                out.extend(end.to_be_bytes());
            }
        }
        TcpOption::Timestamps { value, echo } => {
            out.extend([8, 10]);
            for stamp in [value, echo] {
                let Stamp::Number(number) = *stamp else {
                    unreachable!("stamps are numbers before they are put on the wire");
                };
                out.extend(number.to_be_bytes());
            }
        }
        TcpOption::Nop => out.push(1),
        TcpOption::End => out.push(0),
        TcpOption::Raw(bytes) => out.extend(bytes),
    }
}

/// Puts the right checksum at `offset` of a TCP segment or an ICMPv6 message.
pub(super) fn fill_checksum(bytes: &mut [u8], offset: usize, addresses: &IpAddresses, number: u8) {
    let mut sum = checksum::pseudo_header(addresses, number, bytes.len() as u32);
    sum.add(bytes);
    bytes[offset..offset + 2].copy_from_slice(&sum.finish().to_be_bytes());
}

/// An IP packet around `payload`, which must not be longer than 65,000 bytes.
pub(super) fn ip(
    addresses: &IpAddresses,
    number: u8,
    traffic_class: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + payload.len());
    match (addresses.source, addresses.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend([0x45, traffic_class]);
            out.extend(((20 + payload.len()) as u16).to_be_bytes());
            out.extend([0, 0, 0x40, 0, 64, number, 0, 0]);
            out.extend(source.octets());
            out.extend(destination.octets());
            let sum = checksum::of(&out);
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            out.extend([0x60 | traffic_class >> 4, traffic_class << 4, 0, 0]);
            out.extend((payload.len() as u16).to_be_bytes());
            out.extend([number, 64]);
            out.extend(source.octets());
            out.extend(destination.octets());
        }
        _ => unreachable!("the runner refuses addresses of two families before"),
    }
    out.extend(payload);
    out
}

/// A packet that the stack sent.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) addresses: IpAddresses,
    pub(super) traffic_class: u8,
    pub(super) upper: Upper,
}

#[derive(Debug, Clone)]
pub(super) enum Upper {
    Tcp(SeenTcp),
    Icmp {
        kind: u8,
        code: u8,
        rest: u32,
        data: Vec<u8>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct SeenTcp {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Flags,
    pub(super) window: u16,
    pub(super) urgent: u16,
    /// In wire order, without the padding.
    pub(super) options: Vec<TcpOption>,
    pub(super) payload: Vec<u8>,
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Seen {
    /// Reads a packet of the stack's.
    ///
    /// # Errors
    /// What a receiver would find malformed, and what no stack should send: a wrong checksum or length, padding that is not
    /// zero, TCP over IPv4 without DF, reserved bits.
    pub(super) fn read(bytes: &[u8]) -> Result<Seen, String> {
        let (addresses, number, traffic_class, payload) = read_ip(bytes)?;
        let upper = match number {
            protocol::TCP => {
                // RFC 9293 §3.1 MUST-2: held for every packet of every script.
                if !checksum::verify_transport(&addresses, number, payload) {
                    return Err("its TCP checksum is wrong".into());
                }
                Upper::Tcp(read_tcp(payload)?)
            }
            protocol::ICMPV4 | protocol::ICMPV6 => read_icmp(&addresses, number, payload)?,
            other => return Err(format!("it is of protocol {other}")),
        };
        Ok(Seen {
            addresses,
            traffic_class,
            upper,
        })
    }
}

type Ip<'a> = (IpAddresses, u8, u8, &'a [u8]);

fn read_ip(bytes: &[u8]) -> Result<Ip<'_>, String> {
    let version = bytes.first().map_or(0, |first| first >> 4);
    match version {
        4 if bytes.len() >= 20 => {
            if bytes[0] & 15 != 5 {
                return Err("its IPv4 header has options".into());
            }
            if usize::from(be16(bytes, 2)) != bytes.len() {
                return Err("its IPv4 total length is not its length".into());
            }
            if checksum::of(&bytes[..20]) != 0 {
                return Err("its IPv4 header checksum is wrong".into());
            }
            if be16(bytes, 6) != 0x4000 && bytes[9] == protocol::TCP {
                return Err("it is TCP over IPv4 without DF, or a fragment".into());
            }
            let source: [u8; 4] = std::array::from_fn(|i| bytes[12 + i]);
            let destination: [u8; 4] = std::array::from_fn(|i| bytes[16 + i]);
            let addresses = IpAddresses {
                source: source.into(),
                destination: destination.into(),
            };
            Ok((addresses, bytes[9], bytes[1], &bytes[20..]))
        }
        6 if bytes.len() >= 40 => {
            if usize::from(be16(bytes, 4)) != bytes.len() - 40 {
                return Err("its IPv6 payload length is not its length".into());
            }
            let source: [u8; 16] = std::array::from_fn(|i| bytes[8 + i]);
            let destination: [u8; 16] = std::array::from_fn(|i| bytes[24 + i]);
            let addresses = IpAddresses {
                source: source.into(),
                destination: destination.into(),
            };
            let class = bytes[0] << 4 | bytes[1] >> 4;
            Ok((addresses, bytes[6], class, &bytes[40..]))
        }
        _ => Err(format!("{} bytes of it are no IP packet", bytes.len())),
    }
}

fn read_tcp(bytes: &[u8]) -> Result<SeenTcp, String> {
    let header = usize::from(bytes.get(12).map_or(0, |byte| byte >> 4)) * 4;
    if header < 20 || bytes.len() < header {
        return Err("its TCP data offset is wrong".into());
    }
    if bytes[12] & 15 != 0 {
        return Err("its reserved bits are not zero".into());
    }
    Ok(SeenTcp {
        source_port: be16(bytes, 0),
        destination_port: be16(bytes, 2),
        seq: be32(bytes, 4),
        ack: be32(bytes, 8),
        flags: Flags(bytes[13]),
        window: be16(bytes, 14),
        urgent: be16(bytes, 18),
        options: read_options(&bytes[20..header])?,
        payload: bytes[header..].to_vec(),
    })
}

fn read_options(mut bytes: &[u8]) -> Result<Vec<TcpOption>, String> {
    let mut options = Vec::new();
    while let Some(&kind) = bytes.first() {
        if kind == 1 {
            bytes = &bytes[1..];
            continue;
        }
        if kind == 0 {
            // RFC 9293 §3.1 MUST-69: held for every packet of every script.
            if bytes.iter().any(|&byte| byte != 0) {
                return Err("its options are not padded with zeros".into());
            }
            break;
        }
        let length = usize::from(bytes.get(1).copied().unwrap_or(0));
        // RFC 9293 §3.1 MUST-68.
        if length < 2 || length > bytes.len() {
            return Err(format!("its option {kind} has the length {length}"));
        }
        let (option, rest) = bytes.split_at(length);
        options.push(match (kind, length) {
            (2, 4) => TcpOption::Mss(be16(option, 2)),
            (3, 3) => TcpOption::WindowScale(option[2]),
            (4, 2) => TcpOption::SackPermitted,
            (5, _) if length % 8 == 2 => TcpOption::Sack(
                option[2..]
                    .chunks(8)
                    .map(|block| (be32(block, 0), be32(block, 4)))
                    .collect(),
            ),
            (8, 10) => TcpOption::Timestamps {
                value: Stamp::Number(be32(option, 2)),
                echo: Stamp::Number(be32(option, 6)),
            },
            _ => TcpOption::Raw(option.to_vec()),
        });
        bytes = rest;
    }
    Ok(options)
}

fn read_icmp(addresses: &IpAddresses, number: u8, bytes: &[u8]) -> Result<Upper, String> {
    if bytes.len() < 8 {
        return Err("its ICMP message is shorter than 8 bytes".into());
    }
    let right = match number {
        protocol::ICMPV4 => checksum::of(bytes) == 0,
        _ => checksum::verify_transport(addresses, number, bytes),
    };
    if !right {
        return Err("its ICMP checksum is wrong".into());
    }
    Ok(Upper::Icmp {
        kind: bytes[0],
        code: bytes[1],
        rest: be32(bytes, 4),
        data: bytes[8..].to_vec(),
    })
}
