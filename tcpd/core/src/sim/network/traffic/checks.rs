//! What is true of all streams once they ran: whole, without a storm of packets, within their memory, and nothing is left.

use std::time::Duration;

use super::{Progress, Traffic};
use crate::sim::pair::End;

impl Traffic {
    /// All streams got to their end, whole.
    ///
    /// # Errors
    /// The first that did not.
    pub fn check_finished(&self) -> Result<(), String> {
        for (number, stream) in self.streams.iter().enumerate() {
            if stream.finished.is_none() || stream.read != stream.stream.bytes {
                return Err(format!(
                    "stream {number} is not over: {}",
                    self.progress(number)
                ));
            }
        }
        Ok(())
    }

    /// No storm: what was written, in segments of `least_mss` bytes, the smallest that anybody fills, twice, with an ACK each; and `more`
    /// for openings, probes and what the path repeats.
    ///
    /// # Errors
    /// How many there were.
    pub fn check_packets(&self, least_mss: u64, more: u64) -> Result<(), String> {
        let bytes: u64 = self.streams.iter().map(|stream| stream.written).sum();
        let most = 4 * (bytes / least_mss) + more;
        let packets: u64 = End::BOTH
            .map(|end| self.network.passed(end).packets)
            .iter()
            .sum();
        if packets > most {
            return Err(format!(
                "a storm: {packets} packets for {bytes} bytes, more than {most}"
            ));
        }
        Ok(())
    }

    /// Private rings hold no more than `rings` bytes for each connection of a host.
    ///
    /// # Errors
    /// Which host has more.
    pub fn check_memory(&self, rings: u64) -> Result<(), String> {
        for host in 0..self.network.hosts() {
            let touching =
                |stream: &&Progress| [stream.stream.from, stream.stream.to].contains(&host);
            let most = rings * self.streams.iter().filter(touching).count() as u64;
            let used = self.network.look(host).usage(0).private_bytes;
            if used > most {
                return Err(format!(
                    "host {host} has {used} bytes in rings, more than {most}"
                ));
            }
        }
        Ok(())
    }

    /// Everything that is left runs out by itself (lost last ACKs, orphans, TIME-WAIT), and nothing remains.
    ///
    /// # Errors
    /// What remains, or a packet that is not accounted for.
    pub fn wind_down(&mut self) -> Result<(), String> {
        let now = self.network.now();
        for stream in &mut self.streams {
            if let Some(listener) = stream.listener.take() {
                self.network
                    .stack(stream.stream.to)
                    .close_listener(now, listener);
            }
        }
        self.network.flush()?;
        let limit = now + Duration::from_secs(3_600);
        while self.network.step(limit)? {}
        for host in 0..self.network.hosts() {
            let stack = self.network.look(host);
            if let Some(left) = stack.endpoints().next() {
                return Err(format!("host {host} still has {left:?} at the end of time"));
            }
            let counters = stack.counters();
            let (came, accepted) = (counters.segments_in, counters.segments_accepted);
            let dropped = counters.dropped_in_all();
            if came != accepted + dropped {
                return Err(format!(
                    "host {host}: {came} packets came in, but {accepted} were accepted and {dropped} dropped"
                ));
            }
        }
        Ok(())
    }
}
