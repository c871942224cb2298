//! `icmp unreachable port [1:1(0)]`, `icmp unreachable frag_needed mtu 1400 [1:1461(1460)]`,
//! `icmp packet_too_big mtu 1280 [1:1(0)]`, `icmp echo_request id 1 seq 2 (56)`, `icmp 3 code 13 [1:1(0)]`.
//!
//! The names of codes are packetdrill's; which numbers they stand for depends on the script's IP version.

use super::{Parse, Parser};
use crate::sim::script::ScriptError;
use crate::sim::script::lexer::Kind;
use crate::sim::script::syntax::{IcmpContent, IcmpPacket};

/// A name, its IPv4 type and code, its IPv6 type and code.
type Named = (&'static str, Option<(u8, u8)>, Option<(u8, u8)>);

const UNREACHABLE: &[Named] = &[
    ("net", Some((3, 0)), None),
    ("host", Some((3, 1)), None),
    ("protocol", Some((3, 2)), None),
    ("port", Some((3, 3)), Some((1, 4))),
    ("frag_needed", Some((3, 4)), None),
    ("source_route_failed", Some((3, 5)), None),
    ("net_unknown", Some((3, 6)), None),
    ("host_unknown", Some((3, 7)), None),
    ("source_host_isolated", Some((3, 8)), None),
    ("net_prohibited", Some((3, 9)), None),
    ("host_prohibited", Some((3, 10)), None),
    ("net_for_tos", Some((3, 11)), None),
    ("host_for_tos", Some((3, 12)), None),
    ("packet_filtered", Some((3, 13)), None),
    ("precedence_violation", Some((3, 14)), None),
    ("precedence_cutoff", Some((3, 15)), None),
    ("no_route", None, Some((1, 0))),
    ("admin_prohibited", None, Some((1, 1))),
    ("beyond_scope", None, Some((1, 2))),
    ("address", None, Some((1, 3))),
    ("policy_fail", None, Some((1, 5))),
    ("reject_route", None, Some((1, 6))),
];

const OTHERS: &[Named] = &[
    ("source_quench", Some((4, 0)), None),
    ("redirect", Some((5, 1)), Some((137, 0))),
    ("time_exceeded", Some((11, 0)), Some((3, 0))),
    ("reassembly_time_exceeded", Some((11, 1)), Some((3, 1))),
    ("parameter_problem", Some((12, 0)), Some((4, 0))),
    ("packet_too_big", None, Some((2, 0))),
    ("echo_request", Some((8, 0)), Some((128, 0))),
    ("echo_reply", Some((0, 0)), Some((129, 0))),
];

impl Parser {
    pub(super) fn icmp(&mut self) -> Parse<IcmpPacket> {
        let (kind, code) = self.kind_and_code()?;
        let mut rest = 0;
        if self.accept_word("mtu") {
            rest = u32::from(self.number::<u16>("an MTU in bytes")?);
        } else if self.accept_word("pointer") {
            let pointer = self.number::<u16>("the offset of the offending byte")?;
            rest = match self.ipv6 {
                true => u32::from(pointer),
                false => u32::from(pointer) << 24,
            };
        } else if self.accept_word("id") {
            let identifier: u16 = self.number("an identifier")?;
            if !self.accept_word("seq") {
                return Err(self.expected("`seq` after the identifier"));
            }
            let sequence: u16 = self.number("a sequence number")?;
            rest = u32::from(identifier) << 16 | u32::from(sequence);
        }
        let content = if self.accept('[') {
            let (seq, length) = self.sequence_range()?;
            self.mark(']', "after the quoted segment")?;
            IcmpContent::Quote { seq, length }
        } else if self.accept('(') {
            let length = self.number("a length in bytes")?;
            self.mark(')', "after the length")?;
            IcmpContent::Data(length)
        } else {
            return Err(self.expected("the quoted segment `[1:1(0)]`, or `(56)` for an echo"));
        };
        Ok(IcmpPacket {
            kind,
            code,
            rest,
            content,
        })
    }

    fn kind_and_code(&mut self) -> Parse<(u8, u8)> {
        let place = self.place();
        if let Kind::Integer(_) = self.peek() {
            let kind = self.number("an ICMP type")?;
            let code = match self.accept_word("code") {
                true => self.number("an ICMP code")?,
                false => 0,
            };
            return Ok((kind, code));
        }
        let name =
            self.word("an ICMP type: unreachable, packet_too_big, echo_request, … or a number")?;
        if name != "unreachable" {
            return self.find(place, OTHERS, &name);
        }
        let place = self.place();
        let code = self.word("what is unreachable: port, host, net, …")?;
        let code = code.strip_suffix("_unreachable").unwrap_or(&code);
        self.find(place, UNREACHABLE, code)
    }

    fn find(&self, place: super::Place, names: &[Named], name: &str) -> Parse<(u8, u8)> {
        let here = |(_, v4, v6): &Named| if self.ipv6 { *v6 } else { *v4 };
        if let Some(found) = names
            .iter()
            .find(|(known, ..)| *known == name)
            .and_then(here)
        {
            return Ok(found);
        }
        let known: Vec<&str> = names
            .iter()
            .filter(|named| here(named).is_some())
            .map(|(known, ..)| *known)
            .collect();
        Err(ScriptError::new(
            place,
            format!("expected one of {}, found `{name}`", known.join(", ")),
        ))
    }
}
