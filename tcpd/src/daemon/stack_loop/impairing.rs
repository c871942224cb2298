//! The loop's side of the impairment layer: packets that have arrived, and changes of the rules.
//!
//! There is a layer only while there is a rule or something on its way: without one, a packet passes one test for `None`.

use tcpd_core::stack::{ReceiveMeta, State};
use tcpd_core::time::Instant;

use super::{RECEIVE_BATCH, RECEIVE_BYTES, StackLoop, clock};
use crate::daemon::orders::{Impaired, ImpairmentChange, Inspected, Report};
use crate::device::OutPacket;
use crate::device::impair::{Direction, Directions, Impair, RuleSpec, Target};

/// The layer's packets are single ones, and given to the device in one turn as many as are taken from it.
const LEAVE_BATCH: usize = RECEIVE_BATCH;

impl StackLoop {
    /// Whether a turn takes nothing new of this direction: what travelled under a rule that went comes before it, and a layer from which more
    /// comes than a turn takes must not be filled faster than it empties.
    pub(super) fn waits_in_layer(&self, direction: Direction) -> bool {
        let layer = self.impair.as_deref();
        self.behind[direction as usize] || layer.is_some_and(|layer| layer.has_released(direction))
    }

    /// Gives the stack what has arrived, a bounded batch; true when there was something.
    pub(super) fn let_arrive(&mut self, now: Instant) -> bool {
        self.behind[Direction::In as usize] = false;
        let Some(layer) = &mut self.impair else {
            return false;
        };
        let stack = &self.stack;
        layer.forget_connections(|id| stack.state(id).is_some());
        // Whoever vouched for the checksum has not seen what happened to the packet since.
        let meta = ReceiveMeta {
            checksum_trusted: false,
            segment_size: None,
        };
        let (mut arrived, mut bytes) = (0, 0);
        while arrived < RECEIVE_BATCH && bytes < RECEIVE_BYTES {
            let Some(packet) = layer.next(now, Direction::In) else {
                return arrived > 0;
            };
            arrived += 1;
            bytes += packet.len();
            self.stack.receive(now, &packet, meta);
        }
        self.behind[Direction::In as usize] = true;
        true
    }

    /// Gives the device what has arrived, a bounded batch; true when there was something.
    pub(super) fn let_leave(&mut self) -> bool {
        let Some(layer) = &mut self.impair else {
            return false;
        };
        let now = clock::now();
        let mut left = 0;
        while left < LEAVE_BATCH
            && let Some(packet) = layer.next(now, Direction::Out)
        {
            left += 1;
            let packet = OutPacket::whole(&packet);
            self.counts.count(self.device.transmit(&packet));
        }
        self.behind[Direction::Out as usize] = left == LEAVE_BATCH;
        if layer.is_idle() {
            self.impair = None;
            self.behind = [false; 2];
        }
        left > 0
    }

    /// A change that an operator wants: all of it, or nothing.
    pub(super) fn change_impairment(&mut self, ticket: u64, change: ImpairmentChange) {
        let what = self.changed(change);
        self.bridge.report(Report::Inspected { ticket, what });
    }

    fn changed(&mut self, change: ImpairmentChange) -> Inspected {
        let ImpairmentChange {
            wanted,
            directions,
            to,
        } = change;
        let target = match wanted {
            Impaired::Everything => Target::Everything,
            Impaired::Peer(address, prefix) => Target::peer(address, prefix),
            Impaired::Connection(id) => match self.stack.status(id) {
                Some(status) if status.state == State::Listen => {
                    let why = format!("{id} is a listener: name a connection, or a peer");
                    return Inspected::Refused(why);
                }
                Some(status) => Target::Connection {
                    id,
                    local: status.local,
                    remote: status.remote,
                },
                None => return Inspected::NoSuchEndpoint,
            },
        };
        match to {
            Some((impairment, seed)) => {
                let spec = RuleSpec {
                    target,
                    directions,
                    impairment,
                    seed,
                };
                match self.impair.get_or_insert_default().set(&spec) {
                    Ok(()) => Inspected::Done,
                    Err(full) => Inspected::Refused(full.to_string()),
                }
            }
            None => {
                let all = wanted == Impaired::Everything;
                let target = (!all).then_some(&target);
                let cleared = match &mut self.impair {
                    Some(layer) => layer.clear(target, directions),
                    None => 0,
                };
                match target {
                    Some(target) if cleared == 0 => {
                        Inspected::Refused(format!("nothing is impaired for {target}"))
                    }
                    _ => Inspected::Done,
                }
            }
        }
    }

    /// The configuration has been read.
    pub(super) fn configure_impairment(&mut self, rules: &[RuleSpec]) {
        if self.impair.is_some() || !rules.is_empty() {
            self.impair.get_or_insert_default().configure(rules);
        }
    }

    /// What an operator wants to see.
    pub(super) fn tell_impairments(&self, ticket: u64) {
        let rules = self.impair.as_deref().map_or(Vec::new(), Impair::rules);
        let what = Inspected::Impairments(rules);
        self.bridge.report(Report::Inspected { ticket, what });
    }

    /// What is on its way arrives now, for the device closes.
    pub(super) fn end_impairment(&mut self, now: Instant) {
        if let Some(layer) = &mut self.impair {
            layer.clear(None, Directions::Both);
        }
        while self.let_arrive(now) {}
        while self.let_leave() {}
    }
}
