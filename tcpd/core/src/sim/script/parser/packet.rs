//! `< [attributes] FLAGS seq:end(len) ack N win N urg N <options>`.

use super::{Parse, Parser};
use crate::sim::script::ScriptError;
use crate::sim::script::lexer::Kind;
use crate::sim::script::syntax::{Attributes, Body, Options, Packet, Stamp, TcpOption, TcpPacket};
use crate::wire::{Ecn, Flags};

/// Which way a packet goes: some words are for one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Injected,
    Expected,
}

impl Parser {
    pub(super) fn packet(&mut self, direction: Direction) -> Parse<Packet> {
        let place = self.place();
        let attributes = self.attributes(direction)?;
        let body = match self.peek() {
            Kind::Word(word) if word == "icmp" => {
                self.advance();
                Body::Icmp(self.icmp()?)
            }
            Kind::Word(word) if word == "udp" => {
                self.advance();
                self.mark('(', "and the length of the datagram")?;
                let length = self.number("a length in bytes")?;
                self.mark(')', "after the length")?;
                Body::Udp(length)
            }
            _ => Body::Tcp(self.tcp(direction)?),
        };
        Ok(Packet {
            place,
            attributes,
            body,
        })
    }

    fn attributes(&mut self, direction: Direction) -> Parse<Attributes> {
        let mut attributes = Attributes::default();
        if !self.accept('[') {
            return Ok(attributes);
        }
        loop {
            let start = self.place();
            let word = self.word("an attribute, as `peer 2`")?;
            match word.as_str() {
                "peer" => attributes.peer = Some(self.peer()?),
                "from" => attributes.source = Some(self.address()?),
                "to" => attributes.destination = Some(self.address()?),
                "from_port" => attributes.source_port = Some(self.number("a port")?),
                "to_port" => attributes.destination_port = Some(self.number("a port")?),
                "traffic_class" => {
                    attributes.traffic_class = Some(self.number("a traffic class")?);
                }
                "noecn" => attributes.ecn = Some(Ecn::NotEct),
                "ect1" => attributes.ecn = Some(Ecn::Ect1),
                "ect0" => attributes.ecn = Some(Ecn::Ect0),
                "ce" => attributes.ecn = Some(Ecn::Ce),
                "bad_checksum" | "reserved" | "data_offset" | "trailer" | "segment_size"
                    if direction == Direction::Expected =>
                {
                    return Err(ScriptError::new(
                        start,
                        format!("expected `{word}` only on injected packets"),
                    ));
                }
                "bad_checksum" => attributes.bad_checksum = true,
                "reserved" => attributes.reserved = Some(self.number("the four reserved bits")?),
                "data_offset" => attributes.data_offset = Some(self.number("an offset in words")?),
                "trailer" => attributes.trailer = Some(self.number("a length in bytes")?),
                "segment_size" => {
                    attributes.segment_size = Some(self.number("a size in bytes")?);
                }
                _ => {
                    return Err(ScriptError::new(
                        start,
                        format!(
                            "expected peer, from, to, from_port, to_port, traffic_class, \
                             noecn, ect0, ect1, ce, bad_checksum, reserved, data_offset, trailer or segment_size, found `{word}`"
                        ),
                    ));
                }
            }
            if !self.accept(',') {
                self.mark(']', "after the attributes")?;
                return Ok(attributes);
            }
        }
    }

    /// The number of a far end.
    pub(super) fn peer(&mut self) -> Parse<u16> {
        let place = self.place();
        let peer = self.number("the number of a far end, from 1")?;
        if peer == 0 {
            return Err(ScriptError::new(
                place,
                "expected the number of a far end, from 1".into(),
            ));
        }
        Ok(peer)
    }

    fn address(&mut self) -> Parse<std::net::IpAddr> {
        let Kind::Text(text) = self.peek() else {
            return Err(self.expected("an address between quotation marks"));
        };
        let Ok(address) = text.parse() else {
            return Err(self.expected("an IPv4 or IPv6 address"));
        };
        self.advance();
        Ok(address)
    }

    fn tcp(&mut self, direction: Direction) -> Parse<TcpPacket> {
        let flags = self.flags()?;
        let (seq, length) = self.sequence_range()?;
        let mut packet = TcpPacket {
            flags,
            seq,
            length,
            ack: None,
            window: None,
            urgent: None,
            options: Options::These(Vec::new()),
        };
        if self.accept_word("ack") {
            if !flags.contains(Flags::ACK) {
                return Err(self.expected("`.` among the flags of a packet with `ack`, so not"));
            }
            packet.ack = Some(self.number("an acknowledgment number")?);
        } else if flags.contains(Flags::ACK) {
            return Err(self.expected("`ack N` for a packet whose flags have `.`"));
        }
        if self.accept_word("win") {
            packet.window = Some(self.number("a window (16 bits, as on the wire)")?);
        }
        if self.accept_word("urg") {
            packet.urgent = Some(self.number("an urgent pointer (16 bits)")?);
        }
        if self.accept('<') {
            packet.options = self.options(direction)?;
        }
        Ok(packet)
    }

