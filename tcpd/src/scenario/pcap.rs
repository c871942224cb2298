//! A play for Wireshark: pcapng (draft-ietf-opsawg-pcapng) with virtual time, each packet as its sender put it on the wire, the explanation
//! as its comment. Packets that are lost on the way are in it, and say so.
//!
//! By hand, for it is three kinds of block: a section header, one interface, a packet block for each packet. Every block is its type,
//! its length, its body in words of 32 bits, and its length again.

use std::time::Duration;

use tcpd_core::sim::pair::End;
use tcpd_core::stack::State;

use super::journal::{Note, Packet, What};
use super::play::Play;
use super::stage::side;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;
/// Raw IP, version 4 or 6 by its first nibble.
const LINKTYPE_RAW: u16 = 101;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
/// In an interface description: its name.
const INTERFACE_NAME: u16 = 2;
/// In an interface description: a timestamp counts 10⁻ⁿ s.
const TIMESTAMP_RESOLUTION: u16 = 9;
/// In a section header: the program that wrote it.
const USER_APPLICATION: u16 = 4;

/// The file.
pub(super) fn file(play: &Play) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = BYTE_ORDER_MAGIC.to_le_bytes().to_vec();
    // Version 1.0, section length unknown.
    body.extend([1, 0, 0, 0]);
    body.extend((-1i64).to_le_bytes());
    let about = format!("{}: {}", play.scenario.name, play.scenario.title);
    option(&mut body, OPTION_COMMENT, about.as_bytes());
    option(&mut body, USER_APPLICATION, b"tcpd scenario");
    option(&mut body, OPTION_END, &[]);
    block(&mut out, SECTION_HEADER, &body);

    let mut body = LINKTYPE_RAW.to_le_bytes().to_vec();
    // Two reserved bytes; no limit on a packet's length.
    body.extend([0; 6]);
    option(&mut body, INTERFACE_NAME, b"between the two");
    option(&mut body, TIMESTAMP_RESOLUTION, &[9]);
    option(&mut body, OPTION_END, &[]);
    block(&mut out, INTERFACE_DESCRIPTION, &body);

    for (at, packet) in &play.before {
        block(&mut out, ENHANCED_PACKET, &enhanced(*at, packet, None));
    }
    for row in &play.rows {
        if let What::Packet(packet) = &row.what {
            let body = enhanced(play.began + row.at, packet, row.note.as_ref());
            block(&mut out, ENHANCED_PACKET, &body);
        }
    }
    out
}

fn enhanced(at: Duration, packet: &Packet, note: Option<&Note>) -> Vec<u8> {
    let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let length = packet.bytes.len() as u32;
    // Interface 0; the timestamp's halves; captured and original length.
    let words = [0, (nanos >> 32) as u32, nanos as u32, length, length];
    let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    padded(&mut body, &packet.bytes);
    option(&mut body, OPTION_COMMENT, comment(packet, note).as_bytes());
    option(&mut body, OPTION_END, &[]);
    body
}

fn comment(packet: &Packet, note: Option<&Note>) -> String {
    let state = |end: End| packet.states[end as usize].map_or("-", State::name);
    let mut text = format!("left {}, right {}", state(End::Left), state(End::Right));
    if let Some(foreign) = packet.foreign {
        text += &format!("; {foreign}, not sent by the {}", side(packet.from));
    }
    if packet.due.is_none() {
        text += "; lost on the way";
    }
    if let Some(note) = note {
        text += &format!(". {} [{}]", note.text, note.rfc);
    }
    text
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = (body.len() + 12) as u32;
    out.extend(kind.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.extend(length.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}
