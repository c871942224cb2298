//! Networks decided by a seed each: see `sim::network::seeded` for what must be true of every one.

use tcpd_core::sim::network::seeded;

use crate::on_all_processors;

/// How many seeds a test run tries; `cargo xtask soak` goes on for longer.
const SEEDS: u64 = 4_000;

#[test]
fn every_stream_of_every_network_comes_out_whole() {
    let seeds: Vec<u64> = (0..SEEDS).collect();
    let outcomes = on_all_processors(&seeds, |seed| match seeded::run(*seed) {
        Ok(outcome) => outcome,
        Err(broken) => panic!("{broken}"),
    });
    let sum = |of: fn(&seeded::Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let (streams, bytes) = (sum(|o| o.streams), sum(|o| o.bytes));
    let (packets, lost) = (sum(|o| o.packets), sum(|o| o.lost));
    println!("{streams} streams, {bytes} bytes, {packets} packets, {lost} of them lost");
    assert!(
        streams > SEEDS && bytes > SEEDS * 10_000 && lost > SEEDS,
        "too little happened: {streams} streams, {bytes} bytes, {packets} packets, {lost} lost"
    );
}
