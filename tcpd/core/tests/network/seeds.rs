//! Networks decided by a seed each: see `sim::network::seeded` for what must be true of every one. `TCPD_NETWORKS` asks for more of them;
//! `cargo xtask soak` goes on for longer.

use tcpd_core::sim::network::seeded::{Outcome, run};

use crate::common::threads::on_all_processors;

/// How many seeds an ordinary test run tries.
const SEEDS: u64 = 10_000;

type Count = fn(&Outcome) -> u64;

#[test]
fn every_stream_of_every_network_comes_out_whole() {
    let count = std::env::var("TCPD_NETWORKS").map_or(SEEDS, |count| {
        count.parse().expect("TCPD_NETWORKS is a number of seeds")
    });
    let seeds: Vec<u64> = (0..count).collect();
    let outcomes = on_all_processors(&seeds, |seed| match run(*seed) {
        Ok(outcome) => outcome,
        Err(broken) => panic!("{broken}"),
    });
    let sum = |of: Count| outcomes.iter().map(of).sum::<u64>();
    let (streams, bytes) = (sum(|o| o.streams), sum(|o| o.bytes));
    let packets = sum(|o| o.packets);
    println!("{streams} streams, {bytes} bytes, {packets} packets");
    assert!(
        streams > count && bytes > count * 10_000,
        "too little happened: {streams} streams, {bytes} bytes"
    );
    // What is drawn has to come about in one of so many networks, or nothing of it is tested.
    let drawn: [(&str, Count, u64); 7] = [
        ("losses", |o| o.lost, 3),
        ("no loss at all", |o| o.calm.into(), 10),
        ("marks", |o| o.marked, 25),
        ("reductions for marks", |o| o.reductions, 25),
        ("black holes", |o| o.black_holes, 60),
        ("exchanged controllers", |o| o.switched, 10),
        ("restarts after a pause", |o| o.restarts, 50),
    ];
    for (what, of, in_so_many) in drawn {
        let having = outcomes.iter().filter(|outcome| of(outcome) > 0).count() as u64;
        println!("{having} networks with {what}");
        assert!(
            having * in_so_many >= count,
            "{what} in {having} of {count} networks"
        );
    }
}
