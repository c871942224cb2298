//! How much of a path its streams get: one stream over a path with loss, and several that share one.
//!
//! What is measured is what a reader has read, from the SYN on, so a start that is slow counts. The path is a bottleneck with a drop-tail
//! queue of one bandwidth-delay product (at least [`LEAST_QUEUE`]) in each direction; data packets are lost by chance, ACKs are not.
//! Packets are whole Ethernet frames of 1,500 bytes, so of a rate 1,448 of 1,500 can be goodput. Buffers never limit.

use std::time::Duration;

use super::traffic::{Stream, Traffic};
use super::{HostConfig, Network, START};
use crate::sim::link::Impairment;
use crate::sim::pair::End;
use crate::stack::{CongestionControl, StackConfig, Status};

/// The least queue before a bottleneck, bytes: a hundred packets.
pub const LEAST_QUEUE: u64 = 150_000;
/// Bytes of an IP packet of a full segment.
const MTU: u64 = 1_500;
/// Of these, text: IPv4 and TCP headers and the timestamps option go off.
pub const TEXT: u64 = 1_448;

/// A path, both ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Bits per second of the bottleneck, IP headers included.
    pub rate: u64,
    /// The round trip of an empty path.
    pub rtt: Duration,
    /// Probability that a data packet is lost, 0 to 1.
    pub loss: f64,
}

impl Path {
    /// Bytes that fill it.
    #[must_use]
    pub fn bandwidth_delay_product(&self) -> u64 {
        (u128::from(self.rate / 8) * self.rtt.as_nanos() / 1_000_000_000) as u64
    }

    /// The largest goodput there can be, bits per second.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.rate / MTU * TEXT
    }

    fn queue(&self) -> u64 {
        self.bandwidth_delay_product().max(LEAST_QUEUE)
    }

    fn links(&self) -> [Impairment; 2] {
        let back = Impairment {
            delay: self.rtt / 2,
            rate: self.rate / 8,
            queue: u32::try_from(self.queue()).unwrap_or(u32::MAX),
            ..Impairment::default()
        };
        let there = Impairment {
            loss: self.loss,
            ..back.clone()
        };
        [there, back]
    }

    /// A stack whose buffers do not limit a stream: what fills the path and its queue, and what arrives during the round trip that a
    /// recovery takes.
    fn stack(&self, controller: Option<CongestionControl>) -> StackConfig {
        let mut config = StackConfig::default();
        let need = 2 * self.bandwidth_delay_product() + self.queue();
        let ring = u32::try_from(need).unwrap_or(1 << 30).max(256 << 10);
        let ring = ring.next_power_of_two().min(1 << 30);
        let tcp = &mut config.tcp;
        tcp.congestion = controller.unwrap_or(tcp.congestion);
        (tcp.receive_ring, tcp.receive_ring_max) = (ring, ring);
        (tcp.send_ring, tcp.send_ring_max) = (ring, ring);
        config
    }
}

/// What one of several streams came to.
#[derive(Debug, Clone)]
pub struct Share {
    /// Bits per second that its reader read while it was measured.
    pub goodput: u64,
    /// Everything that its sender knew at the end.
    pub sender: Status,
}

/// Streams from hosts of their own on the left to one host on the right, for `duration` each; the goodput is that from `measured_from` on.
/// `controllers` names one for each, as the configuration does; the n-th starts n × `apart` after the first.
///
/// # Errors
/// The first thing that is not as it must be in any run.
pub fn share(
    path: &Path,
    controllers: &[CongestionControl],
    apart: Duration,
    measured_from: Duration,
    duration: Duration,
    seed: u64,
) -> Result<Vec<Share>, String> {
    let receiver = controllers.len();
    let mut hosts: Vec<HostConfig> = controllers
        .iter()
        .map(|controller| HostConfig {
            stack: path.stack(Some(*controller)),
            side: End::Left,
            delay: Duration::ZERO,
        })
        .collect();
    hosts.push(HostConfig {
        stack: path.stack(None),
        side: End::Right,
        delay: Duration::ZERO,
    });
    let network = Network::new(hosts, path.links(), false, seed);
    let streams = (0..receiver).map(|from| Stream {
        starts: apart * from as u32,
        ..Stream::endless(from, receiver)
    });
    let mut traffic = Traffic::new(network, streams.collect())?;
    traffic.run(START + measured_from)?;
    let before: Vec<u64> = traffic.streams().iter().map(|stream| stream.read).collect();
    traffic.run(START + duration)?;
    let nanos = (duration - measured_from).as_nanos();
    traffic.check_packets(TEXT, 2_000)?;
    let ring = u64::from(path.stack(None).tcp.receive_ring);
    traffic.check_memory(2 * ring)?;
    traffic
        .streams()
        .iter()
        .enumerate()
        .map(|(number, stream)| {
            let bits = 8 * u128::from(stream.read - before[number]);
            Ok(Share {
                goodput: (bits * 1_000_000_000 / nanos) as u64,
                sender: traffic
                    .sender(number)
                    .ok_or_else(|| format!("stream {number} has no sender any more"))?,
            })
        })
        .collect()
}

/// One stream by itself, from its SYN on.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn alone(
    path: &Path,
    controller: CongestionControl,
    duration: Duration,
    seed: u64,
) -> Result<Share, String> {
    let shares = share(
        path,
        &[controller],
        Duration::ZERO,
        Duration::ZERO,
        duration,
        seed,
    )?;
    shares.into_iter().next().ok_or_else(|| "no stream".into())
}

/// Jain's index of fairness: 1 when all have the same, 1/n when one has everything.
#[must_use]
pub fn jain(goodputs: &[u64]) -> f64 {
    let sum: f64 = goodputs.iter().map(|&x| x as f64).sum();
    let squares: f64 = goodputs.iter().map(|&x| (x as f64) * (x as f64)).sum();
    sum * sum / (goodputs.len() as f64 * squares)
}
