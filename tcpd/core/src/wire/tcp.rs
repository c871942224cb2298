//! The TCP segment (RFC 9293 §3.1).
//!
//! ```text
//!  0                   1                   2                   3
//! |          Source Port          |       Destination Port        |
//! |                        Sequence Number                        |
//! |                    Acknowledgment Number                      |
//! | Offset| Rsrvd |C E U A P R S F|            Window             |
//! |           Checksum            |         Urgent Pointer        |
//! |                           [Options]                           |
//! ```

use std::fmt::{self, Write};
use std::ops::{BitOr, BitOrAssign};

use super::checksum::{self, Sum};
use super::{IpAddresses, ParseError, SequenceNumber, TcpOptions, be16, be32, protocol};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Where the checksum stands in the header.
pub const CHECKSUM_OFFSET: usize = 16;

/// The control bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No bit set.
    pub const NONE: Flags = Flags(0);
    /// No more data from sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push function.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer is significant.
    pub const URG: Flags = Flags(0x20);
    /// ECN-Echo (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// Congestion Window Reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// These bits but those of `other`.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        *self = self.with(other);
    }
}

const LETTERS: [(Flags, char); 8] = [
    (Flags::SYN, 'S'),
    (Flags::FIN, 'F'),
    (Flags::RST, 'R'),
    (Flags::PSH, 'P'),
    (Flags::URG, 'U'),
    (Flags::ECE, 'E'),
    (Flags::CWR, 'W'),
    (Flags::ACK, '.'),
];

/// As tcpdump and packetdrill write them: `S.`, `P.`, `.`; `-` for none.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (flag, letter) in LETTERS {
            if self.contains(flag) {
                text.push(letter);
            }
        }
        if text.is_empty() {
            text.push('-');
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

/// The letters of `Display` in any order, `-` for none; anything else is an error.
impl std::str::FromStr for Flags {
    type Err = UnknownFlag;
    fn from_str(text: &str) -> Result<Flags, UnknownFlag> {
        if text == "-" {
            return Ok(Flags::NONE);
        }
        text.chars().try_fold(Flags::NONE, |flags, letter| {
            LETTERS
                .iter()
                .find(|(_, l)| *l == letter)
                .map(|(flag, _)| flags | *flag)
                .ok_or(UnknownFlag(letter))
        })
    }
}

/// A letter that names no control bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{0}' is no TCP flag (S F R P U E W .)")]
pub struct UnknownFlag(pub char);

/// One segment, its payload borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpSegment<'a> {
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// SEG.SEQ: number of the first payload byte, or of the SYN.
    pub seq: SequenceNumber,
    /// SEG.ACK: next number the sender expects; meaningful with [`Flags::ACK`].
    pub ack: SequenceNumber,
    /// Control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, not scaled.
    pub window: u16,
    /// SEG.UP: offset from SEG.SEQ of the byte after the urgent data; meaningful with [`Flags::URG`].
    pub urgent_pointer: u16,
    /// What the options say.
    pub options: TcpOptions,
    /// The text.
    pub payload: &'a [u8],
}

impl Default for TcpSegment<'_> {
    fn default() -> Self {
        TcpSegment {
            source_port: 0,
            destination_port: 0,
            seq: SequenceNumber(0),
            ack: SequenceNumber(0),
            flags: Flags::NONE,
            window: 0,
            urgent_pointer: 0,
            options: TcpOptions::default(),
            payload: &[],
        }
    }
}

impl<'a> TcpSegment<'a> {
    /// SEG.LEN: numbers this segment occupies: payload, SYN and FIN.
    pub fn sequence_length(&self) -> u32 {
        let controls =
            u32::from(self.flags.contains(Flags::SYN)) + u32::from(self.flags.contains(Flags::FIN));
        self.payload.len() as u32 + controls
    }

    /// The number after the last one this segment occupies.
    pub fn end(&self) -> SequenceNumber {
        self.seq + self.sequence_length()
    }

    /// Reads a segment (the whole payload of an IP packet), with options whatever its flags (RFC 9293 §3.1 MUST-5). Reserved bits are
    /// ignored (RFC 3360). The checksum is not looked at: see [`TcpSegment::verify`].
    ///
    /// # Errors
    /// [`ParseError::Truncated`] below 20 bytes, [`ParseError::HeaderLength`] for an offset below 5 or beyond the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<TcpSegment<'a>, ParseError> {
        if bytes.len() < HEADER_LEN {
            return Err(ParseError::Truncated);
        }
        let header_len = usize::from(bytes[12] >> 4) * 4;
        if header_len < HEADER_LEN || header_len > bytes.len() {
            return Err(ParseError::HeaderLength);
        }
        Ok(TcpSegment {
            source_port: be16(bytes, 0),
            destination_port: be16(bytes, 2),
            seq: SequenceNumber(be32(bytes, 4)),
            ack: SequenceNumber(be32(bytes, 8)),
            flags: Flags(bytes[13]),
            window: be16(bytes, 14),
            urgent_pointer: be16(bytes, 18),
            options: TcpOptions::parse(&bytes[HEADER_LEN..header_len]),
            payload: &bytes[header_len..],
        })
    }

    /// Whether the checksum of `bytes`, the whole payload of an IP packet between `addresses`, is right
    /// (RFC 9293 §3.1 MUST-3).
    pub fn verify(addresses: &IpAddresses, bytes: &[u8]) -> bool {
        checksum::verify_transport(addresses, protocol::TCP, bytes)
    }

    /// Bytes of the header with its options; 20 to 60, a multiple of 4.
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.emitted_len()
    }

    /// Appends the header, options included, with a checksum field of zero; the payload is left to the caller.
    pub fn emit_header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.source_port.to_be_bytes());
        out.extend_from_slice(&self.destination_port.to_be_bytes());
        out.extend_from_slice(&self.seq.0.to_be_bytes());
        out.extend_from_slice(&self.ack.0.to_be_bytes());
        out.push((self.header_len() as u8 / 4) << 4);
        out.push(self.flags.0);
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.urgent_pointer.to_be_bytes());
        self.options.emit(out);
    }

    /// Appends the whole segment with its checksum (RFC 9293 §3.1 MUST-2).
    pub fn emit(&self, addresses: &IpAddresses, out: &mut Vec<u8>) {
        let start = out.len();
        self.emit_header(out);
        out.extend_from_slice(self.payload);
        let length = (out.len() - start) as u32;
        let mut sum: Sum = checksum::pseudo_header(addresses, protocol::TCP, length);
        sum.add(&out[start..]);
        out[start + CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.finish().to_be_bytes());
    }
}

/// tcpdump-like: `S. 300:300(0) ack 101 win 65535 <mss 1460>`.
impl fmt::Display for TcpSegment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.payload.len() as u32;
        write!(
            f,
            "{} {}:{}({})",
            self.flags,
            self.seq,
            self.seq + length,
            length
        )?;
        if self.flags.contains(Flags::ACK) {
            write!(f, " ack {}", self.ack)?;
        }
        write!(f, " win {}", self.window)?;
        if self.flags.contains(Flags::URG) {
            write!(f, " urg {}", self.urgent_pointer)?;
        }
        let options = self.options.to_string();
        if !options.is_empty() {
            f.write_str(" <")?;
            f.write_str(&options)?;
            f.write_char('>')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
