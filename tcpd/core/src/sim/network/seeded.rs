//! A whole network decided by one seed: hosts of different settings, a bottleneck that changes on the way, streams that cross it; and
//! what must be true of every one of them.
//!
//! 1. What each reader reads is what its writer wrote, byte by byte, to the end.
//! 2. All of them get there in bounded time, with a bounded number of packets, and rings that hold what they may.
//! 3. The right edge of no window moves left, and every packet is well-formed.
//! 4. What came in was accepted or dropped with a reason, and at the end nothing is left: no connection, no timer.

mod parameters;

use super::traffic::Traffic;
use super::{Network, START};
use crate::sim::pair::End;
use crate::sim::simulation::{Broken, LADDER_LINES, drops};
use crate::time::Instant;
use std::time::Duration;

pub use parameters::{Change, Parameters};

/// What a network came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Streams, all of them whole.
    pub streams: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Packets that came to the bottleneck.
    pub packets: u64,
    /// Of these, lost in any way.
    pub lost: u64,
    /// Virtual time until the last stream was over.
    pub duration: Duration,
}

/// Virtual time after which streams count as stuck.
const LONGEST: Duration = Duration::from_secs(4 * 3600);
/// Virtual time between two looks at how much memory there is.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the network of a seed.
///
/// # Errors
/// The first thing that is not as it must be, with the ladder of what led there.
pub fn run(seed: u64) -> Result<Outcome, Box<Broken>> {
    let parameters = Parameters::from_seed(seed);
    if let Ok(outcome) = play(&parameters, false) {
        return Ok(outcome);
    }
    // Once more for the picture: recording costs too much to do it always.
    let (message, ladder) = match play(&parameters, true) {
        Err(broken) => broken,
        Ok(_) => (
            "went wrong once and right the second time: something is not decided by the seed"
                .into(),
            String::new(),
        ),
    };
    Err(Box::new(Broken {
        seed,
        command: format!("cargo xtask soak --only networks --from {seed} --networks 1"),
        message,
        parameters: parameters.to_string(),
        ladder,
    }))
}

fn play(parameters: &Parameters, record: bool) -> Result<Outcome, (String, String)> {
    let mut network = Network::new(
        parameters.hosts.clone(),
        parameters.links.clone(),
        parameters.ipv6,
        parameters.seed,
    );
    network.watch();
    if record {
        network.record();
    }
    let mut traffic = Traffic::new(network, parameters.streams.clone())
        .map_err(|message| (message, String::new()))?;
    let result = crate::sim::catching(|| whole(parameters, &mut traffic));
    let result = result.unwrap_or_else(|panic| Err(format!("panicked: {panic}")));
    result.map_err(|message| {
        let network = &traffic.network;
        let mut picture = network.ladder().render_last(LADDER_LINES);
        for host in 0..network.hosts() {
            picture += &format!("host {host} dropped: {}\n", drops(network.look(host)));
        }
        (message, picture)
    })
}

fn whole(parameters: &Parameters, traffic: &mut Traffic) -> Result<Outcome, String> {
    for (at, change) in &parameters.changes {
        go_to(parameters, traffic, START + *at)?;
        change.apply(&mut traffic.network);
    }
    go_to(parameters, traffic, START + LONGEST)?;
    traffic.check_finished()?;
    traffic.check_packets(parameters.least_mss(), parameters.more_packets())?;
    let duration = traffic.network.now().duration_since(START);
    let passed = End::BOTH.map(|end| traffic.network.passed(end));
    traffic.wind_down()?;
    let sum = |count: fn(&super::Passed) -> u64| passed.iter().map(count).sum::<u64>();
    Ok(Outcome {
        streams: traffic.streams().len() as u64,
        bytes: traffic.streams().iter().map(|stream| stream.read).sum(),
        packets: sum(|passed| passed.packets),
        lost: sum(|passed| passed.lost + passed.overflowed + passed.too_large),
        duration,
    })
}

/// Lets time pass until `until`, or all is over, with a look at the memory once in a while.
fn go_to(parameters: &Parameters, traffic: &mut Traffic, until: Instant) -> Result<(), String> {
    while traffic.network.now() < until && !traffic.is_over() {
        let next = (traffic.network.now() + LOOK).min(until);
        traffic.run(next)?;
        traffic.check_memory(parameters.rings())?;
    }
    Ok(())
}
