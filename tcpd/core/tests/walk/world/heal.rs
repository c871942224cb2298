//! The end of a walk: the network is good again, everybody reads to the end and closes, and everything must be gone in bounded time.

use std::time::Duration;

use tcpd_core::sim::pair::End;
use tcpd_core::time::Instant;

use super::World;

/// From one end to the other, on a network without faults.
const DELAY: Duration = Duration::from_millis(5);
/// So long the network is good before users go on: whoever has backed off has tried again by then.
const LONGEST_BACKOFF: Duration = Duration::from_secs(61);
/// After so long users stop waiting for the other's end of stream: a peer that was lost after it acknowledged our FIN says nothing any
/// more, and FIN-WAIT-2 lasts for as long as its user holds it (RFC 9293 §3.6).
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Everything is gone so long after nobody holds anything: orphans, LAST-ACK, TIME-WAIT, half-open entries.
const RUN_OUT: Duration = Duration::from_secs(3_600);
/// More packets than this on a good network, with so little to say, are a storm.
const STORM: u64 = 5_000;

impl World {
    /// Has everything come to its end, and looks at what is left.
    pub(crate) fn heal(&mut self) {
        if let Err(wrong) = self.wind_down() {
            self.tell(&format!("after the network has healed: {wrong}"));
        }
    }

    fn wind_down(&mut self) -> Result<(), String> {
        let sent_before = self.packets;
        for host in &mut self.hosts {
            host.held = false;
        }
        let now = self.now;
        for packet in &mut self.air {
            packet.sent_at = now;
        }
        self.settle()?;
        let calm = self.now + LONGEST_BACKOFF;
        while self.next_event(calm)? {}
        self.model.healed_at = Some(self.now);
        let give_up = self.now + PATIENCE;
        loop {
            let busy = self.everybody_finishes(self.now >= give_up)?;
            self.settle()?;
            if !busy || !self.next_event(give_up)? {
                break;
            }
        }
        self.everybody_finishes(true)?;
        for end in End::BOTH {
            self.close_listener(end)?;
        }
        self.settle()?;
        let limit = self.now + RUN_OUT;
        while self.next_event(limit)? {}
        for end in End::BOTH {
            if let Some(left) = self.hosts[end as usize].stack.endpoints().next() {
                return Err(format!("{end:?} still has {left:?}"));
            }
        }
        if self.packets - sent_before > STORM {
            return Err(format!("{} packets", self.packets - sent_before));
        }
        self.model.all_arrived()
    }

    /// Users accept, close their side, read, and let go at the end of the stream; with `impatient` at once. Whether anybody still waits.
    fn everybody_finishes(&mut self, impatient: bool) -> Result<bool, String> {
        let mut busy = false;
        for end in End::BOTH {
            loop {
                let held = self.hosts[end as usize].holds.len();
                self.accept(end)?;
                if self.hosts[end as usize].holds.len() == held {
                    break;
                }
            }
            for id in self.hosts[end as usize].holds.clone() {
                let side = self.model.side_of(end, id)?;
                if !self.model.sides[side].write_closed {
                    self.shutdown_write_of(end, id)?;
                }
                let mut over = false;
                for _ in 0..100 {
                    over = self.receive_from(end, id, 4_000)?;
                    if over {
                        break;
                    }
                }
                if over || impatient {
                    self.hosts[end as usize].holds.retain(|&held| held != id);
                    self.close_of(end, id)?;
                } else {
                    busy = true;
                }
            }
        }
        Ok(busy || !self.air.is_empty() || self.model.opening())
    }

    /// The next arrival or deadline, until `limit`; false when nothing happens before.
    fn next_event(&mut self, limit: Instant) -> Result<bool, String> {
        let arrival = self.air.first().map(|packet| packet.sent_at + DELAY);
        let next = arrival.into_iter().chain(self.next_deadline()).min();
        let Some(at) = next.filter(|&at| at <= limit) else {
            self.now = self.now.max(limit);
            return Ok(false);
        };
        self.now = self.now.max(at);
        if arrival == Some(at) {
            let packet = self.air.remove(0);
            self.deliver(packet)?;
        } else {
            self.serve_deadlines()?;
        }
        self.settle()?;
        Ok(true)
    }
}
