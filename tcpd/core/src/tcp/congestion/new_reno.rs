//! Slow start and congestion avoidance (RFC 9293 §3.8.2 MUST-19, RFC 5681) with the initial window of RFC 6928 and appropriate byte
//! counting (RFC 3465); fast recovery's window inflation and deflation (RFC 6582 §3.2).

use super::Acknowledged;

#[cfg(test)]
mod tests;

/// The state of one connection's controller. All in bytes.
#[derive(Clone, Debug)]
pub(crate) struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    /// Bytes acknowledged in congestion avoidance since CWND last grew (RFC 3465 §2.1).
    counted: u32,
    /// How much fast recovery may still inflate CWND: each duplicate stands for a segment that was in flight when the loss was
    /// found, so forged ones gain nothing.
    inflation: u32,
    /// L of RFC 3465 §2.2, in segments: 2, and 1 in the slow start that follows a timeout.
    limit: u32,
}

/// The initial window of RFC 6928: min(10 MSS, max(2 MSS, 14600)).
pub(crate) fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

impl NewReno {
    /// A controller for segments of `mss` bytes. After a lost SYN the window starts with one segment (RFC 6928 §2).
    pub(crate) fn new(mss: u32, syn_was_lost: bool) -> Self {
        let cwnd = if syn_was_lost {
            mss
        } else {
            initial_window(mss)
        };
        Self {
            cwnd,
            ssthresh: u32::MAX,
            mss,
            counted: 0,
            inflation: 0,
            limit: 2,
        }
    }

    /// CWND.
    pub(crate) fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// SSTHRESH; `u32::MAX` until the first loss.
    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// The MSS changed with the path MTU.
    pub(crate) fn set_mss(&mut self, mss: u32) {
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss);
    }

    /// New data was acknowledged, outside of recovery.
    pub(crate) fn on_acknowledged(&mut self, ack: Acknowledged) {
        if !ack.window_was_used {
            return;
        }
        if self.cwnd < self.ssthresh {
            let growth = ack.bytes.min(self.limit * self.mss);
            self.cwnd = self
                .cwnd
                .saturating_add(growth)
                .min(self.ssthresh.max(self.cwnd));
            return;
        }
        self.limit = 2;
        self.counted = self.counted.saturating_add(ack.bytes);
        if self.counted >= self.cwnd {
            self.counted -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(self.mss);
        }
    }

    /// RFC 5681 equation 4: ssthresh = max(FlightSize / 2, 2 MSS).
    fn halve(&mut self, flight: u64) {
        self.ssthresh = u32::try_from(flight / 2)
            .unwrap_or(u32::MAX)
            .max(2 * self.mss);
        self.counted = 0;
    }

    /// Three duplicates said that a segment was lost: fast recovery begins (RFC 6582 §3.2 step 2).
    pub(crate) fn on_fast_retransmit(&mut self, flight: u64) {
        self.halve(flight);
        self.cwnd = self.ssthresh.saturating_add(3 * self.mss);
        self.inflation = u32::try_from(flight)
            .unwrap_or(u32::MAX)
            .saturating_sub(3 * self.mss);
    }

    /// A further duplicate in recovery: a segment has left the network.
    pub(crate) fn on_duplicate_in_recovery(&mut self) {
        if self.inflation >= self.mss {
            self.inflation -= self.mss;
            self.cwnd = self.cwnd.saturating_add(self.mss);
        }
    }

    /// A partial acknowledgment: deflate by what was acknowledged, add back one segment (RFC 6582 §3.2 step 3).
    pub(crate) fn on_partial_acknowledgment(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_sub(bytes);
        if bytes >= self.mss {
            self.cwnd = self.cwnd.saturating_add(self.mss);
        }
        self.cwnd = self.cwnd.max(self.mss);
    }

    /// All that was outstanding at the loss is acknowledged: recovery ends (RFC 6582 §3.2 step 3, option 1).
    pub(crate) fn on_recovered(&mut self, flight: u64) {
        let flight = u32::try_from(flight).unwrap_or(u32::MAX);
        self.cwnd = self
            .ssthresh
            .min(flight.max(self.mss).saturating_add(self.mss));
    }

    /// The retransmission timer went off (RFC 5681 §3.1): one segment, slow start. A second timeout of the same segment
    /// does not halve again.
    pub(crate) fn on_timeout(&mut self, flight: u64, first: bool) {
        if first {
            self.halve(flight);
        }
        self.cwnd = self.mss;
        self.limit = 1;
        self.counted = 0;
    }

    /// Nothing was sent for longer than an RTO: restart with at most the initial window (RFC 5681 §4.1).
    pub(crate) fn on_idle(&mut self) {
        self.cwnd = self.cwnd.min(initial_window(self.mss));
    }
}
