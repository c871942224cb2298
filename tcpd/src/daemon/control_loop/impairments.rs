//! Impairment as operators ask for it: checked here, done by the stack thread.

use libtcpclient::protocol::status::ImpairmentRow;
use libtcpclient::protocol::{ErrorCode, Impair, ImpairDirection, Impaired, Reply};

use super::super::config::Config;
use super::super::orders::{self, ImpairmentChange, SessionId};
use super::clients::End;
use super::tables::Purpose;
use super::{ControlLoop, Spawner};
use crate::device::impair::{Directions, RuleStatus};

impl<W: Spawner> ControlLoop<W> {
    /// A change of what happens to packets.
    pub(super) fn impair(
        &mut self,
        id: SessionId,
        number: u32,
        impair: &Impair,
    ) -> Result<(), End> {
        let change = match change(impair, &self.config) {
            Ok(change) => change,
            Err((code, why)) => return self.reply(id, number, Reply::error(code, why)),
        };
        tracing::info!(session = id, ?change, "an operator changes impairments");
        self.ask(id, number, Purpose::Impair(Box::new(change)))
    }
}

/// What is asked for, or why it makes no sense.
fn change(impair: &Impair, config: &Config) -> Result<ImpairmentChange, (ErrorCode, String)> {
    let wanted = match &impair.packets {
        Impaired::Everything => orders::Impaired::Everything,
        Impaired::Peer { address, prefix } => orders::Impaired::Peer(*address, *prefix),
        Impaired::Connection(id) => match id.parse() {
            Ok(id) => orders::Impaired::Connection(id),
            Err(_) => {
                let why = format!("{id:?} is not the id of a connection, as in 17.3");
                return Err((ErrorCode::NoSuchConnection, why));
            }
        },
    };
    let seed = impair.seed.unwrap_or(config.impair.seed);
    let to = match &impair.impairment {
        Some(text) => match text.parse() {
            Ok(impairment) => Some((impairment, seed)),
            Err(error) => {
                let error: tcpd_core::impairment::SpecError = error;
                return Err((ErrorCode::BadRequest, error.to_string()));
            }
        },
        None => None,
    };
    let directions = match impair.direction {
        ImpairDirection::In => Directions::In,
        ImpairDirection::Out => Directions::Out,
        ImpairDirection::Both => Directions::Both,
    };
    Ok(ImpairmentChange {
        wanted,
        directions,
        to,
    })
}

/// A rule, as operators see it.
pub(super) fn row(rule: &RuleStatus) -> ImpairmentRow {
    let counters = &rule.counters;
    ImpairmentRow {
        packets: rule.target.to_string(),
        direction: rule.direction.to_string(),
        impairment: rule.impairment.to_string(),
        seed: rule.seed,
        configured: rule.configured,
        packets_in: counters.packets,
        bytes_in: counters.bytes,
        lost: counters.lost,
        lost_in_burst: counters.lost_in_burst,
        queue_full: counters.queue_full,
        overflowed: counters.overflowed,
        marked: counters.marked,
        reordered: counters.reordered,
        duplicated: counters.duplicated,
        corrupted: counters.corrupted,
        delivered: counters.delivered,
        delivered_bytes: counters.delivered_bytes,
        held: rule.packets_held,
        held_bytes: rule.bytes_held,
    }
}
