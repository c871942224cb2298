//! Conversations over a bad network, a seed each: see `sim::simulation` for what must be true of every one.

use tcpd_core::sim::simulation;

/// How many seeds a test run tries; `cargo xtask soak` goes on for longer.
const SEEDS: u64 = 4_000;

#[test]
fn every_conversation_ends_well_whatever_the_network_does() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mut bytes = 0;
                    for seed in (worker..SEEDS).step_by(threads as usize) {
                        match simulation::run(seed) {
                            Ok(conversation) => bytes += conversation.bytes,
                            Err(broken) => panic!("{broken}"),
                        }
                    }
                    bytes
                })
            })
            .collect();
        let bytes: u64 = workers
            .into_iter()
            .map(|worker| match worker.join() {
                Ok(bytes) => bytes,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .sum();
        assert!(
            bytes > SEEDS * 1_000,
            "the conversations said too little: {bytes} bytes"
        );
    });
}
