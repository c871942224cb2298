//! Networks decided by a seed each: see `sim::network::seeded` for what must be true of every one. `TCPD_NETWORKS` asks for more of them;
//! `cargo xtask soak` goes on for longer.

use tcpd_core::sim::network::seeded;

use crate::common::threads::on_all_processors;

/// How many seeds an ordinary test run tries.
const SEEDS: u64 = 10_000;

#[test]
fn every_stream_of_every_network_comes_out_whole() {
    let count = std::env::var("TCPD_NETWORKS").map_or(SEEDS, |count| {
        count.parse().expect("TCPD_NETWORKS is a number of seeds")
    });
    let seeds: Vec<u64> = (0..count).collect();
    let outcomes = on_all_processors(&seeds, |seed| match seeded::run(*seed) {
        Ok(outcome) => outcome,
        Err(broken) => panic!("{broken}"),
    });
    let sum = |of: fn(&seeded::Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let (streams, bytes) = (sum(|o| o.streams), sum(|o| o.bytes));
    let (packets, lost) = (sum(|o| o.packets), sum(|o| o.lost));
    println!("{streams} streams, {bytes} bytes, {packets} packets, {lost} of them lost");
    let (marked, reductions) = (sum(|o| o.marked), sum(|o| o.reductions));
    let (holes, switched) = (sum(|o| o.black_holes), sum(|o| o.switched));
    let (restarts, calm) = (sum(|o| o.restarts), sum(|o| o.calm.into()));
    let beyond = outcomes.iter().map(|o| o.beyond).max();
    println!(
        "{marked} marks and {reductions} reductions for them, {holes} black holes found, {switched} controllers exchanged, \
         {restarts} restarts after a pause, {calm} networks without a loss; {beyond:?} packets beyond six a segment at most"
    );
    assert!(
        streams > count && bytes > count * 10_000 && lost > count,
        "too little happened: {streams} streams, {bytes} bytes, {packets} packets, {lost} lost"
    );
    // What is drawn has to come about, or nothing of it is tested.
    let seldom = [
        ("marks", marked, 10),
        ("reductions for marks", reductions, 20),
        ("black holes", holes, 60),
        ("exchanged controllers", switched, 10),
        ("restarts after a pause", restarts, 20),
        ("networks without a loss", calm, 20),
    ]
    .into_iter()
    .find(|(_, times, in_so_many)| times * in_so_many < count);
    assert!(
        seldom.is_none(),
        "too seldom in {count} networks: {seldom:?}"
    );
}
