//! The impairment layer: between the device and the stack, it does to packets what a bad network would do.
//!
//! Each rule is a path of its own ([`tcpd_core::impairment`]) for one direction and for some packets: of one connection, of the
//! peers in a network, or all. A packet goes through the most particular rule that fits it, and through one only; what fits
//! none never enters the layer. With [`Impair`] empty the owner drops it, and packets are not even looked at.
//!
//! 1. What enters is first made what it would be on a wire ([`wire_format`]): super-segments are cut, and every packet gets its
//!    complete checksum. Otherwise one loss would be 64 KiB, and a damaged packet would be vouched for.
//! 2. The path decides, and holds the packet until it arrives: [`Impair::next_deadline`].
//! 3. What has arrived comes out by [`Impair::next`]; what came from the device is then verified by the stack like anything.
//!
//! When a rule goes or changes, what travelled under the old one arrives at once, in order: nothing is lost by that. "At once" is as fast
//! as the owner takes it: the rule leaves its path behind, and no packet of it is touched before its turn. While there is some of it
//! ([`Impair::has_released`]) the owner brings nothing new of that direction, or it would overtake.

mod released;
mod rules;
mod target;
mod wire_format;

use tcpd_core::impairment::{Counters, Impairment};
use tcpd_core::stack::{EndpointId, ReceiveMeta};
use tcpd_core::time::Instant;

use self::released::Released;
use self::rules::Rule;
use self::target::Flow;
use self::wire_format::WireFormat;
use super::OutPacket;

pub use target::{Direction, Directions, Target};

/// Rules at a time, both directions counted.
pub const MAX_RULES: usize = 64;

/// Memory that everything on its way may take together, in bytes.
const MAX_HELD: usize = if cfg!(test) { 1 << 20 } else { 256 << 20 };
/// What a packet on its way costs beside its bytes.
const PACKET_COST: usize = 128;

/// What a rule is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// Which packets.
    pub target: Target,
    /// Which way.
    pub directions: Directions,
    /// What happens to them.
    pub impairment: Impairment,
    /// What decides it; each direction has a sequence of its own.
    pub seed: u64,
}

/// A rule as it stands, for people to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleStatus {
    /// Which packets.
    pub target: Target,
    /// Which way.
    pub direction: Direction,
    /// What happens to them.
    pub impairment: Impairment,
    /// What decides it.
    pub seed: u64,
    /// It stands in the configuration; otherwise an operator has set it.
    pub configured: bool,
    /// What happened so far.
    pub counters: Counters,
    /// Packets on their way.
    pub packets_held: u64,
    /// Bytes of them.
    pub bytes_held: u64,
}

/// There may be no more rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_RULES} impairment rules already, each direction counted; clear some first")]
pub struct TooManyRules;

/// The layer: every rule, and what travels under each.
#[derive(Debug, Default)]
pub struct Impair {
    rules: Vec<Rule>,
    /// What travelled under rules that are no more, by direction.
    released: [Released; 2],
    wire_format: WireFormat,
}

