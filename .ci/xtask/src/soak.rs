//! `cargo xtask soak`: the simulations of `tcpd/core/tests/simulation.rs` and `tcpd/core/tests/network/seeds.rs` for as many seeds as one
//! likes, a long SYN flood, random walks, a million couples of ends that disagree, a million connections in TIME-WAIT, then long
//! transfers over a real TUN, thousands of kills, a long stop and an hour of hostile clients.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use tcpd_core::sim::network::seeded;
use tcpd_core::sim::simulation;

/// Simulated conversations, a seed each.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// How many seeds
    #[arg(long, default_value_t = 20_000)]
    seeds: u64,
    /// Afterwards: so many networks of several stacks behind one bottleneck, a seed each; 0 for none
    #[arg(long, default_value_t = 10_000)]
    networks: u64,
    /// The first seed of either
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// This and nothing else
    #[arg(long, value_enum)]
    only: Option<Only>,
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
    /// Afterwards: the attacks of the campaign of hostile clients for so many seconds, thrice as long where the neighbour is slowed down, as
    /// the end-to-end tests do for 20; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    attacks: u64,
}

/// One of the parts that are decided by seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// Two stacks and two users
    Conversations,
    /// Several stacks behind one bottleneck
    Networks,
}

/// Runs all of it, until something breaks.
pub(crate) fn run(arguments: &Soak) -> anyhow::Result<()> {
    if arguments.only != Some(Only::Networks) {
        seeds("conversations", arguments.from, arguments.seeds, converse)?;
    }
    if arguments.only != Some(Only::Conversations) {
        seeds("networks", arguments.from, arguments.networks, network)?;
    }
    if arguments.only.is_some() {
        return Ok(());
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
    let tests = || {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--package", package, "--test", binary, name]);
        command.current_dir(crate::root());
        command
    };
    let mut listing = tests();
    listing.args(["--", "--list"]).stderr(Stdio::inherit());
    let listed = listing.output().context("cargo test")?;
    anyhow::ensure!(listed.status.success(), "{binary}: {}", listed.status);
    anyhow::ensure!(
        String::from_utf8_lossy(&listed.stdout).contains(": test"),
        "there is no test called {name}"
    );
    let status = tests().env(variable, value.to_string()).status();
    let status = status.context("cargo test")?;
    anyhow::ensure!(
        status.success(),
        "{name} failed with {variable}={value}: {status}"
    );
    Ok(())
}

#[derive(Default)]
struct Totals {
    runs: AtomicU64,
    bytes: AtomicU64,
    packets: AtomicU64,
}

/// Bytes and packets of one seed, or what broke.
type Run = fn(u64) -> Result<(u64, u64), String>;

fn converse(seed: u64) -> Result<(u64, u64), String> {
    let done = simulation::run(seed).map_err(|broken| broken.to_string())?;
    Ok((done.bytes, done.packets))
}

fn network(seed: u64) -> Result<(u64, u64), String> {
    let done = seeded::run(seed).map_err(|broken| broken.to_string())?;
    Ok((done.bytes, done.packets))
}

/// Runs seeds on all processors until one breaks.
fn seeds(what: &str, from: u64, count: u64, run: Run) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(from);
    let end = from.saturating_add(count);
    let totals = Totals::default();
    let broken = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(what, &next, end, &totals, run)))
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
        "{} {what}, {} bytes, {} packets",
        totals.runs.load(Ordering::Relaxed),
        totals.bytes.load(Ordering::Relaxed),
        totals.packets.load(Ordering::Relaxed),
    );
    match broken {
        Some(broken) => bail!("{broken}"),
        None => Ok(()),
    }
}

/// Takes seeds until the end or the first that breaks.
fn work(what: &str, next: &AtomicU64, end: u64, totals: &Totals, run: Run) -> Option<String> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return None;
        }
        match run(seed) {
            Ok((bytes, packets)) => {
                totals.bytes.fetch_add(bytes, Ordering::Relaxed);
                totals.packets.fetch_add(packets, Ordering::Relaxed);
            }
            Err(broken) => {
                next.store(end, Ordering::Relaxed);
                return Some(broken);
            }
        }
        let done = totals.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(5_000) {
            println!("{done} {what}");
        }
    }
}
