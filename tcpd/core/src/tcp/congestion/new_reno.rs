//! Slow start and congestion avoidance as RFC 5681 has them (RFC 9293 §3.8.2 MUST-19), with appropriate byte counting (RFC 3465).

use crate::tcp::congestion::window::{Context, Window};
use crate::tcp::congestion::{Acknowledged, Controller, Signal};
use crate::time::Instant;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// What NewReno remembers beyond CWND and SSTHRESH.
#[derive(Clone, Debug)]
pub(crate) struct NewReno {
    /// Bytes acknowledged in congestion avoidance since CWND last grew (RFC 3465 §2.1).
    counted: u32,
    /// L of RFC 3465 §2.2, in segments: 2, and 1 in the slow start that follows a timeout.
    limit: u32,
}

impl NewReno {
    pub(crate) const fn new() -> Self {
        Self {
            counted: 0,
            limit: 2,
        }
    }
}

impl Controller for NewReno {
    fn on_acknowledged(&mut self, window: &mut Window, ack: &Acknowledged, cx: &Context) {
        if !cx.may_grow {
            return;
        }
        if window.in_slow_start() {
            window.grow_slowly_started(ack.bytes, self.limit * window.mss);
            return;
        }
        self.limit = 2;
        self.counted = self.counted.saturating_add(ack.bytes);
        if self.counted >= window.cwnd {
            self.counted -= window.cwnd;
            window.cwnd = window.cwnd.saturating_add(window.mss);
        }
    }

    /// RFC 5681 equation 4: max(FlightSize / 2, 2 MSS). RFC 8511 §4: 0.8 of it when a router only marked.
    fn on_congestion(&mut self, window: &Window, signal: Signal, _in_use: u32, flight: u32) -> u32 {
        self.counted = 0;
        let left = match signal {
            // RFC 5681 equation 4.
            Signal::Loss | Signal::Timeout => flight.min(window.cwnd) / 2,
            Signal::Ecn => (u64::from(flight.min(window.cwnd)) * 4 / 5) as u32,
        };
        if signal == Signal::Timeout {
            self.on_repeated_timeout();
        }
        left.max(2 * window.mss)
    }

    fn on_repeated_timeout(&mut self) {
        self.limit = 1;
        self.counted = 0;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.counted = 0;
    }

    fn on_pause(&mut self, _pause: Duration, restarted: bool) {
        if restarted {
            self.counted = 0;
        }
    }
}