impl Impair {
    /// Whether there is no rule, and nothing on its way.
    pub fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.released.iter().all(Released::is_empty)
    }

    /// Adds rules, in place of those for the same packets and direction. An error changes nothing.
    ///
    /// # Errors
    /// [`TooManyRules`].
    pub fn set(&mut self, spec: &RuleSpec) -> Result<(), TooManyRules> {
        let new = spec.directions.each();
        let new = new.filter(|way| self.rules.iter().all(|rule| !rule.is(&spec.target, *way)));
        if self.rules.len() + new.count() > MAX_RULES {
            return Err(TooManyRules);
        }
        for direction in spec.directions.each() {
            self.remove(|rule| rule.is(&spec.target, direction));
            self.rules.push(Rule::new(spec, direction, false));
        }
        Ok(())
    }

    /// Takes the rules for `target` away, or with `None` all; how many there were.
    pub fn clear(&mut self, target: Option<&Target>, directions: Directions) -> usize {
        let before = self.rules.len();
        for direction in directions.each() {
            self.remove(|rule| match target {
                Some(target) => rule.is(target, direction),
                None => rule.direction == direction,
            });
        }
        before - self.rules.len()
    }

    /// Makes these the configured rules: those that were and are not among them go, equal ones go on as they are. They stand in place of
    /// what operators have set for the same packets. More than [`MAX_RULES`] together: operators' rules go, the oldest first.
    pub fn configure(&mut self, specs: &[RuleSpec]) {
        let wanted = |rule: &Rule| specs.iter().any(|spec| rule.is_made_from(spec));
        self.remove(|rule| rule.configured && !wanted(rule));
        for spec in specs {
            for direction in spec.directions.each() {
                let stands = |rule: &Rule| rule.configured && rule.is(&spec.target, direction);
                if self.rules.iter().any(stands) {
                    continue;
                }
                self.remove(|rule| rule.is(&spec.target, direction));
                self.rules.push(Rule::new(spec, direction, true));
            }
        }
        while self.rules.len() > MAX_RULES
            && let Some(oldest) = self.rules.iter().position(|rule| !rule.configured)
        {
            let rule = self.rules.remove(oldest);
            self.release(rule);
        }
    }

    /// Takes the rules of connections away that are no more.
    pub fn forget_connections(&mut self, lives: impl Fn(EndpointId) -> bool) {
        let over = |rule: &Rule| rule.target.connection().is_some_and(|id| !lives(id));
        // Looked at every turn: nearly always there is nothing.
        if self.rules.iter().any(over) {
            self.remove(over);
        }
    }

    /// Every rule, the most particular first.
    pub fn rules(&self) -> Vec<RuleStatus> {
        let mut all: Vec<_> = self.rules.iter().map(Rule::status).collect();
        all.sort_by_key(|rule| (std::cmp::Reverse(rule.target.rank()), rule.direction));
        all
    }

    /// A packet from the device. True: it is in the layer now (or lost there), and the stack does not get it yet.
    pub fn take_in(&mut self, now: Instant, packet: &[u8], meta: &ReceiveMeta) -> bool {
        let held = self.held();
        match best(&mut self.rules, Direction::In, Flow::of_received(packet)) {
            Some(rule) => self
                .wire_format
                .each_received(packet, meta, |packet| rule.take(now, packet, held)),
            None => return false,
        }
        true
    }

    /// A packet from the stack. True: it is in the layer now (or lost there), and the device does not get it yet.
    pub fn take_out(&mut self, now: Instant, packet: &OutPacket<'_>) -> bool {
        let held = self.held();
        let flow = Flow::of_sent(packet.header);
        match best(&mut self.rules, Direction::Out, flow) {
            Some(rule) => self
                .wire_format
                .each_sent(packet, |packet| rule.take(now, packet, held)),
            None => return false,
        }
        true
    }

    /// The next packet of a direction that has arrived by `now`: whole, its checksum to be verified.
    pub fn next(&mut self, now: Instant, direction: Direction) -> Option<Vec<u8>> {
        if let Some(packet) = self.released[direction as usize].next() {
            return Some(packet);
        }
        let rules = self.rules.iter_mut();
        let rules = rules.filter(|rule| rule.direction == direction);
        let first = rules.min_by_key(|rule| rule.pipe.next_arrival().unwrap_or(Instant::MAX))?;
        first.pipe.receive(now).map(|(packet, ())| packet)
    }

    /// Whether there is something that travelled under rules that are no more; [`next`](Impair::next) gives it first.
    pub fn has_released(&self, direction: Direction) -> bool {
        !self.released[direction as usize].is_empty()
    }

    /// When the next packet arrives; in the past when one has.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.released.iter().all(Released::is_empty) {
            return Some(Instant::ZERO);
        }
        let arrivals = self
            .rules
            .iter()
            .filter_map(|rule| rule.pipe.next_arrival());
        arrivals.min()
    }

    /// Memory of everything on its way.
    fn held(&self) -> usize {
        let rules = self.rules.iter().map(Rule::held);
        let released = self.released.iter().map(Released::held);
        rules.chain(released).sum()
    }

    fn remove(&mut self, which: impl Fn(&Rule) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.rules).into_iter().partition(which);
        self.rules = kept;
        let gone: Vec<Rule> = gone;
        for rule in gone {
            self.release(rule);
        }
    }

    fn release(&mut self, rule: Rule) {
        self.released[rule.direction as usize].take_over(rule.pipe);
    }
}

/// The most particular rule that fits.
fn best(rules: &mut [Rule], direction: Direction, flow: Option<Flow>) -> Option<&mut Rule> {
    let flow = flow?;
    rules
        .iter_mut()
        .filter(|rule| rule.direction == direction && rule.target.fits(&flow))
        .max_by_key(|rule| rule.target.rank())
}

#[cfg(test)]
mod tests;