    fn flags(&mut self) -> Parse<Flags> {
        const WHAT: &str = "flags (S F R P U E W and . for ACK; - for none), `icmp` or `udp`";
        if self.accept('-') {
            return Ok(Flags::NONE);
        }
        let mut flags = Flags::NONE;
        if let Kind::Word(word) = self.peek() {
            flags = word.parse().map_err(|_| self.expected(WHAT))?;
            self.advance();
        } else if !self.at_mark('.') {
            return Err(self.expected(WHAT));
        }
        if self.accept('.') {
            flags |= Flags::ACK;
        }
        Ok(flags)
    }

    /// `seq:end(len)`, which must agree.
    pub(super) fn sequence_range(&mut self) -> Parse<(u32, u32)> {
        let place = self.place();
        let start: u32 = self.number("a sequence number, as in `1:1001(1000)`")?;
        self.mark(':', "and the end of the sequence range")?;
        let end: u32 = self.number("the end of the sequence range")?;
        self.mark('(', "and the length")?;
        let length: u32 = self.number("a length in bytes")?;
        self.mark(')', "after the length")?;
        if start.wrapping_add(length) != end {
            return Err(ScriptError::new(
                place,
                format!(
                    "expected {start} + {length} = {}, found the end {end} (SYN and FIN are not counted)",
                    start.wrapping_add(length)
                ),
            ));
        }
        if length > 65_000 {
            return Err(ScriptError::new(
                place,
                "expected at most 65000 bytes in a packet".into(),
            ));
        }
        Ok((start, length))
    }

    fn options(&mut self, direction: Direction) -> Parse<Options> {
        if *self.peek() == Kind::Ellipsis {
            if direction == Direction::Injected {
                return Err(self.expected("options: `...` is for expected packets, so not"));
            }
            self.advance();
            self.mark('>', "after the options")?;
            return Ok(Options::Any);
        }
        let mut options = Vec::new();
        if self.accept('>') {
            return Ok(Options::These(options));
        }
        loop {
            options.push(self.option(direction)?);
            if !self.accept(',') {
                self.mark('>', "after the options")?;
                return Ok(Options::These(options));
            }
        }
    }

    fn option(&mut self, direction: Direction) -> Parse<TcpOption> {
        let start = self.place();
        let name = self.word("an option")?;
        match name.as_str() {
            "mss" => Ok(TcpOption::Mss(self.number("a segment size")?)),
            "wscale" => Ok(TcpOption::WindowScale(self.number("a shift")?)),
            "sackOK" => Ok(TcpOption::SackPermitted),
            "nop" => Ok(TcpOption::Nop),
            "eol" => Ok(TcpOption::End),
            "TS" => {
                if !self.accept_word("val") {
                    return Err(self.expected("`val`, as in `TS val 100 ecr 0`"));
                }
                let value = self.stamp(direction, "any", Direction::Expected)?;
                if !self.accept_word("ecr") {
                    return Err(self.expected("`ecr`, as in `TS val 100 ecr 0`"));
                }
                let echo = match direction {
                    Direction::Injected => self.stamp(direction, "last", Direction::Injected)?,
                    Direction::Expected => self.stamp(direction, "any", Direction::Expected)?,
                };
                Ok(TcpOption::Timestamps { value, echo })
            }
            "sack" => {
                let mut blocks = Vec::new();
                while let Kind::Integer(_) = self.peek() {
                    let from = self.number("the start of a block")?;
                    self.mark(':', "and the end of the block")?;
                    blocks.push((from, self.number("the end of the block")?));
                }
                Ok(TcpOption::Sack(blocks))
            }
            "raw" => self.raw(),
            _ => Err(ScriptError::new(
                start,
                format!("expected mss, wscale, sackOK, sack, TS, nop, eol or raw, found `{name}`"),
            )),
        }
    }

    fn stamp(&mut self, direction: Direction, word: &str, only: Direction) -> Parse<Stamp> {
        if direction == only && self.accept_word(word) {
            return Ok(match only {
                Direction::Injected => Stamp::Last,
                Direction::Expected => Stamp::Any,
            });
        }
        Ok(Stamp::Number(self.number("a timestamp")?))
    }

    /// `raw "1e03aa"`
    fn raw(&mut self) -> Parse<TcpOption> {
        const WHAT: &str = "pairs of hexadecimal digits between quotation marks";
        let Kind::Text(text) = self.peek() else {
            return Err(self.expected(WHAT));
        };
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let bytes = match digits {
            Some(digits) if digits.len() % 2 == 0 => digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
            _ => return Err(self.expected(WHAT)),
        };
        self.advance();
        Ok(TcpOption::Raw(bytes))
    }
}
