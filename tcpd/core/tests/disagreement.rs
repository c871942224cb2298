//! RFC 9293 §3.10.7, RFC 5961 §7: two ends that disagree about everything fall silent within two seconds: no war of ACKs. See
//! `sim::splice` for what that means; `cargo xtask soak` tries a million couples.

#[path = "common"]
mod common {
    pub(crate) mod threads;
}

use std::collections::BTreeSet;
use std::time::Duration;

use common::threads::on_all_processors;
use tcpd_core::sim::splice;

/// How many couples a test run tries, from seed 0 on; `TCPD_COUPLES` and `TCPD_COUPLES_FROM` say otherwise.
const SEEDS: u64 = 10_000;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn two_ends_that_disagree_are_quiet_after_two_seconds() {
    let from = from_environment("TCPD_COUPLES_FROM", 0);
    let seeds = from_environment("TCPD_COUPLES", SEEDS);
    let (mut met, mut packets, mut longest) = (BTreeSet::new(), 0, Duration::ZERO);
    let numbers: Vec<u64> = (from..from + seeds).collect();
    let couples = on_all_processors(&numbers, |seed| match splice::run(*seed) {
        Ok(couple) => couple,
        Err(restless) => panic!("{restless}"),
    });
    for couple in couples {
        let states = couple.states;
        met.insert(states.map(|state| state.map_or("CLOSED", |state| state.name())));
        packets += couple.packets;
        longest = longest.max(couple.quiet_after);
    }
    println!(
        "{} meetings of states, {packets} packets, quiet after {longest:?}",
        met.len()
    );
    // Ten states each: every meeting has happened.
    assert!(seeds < SEEDS || met.len() >= 100, "{met:?}");
}
