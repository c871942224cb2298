//! A whole network decided by one seed: hosts of different settings, a bottleneck that changes on the way, streams that cross it; and
//! what must be true of every one of them.
//!
//! 1. What each reader reads is what its writer wrote, byte by byte, to the end.
//! 2. All of them get there in bounded time, with a bounded number of packets, and rings that hold what they may.
//! 3. The right edge of no window moves left, and every packet is well-formed.
//! 4. What came in was accepted or dropped with a reason, and at the end nothing is left: no connection, no timer.
//! 5. Of ECN is said what RFC 3168 allows, and a controller is exchanged without anything else changing.
//! 6. Where nothing was lost nothing is sent again but by probes, and by timers that a slow queue has outrun; and where there were marks, and
//!    nowhere else, windows are reduced, once a mark at most.

mod parameters;

use super::traffic::Traffic;
use super::{Network, START};
use crate::sim::pair::End;
use crate::sim::simulation::{Broken, LADDER_LINES, drops};
use crate::stack::Counters;
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
    /// Whether nothing was lost, so that all of point 6 was looked at.
    pub calm: bool,
    /// Segments with text that came with a mark (CE).
    pub marked: u64,
    /// Reductions of a window for ECE.
    pub reductions: u64,
    /// Paths found to swallow large packets without a word.
    pub black_holes: u64,
    /// Controllers exchanged.
    pub switched: u64,
    /// Writers who went on after a pause longer than the timeout.
    pub restarts: u64,
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
        change.apply(traffic)?;
    }
    go_to(parameters, traffic, START + LONGEST)?;
    traffic.check_finished()?;
    let black_hole = counted(traffic, |counters| counters.path_mtu_black_holes) > 0;
    traffic.check_packets(parameters.least_mss(black_hole), parameters.more_packets())?;
    let duration = traffic.network.now().duration_since(START);
    let passed = End::BOTH.map(|end| traffic.network.passed(end));
    traffic.wind_down()?;
    let sum = |count: fn(&super::Passed) -> u64| passed.iter().map(count).sum::<u64>();
    let streams = traffic.streams();
    let lost = sum(|passed| passed.lost + passed.overflowed + passed.too_large);
    let calm = parameters.calm && lost == 0;
    if calm {
        nothing_for_nothing(parameters, traffic)?;
    }
    Ok(Outcome {
        streams: streams.len() as u64,
        bytes: streams.iter().map(|stream| stream.read).sum(),
        packets: sum(|passed| passed.packets),
        lost,
        duration,
        calm,
        marked: counted(traffic, |counters| counters.ce_in),
        reductions: counted(traffic, |counters| counters.ecn_reductions),
        black_holes: counted(traffic, |counters| counters.path_mtu_black_holes),
        switched: streams.iter().map(|stream| stream.switched).sum(),
        restarts: streams.iter().map(|stream| stream.restarts).sum(),
    })
}

/// What all hosts have counted.
fn counted(traffic: &Traffic, count: fn(&Counters) -> u64) -> u64 {
    let network = &traffic.network;
    let hosts = 0..network.hosts();
    hosts.map(|host| count(network.look(host).counters())).sum()
}

/// Nothing was lost, reordered, doubled or damaged.
fn nothing_for_nothing(parameters: &Parameters, traffic: &Traffic) -> Result<(), String> {
    let counted = |count| counted(traffic, count);
    let timeouts = counted(|counters| counters.timeouts);
    let probes = counted(|counters| counters.tail_loss_probes + counters.zero_window_probes);
    let again = counted(|counters| counters.retransmissions);
    let queueing = parameters.queueing();
    // A queue that fills up in an instant may make a round trip longer by more than the least timeout: then a timer may go off.
    if timeouts > 0 && queueing < Duration::from_millis(200) {
        return Err(format!("{timeouts} timeouts, and nothing was lost"));
    }
    // A probe is sent for want of an answer; what one of a closed window carried goes out again. After a timeout a few segments may, until
    // an ACK tells that it was for nothing.
    if again > probes + 4 * timeouts {
        return Err(format!(
            "{again} segments sent again with {timeouts} timeouts and {probes} probes, and nothing was lost"
        ));
    }
    let (marked, echoed) = (
        counted(|counters| counters.ce_in),
        counted(|counters| counters.ece_in),
    );
    let reduced = counted(|counters| counters.ecn_reductions);
    if reduced > marked || (marked > 0) != (reduced > 0) || (marked > 0) != (echoed > 0) {
        return Err(format!(
            "{marked} segments came with a mark, {echoed} ACKs said so, and windows were reduced {reduced} times"
        ));
    }
    Ok(())
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
