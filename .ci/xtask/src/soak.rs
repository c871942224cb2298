//! `cargo xtask soak`: the simulation of `tcpd/core/tests/simulation.rs` for as many seeds as one likes, a long SYN flood,
//! random walks, a million couples of ends that disagree, a million connections in TIME-WAIT, then long transfers over a real TUN,
//! thousands of kills, a long stop and an hour of hostile clients.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use tcpd_core::sim::simulation;

/// Simulated conversations, a seed each.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// How many seeds
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Afterwards: a SYN flood of so many seconds of virtual time, as the tests of the core do with 2; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 150)]
    flood: u64,
    /// Afterwards: so many random walks of two stacks, judged by a model, as the tests of the core do with 3,000; 0 for none
    #[arg(long, default_value_t = 200_000)]
    walks: u64,
    /// Afterwards: so many couples of ends that do not belong together and must fall silent, as the tests do with 10,000; 0 for none
    #[arg(long, default_value_t = 1_000_000)]
    couples: u64,
    /// Afterwards: so many connections in TIME-WAIT at once, their memory counted, as the tests of the core do with 28,000; 0 for none
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 1_000_000)]
    time_waits: u32,
    /// Afterwards: so many MiB each way over a real TUN, compared byte by byte, as the end-to-end tests do with 100; 0 for none
    #[arg(long, value_name = "MEBIBYTES", default_value_t = 1024)]
    transfers: usize,
    /// Afterwards: so many processes killed under load, as the end-to-end tests do with 500; 0 for none
    #[arg(long, default_value_t = 20_000)]
    kills: u64,
    /// Afterwards: a client stopped for so many seconds, as the end-to-end tests do for a few; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    stop: u64,
    /// Afterwards: every attack of the campaign of hostile clients for so many seconds, as the end-to-end tests do for 20; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    attacks: u64,
}

/// Runs seeds on all processors until one breaks.
pub(crate) fn run(arguments: &Soak) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let totals = Totals::default();
    let broken = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&next, end, &totals)))
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Some("a worker panicked".into()))
            })
            .min()
    });
    println!(
        "{} conversations, {} bytes, {} packets, {} aborted on purpose",
        totals.conversations.load(Ordering::Relaxed),
        totals.bytes.load(Ordering::Relaxed),
        totals.packets.load(Ordering::Relaxed),
        totals.aborted.load(Ordering::Relaxed)
    );
    if let Some(broken) = broken {
        bail!("{broken}");
    }
    let flood = ["tcpd-core", "tcp", "flood::"];
    longer(flood, "TCPD_FLOOD_SECONDS", arguments.flood)?;
    let walks = ["tcpd-core", "walk", "random_walks"];
    longer(walks, "TCPD_WALK_CASES", arguments.walks)?;
    let couples = ["tcpd-core", "disagreement", "two_ends"];
    longer(couples, "TCPD_COUPLES", arguments.couples)?;
    let time_wait = ["tcpd-core", "memory", "time_wait"];
    longer(time_wait, "TCPD_TIME_WAITS", arguments.time_waits.into())?;
    let bulk = ["tcpd", "end_to_end", "bulk_"];
    longer(bulk, "TCPD_BULK_MEBIBYTES", arguments.transfers as u64)?;
    let kills = ["tcpd", "end_to_end", "kills::"];
    longer(kills, "TCPD_KILLS", arguments.kills)?;
    let stop = ["tcpd", "end_to_end", "stopped::"];
    longer(stop, "TCPD_STOP_SECONDS", arguments.stop)?;
    let attacks = ["tcpd", "end_to_end", "campaign::"];
    longer(attacks, "TCPD_ATTACK_SECONDS", arguments.attacks)
}

/// The tests of a package and binary with this name, with a `variable` that makes them longer; not at all when it would be 0.
fn longer([package, binary, name]: [&str; 3], variable: &str, value: u64) -> anyhow::Result<()> {
    if value == 0 {
        return Ok(());
    }
    println!("{name} with {variable}={value}");
    let status = Command::new(env!("CARGO"))
        .args(["test", "--package", package, "--test", binary, name])
        .env(variable, value.to_string())
        .current_dir(crate::root())
        .status()
        .context("cargo test")?;
    anyhow::ensure!(
        status.success(),
        "{name} failed with {variable}={value}: {status}"
    );
    Ok(())
}

#[derive(Default)]
struct Totals {
    conversations: AtomicU64,
    bytes: AtomicU64,
    packets: AtomicU64,
    aborted: AtomicU64,
}

/// Takes seeds until the end or the first that breaks.
fn work(next: &AtomicU64, end: u64, totals: &Totals) -> Option<String> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return None;
        }
        match simulation::run(seed) {
            Ok(conversation) => {
                totals.conversations.fetch_add(1, Ordering::Relaxed);
                totals
                    .bytes
                    .fetch_add(conversation.bytes, Ordering::Relaxed);
                totals
                    .packets
                    .fetch_add(conversation.packets, Ordering::Relaxed);
                totals
                    .aborted
                    .fetch_add(conversation.aborted.into(), Ordering::Relaxed);
            }
            Err(broken) => {
                next.store(end, Ordering::Relaxed);
                return Some(broken.to_string());
            }
        }
        let done = totals.conversations.load(Ordering::Relaxed);
        if done.is_multiple_of(5_000) {
            println!("{done} conversations");
        }
    }
}
