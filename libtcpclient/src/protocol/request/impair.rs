//! What a bad network does, as a request.

use std::net::IpAddr;

use super::{MAX_ID, MAX_IMPAIRMENT};
use crate::protocol::DecodeError;
use crate::protocol::codec::{Reader, Writer};

/// Changes what happens to packets between the network and the stack. Kind `0x004d`.
///
/// | type | field |
/// |---|---|
/// | u8 | direction: 1 in, 2 out, 3 both |
/// | u8 | packets: 0 everything, 1 a network's, 2 a connection's |
/// | address | of the network, else none |
/// | u8 | its prefix length, else 0 |
/// | text16 ≤ 48 | id of the connection, else empty |
/// | bool, text16 ≤ 512 | impairment present; its text, empty if absent |
/// | bool, u64 | seed present; 0 if absent |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impair {
    /// Which way.
    pub direction: ImpairDirection,
    /// Which packets.
    pub packets: Impaired,
    /// Words as `loss=1% delay=20ms rate=100mbit`; `None` takes away what was set. `None` for [`Impaired::Everything`] takes all away,
    /// also what is for networks and connections.
    pub impairment: Option<String>,
    /// What decides every chance; `None`: the daemon's configuration says.
    pub seed: Option<u64>,
}

/// Which way packets go, as the stack sees it. A u8 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ImpairDirection {
    /// From the network.
    In = 1,
    /// To the network.
    Out = 2,
    /// Both, each with a path of its own.
    Both = 3,
}

/// Which packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Impaired {
    /// All that cross the device.
    Everything,
    /// Those from or to a host in this network.
    Peer {
        /// An address of the network.
        address: IpAddr,
        /// How many leading bits of it count: 0…32 or 0…128.
        prefix: u8,
    },
    /// The segments of one connection, named as in its row.
    Connection(String),
}

impl Impair {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.u8(self.direction as u8);
        let (kind, address, prefix, id) = match &self.packets {
            Impaired::Everything => (0, None, 0, ""),
            Impaired::Peer { address, prefix } => (1, Some(*address), *prefix, ""),
            Impaired::Connection(id) => (2, None, 0, id.as_str()),
        };
        out.u8(kind);
        out.address(address);
        out.u8(prefix);
        out.text16(id, MAX_ID);
        out.bool(self.impairment.is_some());
        out.text16(self.impairment.as_deref().unwrap_or(""), MAX_IMPAIRMENT);
        out.bool(self.seed.is_some());
        out.u64(self.seed.unwrap_or(0));
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Impair, DecodeError> {
        let direction = match body.u8()? {
            1 => ImpairDirection::In,
            2 => ImpairDirection::Out,
            3 => ImpairDirection::Both,
            _ => return Err(DecodeError::BadValue("direction")),
        };
        let kind = body.u8()?;
        let (address, prefix) = (body.address("address")?, body.u8()?);
        let id = body.text16(MAX_ID, "id")?;
        let packets = match (kind, address) {
            (0, None) if prefix == 0 && id.is_empty() => Impaired::Everything,
            (1, Some(address)) if id.is_empty() => {
                let longest = if address.is_ipv4() { 32 } else { 128 };
                if prefix > longest {
                    return Err(DecodeError::BadValue("prefix"));
                }
                Impaired::Peer { address, prefix }
            }
            (2, None) if prefix == 0 => Impaired::Connection(id),
            (0..=2, _) => return Err(DecodeError::Reserved),
            _ => return Err(DecodeError::BadValue("packets")),
        };
        let impairment = match (
            body.bool("impairment")?,
            body.text16(MAX_IMPAIRMENT, "impairment")?,
        ) {
            (true, text) => Some(text),
            (false, text) if text.is_empty() => None,
            (false, _) => return Err(DecodeError::Reserved),
        };
        let seed = match (body.bool("seed")?, body.u64()?) {
            (true, seed) => Some(seed),
            (false, 0) => None,
            (false, _) => return Err(DecodeError::Reserved),
        };
        Ok(Impair {
            direction,
            packets,
            impairment,
            seed,
        })
    }
}
