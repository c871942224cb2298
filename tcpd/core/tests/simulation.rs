//! Conversations over a bad network, a seed each: see `sim::simulation` for what must be true of every one.

#[path = "common"]
mod common {
    pub(crate) mod threads;
}

use common::threads::on_all_processors;
use tcpd_core::sim::simulation;

/// How many seeds a test run tries; `cargo xtask soak` goes on for longer.
const SEEDS: u64 = 4_000;

#[test]
fn every_conversation_ends_well_whatever_the_network_does() {
    let seeds: Vec<u64> = (0..SEEDS).collect();
    let bytes = on_all_processors(&seeds, |seed| match simulation::run(*seed) {
        Ok(conversation) => conversation.bytes,
        Err(broken) => panic!("{broken}"),
    });
    let bytes: u64 = bytes.into_iter().sum();
    assert!(
        bytes > SEEDS * 1_000,
        "the conversations said too little: {bytes} bytes"
    );
}
