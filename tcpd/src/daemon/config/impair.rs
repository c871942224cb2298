//! `[impair]`: the bad network that is played from the start.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tcpd_core::impairment::{Impairment, SpecError};

use crate::device::impair::{Directions, MAX_RULES, RuleSpec, Target};

/// Entries of `peers`: with everything, in both directions, they fill the layer.
pub(super) const MAX_PEERS: usize = MAX_RULES / 2 - 1;

/// `[impair]`: every text has been checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Impair {
    /// What is done to packets from the network.
    #[serde(rename = "in")]
    pub inbound: String,
    /// What is done to packets to the network.
    #[serde(rename = "out")]
    pub outbound: String,
    /// The same for networks: `PREFIX [in|out] WORDS`.
    pub peers: Vec<String>,
    /// What decides every chance.
    pub seed: u64,
}

impl Impair {
    /// What the impairment layer is told.
    pub fn rules(&self) -> Vec<RuleSpec> {
        let spec = |target, directions, impairment| RuleSpec {
            target,
            directions,
            impairment,
            seed: self.seed,
        };
        let everything = [
            (&self.inbound, Directions::In),
            (&self.outbound, Directions::Out),
        ];
        let everything = everything.into_iter().filter_map(|(text, directions)| {
            let impairment: Impairment = text.parse().ok()?;
            (!impairment.is_nothing()).then(|| spec(Target::Everything, directions, impairment))
        });
        let peers = self.peers.iter().filter_map(|line| {
            let (target, directions, impairment) = parse_peer(line).ok()?;
            Some(spec(target, directions, impairment))
        });
        everything.chain(peers).collect()
    }
}

/// What is wrong with words that say an impairment.
pub(super) fn check(text: &str) -> Result<(), String> {
    match text.parse::<Impairment>() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What is wrong with the entries of `peers`.
pub(super) fn check_peers(lines: &[&str]) -> Result<(), String> {
    if lines.len() > MAX_PEERS {
        return Err(format!("{} networks", lines.len()));
    }
    let mut seen = Vec::new();
    for line in lines {
        let (target, directions, _) = parse_peer(line)?;
        for direction in directions.each() {
            if seen.contains(&(target, direction)) {
                return Err(format!("{target} {direction} is given twice"));
            }
            seen.push((target, direction));
        }
    }
    Ok(())
}

fn parse_peer(line: &str) -> Result<(Target, Directions, Impairment), String> {
    let (network, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let target = parse_network(network)
        .ok_or_else(|| format!("{network:?} is not a network as 203.0.113.0/24 or fd00::/8"))?;
    let rest = rest.trim_start();
    let (first, words) = rest.split_once(' ').unwrap_or((rest, ""));
    let (directions, words) = match first {
        "in" => (Directions::In, words),
        "out" => (Directions::Out, words),
        _ => (Directions::Both, rest),
    };
    match words.parse() {
        Ok(impairment) => Ok((target, directions, impairment)),
        Err(error) => {
            let error: SpecError = error;
            Err(format!("{network}: {error}"))
        }
    }
}

fn parse_network(text: &str) -> Option<Target> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
    (prefix <= longest).then(|| Target::peer(address, prefix))
}

#[cfg(test)]
mod tests;
